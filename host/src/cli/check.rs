//! `gristmill check`: what `run` would do, or every reason why it would not.

mod grants;

use super::talk;
use crate::{
    config::{self, Config, From, Loaded, OrderBy, Pipeline, Take},
    lookup::Lookups,
    node,
    plugin::{Plugins, Prepared},
    source::embedded,
};
use std::{fmt::Write, path::Path};

/// Checks the file at `path`, the plugins it names, and Redis.
pub(super) fn run(path: &Path) -> anyhow::Result<()> {
    let loaded = talk::load(path)?;
    let said = talk::runtime()?.block_on(check(&loaded))?;
    talk::print(said.as_bytes())
}

async fn check(loaded: &Loaded) -> anyhow::Result<String> {
    let config = &loaded.config;
    node::check_databases(loaded)?;
    node::endpoints(loaded)?;
    node::edge_settings(loaded)?;
    let plugins = Plugins::new(&config.data_dir.join("cache"), &config.compile, Lookups::alone())?;
    let prepared = plugins.prepare(node::wanted(config)).await;
    let prepared = prepared.map_err(|refused| node::Error::Config(node::explain(loaded, &refused)))?;
    let redis = match &config.redis {
        config::Redis::Embedded { .. } => format!("embedded ({})", embedded::program()?),
        config::Redis::Url(_) => {
            let connector = node::connector(config)?;
            connector.check().await?;
            connector.url().to_owned()
        }
    };
    Ok(describe(config, &prepared, &redis))
}

fn describe(config: &Config, prepared: &Prepared, redis: &str) -> String {
    let mut said = format!("redis     {redis}\n");
    for (name, pipeline) in &config.pipelines {
        said += &describe_pipeline(name, pipeline);
    }
    for version in prepared.versions() {
        // Writing to a string cannot fail.
        let _ok = writeln!(said, "plugin    {}: {} {}", version.name(), version.title(), version.digest()).is_ok();
        for line in grants::of(version) {
            let _ok = writeln!(said, "          {line}").is_ok();
        }
    }
    for refusal in prepared.refused() {
        let _ok = writeln!(said, "unused    {refusal}").is_ok();
    }
    said
}

/// The way of a message on one line, and below it what is special about it.
fn describe_pipeline(name: &str, pipeline: &Pipeline) -> String {
    let way = [&pipeline.filters[..], &pipeline.publish[..]].concat().join(" → ");
    let way = if way.is_empty() { "nothing".to_owned() } else { way };
    let (promise, loss) = match pipeline.from.redelivers() {
        true => (" (at least once)", None),
        false => ("", Some(AT_MOST_ONCE.to_owned())),
    };
    let notes = [loss, unsure(&pipeline.from), take(pipeline), backlog(pipeline), order(pipeline)];
    let notes: String = notes.into_iter().flatten().map(|note| format!("          {note}\n")).collect();
    format!("pipeline  {name}: {} → {way}{promise}\n{notes}", pipeline.from)
}

const AT_MOST_ONCE: &str =
    "at most once: what is published while nothing listens, or faster than the pipeline takes it, is lost";

/// Redis knows what a Thoonk feed is, and could be told otherwise until the pipeline starts.
fn unsure(from: &From) -> Option<String> {
    match from {
        From::Thoonk(thoonk) if thoonk.kind.is_none() => {
            Some("but at most once if Redis says it is a plain feed".to_owned())
        }
        _ => None,
    }
}

fn take(pipeline: &Pipeline) -> Option<String> {
    let lists = matches!(pipeline.from, From::Lists(_));
    (lists && pipeline.take == Take::Newest).then(|| "newest first".to_owned())
}

fn backlog(pipeline: &Pipeline) -> Option<String> {
    let backlog = pipeline.backlog?;
    let place = match pipeline.from {
        From::Lists(_) => "in each list",
        From::Channels(_) => "in the node",
        _ => return None,
    };
    let end = match backlog.drop {
        Take::Oldest => "oldest",
        Take::Newest => "newest",
    };
    Some(format!("at most {} wait {place}; of more, the {end} are dropped", backlog.keep))
}

fn order(pipeline: &Pipeline) -> Option<String> {
    let order = pipeline.order.as_ref()?;
    let by = match &order.by {
        OrderBy::Topic => "topic".to_owned(),
        OrderBy::Header(name) => format!("header `{name}`"),
        OrderBy::Json(pointer) => format!("what is at `{pointer}`"),
    };
    let those_behind = match order.hold {
        true => "holds back those behind it",
        false => "is overtaken by those behind it",
    };
    Some(format!("in order by {by}; one that waits for another attempt {those_behind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a pipeline that publishes with `out` and otherwise says `keys`.
    fn said(keys: &str) -> String {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), format!("[pipeline.p]\npublish = [\"out\"]\n{keys}\n")).expect("writes");
        let loaded = config::load(file.path(), &|_| None).unwrap_or_else(|faults| panic!("{faults}"));
        let pipeline = loaded.config.pipelines.get("p").expect("is there");
        describe_pipeline("p", pipeline)
    }

    #[test]
    fn a_plain_pipeline_is_its_way_and_its_promise() {
        assert_eq!(said("from.list = \"q\""), "pipeline  p: list `q` → out (at least once)\n");
    }

    #[test]
    fn what_is_special_about_a_pipeline_stands_below_it() {
        assert_eq!(
            said("from.list = [\"a\", \"b\"]\ntake = \"newest\"\nbacklog.keep = 7\norder_by = \"header:user\"\n"),
            "pipeline  p: lists `a`, `b` → out (at least once)\n          newest first\n          \
             at most 7 wait in each list; of more, the oldest are dropped\n          \
             in order by header `user`; one that waits for another attempt holds back those behind it\n"
        );
    }

    #[test]
    fn channels_say_what_can_be_lost() {
        assert_eq!(
            said("from.channel = \"c\"\norder_by = \"json:/a\"\nbacklog = { keep = 7, drop = \"newest\" }"),
            "pipeline  p: channel `c` → out\n          \
             at most once: what is published while nothing listens, or faster than the pipeline takes it, is lost\n          \
             at most 7 wait in the node; of more, the newest are dropped\n          \
             in order by what is at `/a`; one that waits for another attempt holds back those behind it\n"
        );
    }

    #[test]
    fn only_some_thoonk_feeds_promise_to_deliver() {
        assert!(said("from = { thoonk = \"t\", kind = \"job\" }").ends_with("(at least once)\n"));
        assert!(said("from = { thoonk = \"t\", kind = \"feed\" }").contains("at most once: "));
        assert!(said("from = { thoonk = \"t\" }").contains("if Redis says it is a plain feed"));
    }
}
