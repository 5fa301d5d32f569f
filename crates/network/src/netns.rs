//! Network namespaces: make, pin at a path, open, work inside.
//!
//! Work inside is done by a thread of its own that enters, works and ends: the process's other
//! threads never change their namespace, and nothing must be restored. See network_namespaces(7).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::sys::namespace::unshare_network;

/// The calling thread's own namespace; `/proc/self` would be the main thread's.
const OF_THIS_THREAD: &str = "/proc/thread-self/ns/net";
/// File system type of namespace files, statfs(2).
const NAMESPACE_FILE_SYSTEM: i64 = 0x6e73_6673;

/// Why work with a namespace did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// The path does not lead to a namespace.
    #[error("network namespace {path:?} cannot be opened")]
    Open {
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The path can be opened, but is no namespace.
    #[error("{path:?} is no network namespace")]
    NotANamespace {
        /// The path.
        path: PathBuf,
    },
    /// No new namespace could be made.
    #[error("network namespace cannot be created")]
    Create(#[source] io::Error),
    /// The namespace cannot be entered.
    #[error("network namespace cannot be entered")]
    Enter(#[source] io::Error),
    /// No thread could be started to work inside.
    #[error("no thread to work in a network namespace")]
    Thread(#[source] io::Error),
    /// The pin cannot be made or removed.
    #[error("network namespace pin {path:?} cannot be {step}")]
    Pin {
        /// The pin.
        path: PathBuf,
        /// "made" or "removed".
        step: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// An open network namespace; it lives at least as long as this value.
#[derive(Debug)]
pub struct Netns {
    fd: OwnedFd,
}

impl Netns {
    /// The calling thread's namespace.
    pub fn current() -> Result<Self, NetnsError> {
        Self::open(Path::new(OF_THIS_THREAD))
    }

    /// The namespace at a path: a pin or `/proc/PID/ns/net`.
    pub fn open(path: &Path) -> Result<Self, NetnsError> {
        // NONBLOCK: a path that is a FIFO must not stop us before it is found out.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|code| NetnsError::Open { path: path.to_owned(), source: code.into() })?;
        if is_namespace_file(&fd) {
            Ok(Self { fd })
        } else {
            Err(NetnsError::NotANamespace { path: path.to_owned() })
        }
    }

    /// A new, empty namespace that ends with this value, unless it is pinned or used elsewhere.
    pub fn create() -> Result<Self, NetnsError> {
        on_own_thread(|| {
            unshare_network().map_err(|code| NetnsError::Create(code.into()))?;
            Self::current()
        })?
    }

    /// A new namespace pinned at `path`, or the one that is pinned there already.
    pub fn create_pinned(path: &Path) -> Result<Self, NetnsError> {
        match Self::open(path) {
            Ok(existing) => return Ok(existing),
            Err(NetnsError::Open { source, .. }) if source.kind() != io::ErrorKind::NotFound => {
                return Err(pin_error(path, "made", source));
            }
            Err(_) => {} // Nothing there, or the file of a pin that a crash left unmounted.
        }
        File::create(path).map_err(|source| pin_error(path, "made", source))?;
        on_own_thread(|| {
            unshare_network().map_err(|code| NetnsError::Create(code.into()))?;
            mount_bind(OF_THIS_THREAD, path)
                .map_err(|code| pin_error(path, "made", code.into()))?;
            Self::current()
        })?
    }

    /// Runs `work` on a thread of its own inside the namespace and returns what it returns.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NetnsError> {
        on_own_thread(|| {
            move_into_link_name_space(self.fd.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(|code| NetnsError::Enter(code.into()))?;
            Ok(work())
        })?
    }

    /// The open descriptor, for requests that name a namespace by it.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Removes a pin; harmless if there is none. The namespace ends when nothing else uses it.
pub fn unpin(path: &Path) -> Result<(), NetnsError> {
    match unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        // INVAL: a plain file, left by a crash between its creation and the mount.
        Ok(()) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::INVAL) => {}
        Err(code) => return Err(pin_error(path, "removed", code.into())),
    }
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(pin_error(path, "removed", source))
        }
        _ => Ok(()),
    }
}

fn is_namespace_file(fd: &OwnedFd) -> bool {
    rustix::fs::fstatfs(fd).is_ok_and(|system| system.f_type == NAMESPACE_FILE_SYSTEM)
}

fn pin_error(path: &Path, step: &'static str, source: io::Error) -> NetnsError {
    NetnsError::Pin { path: path.to_owned(), step, source }
}

/// Runs `work` on a new thread, waits for it, and passes a panic on.
fn on_own_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, NetnsError> {
    thread::scope(|scope| {
        let worker = thread::Builder::new()
            .name("netns".to_owned())
            .spawn_scoped(scope, work)
            .map_err(NetnsError::Thread)?;
        worker.join().map_err(|panic| std::panic::resume_unwind(panic))
    })
}
