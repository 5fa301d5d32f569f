//! Logs of containers (first byte: how many lines of the end): where lines begin, and whatever is asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (lines, input) = podo_fuzz::choice(input);
    podo_fuzz::inside(|folder| podo_kubelet::fuzzing::log(folder, u64::from(lines), input));
});
