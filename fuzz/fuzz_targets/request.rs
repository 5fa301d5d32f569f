//! Requests: a method by its first letter, a path with a query, a zero byte, an `Accept` header.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (kind, input) = podo_fuzz::choice(input);
    let (target, accept) = podo_fuzz::halves(input);
    podo_apiserver::fuzzing::request(kind, &podo_fuzz::text(target), &podo_fuzz::text(accept));
});
