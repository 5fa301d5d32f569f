//! Looks for what an instance left in the kernel and on disk. After `podo down` there must be nothing.

use std::fs;
use std::path::{Path, PathBuf};

/// How deep cgroups are searched: the instance's own is near the root.
const CGROUP_DEPTH_MAX: usize = 6;

/// The name of the instance of a data directory, as everything in the kernel carries it.
pub fn instance_name(data_dir: &Path) -> String {
    let hash =
        data_dir.as_os_str().as_encoded_bytes().iter().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
        });
    format!("{hash:08x}")
}

/// All processes, mounts, cgroups and files that carry the instance's name or folder, in words.
pub fn of(instance: &str, folder: &Path) -> Vec<String> {
    let folder = folder.to_string_lossy().into_owned();
    let marks = [instance, &folder];
    let mut found = Vec::new();
    for pid in processes(&marks) {
        found.push(format!("process {pid}: {}", command_line(pid)));
    }
    for line in fs::read_to_string("/proc/self/mountinfo").unwrap_or_default().lines() {
        if marks.iter().any(|mark| line.contains(mark)) {
            found.push(format!("mount {line}"));
        }
    }
    for cgroup in cgroups(instance) {
        found.push(format!("cgroup {}", cgroup.display()));
    }
    let run = Path::new("/run/podo").join(instance);
    if run.exists() {
        found.push(format!("run state {}", run.display()));
    }
    found
}

/// Processes of an instance: by executable, working directory, root, command line or cgroup; this one and its own are not counted.
pub fn processes(marks: &[&str]) -> Vec<u32> {
    let own = std::process::id();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own && is_marked(*pid, marks))
        .collect()
}

fn is_marked(pid: u32, marks: &[&str]) -> bool {
    let at = |name: &str| PathBuf::from(format!("/proc/{pid}/{name}"));
    let mut texts = vec![command_line(pid), fs::read_to_string(at("cgroup")).unwrap_or_default()];
    for link in ["exe", "cwd", "root"] {
        texts.extend(fs::read_link(at(link)).ok().map(|path| path.to_string_lossy().into_owned()));
    }
    texts.iter().any(|text| marks.iter().any(|mark| text.contains(mark)))
}

/// The command line of a process; empty if it has ended.
pub fn command_line(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim().to_owned()
}

/// The cgroups that carry the instance's name, in every hierarchy.
pub fn cgroups(instance: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    search(Path::new("/sys/fs/cgroup"), instance, 0, &mut found);
    found
}

fn search(folder: &Path, instance: &str, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name().to_string_lossy().contains(instance) {
            found.push(entry.path());
        } else if depth < CGROUP_DEPTH_MAX {
            search(&entry.path(), instance, depth + 1, found);
        }
    }
}
