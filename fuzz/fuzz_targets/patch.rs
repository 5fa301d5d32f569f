//! Patches of all three kinds (first byte j, m or s): a document, a zero byte, a patch.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podo_api::patch::{json, merge, strategic};
use podo_api::{Value, json::decode_any};

fuzz_target!(|input: &[u8]| {
    let (kind, input) = podo_fuzz::choice(input);
    let (document, patch) = podo_fuzz::halves(input);
    let (Ok(document), Ok(patch)) = (decode_any(document), decode_any(patch)) else { return };
    let (document, mut patch) = (document.value, patch.value);
    match kind {
        b'j' => {
            if let Ok(patch) = json::Patch::decode(patch, true) {
                let _patched = patch.apply(document);
            }
        }
        b's' => {
            let _patched = strategic::apply(document, &mut patch, podo_fuzz::pod());
        }
        _ if has_null(&patch) => {}
        // The difference of two documents, applied to the first, gives the second.
        _ => {
            let difference = merge::create_two_way(&document, &patch);
            if document.is_object() && patch.is_object() {
                assert_eq!(merge::apply(document, difference), patch);
            }
        }
    }
});

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(map) => map.values().any(has_null),
        _ => false,
    }
}
