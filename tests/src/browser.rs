//! A real browser without a screen: Chromium, told what to do as its own tools do it (the DevTools protocol).

use crate::{eventually, process::Process};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::{Message, WebSocket, protocol::Role};

const SOON: Duration = Duration::from_secs(60);

/// One page of a browser of its own; both are gone when it is dropped.
#[derive(Debug)]
pub struct Browser {
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    count: u64,
    complaints: Vec<String>,
    _process: Process,
    _dir: TempDir,
}

impl Browser {
    /// A browser; nothing where Debian's `chromium` is missing: what needs it passes over, saying so.
    ///
    /// # Panics
    /// Where it is missing and `GRISTMILL_ALL_SERVERS` is set, or where it does not start.
    pub fn start() -> Option<Self> {
        let program = program()?;
        let dir = tempfile::Builder::new().prefix("gristmill-browser-").tempdir().expect("a temporary directory");
        let mut command = Command::new(program);
        command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
        command.args(["--disable-extensions", "--disable-background-networking", "--disable-component-update"]);
        command.args(["--remote-debugging-port=0", "--hide-scrollbars", "--lang=en-GB", "about:blank"]);
        command.arg(format!("--user-data-dir={}", dir.path().join("profile").display()));
        command.env("DBUS_SYSTEM_BUS_ADDRESS", "disabled:").env("DBUS_SESSION_BUS_ADDRESS", "disabled:");
        let process = Process::start("chromium", &mut command, &dir.path().join("log"));
        let address = eventually(SOON, "the browser listens", || {
            process.log().lines().find_map(|line| Some(line.split_once("listening on ws://")?.1.to_owned()))
        });
        let mut browser = Self {
            socket: shake(&address),
            session: None,
            count: 0,
            complaints: Vec::new(),
            _process: process,
            _dir: dir,
        };
        browser.attach();
        Some(browser)
    }

    fn attach(&mut self) {
        let target = self.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = self.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        self.session = attached["sessionId"].as_str().map(ToOwned::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
        self.screen(1280, 860, false);
    }

    /// Goes to `url`.
    pub fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
    }

    /// A screen of so many points, of a phone or not.
    pub fn screen(&mut self, width: u32, height: u32, phone: bool) {
        let scale = if phone { 2 } else { 1 };
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Prefers dark pages, or light ones.
    pub fn dark(&mut self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": value });
        self.call("Emulation.setEmulatedMedia", json!({ "features": [feature] }));
    }

    /// What a script in the page comes to.
    #[track_caller]
    pub fn eval(&mut self, script: &str) -> Value {
        let wanted = json!({ "expression": script, "returnByValue": true, "awaitPromise": true });
        let told = self.call("Runtime.evaluate", wanted);
        assert!(told.get("exceptionDetails").is_none(), "{script}: {told}");
        told["result"]["value"].clone()
    }

    /// The text of the page as it is seen.
    #[track_caller]
    pub fn text(&mut self) -> String {
        self.eval("document.body?.innerText ?? ''").as_str().unwrap_or_default().to_owned()
    }

    /// Waits until `text` can be seen.
    ///
    /// # Panics
    /// When that takes longer than a minute.
    #[track_caller]
    pub fn sees(&mut self, text: &str) {
        let seen = || self.text().contains(text).then_some(());
        eventually(SOON, &format!("the page shows `{text}`"), seen);
    }

    /// Clicks with the mouse on what `selector` finds, once it is there, can be pressed, and reads `text`.
    ///
    /// # Panics
    /// When there is no such thing within a minute.
    #[track_caller]
    pub fn click(&mut self, selector: &str, text: &str) {
        let script = format!(
            "(() => {{ const all = [...document.querySelectorAll({})];
            const found = all.find((one) => one.textContent.includes({}) && !one.disabled && one.offsetParent);
            if (!found) return null;
            found.scrollIntoView({{ block: 'center' }});
            const {{ x, y, width, height }} = found.getBoundingClientRect();
            return [x + width / 2, y + height / 2]; }})()",
            json!(selector),
            json!(text)
        );
        let what = format!("`{selector}` with `{text}` can be clicked");
        let at = eventually(SOON, &what, || Some(self.eval(&script)).filter(Value::is_array));
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Presses a key, such as `Tab`, `Enter` or `1`.
    pub fn press(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            _ => 0,
        };
        let text = match key {
            "Enter" => "\r",
            key if key.chars().count() == 1 => key,
            _ => "",
        };
        let mut event = json!({ "type": "keyDown", "key": key, "text": text, "windowsVirtualKeyCode": code });
        self.call("Input.dispatchKeyEvent", event.clone());
        event["type"] = "keyUp".into();
        self.call("Input.dispatchKeyEvent", event);
    }

    /// Writes `text` where the cursor is.
    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// A picture of what is seen, as PNG.
    pub fn picture(&mut self, path: &Path) {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let bytes = STANDARD.decode(shot["data"].as_str().unwrap_or_default()).expect("base64");
        std::fs::write(path, bytes).expect("a picture can be written");
    }

    /// What the browser has complained about: errors of scripts, and what the page's own policy has forbidden.
    pub fn complaints(&mut self) -> Vec<String> {
        self.eval("0");
        std::mem::take(&mut self.complaints)
    }

    /// Sends a command, and reads until its answer.
    #[track_caller]
    fn call(&mut self, method: &str, about: Value) -> Value {
        self.count += 1;
        let mut command = json!({ "id": self.count, "method": method, "params": about });
        if let Some(session) = &self.session {
            command["sessionId"] = session.as_str().into();
        }
        self.socket.send(Message::text(command.to_string())).expect("the browser listens");
        loop {
            let told = self.socket.read().expect("the browser answers");
            let Ok(told) = serde_json::from_str::<Value>(told.to_text().unwrap_or_default()) else { continue };
            if told["id"] == self.count {
                assert!(told.get("error").is_none(), "{method}: {told}");
                return told["result"].clone();
            }
            self.hear(&told);
        }
    }

    fn hear(&mut self, told: &Value) {
        let entry = &told["params"]["entry"];
        let complains = told["method"] == "Runtime.exceptionThrown" || entry["level"] == "error";
        // That an answer said no is no fault of the page.
        if complains && entry["source"] != "network" {
            self.complaints.push(told["params"].to_string());
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let close = json!({ "id": 0, "method": "Browser.close" });
        self.socket.send(Message::text(close.to_string())).ok();
    }
}

fn program() -> Option<PathBuf> {
    let path = Path::new("/usr/bin/chromium");
    if path.exists() {
        return Some(path.to_owned());
    }
    assert!(std::env::var_os("GRISTMILL_ALL_SERVERS").is_none(), "there is no browser: install `chromium`");
    eprintln!("no chromium, so what needs it is passed over");
    None
}

/// Begins a WebSocket to `address`, which has a path behind it.
fn shake(address: &str) -> WebSocket<TcpStream> {
    let (host, path) = address.trim().split_once('/').expect("an address with a path");
    let mut stream = TcpStream::connect(host).expect("the browser listens");
    stream.set_read_timeout(Some(SOON)).expect("a time can be set");
    let head = format!(
        "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: Z3Jpc3RtaWxsLXRlc3RzIQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("the browser listens");
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("the browser answers");
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    WebSocket::from_raw_socket(stream, Role::Client, None)
}
