//! Seccomp: which system calls a container may make.
//!
//! A filter is described by [`Filter`], compiled once into a classic BPF program ([`Program`]) on the caller's side, and
//! installed as bytes in the container's first process. The default profile restates as facts what Moby's and
//! containerd's allow; a profile file is read in the JSON form that both use.
//!
//! Not here: installing ([`crate::sys`]), deciding who gets which profile.

mod compile;
mod default_profile;
mod profile;
mod syscalls;

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

pub use profile::ProfileError;

/// A compiled filter: one `sock_filter` per word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Program(pub(crate) Vec<u64>);

/// What the kernel does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Allow,
    Errno(u16),
    KillProcess,
    KillThread,
    Trap,
    Trace(u16),
    Log,
}

/// How an argument is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// `argument & mask == value`.
    Masked(u64),
}

/// One condition on one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    /// 0 … 5.
    pub(crate) argument: u8,
    pub(crate) comparison: Comparison,
    pub(crate) value: u64,
}

/// What happens when all conditions hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) conditions: Vec<Condition>,
    pub(crate) action: Action,
}

/// Rules by system call; what none covers has the default action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) default: Action,
    pub(crate) rules: BTreeMap<i64, Vec<Rule>>,
}

impl Filter {
    /// An unconditional rule takes the place of all others of its call, as in libseccomp.
    pub(crate) fn add(&mut self, number: i64, rule: Rule) {
        let rules = self.rules.entry(number).or_default();
        if rule.conditions.is_empty() {
            *rules = vec![rule];
        } else if rules.first().is_none_or(|first| !first.conditions.is_empty()) {
            rules.push(rule);
        }
    }
}

/// The default profile for a process with these capabilities (some calls are allowed with a capability only).
pub fn runtime_default(capabilities: u64) -> Program {
    // A node's containers have a handful of capability sets; more than that are compiled each time.
    const KEPT_MAX: usize = 32;
    static COMPILED: Mutex<BTreeMap<u64, Program>> = Mutex::new(BTreeMap::new());
    let mut compiled = COMPILED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(program) = compiled.get(&capabilities) {
        return program.clone();
    }
    let program = compile::program(&default_profile::filter(capabilities));
    if compiled.len() < KEPT_MAX {
        compiled.insert(capabilities, program.clone());
    }
    program
}

/// A profile file's text, compiled for a process with these capabilities.
pub fn from_profile(json: &[u8], capabilities: u64) -> Result<Program, ProfileError> {
    let program = compile::program(&profile::filter(json, capabilities)?);
    if program.0.len() > compile::INSTRUCTIONS_MAX {
        return Err(ProfileError::TooLong { instructions: program.0.len() });
    }
    Ok(program)
}

#[cfg(test)]
mod tests;
