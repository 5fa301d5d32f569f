//! Doors for fuzz targets to what is private; compiled for them only.

use std::path::Path;

use bytes::{Bytes, BytesMut};

use crate::container::env::file as file_of_variables;
use crate::container::{dns, expand};
use crate::images::name;
use crate::logs::{LogRequest, Reader, file, line};
use crate::serve::channels::{self, Format};
use crate::serve::query::Query;
use crate::serve::remote_command::resize;
use crate::serve::route::Route;

/// What comes on a stream, by `kind`.
pub fn stream(kind: u8, input: &[u8]) {
    match kind {
        b'c' | b'b' => {
            let format = Format { is_base64: kind == b'b', has_close: true };
            let message = Bytes::copy_from_slice(input);
            if let Some((channel, bytes)) = channels::decode(message, format) {
                let again = channels::encode(channel.min(9), &bytes, format).into_data();
                assert_eq!(channels::decode(again, format), Some((channel.min(9), bytes)));
            }
        }
        b's' => sizes(input),
        _ => {
            let text = String::from_utf8_lossy(input);
            let (path, query) = text.split_once('?').unwrap_or((&text, ""));
            let _route = Route::of(path).map(|route| route.check(&http::Method::GET));
            let query = Query::parse(query);
            let _values = (query.get("command"), query.flag("stdin"), query.is_one("tty"));
        }
    }
}

/// However sizes of a terminal come, the last one is the same.
fn sizes(input: &[u8]) {
    let read = |chunks: &mut dyn Iterator<Item = &[u8]>| {
        let (mut buffer, mut last) = (BytesMut::new(), None);
        for chunk in chunks {
            buffer.extend_from_slice(chunk);
            last = resize::take(&mut buffer).ok()?.or(last);
        }
        Some(last)
    };
    let (whole, bytewise) = (read(&mut std::iter::once(input)), read(&mut input.chunks(1)));
    if let (Some(whole), Some(bytewise)) = (whole, bytewise) {
        assert_eq!(whole, bytewise);
    }
}

/// A text that the node agent reads, by `kind`.
pub fn text(kind: u8, text: &str) {
    match kind {
        b'r' => {
            let _resolver = dns::Resolver::parse(text).into_cri();
        }
        b'f' => {
            let _value = file_of_variables::find(text.as_bytes(), "A");
        }
        b'e' => {
            let _expanded =
                expand::expand(text, |name| (name.len() == 1).then(|| "$(A)".to_owned()));
        }
        _ => {
            let Ok(tagged) = name::with_default_tag(text) else { return };
            assert_eq!(name::with_default_tag(&tagged).ok().as_ref(), Some(&tagged));
            let _repository = name::repository(&tagged);
        }
    }
}

/// A container's log, of which the last `lines` lines are wanted; it is put into a new `folder`.
pub fn log(folder: &Path, lines: u64, input: &[u8]) {
    let path = folder.join("0.log");
    std::fs::create_dir_all(folder).expect("writable");
    std::fs::write(&path, input).expect("writable");
    let _entries: Vec<_> = input.split(|byte| *byte == b'\n').map(line::Entry::parse).collect();

    let mut opened = file::open(folder, &path).expect("there");
    let start = file::tail_start(&mut opened, lines).expect("readable");
    let wanted = usize::try_from(lines).unwrap_or(usize::MAX);
    let ends: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
    let last = ends.iter().rev().take(wanted).map(|line| line.len()).sum::<usize>();
    assert_eq!(start, (input.len() - last) as u64);

    let _words = crate::logs::tail_text(folder, &path, wanted).expect("readable");
    for limit_bytes in [None, Some(lines)] {
        let tail_lines = limit_bytes.is_none().then_some(lines);
        let request = LogRequest { tail_lines, limit_bytes, ..LogRequest::default() };
        let mut reader = Reader::open(folder.to_owned(), path.clone(), &request).expect("there");
        let mut count = 0;
        loop {
            let piece = reader.read(false).expect("readable");
            count += piece.bytes.len();
            if piece.is_last {
                break;
            }
        }
        assert!(limit_bytes.is_none_or(|limit| count as u64 <= limit), "{count}");
    }
}
