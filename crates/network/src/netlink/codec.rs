//! Encoding and parsing of netlink messages and attributes. Pure: bytes in, bytes out.
//!
//! Every message is `length:u32 type:u16 flags:u16 sequence:u32 port:u32 body`, every attribute
//! `length:u16 type:u16 payload`, both padded to four bytes; integers are of the host's order.

use std::net::Ipv4Addr;

/// Flags of a message header.
pub mod flags {
    /// It is a request to the kernel.
    pub const REQUEST: u16 = 0x1;
    /// An acknowledgement is wanted.
    pub const ACKNOWLEDGE: u16 = 0x4;
    /// The kernel saw its table change during the dump.
    pub const DUMP_INTERRUPTED: u16 = 0x10;
    /// All entries are wanted (`NLM_F_ROOT | NLM_F_MATCH`).
    pub const DUMP: u16 = 0x300;
    /// An existing object may be replaced.
    pub const REPLACE: u16 = 0x100;
    /// It is an error if the object exists.
    pub const EXCLUSIVE: u16 = 0x200;
    /// Create the object if it does not exist.
    pub const CREATE: u16 = 0x400;
    /// Add to the end of a list.
    pub const APPEND: u16 = 0x800;
    /// In an acknowledgement: the request is not echoed.
    pub const CAPPED: u16 = 0x100;
    /// In an acknowledgement: attributes with details follow.
    pub const HAS_DETAILS: u16 = 0x200;
}

const HEADER_BYTES: usize = 16;
const ATTRIBUTE_HEADER_BYTES: usize = 4;
/// Marks an attribute whose payload is attributes.
const NESTED: u16 = 0x8000;
/// What of an attribute's type is its number: the two upper bits are flags.
const TYPE_MASK: u16 = 0x3fff;

/// Bytes that are not what netlink(7) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed netlink {part}")]
pub struct Malformed {
    /// Which part could not be read.
    pub part: &'static str,
}

const fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

/// Writes attributes.
#[derive(Debug, Default, Clone)]
pub struct Encoder {
    bytes: Vec<u8>,
    has_overflow: bool,
}

impl Encoder {
    /// Appends bytes as they are, padded to four.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(aligned(self.bytes.len()), 0);
        self
    }

    /// Appends one attribute.
    pub fn attribute(&mut self, kind: u16, payload: &[u8]) -> &mut Self {
        let start = self.open(kind);
        self.bytes.extend_from_slice(payload);
        self.close(start);
        self
    }

    /// Appends an integer of the host's order.
    pub fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Appends an integer of network order, as all of nf_tables wants them.
    pub fn u32_be(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Appends a string with the closing NUL.
    pub fn string(&mut self, kind: u16, value: &str) -> &mut Self {
        let start = self.open(kind);
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
        self.close(start);
        self
    }

    /// Appends an IPv4 address.
    pub fn ipv4(&mut self, kind: u16, value: Ipv4Addr) -> &mut Self {
        self.attribute(kind, &value.octets())
    }

    /// Appends an attribute made of attributes.
    pub fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.open(kind | NESTED);
        fill(self);
        self.close(start);
        self
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    fn close(&mut self, start: usize) {
        let length = u16::try_from(self.bytes.len().saturating_sub(start));
        self.has_overflow |= length.is_err();
        if let Some(field) = self.bytes.get_mut(start..start.saturating_add(2)) {
            field.copy_from_slice(&length.unwrap_or(u16::MAX).to_ne_bytes());
        }
        self.bytes.resize(aligned(self.bytes.len()), 0);
    }

    /// The bytes written so far, or `Malformed` if an attribute outgrew its 16-bit length.
    pub fn finish(self) -> Result<Vec<u8>, Malformed> {
        if self.has_overflow {
            return Err(Malformed { part: "attribute: longer than 65535 bytes" });
        }
        Ok(self.bytes)
    }
}

/// One request, not yet numbered.
#[derive(Debug, Clone)]
pub struct Message {
    operation: &'static str,
    kind: u16,
    flags: u16,
    body: Encoder,
}

impl Message {
    /// A message of type `kind` with a fixed `header` and the attributes that `fill` writes.
    ///
    /// `operation` names it in errors, as in "create link".
    pub fn new(
        operation: &'static str,
        kind: u16,
        flags: u16,
        header: &[u8],
        fill: impl FnOnce(&mut Encoder),
    ) -> Self {
        let mut body = Encoder::default();
        body.raw(header);
        fill(&mut body);
        Self { operation, kind, flags: flags | flags::REQUEST, body }
    }

    /// What it does, for errors.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Whether the kernel is to acknowledge it.
    pub fn wants_acknowledge(&self) -> bool {
        self.flags & flags::ACKNOWLEDGE != 0
    }

    /// The same message with the flags added.
    #[must_use]
    pub fn with_flags(mut self, more: u16) -> Self {
        self.flags |= more;
        self
    }

