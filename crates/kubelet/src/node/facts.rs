//! What the machine is: read from `/proc`, `/sys` and `/etc` when the node agent starts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use podo_api::quantity::{Format, Quantity};

use crate::config::KubeletConfig;

/// Memory that Pods do not get, so that the node stays alive (Kubernetes v1.36 `memory.available<100Mi`).
const MEMORY_RESERVED: i64 = 100 << 20;
/// The share of the disk that Pods do not get, in percent (Kubernetes v1.36 `nodefs.available<10%`).
const DISK_RESERVED_PERCENT: i64 = 10;

/// What the machine is.
#[derive(Debug, Clone, Default)]
pub(crate) struct MachineFacts {
    /// All that there is.
    pub(crate) capacity: BTreeMap<String, Quantity>,
    /// What Pods may use of it.
    pub(crate) allocatable: BTreeMap<String, Quantity>,
    pub(crate) memory_bytes: i64,
    pub(crate) swap_bytes: i64,
    pub(crate) machine_id: String,
    pub(crate) system_uuid: String,
    pub(crate) boot_id: String,
    pub(crate) kernel_version: String,
    pub(crate) os_image: String,
}

/// The architecture as Go names it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

impl MachineFacts {
    /// Reads them.
    pub(crate) fn read(config: &KubeletConfig) -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let meminfo = text("/proc/meminfo");
        let memory_bytes = meminfo_bytes(&meminfo, "MemTotal");
        let machine_id = text("/etc/machine-id");
        let uuid = text("/sys/class/dmi/id/product_uuid");
        let disk = disk_bytes(&config.root_dir).unwrap_or(0);
        let mut facts = Self {
            memory_bytes,
            swap_bytes: meminfo_bytes(&meminfo, "SwapTotal"),
            system_uuid: if uuid.is_empty() { machine_id.clone() } else { uuid },
            machine_id,
            boot_id: text("/proc/sys/kernel/random/boot_id"),
            kernel_version: text("/proc/sys/kernel/osrelease"),
            os_image: os_image(&text("/etc/os-release")),
            ..Self::default()
        };
        let cpus = cpu_count(&text("/proc/cpuinfo"));
        facts.set("cpu", cpus, cpus, Format::DecimalSi);
        let memory = (memory_bytes - MEMORY_RESERVED).max(0);
        facts.set("memory", memory_bytes, memory, Format::BinarySi);
        let pods = i64::from(config.max_pods);
        facts.set("pods", pods, pods, Format::DecimalSi);
        let allocatable = disk / 100 * (100 - DISK_RESERVED_PERCENT);
        facts.set("ephemeral-storage", disk, allocatable, Format::BinarySi);
        let plain = Quantity::from_value(allocatable, Format::DecimalSi);
        facts.allocatable.insert("ephemeral-storage".to_owned(), plain);
        for (name, bytes) in hugepages(Path::new("/sys/kernel/mm/hugepages")) {
            facts.set(&name, bytes, bytes, Format::BinarySi);
        }
        facts
    }

    fn set(&mut self, name: &str, capacity: i64, allocatable: i64, format: Format) {
        self.capacity.insert(name.to_owned(), Quantity::from_value(capacity, format));
        self.allocatable.insert(name.to_owned(), Quantity::from_value(allocatable, format));
    }
}

fn cpu_count(cpuinfo: &str) -> i64 {
    let listed = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let count = if listed > 0 {
        listed
    } else {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    };
    i64::try_from(count).unwrap_or(1)
}

fn meminfo_bytes(meminfo: &str, name: &str) -> i64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<i64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

fn os_image(os_release: &str) -> String {
    let line = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    line.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches(['"', '\'']).to_owned())
}

/// The size of the file system that a path is on, or will be on.
fn disk_bytes(path: &Path) -> Option<i64> {
    let there = path.ancestors().find(|path| path.exists())?;
    let found = rustix::fs::statvfs(there).ok()?;
    i64::try_from(found.f_blocks.checked_mul(found.f_frsize)?).ok()
}

/// Huge pages by size: `hugepages-2Mi`.
fn hugepages(root: &Path) -> Vec<(String, i64)> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let sizes = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let kibibytes: i64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
        let count: i64 =
            fs::read_to_string(entry.path().join("nr_hugepages")).ok()?.trim().parse().ok()?;
        let size = Quantity::from_value(kibibytes * 1024, Format::BinarySi);
        Some((format!("hugepages-{size}"), kibibytes * 1024 * count))
    });
    sizes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_from_the_kernels_files() {
        let meminfo = "MemTotal:        8148460 kB\nMemFree: 1 kB\nSwapTotal:       0 kB\n";
        assert_eq!(meminfo_bytes(meminfo, "MemTotal"), 8_148_460 * 1024);
        assert_eq!(meminfo_bytes(meminfo, "SwapTotal"), 0);
        assert_eq!(cpu_count("processor\t: 0\nmodel\t: x\nprocessor\t: 1\n"), 2);
        assert_eq!(os_image("ID=x\nPRETTY_NAME=\"Some Linux 1\"\n"), "Some Linux 1");
    }
}
