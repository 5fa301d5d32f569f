//! From a filter to a classic BPF program.
//!
//! Calls are found by bisection over ranges of numbers with the same treatment, so a call costs about ten instructions
//! however many rules there are. A call of another architecture kills the process (as libseccomp's default does); one
//! with the x32 bit fails with ENOSYS.

use super::{Action, Comparison, Condition, Filter, Program, Rule};

/// The kernel's BPF_MAXINSNS.
pub(super) const INSTRUCTIONS_MAX: usize = 4096;

const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const X32_BIT: u32 = 0x4000_0000;
const ENOSYS: u16 = 38;

// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_GREATER_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Where a conditional jump goes, before offsets are known.
#[derive(Clone, Copy)]
enum To {
    Next,
    /// The condition holds.
    Pass,
    /// The rule does not apply.
    Fail,
    /// A known offset.
    By(u8),
}

#[derive(Clone, Copy)]
struct Instruction {
    code: u16,
    operand: u32,
    yes: To,
    no: To,
}

fn plain(code: u16, operand: u32) -> Instruction {
    Instruction { code, operand, yes: To::Next, no: To::Next }
}

fn jump(code: u16, operand: u32, yes: To, no: To) -> Instruction {
    Instruction { code, operand, yes, no }
}

fn action_value(action: Action) -> u32 {
    match action {
        Action::Allow => 0x7fff_0000,
        Action::Log => 0x7ffc_0000,
        Action::Trace(data) => 0x7ff0_0000 | u32::from(data),
        Action::Errno(code) => 0x0005_0000 | u32::from(code),
        Action::Trap => 0x0003_0000,
        Action::KillThread => 0,
        Action::KillProcess => 0x8000_0000,
    }
}

/// Compiles.
pub(super) fn program(filter: &Filter) -> Program {
    let mut code = vec![
        plain(LOAD, ARCHITECTURE),
        jump(JUMP_EQUAL, AUDIT_ARCH_X86_64, To::By(1), To::Next),
        plain(RETURN, action_value(Action::KillProcess)),
        plain(LOAD, NUMBER),
        jump(JUMP_GREATER_EQUAL, X32_BIT, To::Next, To::By(1)),
        plain(RETURN, action_value(Action::Errno(ENOSYS))),
    ];
    code.extend(bisect(&ranges(filter)));
    Program(code.iter().map(encode).collect())
}

fn encode(instruction: &Instruction) -> u64 {
    let offset = |to: To| match to {
        To::By(offset) => offset,
        // All symbolic targets were resolved by `rule_code`.
        To::Next | To::Pass | To::Fail => 0,
    };
    let Instruction { code, operand, yes, no } = instruction;
    let bytes = [&code.to_ne_bytes()[..], &[offset(*yes), offset(*no)], &operand.to_ne_bytes()[..]]
        .concat();
    u64::from_ne_bytes(bytes.try_into().unwrap_or_default())
}

/// A first number and what happens from there on.
type Range = (u32, Vec<Rule>);

/// Neighbouring numbers with the same treatment are one range.
fn ranges(filter: &Filter) -> Vec<Range> {
    let default = vec![Rule { conditions: Vec::new(), action: filter.default }];
    let mut ranges: Vec<Range> = vec![(0, default.clone())];
    let mut put = |first: u32, rules: Vec<Rule>| match ranges.last_mut() {
        Some((start, last)) if *start == first => *last = rules,
        Some((_, last)) if *last == rules => {}
        _ => ranges.push((first, rules)),
    };
    let known = filter
        .rules
        .iter()
        .filter_map(|(number, rules)| Some((u32::try_from(*number).ok()?, rules)));
    let mut next = 0;
    for (number, rules) in known {
        if number > next {
            put(next, default.clone());
        }
        let mut whole = rules.clone();
        if whole.last().is_none_or(|last| !last.conditions.is_empty()) {
            whole.extend(default.clone());
        }
        put(number, whole);
        next = number + 1;
    }
    put(next, default);
    ranges
}

