//! What is wanted of a running node: written down by whoever was asked, carried out where the node is.

use tokio::sync::{mpsc, oneshot};

/// Orders that may wait; more are turned away.
const WAITING: usize = 8;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The pipeline with this name takes nothing new, until it is resumed or the node ends.
    Pause(String),
    /// The pipeline with this name takes again.
    Resume(String),
    /// The configuration is read again.
    Reload,
}

/// Why nothing came of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is none with this name.
    #[error("there is no pipeline `{0}`")]
    NoPipeline(String),
    /// What is to be read cannot be used, for reasons that may take many lines.
    #[error("{0}")]
    Config(String),
    /// The node ends, and does nothing new.
    #[error("the node is ending")]
    Ending,
    /// Too much was wanted of it at once.
    #[error("the node has other orders to carry out first; try again")]
    Busy,
}

/// Something that is wanted of the node, and whoever waits for it.
#[derive(Debug)]
pub struct Order {
    /// What.
    pub wanted: Wanted,
    answer: oneshot::Sender<Result<(), Refused>>,
}

impl Order {
    /// This came of it. Whoever has not waited for that misses nothing.
    pub fn answer(self, answer: Result<(), Refused>) {
        drop(self.answer.send(answer));
    }
}

/// Where orders are left.
#[derive(Clone, Debug)]
pub struct Desk(mpsc::Sender<Order>);

/// Where orders are found, in the order in which they were left.
pub type Orders = mpsc::Receiver<Order>;

/// Both sides of it.
pub fn desk() -> (Desk, Orders) {
    let (sender, orders) = mpsc::channel(WAITING);
    (Desk(sender), orders)
}

impl Desk {
    /// Waits until it is done. An order that nobody waits for any more is carried out all the same.
    pub(super) async fn order(&self, wanted: Wanted) -> Result<(), Refused> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Order { wanted, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refused::Busy,
            mpsc::error::TrySendError::Closed(_) => Refused::Ending,
        })?;
        answered.await.unwrap_or(Err(Refused::Ending))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, future::join_all};

    #[tokio::test]
    async fn orders_are_answered_in_turn_and_too_many_are_turned_away() {
        let (desk, mut orders) = desk();
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(desk.order(Wanted::Reload))).collect();
        assert!(waiting.iter_mut().all(|order| order.now_or_never().is_none()));
        assert_eq!(desk.order(Wanted::Reload).await, Err(Refused::Busy));
        for _ in 0..WAITING {
            orders.recv().await.expect("waits").answer(Ok(()));
        }
        assert!(join_all(waiting).await.iter().all(Result::is_ok));
        drop(orders);
        assert_eq!(desk.order(Wanted::Pause("a".to_owned())).await, Err(Refused::Ending));
    }
}
