//! Texts that a node agent reads, by the first byte: `resolv.conf`, files of variables, names of images, references to
//! variables.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (kind, input) = podo_fuzz::choice(input);
    podo_kubelet::fuzzing::text(kind, &podo_fuzz::text(input));
});
