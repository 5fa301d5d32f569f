//! Texts for the kernel in JSON. They may be any bytes: a string or, where they are not UTF-8, an array of their bytes.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text<'a> {
    Utf8(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

pub(super) fn serialize<S: Serializer>(
    texts: &[OsString],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(texts.iter().map(|text| match text.to_str() {
        Some(text) => Text::Utf8(text.into()),
        None => Text::Bytes(text.as_bytes().into()),
    }))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<OsString>, D::Error> {
    let texts = Vec::<Text<'static>>::deserialize(deserializer)?;
    let read = texts.into_iter().map(|text| match text {
        Text::Utf8(text) => OsString::from(text.into_owned()),
        Text::Bytes(bytes) => OsString::from_vec(bytes.into_owned()),
    });
    Ok(read.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::ProcessSpec;

    #[test]
    fn a_text_that_is_not_utf_8_stays_as_it_is_and_others_are_strings() {
        let odd = OsString::from_vec(b"B=\xff\x00\xc3".to_vec());
        let spec = ProcessSpec { env: vec!["A=\u{e9}".into(), odd], ..ProcessSpec::default() };
        let json = serde_json::to_value(&spec).expect("written");
        assert_eq!(json["env"], serde_json::json!(["A=\u{e9}", [66, 61, 255, 0, 195]]));
        assert_eq!(serde_json::from_value::<ProcessSpec>(json).expect("read"), spec);
    }
}
