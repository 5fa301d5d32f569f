//! A terminal's sizes: JSON objects one after the other, `{"Width":80,"Height":24}`.

use bytes::BytesMut;
use podo_cri::TerminalSize;
use serde::Deserialize;
use tokio::sync::watch;

use super::super::bytes_queue::Inflow;

/// The longest object that is waited for.
const SIZE_BYTES_MAX: usize = 1_024;

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Size {
    width: u16,
    height: u16,
}

/// What came is no size.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoSize;

/// Tells a terminal the sizes that come, until they end or make no sense.
pub(super) async fn follow(mut from: Inflow, to: &watch::Sender<TerminalSize>) {
    let mut buffer = BytesMut::new();
    while let Some(bytes) = from.next().await {
        buffer.extend_from_slice(&bytes);
        let Ok(newest) = take(&mut buffer) else { return };
        if let Some(size) = newest {
            to.send_replace(size);
        }
    }
}

/// Takes the whole objects out of a buffer and gives the last one that is a size.
pub(crate) fn take(buffer: &mut BytesMut) -> Result<Option<TerminalSize>, NoSize> {
    let mut sizes = serde_json::Deserializer::from_slice(buffer).into_iter::<Size>();
    let mut newest = None;
    let used = loop {
        let used = sizes.byte_offset();
        match sizes.next() {
            // A terminal without lines or characters is none.
            Some(Ok(size)) if size.width > 0 && size.height > 0 => {
                newest = Some(TerminalSize { width: size.width, height: size.height });
            }
            Some(Ok(_)) => {}
            Some(Err(error)) if error.is_eof() => break used,
            Some(Err(_)) => return Err(NoSize),
            None => break sizes.byte_offset(),
        }
    };
    let _read = buffer.split_to(used);
    if buffer.len() <= SIZE_BYTES_MAX { Ok(newest) } else { Err(NoSize) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(buffer: &[u8], expected: Result<Option<(u16, u16)>, NoSize>, rest: &[u8]) {
        let mut buffer = BytesMut::from(buffer);
        let newest = take(&mut buffer);
        assert_eq!(newest.map(|size| size.map(|size| (size.width, size.height))), expected);
        assert_eq!(&buffer[..], rest);
    }

    #[test]
    fn the_last_whole_size_counts_and_a_part_of_one_is_kept() {
        check(br#"{"Width":80,"Height":24}"#, Ok(Some((80, 24))), b"");
        check(
            b"{\"Width\":80,\"Height\":24}\n{\"Width\":90,\"Height\":30}\n{\"Wid",
            Ok(Some((90, 30))),
            b"\n{\"Wid",
        );
        check(br#"{"Width":80"#, Ok(None), br#"{"Width":80"#);
        check(br#"{"Width":0,"Height":24}"#, Ok(None), b"");
    }

    #[test]
    fn what_is_no_size_ends_it() {
        check(br#"{"Width":"wide"}"#, Err(NoSize), br#"{"Width":"wide"}"#);
        check(b"24x80", Err(NoSize), b"24x80");
    }
}
