//! From a prepared process to its program: streams, user, capabilities, filter, exec. The same for a container's first
//! process and for every further one (CVE-2022-29162).

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::process::Signal;
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::{Report, Streams, lookup, mask};
use crate::error::{At, Fault, FaultKind};
use crate::paths;
use crate::seccomp::Program;
use crate::spec::ProcessSpec;
use crate::sys;
use crate::users::{self, Identity};

/// Becomes the program, in whose root and namespaces this process already is.
pub(super) fn run(
    process: &ProcessSpec,
    streams: Streams,
    report: &Report,
) -> Result<Infallible, Fault> {
    let root =
        rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let root = root.at(FaultKind::Mount, "open the root")?;
    let identity = users::resolve(root.as_fd(), &process.user)?;
    report.identity(&identity);
    let _ = rustix::process::setsid(); // A session leader already is fine.
    connect(streams, &identity)?;
    for limit in &process.limits {
        sys::misc::set_limit(limit.resource, limit.soft, limit.hard)
            .at(FaultKind::Kernel, format!("set the resource limit {}", limit.resource))?;
    }
    // Keys of whoever started the shim are none of the container's business; without keyrings there are none.
    let _ = sys::misc::new_session_keyring();
    sys::signals::reset_all();
    let was_entered = enter(&root, &process.cwd);
    restrict(process, &identity)?;
    match was_entered {
        // A directory that only its owner may enter.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => enter(&root, &process.cwd),
        entered => entered,
    }
    .at(
        FaultKind::WorkingDirectory,
        format!("chdir to cwd ({:?}) set in config.json failed", directory(&process.cwd)),
    )?;
    verify_directory()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .at(FaultKind::Kernel, "tie to the shim")?;
    let env = environment(process, &identity);
    let program = process.args.first().map_or("", String::as_str);
    let path = lookup::find(program, &env)?;
    let (args, env) = (lookup::c_strings(&process.args)?, lookup::c_strings(&env)?);
    rustix::process::umask(Mode::from_raw_mode(process.umask.unwrap_or(0o022) & 0o777));
    if process.no_new_privileges {
        filter(process.seccomp.as_ref())?; // As late as can be: the profile need not allow what came before.
    }
    // Whatever is open beyond the three streams ends here, the report included (CVE-2024-21626).
    sys::misc::close_on_exec_from(3).at(FaultKind::Kernel, "mark descriptors")?;
    let error = sys::exec::execve(&path, &args, &env);
    Err(lookup::not_executed(&path.to_string_lossy(), &error))
}

fn directory(cwd: &str) -> &str {
    if cwd.is_empty() { "/" } else { cwd }
}

/// Not through `/proc/self/fd` and its kin, which lead to whatever this process still has open (CVE-2024-21626).
fn enter(root: &OwnedFd, cwd: &str) -> io::Result<()> {
    let place = paths::open_in(root.as_fd(), Path::new(directory(cwd)))?;
    Ok(rustix::process::fchdir(place)?)
}

/// A directory outside the root, reached by whatever trick, has no path that begins at the root (CVE-2024-21626).
fn verify_directory() -> Result<(), Fault> {
    let current = rustix::process::getcwd(Vec::new())
        .at(FaultKind::WorkingDirectory, "find the working directory")?;
    if current.as_bytes().starts_with(b"/") {
        return Ok(());
    }
    Err(Fault::new(
        FaultKind::WorkingDirectory,
        "the working directory is outside the container's root",
    ))
}

