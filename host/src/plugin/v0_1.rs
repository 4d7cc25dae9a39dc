//! Version 0.1 of the plugin API: the only place that knows `gristmill:plugin@0.1.0` and the types of its functions.

mod batches;
mod lookups;
mod types;

use super::{fault::in_full, refusal::Cause, state::State};
use crate::{
    event::Loudness,
    message::{Fault, Message, Verdict},
    request::{BatchAnswer, Batched, Reply, Request},
};
use std::sync::Arc;
use wasmtime::{
    Engine, Store, StoreContextMut,
    component::{
        Component, ComponentExportIndex, ComponentNamedList, Instance, Lift, Linker, Lower, TypedFunc, WasmStr,
        types::ComponentItem,
    },
};

/// The version of the API that this module speaks.
pub(super) const VERSION: &str = "0.1.0";
/// What all names of the API start with.
pub(super) const PACKAGE: &str = "gristmill:plugin/";

type Filter = TypedFunc<(&'static [u8],), (Result<types::Verdict, types::Fault>,)>;
type Publish = TypedFunc<(&'static [u8],), (Result<Vec<types::Request>, types::Fault>,)>;
type Replies = Vec<types::Reply<'static>>;
type Answered = TypedFunc<(&'static [u8], Replies), (Result<Vec<types::Request>, types::Fault>,)>;
type Init = TypedFunc<(&'static str,), (Result<(), String>,)>;

/// What a plugin does with messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Answers with a verdict.
    Filter,
    /// Answers with requests.
    Publisher,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Filter => "filter",
            Self::Publisher => "publisher",
        })
    }
}

/// Where a component keeps the functions of its kind of plugin.
pub(super) struct Exports {
    init: ComponentExportIndex,
    calls: Indices,
    /// Whether the plugin can ask for headers at all.
    pub(super) reads_headers: bool,
    /// Whether the plugin can look anything up, and so can wait.
    pub(super) looks_up: bool,
}

enum Indices {
    Filter(ComponentExportIndex),
    Publisher { publish: ComponentExportIndex, answered: ComponentExportIndex },
    Batches(batches::Indices),
}

/// What a component exports of the API to be called for messages.
#[derive(PartialEq)]
enum Interface {
    Filtering,
    Publishing,
    Batching,
}

impl Exports {
    /// Finds out what `component` is.
    ///
    /// # Errors
    /// A component that is no plugin, is two at once, or speaks another version of the API is refused.
    pub(super) fn of(component: &Component, engine: &Engine) -> Result<Self, Cause> {
        let exported = exported(component, engine)?;
        let function = |interface: &'static str, function: &'static str| {
            find(component, interface, function).ok_or_else(|| missing(interface, function))
        };
        let calls = match exported {
            Interface::Filtering => Indices::Filter(function("filtering", "filter")?),
            Interface::Batching => Indices::Batches(batches::Indices::of(component)?),
            Interface::Publishing => Indices::Publisher {
                publish: function("publishing", "publish")?,
                answered: function("publishing", "answered")?,
            },
        };
        let init = function("setup", "init")?;
        Ok(Self {
            init,
            calls,
            reads_headers: imports(component, engine, "envelope", |name| matches!(name, "header" | "headers")),
            looks_up: ["store", "sql"].iter().any(|interface| imports(component, engine, interface, |_| true)),
        })
    }

    /// What the plugin does.
    pub(super) fn kind(&self) -> Kind {
        match self.calls {
            Indices::Filter(_) => Kind::Filter,
            Indices::Publisher { .. } | Indices::Batches(_) => Kind::Publisher,
        }
    }

    /// Whether it is a publisher that takes many messages at once.
    pub(super) fn takes_batches(&self) -> bool {
        matches!(self.calls, Indices::Batches(_))
    }
}

/// Whether `component` has to do with the plugin API at all.
pub(super) fn is_plugin(component: &Component, engine: &Engine) -> bool {
    component.component_type().exports(engine).any(|(name, _)| name.starts_with(PACKAGE))
}

fn exported(component: &Component, engine: &Engine) -> Result<Interface, Cause> {
    let ty = component.component_type();
    for (name, _) in ty.imports(engine) {
        interface(name)?;
    }
    let mut found = None;
    for (name, _) in ty.exports(engine) {
        let interface = match interface(name)? {
            Some("filtering") => Interface::Filtering,
            Some("publishing") => Interface::Publishing,
            Some("batching") => Interface::Batching,
            _ => continue,
        };
        if found.replace(interface).is_some() {
            return Err(Cause::TwoKinds);
        }
    }
    found.ok_or(Cause::NoPlugin { spoken: VERSION })
}

