//! Tables, chains, sets and elements as values.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::expression::Verdict;

/// A table of family `inet`: its chains see IPv4 and IPv6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name, unique among the tables of the family.
    pub name: String,
}

/// What a base chain may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainKind {
    /// Let pass or drop.
    Filter,
    /// Rewrite addresses; sees only the first packet of a connection.
    Nat,
}

/// Where on its way a packet is when it meets a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// It came in by a link.
    Prerouting = 0,
    /// It is for this host.
    Input = 1,
    /// It is passed on.
    Forward = 2,
    /// It is from this host.
    Output = 3,
    /// It leaves by a link.
    Postrouting = 4,
}

/// The usual places in the order of a hook's chains: lower is earlier.
pub mod priority {
    /// Before connection tracking.
    pub const RAW: i32 = -300;
    /// Where destinations are rewritten.
    pub const DESTINATION_NAT: i32 = -100;
    /// Where packets are filtered.
    pub const FILTER: i32 = 0;
    /// Where sources are rewritten.
    pub const SOURCE_NAT: i32 = 100;
}

/// How a chain is tied to the packets' way. What no rule decides is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BaseChain {
    /// What it may do.
    pub kind: ChainKind,
    /// Where.
    pub hook: Hook,
    /// When, among the chains of the same hook.
    pub priority: i32,
}

/// A chain; without a base it is entered only by jumps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its place, if it is a base chain.
    pub base: Option<BaseChain>,
}

/// One part of a key or of data. Each takes whole registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// 4 bytes.
    Ipv4,
    /// 16 bytes.
    Ipv6,
    /// A transport protocol's number: 1 byte.
    Protocol,
    /// A port in network order: 2 bytes.
    Port,
    /// 4 bytes of the host's order.
    Mark,
    /// 16 bytes.
    InterfaceName,
    /// A number of the host's order that `numgen` makes.
    Number,
}

impl Field {
    /// The `nft` tool's number of the type, by which it prints a set; the kernel ignores it.
    pub(super) fn type_number(self) -> u32 {
        match self {
            Self::Number => 4,
            Self::Ipv4 => 7,
            Self::Ipv6 => 8,
            Self::Protocol => 12,
            Self::Port => 13,
            Self::Mark => 19,
            Self::InterfaceName => 41,
        }
    }

    /// Length in bytes.
    pub(super) fn bytes(self) -> u32 {
        match self {
            Self::Protocol => 1,
            Self::Port => 2,
            Self::Ipv4 | Self::Mark | Self::Number => 4,
            Self::Ipv6 | Self::InterfaceName => 16,
        }
    }
}

/// A set of keys, or a map from keys to data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Its name.
    pub name: &'static str,
    /// What keys are made of.
    pub key: &'static [Field],
    /// What it maps to.
    pub data: SetData,
}

/// What a set maps its keys to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetData {
    /// Nothing: membership is all.
    None,
    /// Values.
    Fields(&'static [Field]),
    /// Verdicts.
    Verdict,
}

impl Set {
    /// A set.
    pub const fn of(name: &'static str, key: &'static [Field]) -> Self {
        Self { name, key, data: SetData::None }
    }

    /// A map to values.
    pub const fn map(name: &'static str, key: &'static [Field], data: &'static [Field]) -> Self {
        Self { name, key, data: SetData::Fields(data) }
    }

    /// A map to verdicts.
    pub const fn verdict_map(name: &'static str, key: &'static [Field]) -> Self {
        Self { name, key, data: SetData::Verdict }
    }
}

/// What an element maps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// A value.
    Value(Vec<u8>),
    /// A verdict.
    Verdict(Verdict),
}

/// One element of a set or map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// The key, each field padded to four bytes.
    pub key: Vec<u8>,
    /// The data, in the same form.
    pub data: Option<Data>,
}

/// Writes keys and data field by field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldWriter(Vec<u8>);

impl FieldWriter {
    /// An IPv4 address.
    #[must_use]
    pub fn ipv4(self, address: Ipv4Addr) -> Self {
        self.bytes(&address.octets())
    }

    /// An IPv6 address.
    #[must_use]
    pub fn ipv6(self, address: Ipv6Addr) -> Self {
        self.bytes(&address.octets())
    }

    /// A transport protocol.
    #[must_use]
    pub fn protocol(self, number: u8) -> Self {
        self.bytes(&[number])
    }

    /// A port.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        self.bytes(&port.to_be_bytes())
    }

    /// A number or mark of the host's order.
    #[must_use]
    pub fn number(self, number: u32) -> Self {
        self.bytes(&number.to_ne_bytes())
    }

    /// An interface name, filled up with zeros.
    #[must_use]
    pub fn interface(mut self, name: &str) -> Self {
        let end = self.0.len().saturating_add(16);
        self.0.extend(name.bytes().take(15));
        self.0.resize(end, 0);
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().saturating_add(3) & !3, 0);
        self
    }

    /// An element without data.
    pub fn element(self) -> Element {
        Element { key: self.0, data: None }
    }

    /// An element that maps to the fields of `data`.
    pub fn to(self, data: Self) -> Element {
        Element { key: self.0, data: Some(Data::Value(data.0)) }
    }

    /// An element that maps to a verdict.
    pub fn to_verdict(self, verdict: Verdict) -> Element {
        Element { key: self.0, data: Some(Data::Verdict(verdict)) }
    }
}
