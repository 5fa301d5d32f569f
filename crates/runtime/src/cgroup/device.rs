//! The device cgroup: v1 by its files, v2 by a program that the kernel asks at every access.

use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::write;
use crate::spec::{DeviceKind, DeviceRule};
use crate::sys::bpf;

/// v1: deny all, then the rules in their order.
pub(super) fn apply_v1(directory: &Path, rules: &[DeviceRule]) -> io::Result<()> {
    if !is_everything_allowed(rules) {
        write(&directory.join("devices.deny"), "a")?;
    }
    for rule in rules {
        let file = if rule.allow { "devices.allow" } else { "devices.deny" };
        write(&directory.join(file), &text_v1(rule))?;
    }
    Ok(())
}

fn is_everything_allowed(rules: &[DeviceRule]) -> bool {
    rules.first().is_some_and(|rule| {
        rule.allow
            && rule.kind.is_none()
            && rule.major.is_none()
            && rule.minor.is_none()
            && access(rule) == 7
    })
}

fn text_v1(rule: &DeviceRule) -> String {
    let kind = match rule.kind {
        None => return "a".to_owned(), // The kernel takes no numbers with it.
        Some(DeviceKind::Character) => 'c',
        Some(DeviceKind::Block) => 'b',
    };
    let number = |number: Option<u32>| number.map_or("*".to_owned(), |number| number.to_string());
    format!("{kind} {}:{} {}", number(rule.major), number(rule.minor), rule.access)
}

/// v2: the rules as a program. A program can only be added to a cgroup, so this is done once, at its making.
pub(super) fn apply_v2(directory: &Path, rules: &[DeviceRule]) -> io::Result<()> {
    if is_everything_allowed(rules) && rules.len() == 1 {
        return Ok(());
    }
    let program = bpf::load_device_program(&program(rules))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(directory, flags, Mode::empty())?;
    bpf::attach_device_program(std::os::fd::AsFd::as_fd(&directory), &program)
}

/// Access bits of the kernel: 1 mknod, 2 read, 4 write.
fn access(rule: &DeviceRule) -> i32 {
    let bit = |letter, bit| if rule.access.contains(letter) { bit } else { 0 };
    bit('m', 1) | bit('r', 2) | bit('w', 4)
}

// eBPF: opcode | dst << 8 | src << 12 | offset << 16 | immediate << 32.
const fn instruction(opcode: u8, dst: u8, src: u8, offset: i16, immediate: i32) -> u64 {
    opcode as u64
        | (dst as u64) << 8
        | (src as u64) << 12
        | (offset.cast_unsigned() as u64) << 16
        | (immediate.cast_unsigned() as u64) << 32
}

const LOAD_WORD: u8 = 0x61; // dst = *(u32 *)(src + offset)
const MOVE: u8 = 0xbf;
const MOVE_IMMEDIATE: u8 = 0xb7;
const AND_IMMEDIATE: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP_NOT_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

/// Decides as v1 does when the rules are written in their order: the last rule that covers the access wins, else denied.
///
/// Layout of the context: u32 access << 16 | type, u32 major, u32 minor; type 1 is block, 2 character.
fn program(rules: &[DeviceRule]) -> Vec<u64> {
    let mut code = vec![
        instruction(LOAD_WORD, 2, 1, 0, 0),
        instruction(MOVE, 3, 2, 0, 0),
        instruction(AND_IMMEDIATE, 2, 0, 0, 0xffff), // r2: type
        instruction(SHIFT_RIGHT, 3, 0, 0, 16),       // r3: access
        instruction(LOAD_WORD, 4, 1, 4, 0),          // r4: major
        instruction(LOAD_WORD, 5, 1, 8, 0),          // r5: minor
    ];
    for rule in rules.iter().rev() {
        code.extend(rule_code(rule));
    }
    code.push(instruction(MOVE_IMMEDIATE, 0, 0, 0, 0));
    code.push(instruction(EXIT, 0, 0, 0, 0));
    code
}

fn rule_code(rule: &DeviceRule) -> Vec<u64> {
    // Each test jumps over the rest of the rule; the offset is filled in at the end.
    let mut code = Vec::new();
    if let Some(kind) = rule.kind {
        let number = if kind == DeviceKind::Block { 1 } else { 2 };
        code.push(instruction(JUMP_NOT_EQUAL, 2, 0, 0, number));
    }
    if access(rule) != 7 {
        // Allowing covers an access when nothing else is asked for; denying, when any of its letters is.
        code.push(instruction(MOVE, 6, 3, 0, 0));
        let mask = if rule.allow { !access(rule) & 7 } else { access(rule) };
        code.push(instruction(AND_IMMEDIATE, 6, 0, 0, mask));
        let jump = if rule.allow { JUMP_NOT_EQUAL } else { 0x15 }; // 0x15: jump if equal
        code.push(instruction(jump, 6, 0, 0, 0));
    }
    for (register, number) in [(4, rule.major), (5, rule.minor)] {
        if let Some(number) = number {
            code.push(instruction(JUMP_NOT_EQUAL, register, 0, 0, number.cast_signed()));
        }
    }
    code.push(instruction(MOVE_IMMEDIATE, 0, 0, 0, rule.allow.into()));
    code.push(instruction(EXIT, 0, 0, 0, 0));
    let length = code.len();
    for (at, word) in code.iter_mut().enumerate() {
        let opcode = word.to_le_bytes()[0];
        if opcode == JUMP_NOT_EQUAL || opcode == 0x15 {
            *word |= ((length - at - 1) as u64 & 0xffff) << 16;
        }
    }
    code
}

#[cfg(test)]
mod tests;
