//! What the node as a whole uses, from the kernel's own counters (proc(5)).

use std::time::Duration;

use parking_lot::Mutex;
use podo_base::Timestamp;

/// The unit of `/proc/stat`: user space sees 100 ticks a second on every architecture.
const TICK_NANOS: u64 = 10_000_000;

/// The shortest span over which a rate is taken; asking more often gets the same answer.
const WINDOW: Duration = Duration::from_secs(1);

/// What the node uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// When this was read.
    pub(super) at: Timestamp,
    /// When the machine was started.
    pub(super) booted_at: Timestamp,
    /// CPU time since then, in nanoseconds.
    pub(super) cpu_nanos: u64,
    /// CPU time per second, in nanoseconds; unknown at first.
    pub(super) cpu_rate: Option<u64>,
    /// Memory, in bytes.
    pub(super) memory_total: u64,
    /// Memory that can be had without swapping, in bytes.
    pub(super) memory_available: u64,
    /// Memory in use, page cache included, in bytes.
    pub(super) memory_used: u64,
    /// Memory of processes, in bytes.
    pub(super) memory_anonymous: u64,
}

/// Reads usage and remembers what it needs for rates.
#[derive(Debug, Default)]
pub(super) struct NodeUsage(Mutex<Option<Usage>>);

impl NodeUsage {
    /// What the node uses now. A kernel without these files makes zeros.
    pub(super) async fn read(&self, now: Timestamp) -> Usage {
        let read = |path| async move { tokio::fs::read_to_string(path).await.unwrap_or_default() };
        let (stat, memory) = tokio::join!(read("/proc/stat"), read("/proc/meminfo"));
        let mut usage = parse(&stat, &memory);
        usage.at = now;
        let mut before = self.0.lock();
        match *before {
            Some(earlier) if now.since(earlier.at) < WINDOW => usage.cpu_rate = earlier.cpu_rate,
            Some(earlier) => {
                usage.cpu_rate =
                    rate(usage.cpu_nanos.saturating_sub(earlier.cpu_nanos), now.since(earlier.at));
                *before = Some(usage);
            }
            None => *before = Some(usage),
        }
        usage
    }
}

fn rate(nanos: u64, span: Duration) -> Option<u64> {
    let rate = u128::from(nanos) * 1_000_000_000 / span.as_nanos().max(1);
    u64::try_from(rate).ok()
}

fn parse(stat: &str, memory: &str) -> Usage {
    let line =
        |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    // user, nice, system, then idle and iowait, which are no use, then irq, softirq; what follows is counted in user already.
    let ticks: Vec<u64> =
        line("cpu ").split_whitespace().map(|ticks| ticks.parse().unwrap_or(0)).collect();
    let used: u64 = ticks
        .iter()
        .enumerate()
        .filter(|(index, _)| [0, 1, 2, 5, 6].contains(index))
        .map(|(_, ticks)| ticks)
        .sum();
    let bytes = |name: &str| -> u64 {
        let value = memory.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = value
            .and_then(|value| value.split_whitespace().next())
            .and_then(|number| number.parse::<u64>().ok());
        kilobytes.unwrap_or(0) << 10
    };
    let total = bytes("MemTotal:");
    Usage {
        booted_at: Timestamp::from_seconds(line("btime ").trim().parse().unwrap_or(0)),
        cpu_nanos: used * TICK_NANOS,
        memory_total: total,
        memory_available: bytes("MemAvailable:"),
        memory_used: total.saturating_sub(bytes("MemFree:")),
        memory_anonymous: bytes("AnonPages:"),
        ..Usage::default()
    }
}

impl Usage {
    /// Memory that cannot be given back easily, in bytes.
    pub(super) fn working_set(&self) -> u64 {
        self.memory_total.saturating_sub(self.memory_available)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str =
        "cpu  100 20 30 4000 500 6 7 8 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\nintr 5\nbtime 1700000000\n";
    const MEMORY: &str =
        "MemTotal:  8000 kB\nMemFree:   1000 kB\nMemAvailable:  5000 kB\nAnonPages:  700 kB\n";

    #[test]
    fn idle_and_stolen_time_is_no_use_and_reclaimable_memory_no_working_set() {
        let usage = parse(STAT, MEMORY);
        assert_eq!(usage.cpu_nanos, 163 * TICK_NANOS);
        assert_eq!((usage.working_set(), usage.memory_used), (3000 << 10, 7000 << 10));
        assert_eq!(usage.booted_at, Timestamp::from_seconds(1_700_000_000));
    }

    #[test]
    fn half_a_second_of_work_in_two_seconds_is_a_rate_of_a_quarter() {
        assert_eq!(rate(500_000_000, Duration::from_secs(2)), Some(250_000_000));
    }
}
