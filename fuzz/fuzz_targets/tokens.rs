//! Tokens, by the first byte: JSON web tokens, their claims alone, continue tokens; none is believed.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (kind, input) = podo_fuzz::choice(input);
    podo_apiserver::fuzzing::token(kind, input);
});
