//! Capabilities: names, numbers, the default set.
//!
//! Numbers are those of `linux/capability.h`; a set is a `u64` whose bit n is capability n.

/// Names without `CAP_`, in the order of their numbers.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Every capability that this program knows; the kernel's own set limits it further.
pub const ALL: u64 = (1 << NAMES.len()) - 1;

/// The set that containerd and Docker give by default.
pub const DEFAULT: u64 = bits(&[
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
]);

const fn bits(names: &[&str]) -> u64 {
    let mut set = 0;
    let mut index = 0;
    while index < names.len() {
        let mut number = 0;
        while !same(NAMES[number].as_bytes(), names[index].as_bytes()) {
            number += 1; // A name that is not in the table ends the build here.
        }
        set |= 1 << number;
        index += 1;
    }
    set
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// The bit of a capability named `CAP_X`, `X` or in lower case.
pub fn bit(name: &str) -> Option<u64> {
    let upper = name.to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    NAMES.iter().position(|known| *known == name).map(|number| 1 << number)
}

/// `CAP_X` names of a set, in the order of their numbers.
pub fn names(set: u64) -> Vec<String> {
    let named = NAMES.iter().enumerate().filter(|(number, _)| set & (1 << number) != 0);
    named.map(|(_, name)| format!("CAP_{name}")).collect()
}

/// `base` with `add` put in and then `drop` taken out, as containerd does it: `ALL` of either goes before every name of the
/// other, and added and dropped alike means dropped. An unknown name is given back.
pub fn adjust<'a>(base: u64, add: &[&'a str], drop: &[&'a str]) -> Result<u64, &'a str> {
    let is_all = |name: &&str| name.eq_ignore_ascii_case("ALL");
    let set_of = |list: &[&'a str]| {
        list.iter()
            .filter(|name| !is_all(name))
            .try_fold(0, |set, name| Ok(set | bit(name).ok_or(*name)?))
    };
    let start = match (add.iter().any(is_all), drop.iter().any(is_all)) {
        (_, true) => 0,
        (true, false) => ALL,
        (false, false) => base,
    };
    Ok((start | set_of(add)?) & !set_of(drop)?)
}

#[cfg(test)]
mod tests;
