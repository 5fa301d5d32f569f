use super::*;

fn rule(
    allow: bool,
    kind: Option<DeviceKind>,
    major: Option<u32>,
    minor: Option<u32>,
    access: &str,
) -> DeviceRule {
    DeviceRule { kind, major, minor, access: access.to_owned(), allow }
}

/// Runs the program as the kernel would for one access.
fn decide(code: &[u64], kind: u32, access: u32, major: u32, minor: u32) -> u64 {
    let context = [access << 16 | kind, major, minor];
    let mut registers = [0_u64; 11];
    let mut at = 0_usize;
    loop {
        let word = code[at];
        let bytes = word.to_le_bytes();
        let (dst, src) = (usize::from(bytes[1] & 15), usize::from(bytes[1] >> 4));
        let offset = usize::from(u16::from_le_bytes([bytes[2], bytes[3]]));
        let immediate =
            i64::from(i32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]])).cast_unsigned();
        at += 1;
        match bytes[0] {
            LOAD_WORD => registers[dst] = context[offset / 4].into(),
            MOVE => registers[dst] = registers[src],
            MOVE_IMMEDIATE => registers[dst] = immediate,
            AND_IMMEDIATE => registers[dst] &= immediate,
            SHIFT_RIGHT => registers[dst] >>= immediate,
            JUMP_NOT_EQUAL => at += if registers[dst] == immediate { 0 } else { offset },
            0x15 => at += if registers[dst] == immediate { offset } else { 0 },
            EXIT => return registers[0],
            other => panic!("unknown instruction {other:#x}"),
        }
    }
}

#[test]
fn the_standard_rules_allow_null_and_making_nodes_and_deny_disks() {
    let code = program(&crate::defaults::device_rules());
    for (kind, access, major, minor, allowed) in [
        (2, 2, 1, 3, 1), // read /dev/null
        (2, 6, 1, 3, 1), // read and write it
        (2, 1, 9, 9, 1), // mknod anything
        (1, 1, 8, 0, 1),
        (1, 2, 8, 0, 0), // read a disk
        (1, 3, 8, 0, 0), // … while making it
        (2, 2, 1, 1, 0), // /dev/mem
        (2, 6, 136, 77, 1),
        (2, 2, 10, 200, 0),
    ] {
        assert_eq!(
            decide(&code, kind, access, major, minor),
            allowed,
            "{kind} {access} {major}:{minor}"
        );
    }
}

#[test]
fn the_last_rule_that_covers_an_access_wins() {
    let rules = [
        rule(true, None, None, None, "rwm"),
        rule(false, Some(DeviceKind::Block), Some(8), None, "w"),
        rule(true, Some(DeviceKind::Block), Some(8), Some(1), "rw"),
    ];
    let code = program(&rules);
    assert_eq!(decide(&code, 1, 2, 8, 0), 1, "reading stays allowed");
    assert_eq!(decide(&code, 1, 4, 8, 0), 0, "writing is denied");
    assert_eq!(decide(&code, 1, 6, 8, 0), 0, "reading and writing is denied");
    assert_eq!(decide(&code, 1, 4, 8, 1), 1, "one disk is allowed again");
    assert_eq!(decide(&code, 2, 4, 8, 0), 1, "another kind");
}

#[test]
fn v1_files_get_the_same_rules_as_text() {
    assert_eq!(
        text_v1(&rule(true, Some(DeviceKind::Character), Some(136), None, "rwm")),
        "c 136:* rwm"
    );
    assert_eq!(text_v1(&rule(true, Some(DeviceKind::Block), None, None, "m")), "b *:* m");
    assert_eq!(text_v1(&rule(true, None, None, None, "rwm")), "a");
}

#[test]
fn everything_is_allowed_only_by_a_whole_rule() {
    assert!(is_everything_allowed(&[rule(true, None, None, None, "rwm")]));
    assert!(!is_everything_allowed(&[rule(true, None, None, None, "rw")]));
    assert!(!is_everything_allowed(&[rule(true, None, Some(1), None, "rwm")]));
    assert!(!is_everything_allowed(&[]));
}
