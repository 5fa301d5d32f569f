//! Selectors by labels (first byte l) and fields; what is read is the same when it is written and read again, but for the order of
//! comparisons with fields, which is that of the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podo_api::selector::{field, label};

fuzz_target!(|input: &[u8]| {
    let (kind, input) = podo_fuzz::choice(input);
    let text = podo_fuzz::text(input);
    if kind == b'l' {
        let Ok(selector) = label::Selector::parse(&text) else { return };
        let again = label::Selector::parse(&selector.to_string());
        assert_eq!(again.expect("written by us"), selector);
    } else {
        let Ok(selector) = field::Selector::parse(&text) else { return };
        let again = field::Selector::parse(&selector.to_string());
        assert_eq!(sorted(&again.expect("written by us")), sorted(&selector));
    }
});

fn sorted(selector: &field::Selector) -> Vec<String> {
    let mut terms: Vec<String> = selector.terms().iter().map(ToString::to_string).collect();
    terms.sort_unstable();
    terms
}
