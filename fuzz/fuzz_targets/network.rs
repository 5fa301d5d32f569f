//! Netlink messages and what they carry, and the journal of addresses, by the first byte.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (kind, input) = podo_fuzz::choice(input);
    podo_network::fuzzing::parse(kind, input);
});
