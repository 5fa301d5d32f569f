//! The wire format: numbers, lengths and tags.

use super::ProtobufError;

/// The kinds of fields.
pub(super) mod wire_type {
    pub(in crate::protobuf) const VARINT: u64 = 0;
    pub(in crate::protobuf) const FIXED64: u64 = 1;
    pub(in crate::protobuf) const BYTES: u64 = 2;
    pub(in crate::protobuf) const START_GROUP: u64 = 3;
    pub(in crate::protobuf) const END_GROUP: u64 = 4;
    pub(in crate::protobuf) const FIXED32: u64 = 5;
}

/// The bytes of a small object; larger ones make the buffer grow.
const BUFFER_BYTES: usize = 2 << 10;

/// Writes from the end to the start, so that the length of a message is known when it is to be written.
pub(super) struct Writer {
    buffer: Vec<u8>,
    /// What is written starts here.
    at: usize,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; BUFFER_BYTES], at: BUFFER_BYTES }
    }

    /// The bytes written.
    pub(super) fn len(&self) -> usize {
        self.buffer.len() - self.at
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.buffer.drain(..self.at);
        self.buffer
    }

    fn grow(&mut self, bytes: usize) {
        let written = self.len();
        let mut larger = vec![0; (self.buffer.len() * 2).max(written + bytes)];
        let at = larger.len() - written;
        larger[at..].copy_from_slice(&self.buffer[self.at..]);
        (self.buffer, self.at) = (larger, at);
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        if self.at < bytes.len() {
            self.grow(bytes.len());
        }
        let start = self.at - bytes.len();
        self.buffer[start..self.at].copy_from_slice(bytes);
        self.at = start;
    }

    pub(super) fn varint(&mut self, mut number: u64) {
        let mut bytes = [0; 10];
        let mut length = 0;
        loop {
            let low = u8::try_from(number & 0x7F).unwrap_or(0);
            number >>= 7;
            bytes[length] = if number > 0 { low | 0x80 } else { low };
            length += 1;
            if number == 0 {
                break;
            }
        }
        self.raw(&bytes[..length]);
    }

    fn key(&mut self, tag: u32, wire_type: u64) {
        self.varint(u64::from(tag) << 3 | wire_type);
    }

    /// A number field.
    pub(super) fn number(&mut self, tag: u32, number: u64) {
        self.varint(number);
        self.key(tag, wire_type::VARINT);
    }

    /// A field of eight bytes.
    pub(super) fn fixed64(&mut self, tag: u32, number: u64) {
        self.raw(&number.to_le_bytes());
        self.key(tag, wire_type::FIXED64);
    }

    /// A field of text, bytes or a message that is encoded already.
    pub(super) fn message(&mut self, tag: u32, bytes: &[u8]) {
        self.raw(bytes);
        self.varint(bytes.len() as u64);
        self.key(tag, wire_type::BYTES);
    }

    /// Makes a field of what was written since the writer had `mark` bytes.
    pub(super) fn close(&mut self, tag: u32, mark: usize) {
        self.varint((self.len() - mark) as u64);
        self.key(tag, wire_type::BYTES);
    }
}

/// Reads fields.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

/// The value of a field.
#[derive(Clone, Copy)]
pub(super) enum Datum<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    /// A kind that no type here uses.
    Other(u64),
}

impl Datum<'_> {
    pub(super) fn wire_type(&self) -> u64 {
        match self {
            Datum::Varint(_) => wire_type::VARINT,
            Datum::Fixed64(_) => wire_type::FIXED64,
            Datum::Bytes(_) => wire_type::BYTES,
            Datum::Other(wire_type) => *wire_type,
        }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_done(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.bytes.split_first().ok_or(ProtobufError::Truncated)?;
            self.bytes = rest;
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(ProtobufError::Overflow)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ProtobufError> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(ProtobufError::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn bytes(&mut self) -> Result<&'a [u8], ProtobufError> {
        let length = self.varint()?;
        if i64::try_from(length).is_err() {
            return Err(ProtobufError::NegativeLength);
        }
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// The tag and value of the next field of a message of type `type_name`.
    pub(super) fn field(
        &mut self,
        type_name: &'static str,
    ) -> Result<(u32, Datum<'a>), ProtobufError> {
        let wire = self.varint()?;
        #[expect(clippy::cast_possible_truncation, reason = "upstream cuts the tag to 32 bits")]
        let tag = (wire >> 3) as i32;
        let kind = wire & 7;
        if kind == wire_type::END_GROUP {
            return Err(ProtobufError::NoGroup { type_name });
        }
        let tag = match u32::try_from(tag) {
            Ok(tag) if tag > 0 => tag,
            _ => return Err(ProtobufError::Tag { type_name, tag, wire }),
        };
        let datum = match kind {
            wire_type::VARINT => Datum::Varint(self.varint()?),
            wire_type::FIXED64 => {
                let bytes = self.take(8)?.try_into().map_err(|_| ProtobufError::Truncated)?;
                Datum::Fixed64(u64::from_le_bytes(bytes))
            }
            wire_type::BYTES => Datum::Bytes(self.bytes()?),
            wire_type::START_GROUP => {
                self.skip_group()?;
                Datum::Other(kind)
            }
            wire_type::FIXED32 => {
                self.take(4)?;
                Datum::Other(kind)
            }
            _ => return Err(ProtobufError::WireType { wire_type: kind }),
        };
        Ok((tag, datum))
    }

    /// Passes over a group that has started, and over those in it.
    fn skip_group(&mut self) -> Result<(), ProtobufError> {
        let mut depth = 1u64;
        while depth > 0 {
            match self.varint()? & 7 {
                wire_type::VARINT => {
                    self.varint()?;
                }
                wire_type::FIXED64 => {
                    self.take(8)?;
                }
                wire_type::BYTES => {
                    self.bytes()?;
                }
                wire_type::START_GROUP => depth += 1,
                wire_type::END_GROUP => depth -= 1,
                wire_type::FIXED32 => {
                    self.take(4)?;
                }
                kind => return Err(ProtobufError::WireType { wire_type: kind }),
            }
        }
        Ok(())
    }
}
