//! Commands of Redis that publishers want carried out in the step that settles their message.
//!
//! They travel with the outcome "done". Until then a publisher that has any does not count as one that has succeeded, or they
//! would be lost where another one needs a retry.

use super::{Failed, Published, Stop};
use crate::{
    event,
    message::Fault,
    plugin::Version,
    request::{Failure, Reply, Request},
    source::{Delivery, Refusal, Settled},
};
use bytes::Bytes;
use std::sync::Arc;

/// See the module; each with the version that has asked for it.
#[derive(Default)]
pub(in crate::pipeline) struct Along(Vec<(Arc<Version>, Vec<Bytes>)>);

/// One that is asked for, and the place of its request in the round.
pub(super) type Wanted = (usize, Vec<Bytes>);

/// Those among the requests of a round.
pub(super) fn wanted<'a>(requests: impl IntoIterator<Item = &'a Request>) -> Vec<Wanted> {
    let wanted = requests.into_iter().enumerate().filter_map(|(place, request)| match request {
        Request::RedisWithSettling(words) => Some((place, words.clone())),
        _ => None,
    });
    wanted.collect()
}

impl Along {
    pub(in crate::pipeline) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `version` wants this one, and was told by `reply` whether that can be.
    pub(super) fn queue(&mut self, version: &Arc<Version>, words: Vec<Bytes>, reply: Option<&Reply>) {
        if reply.is_some_and(|reply| reply.failure().is_none()) {
            self.0.push((Arc::clone(version), words));
        }
    }

    /// And then those of `other`.
    pub(super) fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

/// Settles a message that is published, together with what goes along.
pub(in crate::pipeline) async fn settle(delivery: &mut Delivery, published: Published) -> Result<(), Stop> {
    let (versions, commands): (Vec<_>, Vec<_>) = published.along.0.into_iter().unzip();
    let names: Vec<_> = commands.iter().map(|words| words.first().cloned().unwrap_or_default()).collect();
    match delivery.settle_along(commands).await {
        Settled::Done => Ok(()),
        Settled::Lost => Err(Stop::Lost),
        Settled::Refused(Refusal { place, failure }) => {
            let name = names.get(place).map(|name| String::from_utf8_lossy(name).to_ascii_uppercase());
            let failure = failure.reworded(|why| match &name {
                Some(name) => format!("`{name}`, with the settling of the message: {why}"),
                None => why.to_owned(),
            });
            let (plugin, digest) = versions.get(place).map_or(("", ""), |version| (version.name(), version.digest()));
            if let Failure::Denied(why) = &failure {
                event::request_denied(plugin, &delivery.message, why);
            }
            let failed = Failed { plugin: plugin.to_owned(), digest: Some(digest.to_owned()), fault: fault(failure) };
            Err(Stop::Failed(failed, published.succeeded))
        }
    }
}

/// How plugins judge that of an ordinary command unless they say otherwise.
fn fault(failure: Failure) -> Fault {
    match failure {
        Failure::Unreachable(reason) => Fault::Retry { after: None, reason },
        Failure::Denied(reason) | Failure::Invalid(reason) | Failure::TooLarge(reason) => Fault::Reject { reason },
    }
}
