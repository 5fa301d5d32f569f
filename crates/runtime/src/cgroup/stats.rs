//! What a cgroup uses.

use std::fs;
use std::io;
use std::path::Path;

use super::Cgroup;

/// What a cgroup uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// CPU time since the start, in nanoseconds.
    pub cpu_usage_ns: u64,
    /// Memory with page cache, in bytes.
    pub memory_usage_bytes: u64,
    /// Memory without page cache that is easily given back, in bytes: what eviction and OOM decisions look at.
    pub memory_working_set_bytes: u64,
    /// Anonymous memory, in bytes.
    pub memory_rss_bytes: u64,
    /// The limit, if there is one.
    pub memory_limit_bytes: Option<u64>,
    /// Swap, in bytes.
    pub swap_usage_bytes: u64,
    /// Page faults.
    pub page_faults: u64,
    /// Page faults that read from disk.
    pub major_page_faults: u64,
    /// Processes and threads.
    pub pids: u64,
}

/// Above this v1 means "no limit" (it is the largest page multiple of a signed 64-bit number).
const V1_UNLIMITED: u64 = i64::MAX as u64 & !0xfffff;

fn number(directory: &Path, file: &str) -> io::Result<u64> {
    let text = fs::read_to_string(directory.join(file))?;
    text.trim().parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

/// The number after a word at the start of a line.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(value)
}

pub(super) fn read(cgroup: &Cgroup) -> io::Result<Stats> {
    let mut stats = Stats::default();
    if cgroup.layout.has_v2_controllers() {
        read_v2(cgroup, &mut stats)?;
    } else {
        read_v1(cgroup, &mut stats)?;
    }
    if let Some(directory) = cgroup.of("pids") {
        stats.pids = number(&directory, "pids.current").unwrap_or(0);
    }
    Ok(stats)
}

fn read_v1(cgroup: &Cgroup, stats: &mut Stats) -> io::Result<()> {
    if let Some(directory) = cgroup.of("cpuacct") {
        stats.cpu_usage_ns = number(&directory, "cpuacct.usage")?;
    }
    let Some(directory) = cgroup.of("memory") else { return Ok(()) };
    let text = fs::read_to_string(directory.join("memory.stat"))?;
    stats.memory_usage_bytes = number(&directory, "memory.usage_in_bytes")?;
    stats.memory_limit_bytes =
        Some(number(&directory, "memory.limit_in_bytes")?).filter(|limit| *limit < V1_UNLIMITED);
    let inactive = field(&text, "total_inactive_file").unwrap_or(0);
    stats.memory_working_set_bytes = stats.memory_usage_bytes.saturating_sub(inactive);
    stats.memory_rss_bytes = field(&text, "total_rss").unwrap_or(0);
    stats.swap_usage_bytes = field(&text, "total_swap").unwrap_or(0);
    stats.page_faults = field(&text, "total_pgfault").unwrap_or(0);
    stats.major_page_faults = field(&text, "total_pgmajfault").unwrap_or(0);
    Ok(())
}

fn read_v2(cgroup: &Cgroup, stats: &mut Stats) -> io::Result<()> {
    let Some(directory) = cgroup.of("memory") else { return Ok(()) };
    let cpu = fs::read_to_string(directory.join("cpu.stat"))?;
    stats.cpu_usage_ns = field(&cpu, "usage_usec").unwrap_or(0).saturating_mul(1000);
    let text = fs::read_to_string(directory.join("memory.stat"))?;
    stats.memory_usage_bytes = number(&directory, "memory.current")?;
    stats.memory_limit_bytes = number(&directory, "memory.max").ok(); // `max` is no number.
    let inactive = field(&text, "inactive_file").unwrap_or(0);
    stats.memory_working_set_bytes = stats.memory_usage_bytes.saturating_sub(inactive);
    stats.memory_rss_bytes = field(&text, "anon").unwrap_or(0);
    stats.swap_usage_bytes = number(&directory, "memory.swap.current").unwrap_or(0);
    stats.page_faults = field(&text, "pgfault").unwrap_or(0);
    stats.major_page_faults = field(&text, "pgmajfault").unwrap_or(0);
    Ok(())
}
