//! Figures of channels, written as the module writes them.

use crate::{
    calendar::{self, Date, Time},
    edge::hub::Figures,
};
use std::sync::Arc;

const END: &str = "\r\n";

/// One channel.
pub(super) fn one(name: &str, figures: &Figures) -> String {
    let Figures { published, stored, subscribers, .. } = figures;
    let name = serde_json::Value::from(name);
    format!(
        r#"{{"channel": {name}, "published_messages": {published}, "stored_messages": {stored}, "subscribers": {subscribers}}}"#
    )
}

/// Some channels; `all` is of all together, and `uptime` is in seconds.
pub(super) fn several(all: &Figures, channels: &[(Arc<str>, Figures)], uptime: u64) -> String {
    let (host, time, count) = (host(), time(), all.channels);
    let infos: Vec<String> = channels.iter().map(|(name, figures)| one(name, figures)).collect();
    let infos = infos.join(&format!(",{END}"));
    format!(
        r#"{{"hostname": {host}, "time": "{time}", "channels": {count}, "wildcard_channels": 0, "uptime": {uptime}, "infos": [{END}{infos}{END}]}}{END}"#
    )
}

/// All together.
pub(super) fn summary(all: &Figures, uptime: u64) -> String {
    let Figures { channels, published, stored, subscribers } = all;
    let (host, time, pid) = (host(), time(), std::process::id());
    format!(
        r#"{{"hostname": {host}, "time": "{time}", "channels": {channels}, "wildcard_channels": 0, "published_messages": {published}, "stored_messages": {stored}, "messages_in_trash": 0, "channels_in_delete": 0, "channels_in_trash": 0, "subscribers": {subscribers}, "uptime": {uptime}, "by_worker": [{END}{{"pid": "{pid}", "subscribers": {subscribers}, "uptime": {uptime}}}{END}]}}{END}"#
    )
}

fn host() -> serde_json::Value {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into()
}

fn time() -> String {
    let now = calendar::now().as_secs();
    format!("{}T{}", Date::of(now), Time::of(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Figures = Figures { channels: 3, published: 7, stored: 5, subscribers: 2 };

    #[test]
    fn figures_have_the_modules_spacing() {
        let figures = Figures { channels: 1, published: 1, stored: 1, subscribers: 0 };
        let one = one("ch1", &figures);
        assert_eq!(one, r#"{"channel": "ch1", "published_messages": 1, "stored_messages": 1, "subscribers": 0}"#);
        let list = several(&ALL, &[("ch1".into(), figures), ("ch1".into(), figures)], 9);
        assert!(
            list.ends_with(&format!(
                "\"channels\": 3, \"wildcard_channels\": 0, \"uptime\": 9, \"infos\": [\r\n{one},\r\n{one}\r\n]}}\r\n"
            )),
            "{list}"
        );
        let summary: serde_json::Value = serde_json::from_str(&summary(&ALL, 9)).expect("is JSON");
        assert_eq!((&summary["published_messages"], &summary["subscribers"]), (&7.into(), &2.into()));
        assert_eq!(summary["by_worker"][0]["pid"], std::process::id().to_string());
    }
}
