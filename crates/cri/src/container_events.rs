//! A consumer's side of the runtime's events.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::v1::ContainerEventResponse;

/// What a consumer of events is told.
#[derive(Clone, Debug, PartialEq)]
pub enum RuntimeEvent {
    /// Something happened. Events of one container come in their order.
    Event(Arc<ContainerEventResponse>),
    /// The consumer was too slow and so many events are gone: it must list again.
    Lost(u64),
}

/// Events from the moment of subscribing: subscribe first, then list. Bounded: a slow consumer loses the oldest and is told.
#[derive(Debug)]
pub struct ContainerEvents(broadcast::Receiver<Arc<ContainerEventResponse>>);

impl From<broadcast::Receiver<Arc<ContainerEventResponse>>> for ContainerEvents {
    fn from(receiver: broadcast::Receiver<Arc<ContainerEventResponse>>) -> Self {
        Self(receiver)
    }
}

impl ContainerEvents {
    /// The next event; `None` when the runtime has shut down. Safe to drop while it waits.
    pub async fn next(&mut self) -> Option<RuntimeEvent> {
        match self.0.recv().await {
            Ok(event) => Some(RuntimeEvent::Event(event)),
            Err(broadcast::error::RecvError::Lagged(count)) => Some(RuntimeEvent::Lost(count)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_consumer_is_told_how_much_it_lost_and_goes_on() {
        let (sender, receiver) = broadcast::channel(2);
        let mut events = ContainerEvents::from(receiver);
        for created_at in 1..=5 {
            let event = ContainerEventResponse { created_at, ..Default::default() };
            sender.send(Arc::new(event)).expect("a receiver lives");
        }
        drop(sender);
        assert_eq!(events.next().await, Some(RuntimeEvent::Lost(3)));
        for expected in [4, 5] {
            let Some(RuntimeEvent::Event(event)) = events.next().await else {
                panic!("an event is due");
            };
            assert_eq!(event.created_at, expected);
        }
        assert_eq!(events.next().await, None);
    }
}
