//! Doors for fuzz targets to what is private; compiled for them only.

use std::path::Path;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;

use crate::kubectl::cp;
use crate::kubectl::print::custom_columns::Columns;
use crate::kubectl::print::jsonpath::JsonPath;
use crate::kubectl::print::template::Template;
use crate::kubectl::time;

/// A form of output that a user writes, by `kind`, and what it makes of an object.
pub fn output(kind: u8, input: &[u8]) {
    let text = &*String::from_utf8_lossy(input);
    let object = json!({
        "kind": "List", "n": -3, "f": 1.5, "t": true, "z": null,
        "items": [{"name": "a", "n": 1}, {"name": "b", "n": 2, "list": ["x", "y"]}],
        "map": {"k": "v", "a.b/c": "w"},
    });
    match kind {
        b'j' => {
            let Ok(path) = JsonPath::parse(text) else { return };
            let _made = (path.text(&object, false), path.json(&object, true));
        }
        b't' => {
            let Ok(template) = Template::parse(text) else { return };
            let _made = (template.execute(&object, false), template.execute(&object, true));
        }
        b'c' | b'f' => {
            let parse = if kind == b'c' { Columns::parse } else { Columns::parse_file };
            let Ok(columns) = parse(text) else { return };
            let _made = columns.render(&[&object, &object], true);
        }
        b'z' => {
            let _offset = time::tzif_offset(input, 1_000_000_000);
        }
        _ => {
            let _length = time::parse_duration(text);
            let _shown = (time::age(text), time::rfc1123z(text));
        }
    }
}

/// An archive that a Pod sends, unpacked to a target in a folder.
pub fn unpack(folder: &Path, archive: &[u8]) {
    let pieces = archive.chunks(700).map(Bytes::copy_from_slice);
    let (sender, receiver) = mpsc::channel(pieces.len().max(1));
    for piece in pieces {
        sender.try_send(piece).expect("there is room");
    }
    drop(sender);
    let _skipped = cp::unpack(Path::new("a"), &folder.join("target"), cp::Receiver::new(receiver));
}
