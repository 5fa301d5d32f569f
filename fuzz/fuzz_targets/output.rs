//! Forms of output that a user writes, by the first byte: JSONPath, Go templates, columns; and durations and time zones.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (kind, input) = podo_fuzz::choice(input);
    podo_cli::fuzzing::output(kind, input);
});
