//! YAML: documents and trees; a tree that is read is the same when it is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podo_api::yaml;

fuzz_target!(|input: &[u8]| {
    for document in yaml::documents(&podo_fuzz::text(input)) {
        let Ok((_line, text)) = document else { break };
        let _strict = yaml::to_json_strict(text.as_bytes());
    }
    let Ok(value) = yaml::to_json(input) else { return };
    let text = yaml::from_json(&value);
    assert_eq!(yaml::to_json(text.as_bytes()).expect("written by us"), value);
});
