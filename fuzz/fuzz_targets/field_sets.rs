//! Sets of fields (`fieldsV1`): two, with a zero byte between; they are written as they are read, and obey the laws of sets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podo_api::json::decode_any;
use podo_api::managed_fields::FieldSet;

fuzz_target!(|input: &[u8]| {
    let (one, other) = podo_fuzz::halves(input);
    let read = |bytes| decode_any(bytes).ok().and_then(|tree| FieldSet::parse(&tree.value).ok());
    let (Some(one), Some(other)) = (read(one), read(other)) else { return };
    assert_eq!(FieldSet::parse(&one.to_fields()).expect("written by us"), one);
    let all = one.union(&other);
    assert_eq!(all.intersection(&one), one);
    assert!(all.difference(&one).difference(&other).is_empty());
    for path in one.paths() {
        assert!(all.has(&path), "{path:?}");
    }
});
