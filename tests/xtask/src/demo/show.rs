//! What the demo prints.

use super::{http::Request, notifications::Notification};
use crate::places::Places;
use std::{
    io::{self, IsTerminal},
    time::Duration,
};

/// Prints, in colour on a terminal.
pub(crate) struct Show {
    colours: bool,
}

const DIM: &str = "2";
const BOLD: &str = "1";
const RED: &str = "31";
const GREEN: &str = "32";

impl Show {
    pub(crate) fn new() -> Self {
        Self { colours: io::stdout().is_terminal() }
    }

    /// What a person can do from here on.
    pub(crate) fn welcome(&self, port: u16, url: &str, places: &Places) {
        let push = format!(
            "redis-cli -p {port} RPUSH notifications '{{\"id\":\"mine\",\"text\":\"hello\",\"agent\":\"curl\",\"ip\":\"192.0.2.1\"}}'"
        );
        println!();
        println!("  {}     {push}", self.paint(BOLD, "push"));
        println!("  {} {url}hooks/notifications (received and shown here)", self.paint(BOLD, "delivers"));
        println!(
            "  {}   edit examples/first-filter/src/lib.rs, then `cargo xtask plugins first-filter`:",
            self.paint(BOLD, "change")
        );
        println!("           the new version in {} takes over, nothing restarts", places.plugins().display());
        println!();
    }

    /// One line of the node's log.
    pub(crate) fn log(&self, line: &str) {
        println!("{}", self.paint(DIM, &format!("node │ {line}")));
    }

    /// A message that arrived, beside what had been pushed, where that is known.
    pub(crate) fn arrival(&self, before: Option<&Notification>, request: &Request, after: &str) {
        let Some(before) = before else {
            println!("{} {after}\n       {} {}", self.paint(BOLD, "after "), request.method, request.path);
            return;
        };
        println!("{} {}", self.paint(BOLD, "before"), self.marked(before));
        println!("{} {after}", self.paint(BOLD, "after "));
        println!("       {} {}   {}", request.method, request.path, self.verdict(before, after));
    }

    /// How a run of `--once` went.
    pub(crate) fn summary(&self, arrived: u64, took: Duration) {
        let line = format!("{arrived} messages pushed, filtered and delivered in {:.1} s", took.as_secs_f64());
        println!("\n{}", self.paint(GREEN, &line));
    }

    /// What was pushed, its private members in red.
    fn marked(&self, before: &Notification) -> String {
        before
            .private()
            .iter()
            .fold(before.json().to_owned(), |text, member| text.replace(member.as_str(), &self.paint(RED, member)))
    }

    fn verdict(&self, before: &Notification, after: &str) -> String {
        let (kept, gone): (Vec<&str>, Vec<&str>) =
            before.private().iter().map(String::as_str).partition(|member| after.contains(member));
        let mut words = Vec::new();
        if !gone.is_empty() {
            words.push(self.paint(GREEN, &format!("gone: {}", gone.join(", "))));
        }
        if !kept.is_empty() {
            words.push(self.paint(RED, &format!("still there: {}", kept.join(", "))));
        }
        words.join("   ")
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_vanished_and_what_stayed_is_told_apart() {
        let show = Show { colours: false };
        let before = Notification::number(1);
        let [ip, email] = before.private() else { panic!("two members") };
        let after = before.json().replace(ip, "");
        assert_eq!(show.verdict(&before, &after), format!("gone: {ip}   still there: {email}"));
    }

    #[test]
    fn colours_only_where_they_are_wanted() {
        assert_eq!(Show { colours: false }.paint(RED, "x"), "x");
        assert_eq!(Show { colours: true }.paint(RED, "x"), "\x1b[31mx\x1b[0m");
    }
}
