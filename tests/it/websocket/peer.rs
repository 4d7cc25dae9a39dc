//! The server that most programs of Node use, over TLS with an authority of its own.

use super::*;
use gristmill_tests::{
    peers,
    process::Process,
    redis::{Certificates, free_port},
};
use std::fs;

/// Prints what it reads, and closes its first connection after five messages.
const SERVER: &str = "
const { readFileSync } = require('fs');
const { createServer } = require('https');
const { Server } = require('ws');
const [port, dir] = process.argv.slice(1);
const file = name => readFileSync(dir + '/' + name);
const server = createServer({ key: file('server.key'), cert: file('server.crt'), ca: file('authority.crt'), requestCert: true });
let connections = 0;
new Server({ server }).on('connection', socket => {
  const number = connections++;
  let read = 0;
  socket.on('message', message => {
    console.log('read ' + number + ' ' + message);
    if (number === 0 && ++read === 5) socket.close(1012, 'restart');
  });
});
server.listen(Number(port), '127.0.0.1', () => console.log('listening'));
";

#[test]
fn a_server_of_node_with_a_certificate_of_its_own_misses_nothing() {
    let Some((mut command, _)) = peers::pusher() else { return };
    let port = free_port();
    let authority = format!("127.0.0.1:{port}");
    let mill = mill(&format!("wss://{authority}/jobs"), &authority, "", "");
    let dir = mill.dir().join("tls");
    Certificates::make(&dir, &["127.0.0.1"]);
    command.args(["-e", SERVER, &port.to_string()]).arg(&dir);
    let mut server = Process::start("ws", &mut command, &mill.dir().join("ws.log"));
    eventually(SOON, "the server listens", || {
        assert!(server.ended().is_none(), "the server ended:\n{}", server.log());
        server.log().contains("listening").then_some(())
    });
    let config = fs::read_to_string(mill.config_file()).unwrap();
    mill.write_raw_config(&format!(
        "{config}\n[endpoint.\"{authority}\"]\n\
         tls = {{ ca = \"tls/authority.crt\", cert = \"tls/client.crt\", key = \"tls/client.key\" }}\n"
    ));
    let _node = mill.node();
    mill.redis.push("jobs", jobs(0..100));
    let read = || {
        let log = server.log();
        let texts = log.lines().filter_map(|line| line.strip_prefix("read ")?.split_once(' '));
        let numbers: Vec<u64> = texts.map(|(_, text)| number_in(&serde_json::from_str(text).unwrap())).collect();
        first_of_each(&numbers)
    };
    eventually(SOON, "all have arrived", || (read().len() == 100).then_some(()));
    nothing_is_left(&mill.redis);
    assert!(server.log().contains("read 1 "), "it has closed the first connection:\n{}", server.log());
}
