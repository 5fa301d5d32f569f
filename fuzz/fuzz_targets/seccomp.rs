//! Seccomp profiles: what is compiled is a program that the kernel takes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| podo_runtime::fuzzing::seccomp(input));
