//! What comes on the streams of a node agent, by the first byte: messages with channels, sizes of terminals, paths and queries.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (kind, input) = podo_fuzz::choice(input);
    podo_kubelet::fuzzing::stream(kind, input);
});