/// Which interface of the API `name` is, if it is one of a version that is spoken here.
fn interface(name: &str) -> Result<Option<&str>, Cause> {
    match name.strip_prefix(PACKAGE).and_then(|rest| rest.split_once('@')) {
        Some((_, version)) if !version.starts_with("0.1.") => {
            Err(Cause::OtherVersion { found: version.to_owned(), spoken: VERSION })
        }
        found => Ok(found.map(|(interface, _)| interface)),
    }
}

/// The function `function` of the exported interface `interface`, whatever the last number of its version.
fn find(component: &Component, interface: &str, function: &str) -> Option<ComponentExportIndex> {
    let name = format!("{PACKAGE}{interface}@{VERSION}");
    let (_, interface) = component.get_export(None, name.as_str())?;
    let (_, function) = component.get_export(Some(&interface), function)?;
    Some(function)
}

/// Why a component without `function` is refused.
fn missing(interface: &str, function: &str) -> Cause {
    Cause::OtherShape(format!("it does not export `{function}` of `{PACKAGE}{interface}`"))
}

/// Whether the component imports something of `interface` whose name is `wanted`.
fn imports(component: &Component, engine: &Engine, interface: &str, wanted: impl Fn(&str) -> bool) -> bool {
    let ty = component.component_type();
    ty.imports(engine).any(|(name, import)| {
        let ComponentItem::ComponentInstance(instance) = import.ty else {
            return false;
        };
        let name = name.strip_prefix(PACKAGE).and_then(|name| name.split_once('@'));
        name.is_some_and(|(name, _)| name == interface) && instance.exports(engine).any(|(name, _)| wanted(name))
    })
}

