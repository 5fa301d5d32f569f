//! The signals by which a process is asked to end.
//!
//! Holds always: what arrives after [`EndSignals::catch`] is heard, whenever somebody listens. It is called before anybody is told
//! that the process is there, since a signal that arrives while it is being caught may be lost.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{Class, Failure};

/// SIGINT and SIGTERM.
pub(crate) struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl EndSignals {
    /// From now on the signals do not end the process by themselves.
    pub(crate) fn catch() -> Result<Self, Failure> {
        let catch = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(Class::Unavailable, format!("cannot catch signals: {error}"))
            })
        };
        Ok(Self {
            interrupt: catch(SignalKind::interrupt())?,
            terminate: catch(SignalKind::terminate())?,
        })
    }

    /// Waits for one, unless one came already.
    pub(crate) async fn asked_to_end(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn a_signal_that_came_before_anybody_listened_is_heard() {
        let mut signals = EndSignals::catch().expect("caught");
        kill_process(getpid(), Signal::TERM).expect("sent");
        // It is seen by the runtime before somebody waits for it.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let heard = tokio::time::timeout(Duration::from_secs(10), signals.asked_to_end());
        heard.await.expect("heard");
    }
}