/// Standard streams become those given; who runs may reopen them (`/dev/stdout`).
fn connect(streams: Streams, identity: &Identity) -> Result<(), Fault> {
    let step = "connect the standard streams";
    let (stdin, stdout, stderr) = match streams {
        Streams::Pipes { stdin, stdout, stderr } => (stdin, stdout, stderr),
        Streams::Terminal(terminal) => {
            rustix::process::ioctl_tiocsctty(&terminal)
                .at(FaultKind::Kernel, "take the terminal")?;
            let again =
                || rustix::io::fcntl_dupfd_cloexec(&terminal, 3).at(FaultKind::Kernel, step);
            (Some(again()?), Some(again()?), Some(again()?))
        }
    };
    let own = |stream: Option<OwnedFd>| -> Result<OwnedFd, Fault> {
        let Some(stream) = stream else { return null() };
        own_stream(stream.as_fd(), identity);
        Ok(stream)
    };
    rustix::stdio::dup2_stdin(own(stdin)?).at(FaultKind::Kernel, step)?;
    rustix::stdio::dup2_stdout(own(stdout)?).at(FaultKind::Kernel, step)?;
    rustix::stdio::dup2_stderr(own(stderr)?).at(FaultKind::Kernel, step)
}

/// Devices other than terminals belong to everybody and keep their owner. A stream whose owner cannot be changed still works.
fn own_stream(stream: BorrowedFd<'_>, identity: &Identity) {
    let is_shared = mask::is_null(stream);
    if !is_shared && identity.uid != 0 {
        let _ = rustix::fs::fchown(stream, Some(Uid::from_raw(identity.uid)), None);
    }
}

/// The container's own null device; where there is none, as in the pause's empty root, the shim's.
fn null() -> Result<OwnedFd, Fault> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    match rustix::fs::open("/dev/null", flags, Mode::empty()) {
        Ok(null) if mask::is_null(null.as_fd()) => Ok(null),
        _ => rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)
            .at(FaultKind::Kernel, "open the null device"),
    }
}

/// Gives up what the process may not have: the order is the kernel's (each step needs what a later one takes away).
fn restrict(process: &ProcessSpec, identity: &Identity) -> Result<(), Fault> {
    if process.no_new_privileges {
        rustix::thread::set_no_new_privs(true).at(FaultKind::Kernel, "set no_new_privs")?;
    } else {
        filter(process.seccomp.as_ref())?; // Without no_new_privs this needs CAP_SYS_ADMIN, which goes next.
    }
    let wanted = process.capabilities;
    let held = rustix::thread::capabilities(None).at(FaultKind::Kernel, "read capabilities")?;
    let kept = wanted & held.permitted.bits();
    // The bounding set: bits beyond the kernel's last capability are refused, which ends the loop.
    for number in 0..64_u32 {
        let bit = CapabilitySet::from_bits_retain(1 << number);
        if wanted & (1 << number) == 0
            && rustix::thread::remove_capability_from_bounding_set(bit).is_err()
        {
            break;
        }
    }
    rustix::thread::set_keep_capabilities(true).at(FaultKind::Kernel, "keep capabilities")?;
    become_user(identity)?;
    rustix::thread::set_keep_capabilities(false).at(FaultKind::Kernel, "keep capabilities")?;
    let kept = CapabilitySet::from_bits_retain(kept);
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).at(FaultKind::Kernel, "set capabilities")?;
    rustix::thread::clear_ambient_capability_set()
        .at(FaultKind::Kernel, "clear ambient capabilities")
}

fn become_user(identity: &Identity) -> Result<(), Fault> {
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    let groups: Vec<Gid> = identity.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    let done = rustix::thread::set_thread_groups(&groups)
        .and_then(|()| rustix::thread::set_thread_res_gid(gid, gid, gid))
        .and_then(|()| rustix::thread::set_thread_res_uid(uid, uid, uid));
    done.at(FaultKind::User, format!("become user {}:{}", identity.uid, identity.gid))
}

fn filter(program: Option<&Program>) -> Result<(), Fault> {
    match program {
        Some(program) => {
            sys::filter::install(&program.0).at(FaultKind::Kernel, "install the seccomp filter")
        }
        None => Ok(()),
    }
}

fn environment(process: &ProcessSpec, identity: &Identity) -> Vec<OsString> {
    let mut env = process.env.clone();
    if !env.iter().any(|entry| entry.as_bytes().starts_with(b"HOME=")) {
        env.push(format!("HOME={}", identity.home).into());
    }
    env
}
