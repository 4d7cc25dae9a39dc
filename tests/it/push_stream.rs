//! The plugin `push-stream` and a real nchan; and what other servers were seen to say.

mod vectors;

use crate::jobs::{SOON, nothing_is_left};
use gristmill_tests::{Mill, eventually, process::Process, redis::free_port};
use std::{
    env, fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
};
use tempfile::TempDir;

const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// Whether nginx can be nchan; else says that what needs it is passed over, where that may be.
pub(crate) fn has_nchan() -> bool {
    let is_there = Path::new(MODULE).exists();
    if !is_there {
        assert!(env::var_os("GRISTMILL_ALL_SERVERS").is_none(), "{MODULE} is missing");
        eprintln!("passed over: {MODULE} is missing: Debian's `libnginx-mod-nchan` has it");
    }
    is_there
}

/// An nginx with nchan, at a port of its own; killed when dropped.
struct Nchan {
    port: u16,
    _process: Process,
    _dir: TempDir,
}

impl Nchan {
    /// Nothing where Debian's `libnginx-mod-nchan` is not installed.
    fn start() -> Option<Self> {
        if !has_nchan() {
            return None;
        }
        let (port, dir) = (free_port(), tempfile::tempdir().unwrap());
        let config = format!(
            "load_module {MODULE};\ndaemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{
  access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  server {{ listen 127.0.0.1:{port};
    location = /pub {{ nchan_publisher; nchan_channel_id $arg_id; nchan_message_buffer_length 100; }}
    location ~ ^/sub/(.+)$ {{ nchan_subscriber; nchan_channel_id $1; nchan_subscriber_first_message oldest; }}
  }}\n}}\n"
        );
        fs::write(dir.path().join("nginx.conf"), config).unwrap();
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-p").arg(dir.path()).args(["-c", "nginx.conf"]);
        let process = Process::start("nginx", &mut command, &dir.path().join("log"));
        let nchan = Self { port, _process: process, _dir: dir };
        eventually(SOON, "nginx listens", || TcpStream::connect(("127.0.0.1", port)).ok().map(drop));
        Some(nchan)
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: h\r\naccept: application/json\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

#[test]
fn subscribers_of_nchan_get_what_was_pushed_to_redis() {
    let Some(nchan) = Nchan::start() else { return };
    let port = nchan.port;
    let mill = Mill::new().plugins(&["push-stream"]).config(&format!(
        r#"
[pipeline.jobs]
from = {{ list = "jobs" }}
publish = ["push-stream"]

[plugin.push-stream]
config = {{ url = "http://127.0.0.1:{port}/pub", dialect = "nchan", channel = "user-{{json:user}}" }}
allow_http = ["127.0.0.1:{port}"]
timeout = "20s"
"#
    ));
    let _node = mill.node();
    mill.redis.push("jobs", (0..20).map(|number| format!("{{\"user\":{},\"n\":{number}}}", number % 2)));
    nothing_is_left(&mill.redis);
    for user in [0, 1] {
        let status = nchan.get(&format!("/pub?id=user-{user}"));
        assert!(status.contains("\"messages\": 10,"), "{status}");
    }
    let first = nchan.get("/sub/user-1");
    assert!(first.starts_with("HTTP/1.1 200") && first.contains("{\"user\":1,\"n\":"), "{first}");
}
