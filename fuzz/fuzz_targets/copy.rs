//! Archives that `kubectl cp` gets from a Pod: nothing is made outside the target.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    podo_fuzz::inside(|folder| podo_cli::fuzzing::unpack(folder, input));
});
