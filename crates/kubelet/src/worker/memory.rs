//! What a Pod's worker remembers between two looks: what failed, and what must not be tried again yet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use podo_base::Timestamp;

use crate::config::RESTART_BACKOFF;
use crate::status::Waiting;

/// How long after a failed pull its reason is shown before the back-off's.
const FAILURE_SHOWN: Duration = Duration::from_secs(2);
/// Between two attempts at volumes or at a sandbox (Kubernetes v1.36: 0.5 s doubling to about 2 min).
const SETUP_WAIT_MIN: Duration = Duration::from_millis(500);
const SETUP_WAIT_MAX: Duration = Duration::from_secs(122);

/// The back-off of one container's restarts, by the times at which it ended (Kubernetes v1.36 `client-go/util/flowcontrol`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Restart {
    wait: Duration,
    updated_at: Timestamp,
    hash: String,
}

impl Restart {
    /// Whether a container that ended then has been well for so long that earlier ends do not count.
    fn is_forgotten(&self, finished_at: Timestamp, hash: &str) -> bool {
        self.hash != hash || finished_at.since(self.updated_at) > RESTART_BACKOFF.reset_after
    }
}

/// How far the volumes are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum VolumeState {
    /// Not looked at.
    #[default]
    Unset,
    /// Some are not there; not to be tried before a time.
    Failed { not_before: Timestamp, wait: Duration },
    /// All are there; a token has to be renewed at a time.
    Set { refresh_at: Option<Timestamp> },
}

/// What a worker remembers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    pub(crate) volumes: VolumeState,
    /// Why containers do not run, by name.
    pub(crate) waiting: BTreeMap<String, Waiting>,
    /// Sandboxes that were stopped for good.
    pub(crate) stopped: BTreeSet<String>,
    /// Containers that were stopped though the runtime does not say that they ended.
    pub(crate) dead: BTreeSet<String>,
    /// Containers that were stopped to be made anew: they are, whatever the policy, and do not wait.
    pub(crate) replaced: BTreeSet<String>,
    /// The Pod's cgroup has room for what its containers had and for what they were given.
    pub(crate) is_widened: bool,
    resize_not_before: Option<Timestamp>,
    restarts: BTreeMap<String, Restart>,
    not_before: BTreeMap<String, Timestamp>,
    later: BTreeMap<String, (Timestamp, Waiting)>,
    sandbox: Option<(Timestamp, Duration)>,
}

impl Memory {
    /// How long a container that ended waits, and until when; `None` if it may start.
    pub(crate) fn restart_wait(
        &self,
        name: &str,
        hash: &str,
        finished_at: Timestamp,
        now: Timestamp,
    ) -> Option<(Duration, Timestamp)> {
        let restart = self.restarts.get(name)?;
        if restart.is_forgotten(finished_at, hash) {
            return None;
        }
        let until = finished_at.plus(restart.wait);
        (now < until).then_some((restart.wait, until))
    }

    /// Notes that a container that ended is started again.
    pub(crate) fn note_restart(
        &mut self,
        name: &str,
        hash: &str,
        finished_at: Timestamp,
        now: Timestamp,
    ) {
        let wait = match self.restarts.get(name) {
            Some(restart) if !restart.is_forgotten(finished_at, hash) => {
                (restart.wait * 2).min(RESTART_BACKOFF.maximum)
            }
            _ => RESTART_BACKOFF.initial,
        };
        let restart = Restart { wait, updated_at: now, hash: hash.to_owned() };
        self.restarts.insert(name.to_owned(), restart);
    }

    /// Before when a container that could not be started is not tried again.
    pub(crate) fn not_before(&self, name: &str, now: Timestamp) -> Option<Timestamp> {
        self.not_before.get(name).copied().filter(|at| now < *at)
    }

    /// Notes that a container was started.
    pub(crate) fn note_started(&mut self, name: &str) {
        self.waiting.remove(name);
        self.not_before.remove(name);
        self.later.remove(name);
    }

