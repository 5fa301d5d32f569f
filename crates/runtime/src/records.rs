//! What a sandbox leaves on disk, so that a new server finds everything and no exit is lost.
//!
//! One directory per sandbox below the run directory. Every file is written once, whole (written aside and renamed), and
//! says by being there how far things are:
//! `sandbox.want` a sandbox is asked for · `sandbox.json` it runs · `sandbox.exit` its pause process ended ·
//! `ID.spec` a container is made · `ID.start` it runs · `ID.exit` it ended (written before the process is reaped).
//! `shim.sock`, `shm/`, `shim.log` lie beside them.
//!
//! Not here: connecting, cleaning (see [`crate::rediscovery`]).

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::spec::{ContainerSpec, SandboxSpec};
use crate::users::Identity;

/// Version of these files; a reader refuses a higher one.
pub(crate) const VERSION: u32 = 1;

/// Size of one file: the largest is a container's spec, which a message's bound limits too.
const FILE_BYTES_MAX: u64 = 16 << 20;

pub(crate) const WANTED: &str = "sandbox.want";
pub(crate) const SANDBOX: &str = "sandbox.json";
pub(crate) const SANDBOX_EXIT: &str = "sandbox.exit";
pub(crate) const SOCKET: &str = "shim.sock";
pub(crate) const SHM: &str = "shm";
pub(crate) const LOG: &str = "shim.log";

/// A running sandbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SandboxRecord {
    /// Version of the file.
    pub version: u32,
    /// What was asked for.
    pub spec: SandboxSpec,
    /// `/proc/sys/kernel/random/boot_id` when it was made.
    pub boot_id: String,
    /// Process id of the shim.
    pub shim_pid: i32,
    /// The shim's start time in clock ticks since boot: with the id, it names one process.
    pub shim_start_ticks: u64,
    /// Process id of the pause process.
    pub pause_pid: i32,
    /// Nanoseconds since 1970.
    pub created_at_ns: i64,
}

/// A container that was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CreateRecord {
    /// Version of the file.
    pub version: u32,
    /// What was asked for.
    pub spec: ContainerSpec,
    /// Nanoseconds since 1970.
    pub created_at_ns: i64,
}

/// A container that runs or ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRecord {
    /// Process id on the host.
    pub pid: i32,
    /// Nanoseconds since 1970.
    pub started_at_ns: i64,
    /// As whom it runs.
    pub identity: Identity,
}

/// How a process ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExitRecord {
    /// Its exit code, or 128 + the signal that ended it.
    pub exit_code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Times that the kernel ended a process of its cgroup for want of memory.
    pub oom_kills: u64,
    /// Nanoseconds since 1970.
    pub finished_at_ns: i64,
    /// It never ran: why not.
    pub start_failure: Option<crate::Fault>,
}

impl ExitRecord {
    /// Whether want of memory ended it: it failed, and the kernel had killed in its cgroup. A SIGKILL from elsewhere
    /// gives the same exit code 137, but no kill is counted then.
    pub fn is_oom_killed(&self) -> bool {
        self.oom_kills > 0 && self.exit_code != 0
    }
}

/// How far a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Made, not started.
    Created,
    /// Started.
    Running,
    /// Ended.
    Exited,
}

/// Everything that is known of a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerState {
    /// What was asked for and when.
    pub created: CreateRecord,
    /// Since when it runs.
    pub started: Option<StartRecord>,
    /// How it ended.
    pub exited: Option<ExitRecord>,
}

impl ContainerState {
    /// How far it is.
    pub fn phase(&self) -> Phase {
        match (&self.started, &self.exited) {
            (_, Some(_)) => Phase::Exited,
            (Some(_), None) => Phase::Running,
            (None, None) => Phase::Created,
        }
    }
}

/// Everything that is known of a sandbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SandboxState {
    /// The sandbox.
    pub record: SandboxRecord,
    /// Its pause process ended.
    pub exited: Option<ExitRecord>,
    /// Its containers by id.
    pub containers: Vec<ContainerState>,
}

/// Writes a record so that a reader sees all of it or none.
pub(crate) fn write<T: Serialize>(dir: &Path, name: &str, record: &T) -> io::Result<()> {
    let bytes = serde_json::to_vec(record)?;
    let aside = dir.join(format!(".{name}.new"));
    let mut file = fs::OpenOptions::new();
    let mut file = file.write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    io::Write::write_all(&mut file, &bytes)?;
    fs::rename(aside, dir.join(name))
}

/// Reads a record; a missing one is `None`.
pub(crate) fn read<T: DeserializeOwned>(dir: &Path, name: &str) -> io::Result<Option<T>> {
    let mut bytes = Vec::new();
    match fs::File::open(dir.join(name)) {
        Ok(file) => file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// Reads a container's files.
pub(crate) fn read_container(dir: &Path, id: &str) -> io::Result<Option<ContainerState>> {
    // In the order opposite to the writing, so that a file seen implies those before it.
    let exited = read(dir, &format!("{id}.exit"))?;
    let started = read(dir, &format!("{id}.start"))?;
    let created = read(dir, &format!("{id}.spec"))?;
    Ok(created.map(|created| ContainerState { created, started, exited }))
}

/// Reads a sandbox's directory; `None` if it never ran.
pub(crate) fn read_sandbox(dir: &Path) -> io::Result<Option<SandboxState>> {
    let Some(record) = read::<SandboxRecord>(dir, SANDBOX)? else { return Ok(None) };
    let exited = read(dir, SANDBOX_EXIT)?;
    let mut containers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.strip_suffix(".spec")) else { continue };
        containers.extend(if id.starts_with('.') { None } else { read_container(dir, id)? });
    }
    containers.sort_by(|a, b| {
        let key =
            |state: &ContainerState| (state.created.created_at_ns, state.created.spec.id.clone());
        key(a).cmp(&key(b))
    });
    Ok(Some(SandboxState { record, exited, containers }))
}

/// Removes a container's files, the spec last: until then it is found again.
pub(crate) fn remove_container(dir: &Path, id: &str) -> io::Result<()> {
    for suffix in ["exit", "start", "spec"] {
        match fs::remove_file(dir.join(format!("{id}.{suffix}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The running kernel's boot.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// A process' start time in clock ticks since boot.
pub(crate) fn start_ticks(pid: i32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, field 2, is in parentheses and may hold anything; the start time is field 22.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    after
        .split_whitespace()
        .nth(19)
        .and_then(|ticks| ticks.parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}
