//! ContainerStats, PodSandboxStats and their lists: what cgroups, interfaces and writable layers say.

use std::path::Path;
use std::sync::Arc;

use podo_runtime::cgroup::Stats;

use super::container::Container;
use super::list::{has_labels, is_id};
use super::sandbox::Sandbox;
use super::{Node, faults, now_ns};
use crate::{CriError, v1};

/// How old the size of a writable layer may be, in nanoseconds: it is found by walking through it. containerd's period.
const LAYER_AGE_NS_MAX: i64 = 10_000_000_000;

/// Shortest time over which a rate of CPU use means something, in nanoseconds.
const RATE_WINDOW_NS_MIN: i64 = 100_000_000;

/// What was seen before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Samples {
    /// When, the CPU time used until then, and the rate before that, in billionths of a CPU.
    cpu: Option<(i64, u64, Option<u64>)>,
    /// When, bytes and inodes.
    layer: Option<(i64, u64, u64)>,
}

impl Samples {
    /// Takes note of the CPU time used until `now` and gives the rate since the sample before.
    fn cpu_rate(&mut self, now: i64, used_ns: u64) -> Option<u64> {
        let Some((then, before, last_rate)) = self.cpu else {
            self.cpu = Some((now, used_ns, None));
            return None;
        };
        let window = now.saturating_sub(then);
        if window < RATE_WINDOW_NS_MIN {
            return last_rate;
        }
        let used = u128::from(used_ns.saturating_sub(before)) * 1_000_000_000;
        let rate = used / u128::from(window.unsigned_abs());
        let rate = Some(u64::try_from(rate).unwrap_or(u64::MAX));
        self.cpu = Some((now, used_ns, rate));
        rate
    }
}

fn value(value: u64) -> v1::UInt64Value {
    v1::UInt64Value { value }
}

fn cpu(now: i64, stats: &Stats, rate: Option<u64>) -> v1::CpuUsage {
    v1::CpuUsage {
        timestamp: now,
        usage_core_nano_seconds: Some(value(stats.cpu_usage_ns)),
        usage_nano_cores: rate.map(value),
        psi: None,
    }
}

fn memory(now: i64, stats: &Stats) -> v1::MemoryUsage {
    let available =
        stats.memory_limit_bytes.map(|limit| limit.saturating_sub(stats.memory_working_set_bytes));
    v1::MemoryUsage {
        timestamp: now,
        working_set_bytes: Some(value(stats.memory_working_set_bytes)),
        available_bytes: available.map(value),
        usage_bytes: Some(value(stats.memory_usage_bytes)),
        rss_bytes: Some(value(stats.memory_rss_bytes)),
        page_faults: Some(value(stats.page_faults)),
        major_page_faults: Some(value(stats.major_page_faults)),
        psi: None,
    }
}

impl Node {
    pub(super) async fn container_stats(
        self: &Arc<Self>,
        request: v1::ContainerStatsRequest,
    ) -> Result<v1::ContainerStatsResponse, CriError> {
        let (sandbox, container) = self.table.both(&request.container_id)?;
        let node = Arc::clone(self);
        let stats = self.gate.run(move || node.stats_of(&sandbox, &container)).await?;
        Ok(v1::ContainerStatsResponse { stats: Some(stats) })
    }

    pub(super) async fn list_container_stats(
        self: &Arc<Self>,
        request: v1::ListContainerStatsRequest,
    ) -> Result<v1::ListContainerStatsResponse, CriError> {
        let filter = request.filter.unwrap_or_default();
        let node = Arc::clone(self);
        let list = move || {
            let stats = node.table.sandboxes();
            let stats = stats.iter().filter(|one| is_id(one.id(), &filter.pod_sandbox_id));
            let stats = stats.flat_map(|sandbox| node.running_stats(sandbox));
            let is_wanted = |stats: &v1::ContainerStats| {
                stats.attributes.as_ref().is_some_and(|attributes| {
                    is_id(&attributes.id, &filter.id)
                        && has_labels(&attributes.labels, &filter.label_selector)
                })
            };
            Ok(v1::ListContainerStatsResponse { stats: stats.filter(is_wanted).collect() })
        };
        self.gate.run(list).await
    }

    pub(super) async fn pod_sandbox_stats(
        self: &Arc<Self>,
        request: v1::PodSandboxStatsRequest,
    ) -> Result<v1::PodSandboxStatsResponse, CriError> {
        let sandbox = self.table.sandbox(&request.pod_sandbox_id)?;
        let node = Arc::clone(self);
        let stats = self.gate.run(move || node.stats_of_sandbox(&sandbox)).await?;
        Ok(v1::PodSandboxStatsResponse { stats: Some(stats) })
    }

    pub(super) async fn list_pod_sandbox_stats(
        self: &Arc<Self>,
        request: v1::ListPodSandboxStatsRequest,
    ) -> Result<v1::ListPodSandboxStatsResponse, CriError> {
        let filter = request.filter.unwrap_or_default();
        let node = Arc::clone(self);
        let list = move || {
            let is_wanted = |sandbox: &&Arc<Sandbox>| {
                let labels = sandbox.labels();
                sandbox.is_ready()
                    && is_id(sandbox.id(), &filter.id)
                    && labels.is_none_or(|labels| has_labels(labels, &filter.label_selector))
            };
            let sandboxes = node.table.sandboxes();
            let wanted = sandboxes.iter().filter(is_wanted);
            // One that ends meanwhile is left out.
            let stats = wanted.filter_map(|sandbox| node.stats_of_sandbox(sandbox).ok());
            Ok(v1::ListPodSandboxStatsResponse { stats: stats.collect() })
        };
        self.gate.run(list).await
    }

