//! Lists that container runtimes agree on: masked and read-only paths, standard devices and their rules.

use crate::spec::{DeviceKind, DeviceRule};

/// What of `/proc` and `/sys` a container that asks for nothing else does not see (CRI `masked_paths`).
pub const MASKED_PATHS: &[&str] = &[
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// What of `/proc` a container that asks for nothing else cannot write (CRI `readonly_paths`).
pub const READ_ONLY_PATHS: &[&str] =
    &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Devices that every container has: name below `/dev`, major, minor.
pub(crate) const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// Rules that every container has after "deny all": any node may be made, the standard devices and terminals used.
pub(crate) fn device_rules() -> Vec<DeviceRule> {
    let rule = |kind, major, minor, access: &str| DeviceRule {
        kind: Some(kind),
        major,
        minor,
        access: access.to_owned(),
        allow: true,
    };
    let mut rules = vec![
        rule(DeviceKind::Character, None, None, "m"),
        rule(DeviceKind::Block, None, None, "m"),
    ];
    let nodes = DEVICES.iter().map(|(_, major, minor)| (*major, Some(*minor)));
    // 5:1 is the console, 5:2 the terminal multiplexer, 136 the terminals themselves.
    for (major, minor) in nodes.chain([(5, Some(1)), (5, Some(2)), (136, None)]) {
        rules.push(rule(DeviceKind::Character, Some(major), minor, "rwm"));
    }
    rules
}
