//! What stands around messages: the envelope of an object, lists made of encoded items, and the frames of a watch.

use super::wire::{Datum, Reader, Writer};
use super::{MAGIC, ProtobufError};

/// An object's envelope (`runtime.Unknown`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Group and version, such as `apps/v1`.
    pub api_version: String,
    /// The kind, such as `Deployment`.
    pub kind: String,
    /// The object's message.
    pub raw: Vec<u8>,
    /// How the message is encoded besides; empty.
    pub content_encoding: String,
    /// The media type of the message; empty for protobuf.
    pub content_type: String,
}

/// Opens the envelope of an object.
pub fn open(bytes: &[u8]) -> Result<Envelope, ProtobufError> {
    if bytes.is_empty() {
        return Err(ProtobufError::Empty);
    }
    let body = bytes.strip_prefix(&MAGIC).ok_or(ProtobufError::Magic)?;
    if body.is_empty() {
        return Err(ProtobufError::EmptyBody);
    }
    let mut envelope = Envelope::default();
    let mut reader = Reader::new(body);
    while !reader.is_done() {
        let (tag, datum) = reader.field("Unknown")?;
        match tag {
            1 => {
                let mut inner = Reader::new(bytes_of(datum, "TypeMeta")?);
                while !inner.is_done() {
                    let (tag, datum) = inner.field("TypeMeta")?;
                    match tag {
                        1 => envelope.api_version = text(datum, "APIVersion")?,
                        2 => envelope.kind = text(datum, "Kind")?,
                        _ => {}
                    }
                }
            }
            2 => envelope.raw = bytes_of(datum, "Raw")?.to_vec(),
            3 => envelope.content_encoding = text(datum, "ContentEncoding")?,
            4 => envelope.content_type = text(datum, "ContentType")?,
            _ => {}
        }
    }
    Ok(envelope)
}

pub(super) fn bytes_of<'a>(datum: Datum<'a>, field: &str) -> Result<&'a [u8], ProtobufError> {
    match datum {
        Datum::Bytes(bytes) => Ok(bytes),
        _ => Err(wrong_type(&datum, field)),
    }
}

pub(super) fn wrong_type(datum: &Datum<'_>, field: &str) -> ProtobufError {
    // Go's names start with a capital letter.
    let mut letters = field.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let field = first.into_iter().chain(letters).collect();
    ProtobufError::FieldWireType { wire_type: datum.wire_type(), field }
}

fn text(datum: Datum<'_>, field: &str) -> Result<String, ProtobufError> {
    Ok(String::from_utf8_lossy(bytes_of(datum, field)?).into_owned())
}

/// Puts a message into the envelope of an object.
pub fn seal(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.message(4, b"");
    writer.message(3, b"");
    writer.message(2, raw);
    let mark = writer.len();
    writer.message(2, kind.as_bytes());
    writer.message(1, api_version.as_bytes());
    writer.close(1, mark);
    writer.raw(&MAGIC);
    writer.finish()
}

/// What stands before the items of a list in its envelope. The messages of the items, whose lengths are given, follow by
/// [`push_item`], then [`LIST_TAIL`].
pub fn list_head(
    api_version: &str,
    kind: &str,
    metadata: &[u8],
    items: impl Iterator<Item = usize>,
) -> Vec<u8> {
    let length = field_length(metadata.len()) + items.map(field_length).sum::<usize>();
    let mut out = MAGIC.to_vec();
    let mut type_meta = Vec::new();
    field(1, api_version.as_bytes(), &mut type_meta);
    field(2, kind.as_bytes(), &mut type_meta);
    field(1, &type_meta, &mut out);
    head(2, length, &mut out);
    field(1, metadata, &mut out);
    out
}

/// Writes the message of an item of a list.
pub fn push_item(item: &[u8], out: &mut Vec<u8>) {
    field(2, item, out);
}

/// What stands behind the items of a list: an empty encoding and media type.
pub const LIST_TAIL: &[u8] = &[3 << 3 | 2, 0, 4 << 3 | 2, 0];

/// How long a field with so many bytes is; its tag takes one byte.
fn field_length(bytes: usize) -> usize {
    let bits = usize::BITS - (bytes | 1).leading_zeros();
    1 + bits.div_ceil(7) as usize + bytes
}

fn field(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    head(tag, bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Tag and length.
fn head(tag: u8, mut length: usize, out: &mut Vec<u8>) {
    out.push(tag << 3 | 2);
    while length >= 0x80 {
        out.push(u8::try_from(length & 0x7F).unwrap_or(0) | 0x80);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap_or(0));
}

/// An event of a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchEvent {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
    pub event_type: String,
    /// The object with its envelope.
    pub object: Vec<u8>,
}

/// The message of a watch event, whose object has its envelope already.
pub fn watch_event(event_type: &str, object: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    let mark = writer.len();
    writer.message(1, object);
    writer.close(2, mark);
    writer.message(1, event_type.as_bytes());
    writer.finish()
}

/// A watch event as it stands in the stream: its message after its length in four bytes.
pub fn watch_frame(event_type: &str, object: &[u8]) -> Vec<u8> {
    let event = watch_event(event_type, object);
    // Objects are far smaller than 4 GiB: requests and the store bound them.
    let length = u32::try_from(event.len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(event.len() + 4);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&event);
    frame
}

/// Reads the message of a watch event, without the length before it.
pub fn open_watch_event(bytes: &[u8]) -> Result<WatchEvent, ProtobufError> {
    let mut event = WatchEvent { event_type: String::new(), object: Vec::new() };
    let mut reader = Reader::new(bytes);
    while !reader.is_done() {
        let (tag, datum) = reader.field("WatchEvent")?;
        match tag {
            1 => event.event_type = text(datum, "Type")?,
            2 => {
                let mut inner = Reader::new(bytes_of(datum, "Object")?);
                while !inner.is_done() {
                    let (tag, datum) = inner.field("RawExtension")?;
                    if tag == 1 {
                        event.object = bytes_of(datum, "Raw")?.to_vec();
                    }
                }
            }
            _ => {}
        }
    }
    Ok(event)
}
