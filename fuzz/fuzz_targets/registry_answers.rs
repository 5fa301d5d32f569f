//! What registries and name servers answer, by the first byte: challenges, redirects, DNS messages, and the files of the resolver.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (kind, input) = podo_fuzz::choice(input);
    podo_image::fuzzing::answer(kind, input);
});