    fn running_stats(&self, sandbox: &Sandbox) -> Vec<v1::ContainerStats> {
        let containers = sandbox.containers();
        let running = containers.iter().filter(|container| container.is_running());
        running.filter_map(|container| self.stats_of(sandbox, container).ok()).collect()
    }

    fn stats_of(
        &self,
        sandbox: &Sandbox,
        container: &Container,
    ) -> Result<v1::ContainerStats, CriError> {
        let now = now_ns();
        let config = container.record.config.clone().unwrap_or_default();
        let mut stats = v1::ContainerStats {
            attributes: Some(v1::ContainerAttributes {
                id: container.id().to_owned(),
                metadata: config.metadata,
                labels: config.labels,
                annotations: config.annotations,
            }),
            writable_layer: self.layer_usage(container, now)?,
            ..v1::ContainerStats::default()
        };
        if let Some(runtime) = sandbox.runtime.as_ref().filter(|_| container.is_running()) {
            let used = runtime.stats(Some(container.id()));
            let used = used.map_err(|error| faults::of_runtime(&error))?;
            let rate = container.samples.lock().cpu_rate(now, used.cpu_usage_ns);
            stats.cpu = Some(cpu(now, &used, rate));
            stats.memory = Some(memory(now, &used));
            stats.swap = Some(v1::SwapUsage {
                timestamp: now,
                swap_available_bytes: None,
                swap_usage_bytes: Some(value(used.swap_usage_bytes)),
            });
        }
        Ok(stats)
    }

    fn layer_usage(
        &self,
        container: &Container,
        now: i64,
    ) -> Result<Option<v1::FilesystemUsage>, CriError> {
        let known = container.samples.lock().layer;
        let fresh = known.filter(|(then, ..)| now.saturating_sub(*then) < LAYER_AGE_NS_MAX);
        let (timestamp, bytes, inodes) = if let Some(known) = fresh {
            known
        } else {
            let usage = self.images.rootfs_usage(container.id());
            let (bytes, inodes) = usage.map_err(|error| faults::of_snapshot(&error))?;
            container.samples.lock().layer = Some((now, bytes, inodes));
            (now, bytes, inodes)
        };
        let mountpoint = self.images.root().to_string_lossy().into_owned();
        Ok(Some(v1::FilesystemUsage {
            timestamp,
            fs_id: Some(v1::FilesystemIdentifier { mountpoint }),
            used_bytes: Some(value(bytes)),
            inodes_used: Some(value(inodes)),
        }))
    }

    fn stats_of_sandbox(&self, sandbox: &Sandbox) -> Result<v1::PodSandboxStats, CriError> {
        let now = now_ns();
        let config = sandbox.config();
        let mut linux = v1::LinuxPodSandboxStats {
            containers: self.running_stats(sandbox),
            network: network(now, &sandbox.record.host_interface),
            ..v1::LinuxPodSandboxStats::default()
        };
        if let Some(runtime) = sandbox.runtime.as_ref().filter(|_| sandbox.is_ready()) {
            let used = runtime.stats(None).map_err(|error| faults::of_runtime(&error))?;
            let rate = sandbox.samples.lock().cpu_rate(now, used.cpu_usage_ns);
            linux.cpu = Some(cpu(now, &used, rate));
            linux.memory = Some(memory(now, &used));
            let process_count = Some(value(used.pids));
            linux.process = Some(v1::ProcessUsage { timestamp: now, process_count });
        }
        Ok(v1::PodSandboxStats {
            attributes: Some(v1::PodSandboxAttributes {
                id: sandbox.id().to_owned(),
                metadata: config.metadata,
                labels: config.labels,
                annotations: config.annotations,
            }),
            linux: Some(linux),
        })
    }
}

/// A sandbox's traffic, from the host's end of its link: what that end sends, the sandbox receives.
fn network(now: i64, host_interface: &str) -> Option<v1::NetworkUsage> {
    if host_interface.is_empty() {
        return None;
    }
    let counters = Path::new("/sys/class/net").join(host_interface).join("statistics");
    let count = |name: &str| {
        let text = std::fs::read_to_string(counters.join(name)).ok()?;
        Some(value(text.trim().parse().ok()?))
    };
    let interface = v1::NetworkInterfaceUsage {
        name: podo_network::endpoint::INTERFACE.to_owned(),
        rx_bytes: count("tx_bytes"),
        rx_errors: count("tx_errors"),
        tx_bytes: count("rx_bytes"),
        tx_errors: count("rx_errors"),
    };
    Some(v1::NetworkUsage {
        timestamp: now,
        default_interface: Some(interface.clone()),
        interfaces: vec![interface],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_what_was_used_since_the_sample_before() {
        let mut samples = Samples::default();
        let second = 1_000_000_000;
        assert_eq!(samples.cpu_rate(second, 500), None, "one sample has no rate");
        let half = samples.cpu_rate(3 * second, 500 + 1_000_000_000);
        assert_eq!(half, Some(500_000_000));
        let soon = samples.cpu_rate(3 * second + 1, 500 + 1_000_000_001);
        assert_eq!(soon, half, "too short a time has the rate of before");
        assert_eq!(samples.cpu_rate(4 * second, 0), Some(0), "a counter that begins anew");
    }
}
