//! The expressions that a rule is made of, and how each is written on the wire.
//!
//! A rule runs its expressions in order over sixteen registers of four bytes and one verdict. An
//! expression that does not match ends its rule. Every rule loads what it needs: the kernel refuses
//! one that reads a register which it has not written (`ENODATA`). Numbers and attribute layout: the
//! kernel's `uapi/linux/netfilter/nf_tables.h`.

use crate::netlink::Encoder;

/// Name and data of an expression in the list of a rule.
const NAME: u16 = 1;
const DATA: u16 = 2;
/// Immediate or comparison data: a plain value, or a verdict.
const VALUE: u16 = 1;
const VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;
/// `NFT_REG32_00`: number of the first four-byte register.
const FIRST_REGISTER: u32 = 8;
const REGISTER_VERDICT: u32 = 0;
/// Options of a NAT range: choose source ports at random (`--random-fully`).
const NAT_RANDOM_PORTS: u32 = 1 << 4;
/// Rule lookups that match when the key is absent.
const LOOKUP_INVERTED: u32 = 1;
const FIB_DESTINATION: u32 = 2;
const FAMILY_IPV4: u32 = 2;
const FAMILY_IPV6: u32 = 10;

/// One of the sixteen four-byte registers; longer values take the following ones too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register(u32);

impl Register {
    /// How many there are.
    pub const COUNT: u32 = 16;

    /// The register of this number, 0 to 15.
    pub const fn new(number: u32) -> Option<Self> {
        if number < Self::COUNT { Some(Self(number)) } else { None }
    }

    /// Number 0, where most rules begin.
    pub const FIRST: Self = Self(0);
    /// Number 8: the first of the upper half, used for what a lookup returns.
    pub const RESULT: Self = Self(8);

    /// The register so many places further; `None` beyond the last.
    pub const fn after(self, places: u32) -> Option<Self> {
        Self::new(self.0.saturating_add(places))
    }

    const fn wire(self) -> u32 {
        FIRST_REGISTER + self.0
    }
}

/// What becomes of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It passes this base chain; later chains see it.
    Accept,
    /// It is gone.
    Drop,
    /// Back to the calling chain.
    Return,
    /// Go on in another chain, then come back.
    Jump(String),
    /// Go on in another chain.
    Goto(String),
}

impl Verdict {
    fn code(&self) -> i32 {
        match self {
            Self::Drop => 0,
            Self::Accept => 1,
            Self::Jump(_) => -3,
            Self::Goto(_) => -4,
            Self::Return => -5,
        }
    }

    /// Writes the verdict as data.
    pub(super) fn encode(&self, kind: u16, encoder: &mut Encoder) {
        encoder.nested(kind, |encoder| {
            encoder.nested(VERDICT, |encoder| {
                encoder.attribute(VERDICT_CODE, &self.code().to_be_bytes());
                if let Self::Jump(chain) | Self::Goto(chain) = self {
                    encoder.string(VERDICT_CHAIN, chain);
                }
            });
        });
    }
}

/// What `meta` reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaKey {
    /// The packet's mark, 4 bytes of the host's order; may be written.
    Mark = 3,
    /// Name of the link it came by, 16 bytes.
    InputName = 6,
    /// Name of the link it leaves by, 16 bytes.
    OutputName = 7,
    /// 2 for IPv4, 10 for IPv6; 1 byte.
    Family = 15,
    /// Number of the transport protocol, 1 byte.
    TransportProtocol = 16,
}

/// What `ct` reads or writes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CtKey {
    /// Bits: invalid 1, established 2, related 4, new 8; 4 bytes of the host's order.
    State = 0,
    /// Bits of what was done to it: source NAT 16, destination NAT 32.
    Status = 2,
    /// The connection's mark; may be written.
    Mark = 3,
}

/// Where a payload offset counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// IPv4 or IPv6.
    Network = 1,
    /// TCP, UDP, SCTP.
    Transport = 2,
}

/// How a register is compared with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// All given bytes are equal; a shorter value compares a prefix.
    Equal = 0,
    /// Some byte differs.
    NotEqual = 1,
}

/// What `fib` says about a destination address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FibResult {
    /// Its type: unicast 1, local 2, broadcast 3; 4 bytes of the host's order.
    AddressType = 3,
}

/// How `numgen` makes numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generator {
    /// One after the other.
    Incremental = 0,
    /// At random.
    Random = 1,
}

/// Which end of a connection a `nat` expression rewrites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nat {
    /// The sender.
    Source = 0,
    /// The receiver.
    Destination = 1,
}