    /// Notes that a container could not be started, and what to tell once that is old news.
    pub(crate) fn note_failed(
        &mut self,
        name: &str,
        waiting: Waiting,
        retry_at: Timestamp,
        later: Option<Waiting>,
        now: Timestamp,
    ) {
        self.waiting.insert(name.to_owned(), waiting);
        self.not_before.insert(name.to_owned(), retry_at);
        match later {
            Some(later) => self.later.insert(name.to_owned(), (now.plus(FAILURE_SHOWN), later)),
            None => self.later.remove(name),
        };
    }

    /// Lets everything be tried again now: something that containers are made from has changed.
    pub(crate) fn forget_failures(&mut self) {
        // Pulls keep their back-off, which no config map shortens.
        let is_pull = |waiting: &Waiting| {
            matches!(waiting.reason.as_str(), "ErrImagePull" | "ImagePullBackOff")
        };
        let waiting = &self.waiting;
        self.not_before.retain(|name, _| waiting.get(name).is_some_and(is_pull));
        if let VolumeState::Failed { not_before, .. } = &mut self.volumes {
            *not_before = Timestamp::default();
        }
    }

    /// Turns what is old news into what is so now; returns the containers that it is about.
    pub(crate) fn age(&mut self, now: Timestamp) -> Vec<String> {
        let due = self.later.extract_if(.., |_, (at, _)| *at <= now);
        let due: Vec<(String, Waiting)> = due.map(|(name, (_, waiting))| (name, waiting)).collect();
        self.waiting.extend(due.iter().cloned());
        due.into_iter().map(|(name, _)| name).collect()
    }

    /// When there will be more for [`Self::age`].
    pub(crate) fn ages_at(&self) -> Option<Timestamp> {
        self.later.values().map(|(at, _)| *at).min()
    }

    /// When volumes that have been looked at are to be set up again.
    pub(crate) fn volumes_due_at(&self) -> Option<Timestamp> {
        match self.volumes {
            VolumeState::Unset => None,
            VolumeState::Failed { not_before, .. } => Some(not_before),
            VolumeState::Set { refresh_at } => refresh_at,
        }
    }

    /// Notes what setting up the volumes came to.
    pub(crate) fn note_volumes(
        &mut self,
        refresh_at: Option<Timestamp>,
        is_ok: bool,
        now: Timestamp,
    ) {
        self.volumes = if is_ok {
            VolumeState::Set { refresh_at }
        } else {
            let wait = match self.volumes {
                VolumeState::Failed { wait, .. } => (wait * 2).min(SETUP_WAIT_MAX),
                _ => SETUP_WAIT_MIN,
            };
            VolumeState::Failed { not_before: now.plus(wait), wait }
        };
    }

    /// Before when a resize that failed is not tried again.
    pub(crate) fn resize_not_before(&self, now: Timestamp) -> Option<Timestamp> {
        self.resize_not_before.filter(|at| now < *at)
    }

    /// Notes a step of a resize, and when it is tried again if it failed.
    pub(crate) fn note_resize(&mut self, retry_at: Option<Timestamp>) {
        self.is_widened = retry_at.is_none();
        self.resize_not_before = retry_at;
    }

    /// Forgets how far a resize was: there is another.
    pub(crate) fn forget_resize(&mut self) {
        self.is_widened = false;
        self.resize_not_before = None;
    }

    /// Before when no sandbox is tried.
    pub(crate) fn sandbox_not_before(&self, now: Timestamp) -> Option<Timestamp> {
        self.sandbox.map(|(at, _)| at).filter(|at| now < *at)
    }

    /// Notes that a sandbox was tried. The next one waits longer, be it that this one could not be made or that it will not
    /// live long; only after one has lived well beyond the wait is that forgotten.
    pub(crate) fn note_sandbox(&mut self, now: Timestamp) {
        let wait = match self.sandbox {
            Some((at, wait)) if now.since(at) <= wait => (wait * 2).min(SETUP_WAIT_MAX),
            _ => SETUP_WAIT_MIN,
        };
        self.sandbox = Some((now.plus(wait), wait));
    }
}
