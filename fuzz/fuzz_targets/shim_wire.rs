//! Frames between a server and a shim (first byte: how the bytes come), and the messages in them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (kind, input) = podo_fuzz::choice(input);
    podo_runtime::fuzzing::wire(kind, input);
});
