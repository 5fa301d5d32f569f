//! JSON of a Pod; what is read is the same after JSON and after protobuf.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podo_api::{json, protobuf};
use podo_fuzz::pod;

fuzz_target!(|input: &[u8]| {
    let _any = json::decode_any(input);
    let Ok(json::Decoded { value, .. }) = json::decode(input, pod()) else { return };
    let mut text = Vec::new();
    json::encode(&value, pod(), &mut text);
    assert_eq!(json::decode(&text, pod()).expect("written by us").value, value);
    let message = protobuf::encode_object(&value, pod()).expect("a Pod has a message");
    let back = protobuf::decode_object(&message, pod(), protobuf::Limits::TRUSTED);
    assert_eq!(back.expect("written by us"), value);
});
