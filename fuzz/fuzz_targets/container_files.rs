//! Texts of containers and the kernel, by the first byte: users and groups, mounts, output that becomes a log.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (kind, input) = podo_fuzz::choice(input);
    podo_runtime::fuzzing::text(kind, input);
});
