use super::*;

const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const KILL: u32 = 0x8000_0000;
const X86_64: u32 = 0xc000_003e;

/// Runs a program as the kernel would for one call.
fn run(program: &Program, arch: u32, number: i64, arguments: &[u64]) -> u32 {
    let mut data = vec![u32::try_from(number).unwrap(), arch, 0, 0];
    for at in 0..6 {
        let value = arguments.get(at).copied().unwrap_or(0);
        data.extend([(value & 0xffff_ffff) as u32, (value >> 32) as u32]);
    }
    let (mut at, mut accumulator) = (0_usize, 0_u32);
    loop {
        let bytes = program.0[at].to_ne_bytes();
        let code = u16::from_ne_bytes([bytes[0], bytes[1]]);
        let operand = u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        at += 1;
        let is_true = match code {
            0x06 => return operand,
            0x20 => {
                accumulator = data[operand as usize / 4];
                continue;
            }
            0x54 => {
                accumulator &= operand;
                continue;
            }
            0x05 => {
                at += operand as usize;
                continue;
            }
            0x15 => accumulator == operand,
            0x25 => accumulator > operand,
            0x35 => accumulator >= operand,
            other => panic!("unknown instruction {other:#x}"),
        };
        at += usize::from(if is_true { bytes[2] } else { bytes[3] });
    }
}

fn call(program: &Program, name: &str, arguments: &[u64]) -> u32 {
    run(program, X86_64, syscalls::number(name).unwrap(), arguments)
}

#[test]
fn the_default_profile_decides_as_the_known_one() {
    let program = runtime_default(capabilities_default());
    for (name, arguments, expected) in [
        ("read", &[][..], ALLOW),
        ("writev", &[], ALLOW),
        ("close_range", &[], ALLOW),
        ("mount", &[], EPERM),
        ("unshare", &[], EPERM),
        ("keyctl", &[], EPERM),
        ("bpf", &[], EPERM),
        ("io_uring_setup", &[], EPERM),
        ("kexec_load", &[], EPERM),
        ("chroot", &[], ALLOW),
        ("socket", &[2], ALLOW),
        ("socket", &[40], EPERM),
        ("clone", &[0x0121_1000], ALLOW),
        ("clone", &[0x1000_0000], EPERM),
        ("clone3", &[], ENOSYS),
        ("personality", &[0xffff_ffff], ALLOW),
        ("personality", &[0x0004_0000], EPERM),
    ] {
        assert_eq!(call(&program, name, arguments), expected, "{name} {arguments:?}");
    }
    assert_eq!(run(&program, X86_64, 9999, &[]), EPERM, "a call of the future");
}

fn capabilities_default() -> u64 {
    crate::capabilities::DEFAULT
}

#[test]
fn capabilities_open_their_calls() {
    let program = runtime_default(crate::capabilities::ALL);
    for name in ["mount", "unshare", "clone3", "bpf", "reboot", "init_module"] {
        assert_eq!(call(&program, name, &[u64::MAX]), ALLOW, "{name}");
    }
}

#[test]
fn other_architectures_cannot_slip_through() {
    let program = runtime_default(capabilities_default());
    assert_eq!(run(&program, 0x4000_0003, 1, &[]), KILL, "i386");
    assert_eq!(run(&program, X86_64, 0x4000_0000, &[]), ENOSYS, "x32");
}

#[test]
fn comparisons_are_of_whole_64_bit_arguments() {
    let (big, small) = (0x1_0000_0005_u64, 5_u64);
    for (operator, value, holds) in [
        ("EQ", small, [false, true, false]),
        ("NE", small, [true, false, true]),
        ("LT", big, [false, true, true]),
        ("LE", big, [true, true, true]),
        ("GT", small, [true, false, false]),
        ("GE", small, [true, true, false]),
    ] {
        let json = format!(
            r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{"names":["read"],"action":"SCMP_ACT_ALLOW",
            "args":[{{"index":1,"value":{value},"op":"SCMP_CMP_{operator}"}}]}}]}}"#
        );
        let program = from_profile(json.as_bytes(), 0).unwrap();
        for (argument, holds) in [big, small, 4].into_iter().zip(holds) {
            let expected = if holds { ALLOW } else { EPERM };
            assert_eq!(
                call(&program, "read", &[0, argument]),
                expected,
                "{argument} {operator} {value}"
            );
        }
    }
}

#[test]
fn a_profile_file_is_read_with_its_selectors() {
    let json = br#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"archMap":[],"syscalls":[
        {"names":["read","no_such_call"],"action":"SCMP_ACT_ALLOW"},
        {"name":"write","action":"SCMP_ACT_LOG"},
        {"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}},
        {"names":["mkdir"],"action":"SCMP_ACT_ALLOW","excludes":{"caps":["CAP_SYS_ADMIN"]}},
        {"names":["chroot"],"action":"SCMP_ACT_ALLOW","includes":{"arches":["s390x"]}},
        {"names":["rmdir"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"99.0"}},
        {"names":["close"],"action":"SCMP_ACT_ERRNO","errnoRet":5},
        {"names":["fcntl"],"action":"SCMP_ACT_ALLOW","args":[
            {"index":1,"value":1,"op":"SCMP_CMP_EQ"},{"index":1,"value":2,"op":"SCMP_CMP_EQ"}]}
    ]}"#;
    let program = from_profile(json, 0).unwrap();
    for (name, arguments, expected) in [
        ("read", &[][..], ALLOW),
        ("write", &[], 0x7ffc_0000),
        ("mount", &[], ENOSYS),
        ("mkdir", &[], ALLOW),
        ("chroot", &[], ENOSYS),
        ("rmdir", &[], ENOSYS),
        ("close", &[], 0x0005_0005),
        ("fcntl", &[0, 2], ALLOW),
        ("fcntl", &[0, 3], ENOSYS),
    ] {
        assert_eq!(call(&program, name, arguments), expected, "{name}");
    }
    let with_admin = from_profile(json, 1 << 21).unwrap();
    assert_eq!(call(&with_admin, "mount", &[]), ALLOW);
    assert_eq!(call(&with_admin, "mkdir", &[]), ENOSYS);
}

#[test]
fn empty_and_wrong_profiles_are_refused() {
    for json in [
        "",
        "{}",
        r#"{"defaultAction":""}"#,
        r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":1,"op":"LIKE"}]}]}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","includes":{"caps":["CAP_X"]}}]}"#,
    ] {
        assert!(from_profile(json.as_bytes(), 0).is_err(), "{json}");
    }
}

#[test]
fn every_call_of_a_filter_without_conditions_is_decided_by_its_own_rule() {
    let mut filter = Filter { default: Action::KillThread, rules: BTreeMap::new() };
    for number in (0..460).filter(|number| number % 3 != 0) {
        let action = if number % 3 == 1 { Action::Allow } else { Action::Errno(1) };
        filter.add(number, Rule { conditions: Vec::new(), action });
    }
    let program = compile::program(&filter);
    for number in 0..470 {
        let expected = match number % 3 {
            _ if number >= 460 => 0,
            0 => 0,
            1 => ALLOW,
            _ => EPERM,
        };
        assert_eq!(run(&program, X86_64, number, &[]), expected, "{number}");
    }
}
