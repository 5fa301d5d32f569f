//! Small texts of objects, by the first byte: quantities, durations, times, names, addresses; each is the same when it is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podo_api::duration::{self, GoDuration};
use podo_api::names;
use podo_api::quantity::Quantity;

fuzz_target!(|input: &[u8]| {
    let (kind, input) = podo_fuzz::choice(input);
    let text = &*podo_fuzz::text(input);
    match kind {
        b'q' => quantity(text),
        b'd' => {
            let Ok(length) = text.parse::<GoDuration>() else { return };
            let again = length.to_string().parse::<GoDuration>();
            assert_eq!(again.expect("written by us"), length);
        }
        b't' => {
            let Ok(time) = duration::parse_time(text) else { return };
            let again = duration::parse_time(&duration::format_time(time));
            assert_eq!(again.expect("written by us").as_seconds(), time.as_seconds());
        }
        b'm' => {
            let Ok(time) = duration::parse_micro_time(text) else { return };
            let again = duration::parse_micro_time(&duration::format_micro_time(time));
            assert_eq!(again.expect("written by us"), time);
        }
        b'a' => {
            let _problems = [names::ip(text), names::ip_legacy(text), names::cidr(text)];
            let _problems = [names::cidr_legacy(text), names::interface_address(text)];
            let _warnings = (names::ip_warning(text), names::cidr_warnings(text));
        }
        _ => {
            let _problems = [names::qualified_name(text), names::path_segment_name(text)];
        }
    }
});

fn quantity(text: &str) {
    let Ok(quantity) = text.parse::<Quantity>() else { return };
    let _scaled = (quantity.milli_value(), quantity.as_i64(), quantity.as_f64());
    let shown = quantity.to_string();
    if quantity.value().unsigned_abs() >= i64::MAX.unsigned_abs() {
        return; // Beyond the last suffix upstream writes none.
    }
    let again: Quantity = shown.parse().expect("written by us");
    assert_eq!(again, quantity, "{shown}");
    assert_eq!(again.value(), quantity.value());
    let sum = quantity.add(&again);
    assert_eq!(sum.sub(&again), quantity, "{sum}");
}