    /// Appends the message to `out` under a sequence number.
    pub fn encode(&self, sequence: u32, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let body = self.body.clone().finish()?;
        let length = u32::try_from(HEADER_BYTES.saturating_add(body.len()))
            .map_err(|_| Malformed { part: "message: too long" })?;
        out.extend_from_slice(&length.to_ne_bytes());
        out.extend_from_slice(&self.kind.to_ne_bytes());
        out.extend_from_slice(&self.flags.to_ne_bytes());
        out.extend_from_slice(&sequence.to_ne_bytes());
        out.extend_from_slice(&0_u32.to_ne_bytes()); // The kernel fills in the port.
        out.extend_from_slice(&body); // Attributes are padded, so the message is.
        Ok(())
    }
}

/// One message as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received<'a> {
    /// Message type.
    pub kind: u16,
    /// Header flags.
    pub flags: u16,
    /// Number of the request that it answers.
    pub sequence: u32,
    /// What follows the header.
    pub body: &'a [u8],
}

/// The messages of one datagram.
#[derive(Debug, Clone)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    /// Reads messages from `datagram`; after an error the iteration ends.
    pub fn parse(datagram: &'a [u8]) -> Self {
        Self { rest: datagram }
    }

    fn read(&mut self) -> Result<Received<'a>, Malformed> {
        const BAD: Malformed = Malformed { part: "message header" };
        let all = std::mem::take(&mut self.rest);
        let (length, rest) = all.split_first_chunk::<4>().ok_or(BAD)?;
        let (kind, rest) = rest.split_first_chunk::<2>().ok_or(BAD)?;
        let (flags, rest) = rest.split_first_chunk::<2>().ok_or(BAD)?;
        let (sequence, _port) = rest.split_first_chunk::<4>().ok_or(BAD)?;
        let length = usize::try_from(u32::from_ne_bytes(*length)).map_err(|_| BAD)?;
        let body = all.get(HEADER_BYTES..length).ok_or(BAD)?;
        self.rest = all.get(aligned(length)..).unwrap_or_default();
        Ok(Received {
            kind: u16::from_ne_bytes(*kind),
            flags: u16::from_ne_bytes(*flags),
            sequence: u32::from_ne_bytes(*sequence),
            body,
        })
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Received<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() { None } else { Some(self.read()) }
    }
}

/// One attribute as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its number, without flags.
    pub kind: u16,
    /// Its payload, without padding.
    pub payload: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// The payload as an integer of the host's order.
    pub fn u32(&self) -> Result<u32, Malformed> {
        self.payload
            .first_chunk::<4>()
            .map(|bytes| u32::from_ne_bytes(*bytes))
            .ok_or(Malformed { part: "attribute: integer" })
    }

    /// The payload as an integer of network order.
    pub fn u32_be(&self) -> Result<u32, Malformed> {
        self.u32().map(u32::from_be)
    }

    /// The payload as text up to the first NUL.
    pub fn string(&self) -> Result<&'a str, Malformed> {
        let end = self.payload.iter().position(|byte| *byte == 0).unwrap_or(self.payload.len());
        self.payload
            .get(..end)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .ok_or(Malformed { part: "attribute: text" })
    }

    /// The payload as an IPv4 address.
    pub fn ipv4(&self) -> Result<Ipv4Addr, Malformed> {
        self.payload
            .first_chunk::<4>()
            .map(|octets| Ipv4Addr::from(*octets))
            .ok_or(Malformed { part: "attribute: address" })
    }

    /// The payload as attributes.
    pub fn nested(&self) -> Attributes<'a> {
        Attributes::parse(self.payload)
    }
}

/// The attributes of a message or of a nested attribute.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Reads attributes from `bytes`; after an error the iteration ends.
    pub fn parse(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn read(&mut self) -> Result<Attribute<'a>, Malformed> {
        const BAD: Malformed = Malformed { part: "attribute header" };
        let all = std::mem::take(&mut self.rest);
        let (length, rest) = all.split_first_chunk::<2>().ok_or(BAD)?;
        let (kind, _) = rest.split_first_chunk::<2>().ok_or(BAD)?;
        let length = usize::from(u16::from_ne_bytes(*length));
        let payload = all.get(ATTRIBUTE_HEADER_BYTES..length).ok_or(BAD)?;
        self.rest = all.get(aligned(length)..).unwrap_or_default();
        Ok(Attribute { kind: u16::from_ne_bytes(*kind) & TYPE_MASK, payload })
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() { None } else { Some(self.read()) }
    }
}

/// Splits a fixed header of `N` bytes off a body.
pub(crate) fn header<const N: usize>(body: &[u8]) -> Result<(&[u8; N], Attributes<'_>), Malformed> {
    let (header, rest) =
        body.split_first_chunk::<N>().ok_or(Malformed { part: "message: fixed header" })?;
    Ok((header, Attributes::parse(rest)))
}

/// The attributes that follow a fixed header of `length` bytes (a multiple of four).
pub(crate) fn attributes_after(body: &[u8], length: usize) -> Result<Attributes<'_>, Malformed> {
    body.get(length..).map(Attributes::parse).ok_or(Malformed { part: "message: fixed header" })
}
