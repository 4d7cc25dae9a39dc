//! What a plugin is granted, what it says it needs, and what of the one the other leaves out.

use crate::{
    config::{self, DirAccess, DirGrant, Isolation, Plugin},
    plugin::{Kind, Means, Need, Needs, Version},
};

/// A line for each of these, as they stand below the plugin's own.
pub(super) fn of(version: &Version) -> Vec<String> {
    let (settings, needs) = (version.settings(), version.needs());
    let mut lines = granted(settings);
    if lines.is_empty() {
        lines.push("is granted nothing".to_owned());
    }
    lines.extend(needed(needs));
    lines.extend(needs.idle(version.kind(), settings).iter().map(idle));
    if version.kind() == Kind::Filter && settings.secrets.names().next().is_some() {
        lines.push("warning: a filter sends nothing, so its `secrets` go nowhere".to_owned());
    }
    lines.extend(mute(version.name(), version.kind(), settings));
    lines.extend(batch(version));
    lines
}

/// What is said of a publisher that may send nothing anywhere.
fn mute(name: &str, kind: Kind, settings: &Plugin) -> Option<String> {
    let Plugin { allow_http, allow_redis, allow_dirs, .. } = settings;
    let writes = allow_dirs.values().any(|grant| grant.access == DirAccess::Write);
    let nowhere = allow_http.is_empty() && allow_redis.is_empty() && !writes;
    (kind == Kind::Publisher && nowhere).then(|| {
        format!(
            "warning: every request it makes will be refused; grant it hosts by `allow_http`, commands of Redis by `allow_redis`, or files by `allow_dirs` in [plugin.{name}]"
        )
    })
}

/// What is said of batches: how they are made, or that what is set about them is idle.
fn batch(version: &Version) -> Option<String> {
    let settings = version.settings();
    let config::Batch { size, linger, bytes } = settings.batch;
    if !version.takes_batches() {
        let set = settings.batch != Plugin::default().batch;
        return set.then(|| "warning: takes no batches, so `batch` changes nothing".to_owned());
    }
    if version.batch().is_none() {
        return Some(match settings.isolation {
            Isolation::Message => "takes one message at a time, as `isolation` is \"message\"".to_owned(),
            Isolation::Reuse => "takes one message at a time".to_owned(),
        });
    }
    let wait = if linger.is_zero() { "of those at hand".to_owned() } else { format!("waiting {linger:?} for them") };
    Some(format!("takes up to {size} messages or {} KiB at once, {wait}", bytes >> 10))
}

fn granted(settings: &Plugin) -> Vec<String> {
    let listed = |items: Vec<String>| (!items.is_empty()).then(|| items.join(", "));
    let hosts = settings.allow_http.iter().map(|grant| format!("`{grant}`")).collect();
    let commands = settings.allow_redis.iter().map(|grant| format!("`{grant}`")).collect();
    let dir = |(name, DirGrant { host, access }): (&String, &DirGrant)| {
        let verb = if *access == DirAccess::Read { "reads" } else { "reads and writes" };
        format!("{verb} `{}` as `{name}`", host.display())
    };
    let variable = |name: &String| match config::process_environment(name) {
        Some(_) => format!("`{name}`"),
        None => format!("`{name}` (which is not set)"),
    };
    let means = settings.allow.iter().map(ToString::to_string).collect();
    let secrets = settings.secrets.names().map(|name| format!("`{name}`")).collect();
    let mut lines: Vec<String> = listed(hosts).map(|hosts| format!("sends HTTP to {hosts}")).into_iter().collect();
    lines.extend(listed(commands).map(|commands| format!("asks Redis for {commands}")));
    lines.extend(settings.allow_dirs.iter().map(dir));
    lines.extend(
        listed(settings.allow_env.iter().map(variable).collect()).map(|names| format!("sees the variables {names}")),
    );
    lines.extend(listed(means).map(|means| format!("has {means}")));
    lines.extend(listed(secrets).map(|names| format!("sends the secrets {names} without seeing them")));
    lines
}

fn needed(needs: &Needs) -> Option<String> {
    let list: Vec<String> = needs.iter().map(Need::to_string).collect();
    (!list.is_empty()).then(|| format!("says it needs {}", list.join(", ")))
}

fn idle(means: &Means) -> String {
    format!("warning: does not need {means}; take it out of `{}`", means.key().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// Whether a plugin of this kind is warned of with these lines in its table.
    fn warned(kind: Kind, table: &str) -> bool {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!("[pipeline.p]\nfrom.list = \"q\"\npublish = [\"out\"]\n[plugin.out]\n{table}\n");
        std::fs::write(file.path(), text).unwrap();
        let loaded = config::load(file.path(), &|_| None).unwrap_or_else(|faults| panic!("{faults}"));
        mute("out", kind, loaded.config.plugins.get("out").unwrap()).is_some_and(|line| line.contains("[plugin.out]"))
    }

    #[test]
    fn a_publisher_that_may_send_nothing_is_warned_of() {
        for table in ["", "allow_http = []", "allow_store = \"memory\"", "allow_dirs = { \"a\" = \"/tmp:ro\" }"] {
            assert!(warned(Kind::Publisher, table), "{table}");
            assert!(!warned(Kind::Filter, table), "a filter sends nothing: {table}");
        }
        for table in ["allow_http = [\"h\"]", "allow_redis = [\"cache:*\"]", "allow_dirs = { \"a\" = \"spool\" }"] {
            assert!(!warned(Kind::Publisher, table), "{table}");
        }
    }
}
