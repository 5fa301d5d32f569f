//! The shim: one small process per sandbox that outlives the server.
//!
//! Parent of the pause process and of every container's first process; subreaper of what those orphan. Owns their
//! namespaces, streams and logs; writes every exit to disk before it reaps; answers the protocol of [`crate::wire`].
//! One thread, one epoll loop, nothing in it waits: a process being made reports over a pipe, a cgroup being removed is
//! tried again by a timer.
//!
//! Not here: limits and statistics (callers use the cgroup's files directly), network configuration, images.

mod births;
mod container;
mod exits;
mod log;
mod output;
mod peers;
mod removal;
mod requests;
mod sandbox;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::cgroup::Layout;
use crate::records;
use crate::sys::{misc, signals};

use births::Birth;
use container::Container;
use output::StreamName;
use peers::{Peer, ReplyTo};
use removal::Removal;
use sandbox::Sandbox;

/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 16;

/// What a descriptor in the epoll set is.
#[derive(Clone, Debug)]
enum Source {
    Listener,
    Signals,
    Peer,
    Report,
    Output(String, StreamName),
    Client(String, StreamName),
    Oom(String),
}

/// A further process.
struct Exec {
    container: String,
    pid: i32,
    pidfd: OwnedFd,
    terminal: Option<OwnedFd>,
    /// Who hears of its end.
    peer: u64,
}

/// The shim's whole state.
struct Shim {
    directory: PathBuf,
    epoll: OwnedFd,
    sources: BTreeMap<u64, Source>,
    next_token: u64,
    layout: Layout,
    executable: OwnedFd,
    own_pids: OwnedFd,
    listener: OwnedFd,
    signals: OwnedFd,
    peers: BTreeMap<u64, Peer>,
    sandbox: Option<Sandbox>,
    containers: BTreeMap<String, Container>,
    execs: BTreeMap<u64, Exec>,
    births: BTreeMap<u64, Birth>,
    removals: Vec<Removal>,
    /// Answered when nothing runs; `true`: the shim then ends.
    stops: Vec<(ReplyTo, bool)>,
    is_ending: bool,
}

/// The program of `podo shim DIRECTORY`: standard input is the first connection.
///
/// Started by [`crate::Launcher`] only.
pub fn shim_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Some(directory) = args.into_iter().next() else { return ExitCode::from(64) };
    match Shim::new(PathBuf::from(directory)).and_then(Shim::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is the sandbox's shim.log.
            let _ =
                rustix::io::write(rustix::stdio::stderr(), format!("shim: {error}\n").as_bytes());
            ExitCode::from(70)
        }
    }
}

impl Shim {
    fn new(directory: PathBuf) -> io::Result<Self> {
        // The first connection becomes 3, the null device 0 and 1; nothing else that a server leaked stays open.
        let first = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        rustix::stdio::dup2_stdin(&null)?;
        rustix::stdio::dup2_stdout(&null)?;
        drop(null);
        misc::close_all_but(first.as_fd())?;
        let _ = rustix::process::setsid();
        let _ = rustix::thread::set_name(c"podo-shim");
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGPIPE, libc::SIGQUIT] {
            signals::ignore(signal); // Only the protocol ends a shim, or SIGKILL.
        }
        let signals = signals::signal_fd(&[libc::SIGCHLD])?;
        let listener = listen(&directory)?;
        let open =
            |path: &str, flags| rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty());
        let mut shim = Self {
            executable: open("/proc/self/exe", OFlags::PATH)?,
            own_pids: open("/proc/self/ns/pid", OFlags::RDONLY)?,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            layout: Layout::detect()?,
            directory,
            sources: BTreeMap::new(),
            next_token: 1,
            listener,
            signals,
            peers: BTreeMap::new(),
            sandbox: None,
            containers: BTreeMap::new(),
            execs: BTreeMap::new(),
            births: BTreeMap::new(),
            removals: Vec::new(),
            stops: Vec::new(),
            is_ending: false,
        };
        watch(&shim.epoll, shim.listener.as_fd(), 0, EventFlags::IN)?;
        shim.sources.insert(0, Source::Listener);
        shim.watch_children()?;
        rustix::io::ioctl_fionbio(&first, true)?;
        shim.add_peer(first)?;
        Ok(shim)
    }

    /// Listens, on a new descriptor, to the ends of this process' children.
    fn watch_children(&mut self) -> io::Result<()> {
        self.signals = signals::signal_fd(&[libc::SIGCHLD])?; // Closing the old one takes it out of the set.
        self.sources.retain(|_, source| !matches!(source, Source::Signals));
        let token = self.token(Source::Signals);
        watch(&self.epoll, self.signals.as_fd(), token, EventFlags::IN)
    }

    fn token(&mut self, source: Source) -> u64 {
        let token = self.next_token;
        self.next_token += 1;
        self.sources.insert(token, source);
        token
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        while !(self.is_ending && self.peers.values().all(|peer| peer.writer.is_empty())) {
            if self.sandbox.is_none() && self.peers.is_empty() {
                return Ok(()); // The server died before it asked for anything.
            }
            events.clear();
            let limit = self.next_timer();
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                limit.as_ref(),
            ) {
                Err(rustix::io::Errno::INTR) => continue,
                waited => waited?,
            };
            for event in &events {
                let (data, flags) = (event.data, event.flags);
                self.handle(data.u64(), flags);
            }
            self.run_timers();
        }
        Ok(())
    }

    fn handle(&mut self, token: u64, flags: EventFlags) {
        // An event of this round may be of a descriptor that an earlier one closed: its token is then unknown.
        let Some(source) = self.sources.get(&token).cloned() else { return };
        match source {
            Source::Listener => self.accept(),
            Source::Signals => self.children_ended(),
            Source::Peer => self.peer_ready(token, flags),
            Source::Report => self.report_ready(token),
            Source::Output(id, stream) => self.output_ready(&id, stream),
            Source::Client(id, stream) => self.client_ready(&id, stream, token),
            Source::Oom(id) => self.memory_ran_out(&id),
        }
    }

    fn write_record<T: serde::Serialize>(&self, name: &str, record: &T) -> io::Result<()> {
        records::write(&self.directory, name, record)
    }
}

fn watch(epoll: &OwnedFd, fd: BorrowedFd<'_>, token: u64, flags: EventFlags) -> io::Result<()> {
    Ok(epoll::add(epoll, fd, EventData::new_u64(token), flags)?)
}

/// The socket is named relative to its directory: a path of a socket has at most 107 bytes.
fn listen(directory: &std::path::Path) -> io::Result<OwnedFd> {
    const BACKLOG: i32 = 16;
    std::env::set_current_dir(directory)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let mask = rustix::process::umask(Mode::from_raw_mode(0o177));
    let bound = rustix::net::bind(&socket, &SocketAddrUnix::new(records::SOCKET)?);
    rustix::process::umask(mask);
    bound?;
    rustix::net::listen(&socket, BACKLOG)?;
    std::env::set_current_dir("/")?;
    Ok(socket)
}