/// One step of a rule. Fields named `from` and `to` are the registers read and written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variant's sentence and the type say what each field is")]
pub enum Expression {
    /// Loads something about the packet that is not in it.
    Meta { key: MetaKey, to: Register },
    /// Writes the packet's mark.
    SetMeta { key: MetaKey, from: Register },
    /// Loads bytes of the packet; a packet without them does not match.
    Payload { header: Header, offset: u32, length: u32, to: Register },
    /// Loads something about the connection.
    Ct { key: CtKey, to: Register },
    /// Writes the connection's mark.
    SetCt { key: CtKey, from: Register },
    /// Asks the route table about the destination address.
    Fib { result: FibResult, to: Register },
    /// Makes a number from `offset` to `offset + modulus - 1`, of the host's order.
    Number { generator: Generator, modulus: u32, offset: u32, to: Register },
    /// Loads a constant.
    Immediate { value: Vec<u8>, to: Register },
    /// `to = (from & mask) ^ xor`; both of equal length.
    Bitwise { from: Register, to: Register, mask: Vec<u8>, xor: Vec<u8> },
    /// Goes on only if the comparison holds.
    Compare { from: Register, comparison: Comparison, value: Vec<u8> },
    /// Goes on only if the key at `from` is in the set (or is not, when inverted).
    Lookup { set: String, from: Register, is_inverted: bool },
    /// Loads what the map has for the key at `from`; goes on only if it has something.
    Map { map: String, from: Register, to: Register },
    /// Takes the verdict that the map has for the key at `from`, if it has one.
    VerdictMap { map: String, from: Register },
    /// Rewrites an end of an IPv4 connection.
    NatIpv4 { nat: Nat, address: Register, port: Option<Register> },
    /// Rewrites an end of an IPv6 connection (the address takes four registers).
    NatIpv6 { nat: Nat, address: Register, port: Option<Register> },
    /// Gives the connection the address of the link that it leaves by, and a random port.
    Masquerade,
    /// Counts packets and bytes.
    Counter,
    /// Ends the rule with a verdict.
    Verdict(Verdict),
}

impl Expression {
    /// The kernel's name of the expression.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Meta { .. } | Self::SetMeta { .. } => "meta",
            Self::Payload { .. } => "payload",
            Self::Ct { .. } | Self::SetCt { .. } => "ct",
            Self::Fib { .. } => "fib",
            Self::Number { .. } => "numgen",
            Self::Immediate { .. } | Self::Verdict(_) => "immediate",
            Self::Bitwise { .. } => "bitwise",
            Self::Compare { .. } => "cmp",
            Self::Lookup { .. } | Self::Map { .. } | Self::VerdictMap { .. } => "lookup",
            Self::NatIpv4 { .. } | Self::NatIpv6 { .. } => "nat",
            Self::Masquerade => "masq",
            Self::Counter => "counter",
        }
    }

    /// Writes name and data.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.string(NAME, self.name()).nested(DATA, |encoder| self.encode_data(encoder));
    }

    fn encode_data(&self, encoder: &mut Encoder) {
        match self {
            Self::Meta { key, to } => encoder.u32_be(2, *key as u32).u32_be(1, to.wire()),
            Self::SetMeta { key, from } => encoder.u32_be(2, *key as u32).u32_be(3, from.wire()),
            Self::Payload { header, offset, length, to } => encoder
                .u32_be(1, to.wire())
                .u32_be(2, *header as u32)
                .u32_be(3, *offset)
                .u32_be(4, *length),
            Self::Ct { key, to } => encoder.u32_be(2, *key as u32).u32_be(1, to.wire()),
            Self::SetCt { key, from } => encoder.u32_be(2, *key as u32).u32_be(4, from.wire()),
            Self::Fib { result, to } => {
                encoder.u32_be(1, to.wire()).u32_be(2, *result as u32).u32_be(3, FIB_DESTINATION)
            }
            Self::Number { generator, modulus, offset, to } => encoder
                .u32_be(1, to.wire())
                .u32_be(2, *modulus)
                .u32_be(3, *generator as u32)
                .u32_be(4, *offset),
            Self::Immediate { value, to } => plain(encoder.u32_be(1, to.wire()), 2, value),
            Self::Bitwise { from, to, mask, xor } => {
                let length = u32::try_from(mask.len()).unwrap_or(u32::MAX);
                encoder.u32_be(1, from.wire()).u32_be(2, to.wire()).u32_be(3, length);
                plain(plain(encoder, 4, mask), 5, xor)
            }
            Self::Compare { from, comparison, value } => {
                plain(encoder.u32_be(1, from.wire()).u32_be(2, *comparison as u32), 3, value)
            }
            Self::Lookup { set, from, is_inverted } => {
                let options = if *is_inverted { LOOKUP_INVERTED } else { 0 };
                encoder.string(1, set).u32_be(2, from.wire()).u32_be(5, options)
            }
            Self::Map { map, from, to } => {
                encoder.string(1, map).u32_be(2, from.wire()).u32_be(3, to.wire())
            }
            Self::VerdictMap { map, from } => {
                encoder.string(1, map).u32_be(2, from.wire()).u32_be(3, REGISTER_VERDICT)
            }
            Self::NatIpv4 { nat, address, port } => {
                rewrite(encoder, *nat, FAMILY_IPV4, *address, *port)
            }
            Self::NatIpv6 { nat, address, port } => {
                rewrite(encoder, *nat, FAMILY_IPV6, *address, *port)
            }
            Self::Masquerade => encoder.u32_be(1, NAT_RANDOM_PORTS),
            Self::Counter => encoder, // Starts at zero: both of its attributes may be absent.
            Self::Verdict(verdict) => {
                verdict.encode(2, encoder.u32_be(1, REGISTER_VERDICT));
                encoder
            }
        };
    }
}

/// Writes a plain value as data.
pub(super) fn plain<'a>(encoder: &'a mut Encoder, kind: u16, value: &[u8]) -> &'a mut Encoder {
    encoder.nested(kind, |encoder| {
        encoder.attribute(VALUE, value);
    })
}

fn rewrite(
    encoder: &mut Encoder,
    nat: Nat,
    family: u32,
    address: Register,
    port: Option<Register>,
) -> &mut Encoder {
    encoder.u32_be(1, nat as u32).u32_be(2, family).u32_be(3, address.wire());
    match port {
        Some(port) => encoder.u32_be(5, port.wire()),
        None => encoder,
    }
}