/// Lets plugins ask for the envelope of their message, look things up, and log.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut envelope = linker.instance(&format!("{PACKAGE}envelope@{VERSION}"))?;
    envelope.func_wrap("id", |cx: Cx<'_>, ()| Ok((text(cx.data().console.message()),)))?;
    envelope.func_wrap("source", |cx: Cx<'_>, ()| Ok((text(cx.data().envelope.source.clone()),)))?;
    envelope.func_wrap("topic", |cx: Cx<'_>, ()| Ok((text(cx.data().envelope.topic.clone()),)))?;
    envelope.func_wrap("attempt", |cx: Cx<'_>, ()| Ok((cx.data().envelope.attempt,)))?;
    envelope.func_wrap("round", |cx: Cx<'_>, ()| Ok((cx.data().envelope.round,)))?;
    envelope.func_wrap("received-ms", |cx: Cx<'_>, ()| Ok((cx.data().envelope.received_ms,)))?;
    envelope.func_wrap("header", |cx: Cx<'_>, (name,): (WasmStr,)| {
        let name = name.to_str(&cx)?;
        let mut headers = cx.data().envelope.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(&name));
        Ok((found.map(|(_, value)| value.clone()),))
    })?;
    envelope.func_wrap("headers", |cx: Cx<'_>, ()| Ok((Arc::clone(&cx.data().envelope.headers),)))?;

    lookups::link(linker)?;

    let mut log = linker.instance(&format!("{PACKAGE}log@{VERSION}"))?;
    log.func_wrap("log", |cx: Cx<'_>, (level, text): (types::Level, WasmStr)| {
        let text = text.to_str(&cx)?;
        cx.data().console.say(loudness(level), &text);
        Ok(())
    })
}

type Cx<'a> = StoreContextMut<'a, State>;

/// Before the first message, in `init`, everything is empty.
fn text(value: Option<Arc<str>>) -> Arc<str> {
    value.unwrap_or_else(|| Arc::from(""))
}

fn loudness(level: types::Level) -> Loudness {
    match level {
        types::Level::Debug => Loudness::Debug,
        types::Level::Info => Loudness::Info,
        types::Level::Warn => Loudness::Warn,
        types::Level::Error => Loudness::Error,
    }
}

/// The function `name` of `instance`, if its types are these; else how they differ.
fn typed<P, R>(
    instance: &Instance,
    store: &mut Store<State>,
    name: &str,
    index: ComponentExportIndex,
) -> Result<TypedFunc<P, R>, String>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    let found = instance.get_typed_func(store, index);
    found.map_err(|error| format!("the types of `{name}` differ: {}", in_full(&error)))
}

/// The functions of one instance.
pub(super) struct Calls {
    init: Init,
    of_kind: OfKind,
}

enum OfKind {
    Filter(Filter),
    Publisher { publish: Publish, answered: Answered },
    Batches(batches::Calls),
}

impl Calls {
    /// Looks up and type-checks the functions of `instance`.
    ///
    /// # Errors
    /// Says which function has other types than those that are called here, and how they differ.
    pub(super) fn of(exports: &Exports, instance: &Instance, store: &mut Store<State>) -> Result<Self, String> {
        let init = typed(instance, store, "init", exports.init)?;
        let of_kind = match &exports.calls {
            Indices::Filter(filter) => OfKind::Filter(typed(instance, store, "filter", *filter)?),
            Indices::Batches(indices) => OfKind::Batches(batches::Calls::of(indices, instance, store)?),
            Indices::Publisher { publish, answered } => OfKind::Publisher {
                publish: typed(instance, store, "publish", *publish)?,
                answered: typed(instance, store, "answered", *answered)?,
            },
        };
        Ok(Self { init, of_kind })
    }

    /// Tells the instance its config, as JSON.
    pub(super) async fn init(&self, store: &mut Store<State>, config: &str) -> wasmtime::Result<Result<(), String>> {
        let init: TypedFunc<(&str,), _> = self.init;
        let (answer,) = init.call_async(store, (config,)).await?;
        Ok(answer)
    }

    /// The verdict on `message`.
    pub(super) async fn filter(
        &self,
        store: &mut Store<State>,
        message: &Message,
    ) -> wasmtime::Result<Result<Verdict, Fault>> {
        let OfKind::Filter(filter) = self.of_kind else {
            return Ok(Err(not_a(Kind::Filter)));
        };
        let filter: TypedFunc<(&[u8],), _> = filter;
        let (answer,) = filter.call_async(store, (&message.payload,)).await?;
        Ok(answer.map(types::Verdict::into_host).map_err(types::Fault::into_host))
    }

    /// What to send for `message`, which is a batch of its own where the plugin takes batches.
    pub(super) async fn publish(
        &self,
        store: &mut Store<State>,
        message: &Message,
    ) -> wasmtime::Result<Result<Vec<Request>, Fault>> {
        let publish = match &self.of_kind {
            OfKind::Publisher { publish, .. } => *publish,
            OfKind::Batches(calls) => return Ok(calls.publish(store, &[message]).await?.and_then(BatchAnswer::of_one)),
            OfKind::Filter(_) => return Ok(Err(not_a(Kind::Publisher))),
        };
        let publish: TypedFunc<(&[u8],), _> = publish;
        let (answer,) = publish.call_async(store, (&message.payload,)).await?;
        Ok(requests(answer, message))
    }

    /// What to send after `replies`.
    pub(super) async fn answered(
        &self,
        store: &mut Store<State>,
        message: &Message,
        replies: &[Reply],
    ) -> wasmtime::Result<Result<Vec<Request>, Fault>> {
        let answered = match &self.of_kind {
            OfKind::Publisher { answered, .. } => *answered,
            OfKind::Batches(calls) => {
                let replies: Vec<_> = replies.iter().map(Batched::alone).collect();
                return Ok(calls.answered(store, &[message], &replies).await?.and_then(BatchAnswer::of_one));
            }
            OfKind::Filter(_) => return Ok(Err(not_a(Kind::Publisher))),
        };
        let answered: TypedFunc<(&[u8], Vec<types::Reply<'_>>), _> = answered;
        let replies = replies.iter().map(types::Reply::from).collect();
        let (answer,) = answered.call_async(store, (&message.payload, replies)).await?;
        Ok(requests(answer, message))
    }
}

impl Calls {
    /// What to send for `messages`.
    pub(super) async fn publish_batch(
        &self,
        store: &mut Store<State>,
        messages: &[&Message],
    ) -> wasmtime::Result<Result<BatchAnswer, Fault>> {
        match &self.of_kind {
            OfKind::Batches(calls) => calls.publish(store, messages).await,
            _ => Ok(Err(not_a(Kind::Publisher))),
        }
    }

    /// What to send for `messages` after `replies`.
    pub(super) async fn answered_batch(
        &self,
        store: &mut Store<State>,
        messages: &[&Message],
        replies: &[Batched<Reply>],
    ) -> wasmtime::Result<Result<BatchAnswer, Fault>> {
        match &self.of_kind {
            OfKind::Batches(calls) => calls.answered(store, messages, replies).await,
            _ => Ok(Err(not_a(Kind::Publisher))),
        }
    }
}

fn requests(answer: Result<Vec<types::Request>, types::Fault>, message: &Message) -> Result<Vec<Request>, Fault> {
    let requests = answer.map_err(types::Fault::into_host)?;
    Ok(requests.into_iter().map(|request| request.into_host(message)).collect())
}

/// What a plugin of another kind answers.
pub(super) fn not_a(kind: Kind) -> Fault {
    Fault::Reject { reason: format!("the plugin is no {kind}") }
}
