//! Just enough of the Redis protocol (RESP2) to push onto a list.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::TcpStream,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to Redis that pushes.
pub(crate) struct Producer<S: io::Read + Write = TcpStream> {
    stream: BufReader<S>,
}

impl Producer {
    /// To the server at this loopback port.
    pub(crate) fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream) })
    }
}

impl<S: io::Read + Write> Producer<S> {
    /// `RPUSH list payload`.
    ///
    /// # Errors
    /// `InvalidData` with the server's own words when it refuses.
    pub(crate) fn push(&mut self, list: &str, payload: &str) -> io::Result<()> {
        let mut command = String::from("*3\r\n");
        for word in ["RPUSH", list, payload] {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.stream.get_mut().write_all(command.as_bytes())?;
        let mut reply = String::new();
        self.stream.read_line(&mut reply)?;
        if reply.starts_with(':') {
            return Ok(());
        }
        let words = if reply.is_empty() { "the server hung up" } else { reply.trim_end() };
        Err(io::Error::new(io::ErrorKind::InvalidData, words.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Read};

    struct Wire {
        replies: Cursor<&'static str>,
        sent: Vec<u8>,
    }

    impl Read for Wire {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.replies.read(buffer)
        }
    }

    impl Write for Wire {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.sent.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn push(replies: &'static str) -> (io::Result<()>, String) {
        let mut producer =
            Producer { stream: BufReader::new(Wire { replies: Cursor::new(replies), sent: Vec::new() }) };
        let result = producer.push("jobs", "grüße");
        (result, String::from_utf8(producer.stream.into_inner().sent).unwrap())
    }

    #[test]
    fn lengths_are_in_bytes() {
        let (result, sent) = push(":1\r\n");
        assert!(result.is_ok());
        assert_eq!(sent, "*3\r\n$5\r\nRPUSH\r\n$4\r\njobs\r\n$7\r\ngrüße\r\n");
    }

    #[test]
    fn a_refusal_keeps_the_servers_words() {
        let (result, _) = push("-OOM command not allowed\r\n");
        assert_eq!(result.unwrap_err().to_string(), "-OOM command not allowed");
        assert!(push("").0.unwrap_err().to_string().contains("hung up"));
    }
}
