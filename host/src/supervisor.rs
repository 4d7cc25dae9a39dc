//! Who has started this process and wants to know how it goes: systemd, through the datagrams of sd_notify(3). Where nobody
//! wants to know, nothing is sent.

use crate::{event, pulse::Pulse};
use rustix::time::{ClockId, clock_gettime};
use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    sync::Once,
    time::Duration,
};

/// Beyond the grace: for what is in flight to be given back, and for a Redis that is slow to take it.
const BEYOND: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub struct Supervisor {
    ear: Option<(UnixDatagram, SocketAddr)>,
    /// How long it may be without a sign of life from us.
    patience: Option<Duration>,
    deaf: Once,
}

impl Supervisor {
    /// The one that `NOTIFY_SOCKET` and `WATCHDOG_USEC` tell of.
    pub fn of_environment() -> Self {
        let ear = env::var_os("NOTIFY_SOCKET").map(|name| ear(name.as_bytes()));
        let ear = ear.and_then(|ear| ear.inspect_err(|error| event::supervisor_deaf(error)).ok());
        let own = |pid: String| pid == std::process::id().to_string();
        let ours = env::var("WATCHDOG_PID").map_or(true, own);
        let micros = env::var("WATCHDOG_USEC").ok().and_then(|micros| micros.parse().ok());
        let patience = micros.filter(|micros| ours && *micros > 0).map(Duration::from_micros);
        Self { ear, patience, deaf: Once::new() }
    }

    /// Plugins are being compiled, Redis is looked for.
    pub fn starting(&self) {
        self.tell("STATUS=loading plugins");
    }

    /// So many pipelines take messages.
    pub fn ready(&self, pipelines: usize) {
        self.tell(&format!("READY=1\nSTATUS={}", taking(pipelines)));
    }

    /// The configuration is being read again; `ready` or `unchanged` ends that.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reading the configuration again"));
    }

    /// It cannot be used, and so many pipelines go on as before.
    pub fn unchanged(&self, pipelines: usize) {
        let status = taking(pipelines);
        self.tell(&format!("READY=1\nSTATUS={status}; the changed configuration was refused, the log says why"));
    }

    /// Nothing new is taken, and what is in flight has `grace` to finish.
    pub fn draining(&self, grace: Duration) {
        let micros = (grace + BEYOND).as_micros();
        let seconds = grace.as_secs();
        self.tell(&format!(
            "STOPPING=1\nEXTEND_TIMEOUT_USEC={micros}\nSTATUS=finishing what is in flight, for {seconds} s at most"
        ));
    }

    /// Gives signs of life for as long as there is life: this task has its turn, and nothing has got stuck.
    pub async fn keep_watch(&self, pulse: &Pulse) {
        let Some(patience) = self.patience else { return };
        let mut ticks = tokio::time::interval(patience / 3);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut told = false;
        loop {
            ticks.tick().await;
            match pulse.stuck() {
                None => {
                    told = false;
                    self.tell("WATCHDOG=1");
                }
                Some(what) if !std::mem::replace(&mut told, true) => event::stuck(&what, patience),
                Some(_) => {}
            }
        }
    }

    /// A supervisor that does not listen must not stop the node.
    fn tell(&self, state: &str) {
        let Some((socket, address)) = &self.ear else { return };
        if let Err(error) = socket.send_to_addr(state.as_bytes(), address) {
            self.deaf.call_once(|| event::supervisor_deaf(&error));
        }
    }
}

fn taking(pipelines: usize) -> String {
    format!("{pipelines} pipeline{} at work", if pipelines == 1 { "" } else { "s" })
}

/// A socket's path, or a name without a file after an `@`.
fn ear(name: &[u8]) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name {
        [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name)?,
        [b'/', ..] => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
        _ => return Err(io::Error::new(io::ErrorKind::Unsupported, "that is neither a path nor a name")),
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Arc, time::Instant};

    /// A supervisor with this patience, and what it hears.
    fn supervisor(patience: Option<Duration>) -> (Supervisor, tokio::net::UnixDatagram) {
        let name = format!("gristmill-test-{}", crate::random::unique());
        let heard = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).expect("short")).expect("a socket");
        heard.set_nonblocking(true).expect("a socket");
        let ear = ear(format!("@{name}").as_bytes()).expect("a name");
        let heard = tokio::net::UnixDatagram::from_std(heard).expect("a runtime");
        (Supervisor { ear: Some(ear), patience, deaf: Once::new() }, heard)
    }

    async fn next(heard: &tokio::net::UnixDatagram) -> String {
        let mut bytes = [0; 500];
        let length = heard.recv(&mut bytes).await.expect("a datagram");
        String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).into_owned()
    }

    #[tokio::test]
    async fn a_drain_asks_for_the_time_that_it_may_take() {
        let (supervisor, heard) = supervisor(None);
        supervisor.draining(Duration::from_secs(40));
        let told = next(&heard).await;
        assert!(told.starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC=70000000\n"), "{told}");
    }

    #[tokio::test]
    async fn signs_of_life_end_when_something_is_stuck_and_come_again_when_it_no_longer_is() {
        let (supervisor, heard) = supervisor(Some(Duration::from_millis(30)));
        let pulse = Pulse::default();
        let watching = supervisor.keep_watch(&pulse);
        let looking = async {
            assert_eq!(next(&heard).await, "WATCHDOG=1");
            let begun = Instant::now().checked_sub(Duration::from_secs(400)).expect("the machine runs for longer");
            let step = pulse.begin_at(begun, "settling messages of", &Arc::from("jobs"));
            while tokio::time::timeout(Duration::from_millis(500), next(&heard)).await.is_ok() {}
            drop(step);
            assert_eq!(next(&heard).await, "WATCHDOG=1");
        };
        tokio::select! {
            () = watching => unreachable!("it watches for ever"),
            () = looking => {}
        }
    }

    #[tokio::test]
    async fn nobody_is_told_where_nobody_wants_to_know() {
        let supervisor = Supervisor { ear: None, patience: None, deaf: Once::new() };
        supervisor.ready(1);
        supervisor.keep_watch(&Pulse::default()).await;
    }
}