fn bisect(ranges: &[Range]) -> Vec<Instruction> {
    if let [(_, rules)] = ranges {
        return rules.iter().flat_map(rule_code).collect();
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let (low_code, high_code) = (bisect(low), bisect(high));
    let middle = high.first().map_or(0, |(start, _)| *start);
    let mut code = match u8::try_from(low_code.len()) {
        Ok(length) => vec![jump(JUMP_GREATER_EQUAL, middle, To::By(length), To::By(0))],
        Err(_) => vec![
            jump(JUMP_GREATER_EQUAL, middle, To::By(0), To::By(1)),
            plain(JUMP, u32::try_from(low_code.len()).unwrap_or(u32::MAX)),
        ],
    };
    code.extend(low_code);
    code.extend(high_code);
    code
}

/// Falls through to what follows when a condition does not hold.
fn rule_code(rule: &Rule) -> Vec<Instruction> {
    let mut code: Vec<Instruction> = Vec::new();
    for condition in &rule.conditions {
        let mut part = condition_code(condition);
        let length = part.len();
        for (at, instruction) in part.iter_mut().enumerate() {
            let pass = To::By(u8::try_from(length - at - 1).unwrap_or(u8::MAX));
            for to in [&mut instruction.yes, &mut instruction.no] {
                match to {
                    To::Pass => *to = pass,
                    To::Next => *to = To::By(0),
                    To::Fail | To::By(_) => {}
                }
            }
        }
        code.extend(part);
    }
    code.push(plain(RETURN, action_value(rule.action)));
    let length = code.len(); // At most six conditions of six instructions: offsets fit in a byte.
    for (at, instruction) in code.iter_mut().enumerate() {
        let fail = To::By(u8::try_from(length - at - 1).unwrap_or(u8::MAX));
        for to in [&mut instruction.yes, &mut instruction.no] {
            if matches!(to, To::Fail) {
                *to = fail;
            }
        }
    }
    code
}

/// Compares a 64-bit argument half by half, the high one first.
fn condition_code(condition: &Condition) -> Vec<Instruction> {
    use To::{Fail, Next, Pass};
    let half = |value: u64| ((value >> 32) as u32, (value & 0xffff_ffff) as u32);
    let (high, low) = half(condition.value);
    let at = ARGUMENTS + 8 * u32::from(condition.argument);
    let (load_high, load_low) = (plain(LOAD, at + 4), plain(LOAD, at));
    let ordered = |over: To, under: To, last: Instruction| {
        vec![
            load_high,
            jump(JUMP_GREATER, high, over, Next),
            jump(JUMP_EQUAL, high, Next, under),
            load_low,
            last,
        ]
    };
    match condition.comparison {
        Comparison::Equal => {
            vec![
                load_high,
                jump(JUMP_EQUAL, high, Next, Fail),
                load_low,
                jump(JUMP_EQUAL, low, Pass, Fail),
            ]
        }
        Comparison::NotEqual => {
            vec![
                load_high,
                jump(JUMP_EQUAL, high, Next, Pass),
                load_low,
                jump(JUMP_EQUAL, low, Fail, Pass),
            ]
        }
        Comparison::Greater => ordered(Pass, Fail, jump(JUMP_GREATER, low, Pass, Fail)),
        Comparison::GreaterOrEqual => {
            ordered(Pass, Fail, jump(JUMP_GREATER_EQUAL, low, Pass, Fail))
        }
        Comparison::Less => ordered(Fail, Pass, jump(JUMP_GREATER_EQUAL, low, Fail, Pass)),
        Comparison::LessOrEqual => ordered(Fail, Pass, jump(JUMP_GREATER, low, Fail, Pass)),
        Comparison::Masked(mask) => {
            let (mask_high, mask_low) = half(mask);
            vec![
                load_high,
                plain(AND, mask_high),
                jump(JUMP_EQUAL, high, Next, Fail),
                load_low,
                plain(AND, mask_low),
                jump(JUMP_EQUAL, low, Pass, Fail),
            ]
        }
    }
}
