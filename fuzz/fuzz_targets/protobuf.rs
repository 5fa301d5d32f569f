//! Protobuf: envelopes, events of a watch, Pods; a Pod that is read is the same when it is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podo_api::protobuf::{self, Limits};
use podo_fuzz::pod;

fuzz_target!(|input: &[u8]| {
    let _event = protobuf::open_watch_event(input);
    let _envelope = protobuf::open(input);
    let Ok(value) = protobuf::decode(input, pod(), Limits::REQUEST) else { return };
    let message = protobuf::encode(&value, pod()).expect("a Pod has a message");
    let back = protobuf::decode(&message, pod(), Limits::TRUSTED);
    assert_eq!(back.expect("written by us"), value);
});
