//! What targets share: ways to cut an input, and a disk in memory.

mod disk;

use std::borrow::Cow;
use std::path::Path;

pub use disk::MemoryDisk;

/// The type of Pods.
pub fn pod() -> podo_api::schema::TypeRef<'static> {
    podo_api::schema::builtin().get("core/v1.Pod").expect("a kind")
}

/// A first byte, which chooses among small parsers, and the rest.
pub fn choice(input: &[u8]) -> (u8, &[u8]) {
    input.split_first().map_or((0, input), |(choice, rest)| (*choice, rest))
}

/// Two parts with a zero byte between.
pub fn halves(input: &[u8]) -> (&[u8], &[u8]) {
    let at = input.iter().position(|byte| *byte == 0).unwrap_or(input.len());
    (&input[..at], input.get(at + 1..).unwrap_or_default())
}

/// Text; what is none is replaced.
pub fn text(input: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(input)
}

/// Runs something that makes files in a folder of a new one, and checks that nothing changes beside that folder.
pub fn inside<T>(work: impl FnOnce(&Path) -> T) -> T {
    let outside = tempfile::tempdir().expect("a folder");
    let beside = outside.path().join("beside");
    std::fs::write(&beside, "untouched").expect("writable");
    let result = work(&outside.path().join("inside"));
    assert_eq!(std::fs::read(&beside).expect("still there"), b"untouched");
    let names = std::fs::read_dir(outside.path()).expect("still there");
    let strange = names.filter_map(Result::ok).map(|entry| entry.file_name());
    let strange: Vec<_> = strange.filter(|name| name != "beside" && name != "inside").collect();
    assert!(strange.is_empty(), "made outside: {strange:?}");
    result
}
