//! Deletes links on a thread of its own, many at once.
//!
//! The kernel waits for all readers of a link before it is gone. That wait is the same for one
//! link as for a hundred, so everything that queued up meanwhile goes as one device group.

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::io::Errno;

use super::EndpointError;
use crate::link;
use crate::netlink::{Message, NetlinkError, Socket};

/// Links waiting to be deleted. When it is full, whoever detaches waits for one batch (some 20 ms).
const QUEUE_MAX: usize = 1024;
/// Links deleted together; bounds how long the kernel's link lock is held.
const BATCH_MAX: usize = 128;
/// [`QUEUE_MAX`] links in the slowest way, one by one, take 28 s.
const SETTLE_LIMIT: Duration = Duration::from_secs(30);

type Done = Box<dyn FnOnce(bool) + Send>;

enum Job {
    Delete { index: u32, done: Done },
    Settle { reached: SyncSender<()> },
}

/// The queue and its thread, which ends when this is dropped, after the queue is empty.
pub(super) struct Reaper {
    queue: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Reaper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Reaper").finish_non_exhaustive()
    }
}

impl Reaper {
    pub(super) fn start(mut socket: Socket, group: u32) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE_MAX);
        let thread = thread::Builder::new()
            .name("link-reaper".to_owned())
            .spawn(move || work(&receiver, &mut socket, group))?;
        Ok(Self { queue: Some(sender), thread: Some(thread) })
    }

    /// Queues a link; `done` is told whether it is gone.
    pub(super) fn delete_later(&self, index: u32, done: Done) {
        let job = Job::Delete { index, done };
        let unsent = match &self.queue {
            Some(queue) => queue.send(job).err().map(|error| error.0),
            None => Some(job),
        };
        if let Some(Job::Delete { done, .. }) = unsent {
            done(false); // The thread is gone: a sweep takes the link.
        }
    }

    pub(super) fn settle(&self) -> Result<(), EndpointError> {
        let (reached, wait) = sync_channel(1);
        let sent = self.queue.as_ref().map(|queue| queue.send(Job::Settle { reached }));
        match sent {
            Some(Ok(())) if wait.recv_timeout(SETTLE_LIMIT).is_ok() => Ok(()),
            _ => Err(EndpointError::Unsettled { limit: SETTLE_LIMIT }),
        }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

fn work(queue: &Receiver<Job>, socket: &mut Socket, group: u32) {
    while let Ok(first) = queue.recv() {
        let mut doomed = Vec::new();
        let mut waiting = Vec::new();
        let more = queue.try_iter().take(BATCH_MAX - 1);
        for job in std::iter::once(first).chain(more) {
            match job {
                Job::Delete { index, done } => doomed.push((index, done)),
                Job::Settle { reached } => waiting.push(reached),
            }
        }
        let indexes: Vec<u32> = doomed.iter().map(|(index, _)| *index).collect();
        let is_gone = delete(socket, &indexes, group).is_ok();
        for (_, done) in doomed {
            done(is_gone);
        }
        for reached in waiting {
            // The channel holds one message and gets one; whoever gave up waiting needs none.
            let _is_heard = reached.send(()).is_ok();
        }
    }
}

/// Deletes links together, in batches; one that is gone already is fine.
pub(super) fn delete(socket: &mut Socket, indexes: &[u32], group: u32) -> Result<(), NetlinkError> {
    for batch in indexes.chunks(BATCH_MAX) {
        for index in batch {
            ignore_absent(socket, &link::set_group(*index, group))?;
        }
        ignore_absent(socket, &link::delete_group(group))?;
    }
    Ok(())
}

fn ignore_absent(socket: &mut Socket, request: &Message) -> Result<(), NetlinkError> {
    match socket.execute(std::slice::from_ref(request)) {
        Err(error) if error.code() != Some(Errno::NODEV) => Err(error),
        _ => Ok(()),
    }
}
