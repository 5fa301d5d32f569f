//! Limits as the text of control files.

use std::io;
use std::path::{Path, PathBuf};

use super::{Cgroup, write};
use crate::spec::Resources;

/// Writes limits, in an order in which lowering and raising both work.
pub(super) fn apply(cgroup: &Cgroup, resources: &Resources) -> io::Result<()> {
    cpu(cgroup, resources)?;
    memory(cgroup, resources)?;
    if let (Some(limit), Some(directory)) = (resources.pids_limit, cgroup.of("pids")) {
        write(&directory.join("pids.max"), &limit_text(limit))?;
    }
    if let Some(directory) = cgroup.of("cpuset") {
        for (file, list) in
            [("cpuset.cpus", &resources.cpuset_cpus), ("cpuset.mems", &resources.cpuset_mems)]
        {
            match list {
                Some(list) if !list.is_empty() => write(&directory.join(file), list)?,
                _ => {}
            }
        }
    }
    hugepages(cgroup, resources)?;
    if let Some(directory) = cgroup.unified().filter(|_| cgroup.layout.has_v2_controllers()) {
        for (file, text) in &resources.unified {
            let is_name = !file.is_empty() && !file.contains('/') && file.contains('.');
            if !is_name {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("{file:?} is not a control file"),
                ));
            }
            write(&directory.join(file), text)?;
        }
    }
    Ok(())
}

fn cpu(cgroup: &Cgroup, resources: &Resources) -> io::Result<()> {
    let Some(directory) = cgroup.of("cpu") else { return Ok(()) };
    let quota = resources.cpu_quota_us;
    if cgroup.layout.is_v2("cpu") {
        if let Some(shares) = resources.cpu_shares {
            write(&directory.join("cpu.weight"), &weight_of_shares(shares).to_string())?;
        }
        return match (quota, resources.cpu_period_us) {
            (None, None) => Ok(()),
            (quota, period) => {
                let quota = limit_text(quota.unwrap_or(0));
                let period = period.map_or(String::new(), |period| format!(" {period}"));
                write(&directory.join("cpu.max"), &format!("{quota}{period}"))
            }
        };
    }
    if let Some(shares) = resources.cpu_shares {
        write(&directory.join("cpu.shares"), &shares.to_string())?;
    }
    let quota_text = quota.map(|quota| if quota > 0 { quota } else { -1 }.to_string());
    let period_text = resources.cpu_period_us.map(|period| period.to_string());
    let (quota_file, period_file) =
        (directory.join("cpu.cfs_quota_us"), directory.join("cpu.cfs_period_us"));
    // A quota may not exceed what the parent gives in the period of the moment: one order works where the other is refused.
    let is_refused =
        period_text.as_ref().is_some_and(|period| write(&period_file, period).is_err());
    if let Some(quota) = quota_text {
        write(&quota_file, &quota)?;
    }
    match period_text {
        Some(period) if is_refused => write(&period_file, &period),
        _ => Ok(()),
    }
}

/// cgroup v2's weight (1 … 10000) for v1's shares (2 … 262144).
///
/// The curve through (2, 1), (1024, 100) and (262144, 10000) that runc 1.3.2 and crun 1.23 use:
/// `10^(l²/612 + 125·l/612 − 7/34)` with `l = log2(shares)`, rounded up.
pub(super) fn weight_of_shares(shares: u64) -> u64 {
    if shares <= 2 {
        return 1;
    }
    if shares >= 262_144 {
        return 10_000;
    }
    #[expect(clippy::cast_precision_loss, reason = "shares are below 2^18")]
    let log = (shares as f64).log2();
    let exponent = log.mul_add(log, 125.0 * log) / 612.0 - 7.0 / 34.0;
    let weight = 10_f64.powf(exponent);
    // Rounding up must not turn an exact 100 that came out as 100.00000000000001 into 101.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and 10000"
    )]
    let weight = (weight - 1e-9).ceil() as u64;
    weight.clamp(1, 10_000)
}

fn memory(cgroup: &Cgroup, resources: &Resources) -> io::Result<()> {
    let Some(directory) = cgroup.of("memory") else { return Ok(()) };
    if cgroup.layout.is_v2("memory") {
        return memory_v2(&directory, resources);
    }
    let text = |limit: i64| if limit > 0 { limit.to_string() } else { "-1".to_owned() };
    let limit = resources
        .memory_limit_bytes
        .map(|limit| (directory.join("memory.limit_in_bytes"), text(limit)));
    let swap_file = directory.join("memory.memsw.limit_in_bytes");
    let swap = resources
        .memory_swap_bytes
        .filter(|_| swap_file.exists())
        .map(|limit| (swap_file, text(limit)));
    // The limit with swap may never be below the one without: try one order, then the other.
    match (limit, swap) {
        (Some(limit), Some(swap)) => in_either_order(&limit, &swap),
        (one, other) => {
            one.into_iter().chain(other).try_for_each(|(file, text)| write(&file, &text))
        }
    }
}

fn in_either_order(first: &(PathBuf, String), second: &(PathBuf, String)) -> io::Result<()> {
    if write(&first.0, &first.1).is_ok() {
        return write(&second.0, &second.1);
    }
    write(&second.0, &second.1)?;
    write(&first.0, &first.1)
}

fn memory_v2(directory: &Path, resources: &Resources) -> io::Result<()> {
    if let Some(limit) = resources.memory_limit_bytes {
        write(&directory.join("memory.max"), &limit_text(limit))?;
    }
    let swap_file = directory.join("memory.swap.max");
    match (resources.memory_swap_bytes, resources.memory_limit_bytes) {
        (Some(both), memory) if swap_file.exists() => {
            // v1 and OCI count memory and swap together, v2 swap alone.
            let text = match memory {
                Some(memory) if both > 0 && memory > 0 => (both - memory).max(0).to_string(),
                _ => limit_text(both),
            };
            write(&swap_file, &text)?;
        }
        _ => {}
    }
    if resources.oom_group {
        write(&directory.join("memory.oom.group"), "1")?;
    }
    Ok(())
}

fn hugepages(cgroup: &Cgroup, resources: &Resources) -> io::Result<()> {
    let Some(directory) = cgroup.of("hugetlb") else { return Ok(()) };
    let suffix = if cgroup.layout.is_v2("hugetlb") { "max" } else { "limit_in_bytes" };
    for (size, bytes) in &resources.hugepages {
        let file = directory.join(format!("hugetlb.{size}.{suffix}"));
        if !size.contains('/') && file.exists() {
            write(&file, &bytes.to_string())?;
        }
    }
    Ok(())
}

/// A limit of pids, or of v2: 0 and less are no limit.
fn limit_text(limit: i64) -> String {
    if limit > 0 { limit.to_string() } else { "max".to_owned() }
}
