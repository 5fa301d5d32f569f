//! How many requests are worked on at a time: the memory that bodies and answers take, and the work that one client can cause.
//!
//! Holds always
//! - Nobody is let in but who may do what he asks for, so that strangers hold no place and no body of theirs is kept.
//! - What nodes and the cluster's own components ask for has places of its own: others cannot keep a heartbeat out.
//! - Who has waited long, or finds many waiting, is told to come again.
//!
//! Not here: watches and other streams, which hold little and last long.

use std::time::Duration;

use podo_api::Status;
use podo_registry::Verb;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::authz::MASTERS;
use crate::user::User;

/// Requests that change something (Kubernetes v1.36 `--max-mutating-requests-inflight`). With bodies of 3 MiB: 600 MiB.
const CHANGES_MAX: usize = 200;

/// Requests that read (Kubernetes v1.36 `--max-requests-inflight`).
const READS_MAX: usize = 400;

/// The same for the cluster's own (Kubernetes v1.36 gives its levels `system` and `node-high` about a third).
const SYSTEM_MAX: usize = 100;

/// Requests of one level that wait for a place. They hold their heads only, 64 KiB with TLS: 128 MiB.
const WAITING_MAX: usize = 2_000;

/// How long a request waits (Kubernetes v1.36: a quarter of the request timeout).
const WAIT_MAX: Duration = Duration::from_secs(15);

/// After how many seconds who was sent away is to come again.
const RETRY_SECONDS: u32 = 1;

/// The places for requests that share a fate.
#[derive(Debug)]
struct Level {
    changes: Semaphore,
    reads: Semaphore,
    waiting: Semaphore,
}

impl Level {
    const fn new(changes: usize, reads: usize) -> Self {
        Self {
            changes: Semaphore::const_new(changes),
            reads: Semaphore::const_new(reads),
            waiting: Semaphore::const_new(WAITING_MAX),
        }
    }

    async fn enter(&self, verb: Verb) -> Result<SemaphorePermit<'_>, Status> {
        let is_read = matches!(verb, Verb::Get | Verb::List | Verb::Watch);
        let places = if is_read { &self.reads } else { &self.changes };
        if let Ok(place) = places.try_acquire() {
            return Ok(place);
        }
        let _waiting = self.waiting.try_acquire().map_err(|_| too_many())?;
        match tokio::time::timeout(WAIT_MAX, places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(too_many()),
        }
    }
}

fn too_many() -> Status {
    Status::too_many_requests("Too many requests, please try again later.", RETRY_SECONDS)
}

/// The places for all requests.
#[derive(Debug)]
pub(crate) struct InFlight {
    system: Level,
    others: Level,
}

impl Default for InFlight {
    fn default() -> Self {
        Self {
            system: Level::new(SYSTEM_MAX, SYSTEM_MAX),
            others: Level::new(CHANGES_MAX, READS_MAX),
        }
    }
}

impl InFlight {
    /// Waits for a place, which is held until it is dropped. Administrators need none (Kubernetes v1.36, level `exempt`).
    pub(crate) async fn enter(
        &self,
        user: &User,
        verb: Verb,
    ) -> Result<Option<SemaphorePermit<'_>>, Status> {
        if user.is_in(MASTERS) || verb == Verb::Watch {
            return Ok(None);
        }
        let level = if is_system(user) { &self.system } else { &self.others };
        level.enter(verb).await.map(Some)
    }
}

/// Whether a user is a node, a component, or an account of the system's own namespace.
fn is_system(user: &User) -> bool {
    user.is_in("system:nodes")
        || user.is_in("system:serviceaccounts:kube-system")
        || matches!(&*user.name, "system:kube-controller-manager" | "system:kube-scheduler")
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn two_hundred_changes_and_four_hundred_reads_are_worked_on_at_once() {
        for (verb, count) in [(Verb::Create, 200), (Verb::Update, 200), (Verb::Get, 400)] {
            let places = InFlight::default();
            let crowd = User::authenticated("u", &[]);
            let inside = join_all((0..count).map(|_| places.enter(&crowd, verb))).await;
            assert!(inside.iter().all(Result::is_ok), "{verb:?}");
            let refused = places.enter(&crowd, verb).await.map(drop).unwrap_err();
            assert_eq!((refused.code, refused.retry_after_seconds()), (429, 1), "{verb:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_waits_and_is_sent_away_and_keeps_nobody_else_out() {
        let places = InFlight::default();
        let crowd = User::authenticated("u", &[]);
        let enter = || places.enter(&crowd, Verb::Create);
        let mut inside = join_all((0..CHANGES_MAX).map(|_| enter())).await;
        let waiting = join_all((0..=WAITING_MAX).map(|_| enter()));
        let (waited, ()) = tokio::join!(waiting, async {
            let node = User::authenticated("system:node:a", &["system:nodes"]);
            assert!(places.enter(&node, Verb::Update).await.is_ok());
            assert!(
                places.enter(&User::authenticated("a", &[MASTERS]), Verb::Create).await.is_ok()
            );
            assert!(places.enter(&crowd, Verb::Get).await.is_ok());
            inside.pop();
        });
        assert_eq!(waited.iter().filter(|place| place.is_ok()).count(), 1, "one place was free");
        let status = waited.into_iter().find_map(Result::err).expect("the rest was sent away");
        assert_eq!((status.code, status.retry_after_seconds()), (429, 1));
    }
}
