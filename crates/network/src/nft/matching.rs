//! Conditions and loads in the words of people, each a list of expressions.
//!
//! Every load goes to the first registers: a condition ends where the next begins.

use std::net::Ipv4Addr;

use super::expression::{Comparison, CtKey, Expression, FibResult, Header, MetaKey, Nat, Register};
use super::object::Set;
use crate::cidr::Ipv4Cidr;

/// `NFPROTO_IPV4` and `NFPROTO_IPV6`.
const IPV4: u8 = 2;
const IPV6: u8 = 10;
const SOURCE_OFFSET: u32 = 12;
const DESTINATION_OFFSET: u32 = 16;
const DESTINATION_PORT_OFFSET: u32 = 2;
const ADDRESS_TYPE_LOCAL: u32 = 2;
const STATUS_DESTINATION_NAT: u32 = 1 << 5;
/// An interface name takes four registers.
const NAME_REGISTERS: u32 = 4;

/// States of a connection, as bits.
pub mod state {
    /// It fits no connection.
    pub const INVALID: u32 = 1;
    /// Packets went both ways.
    pub const ESTABLISHED: u32 = 2;
    /// It belongs to another connection (ICMP errors).
    pub const RELATED: u32 = 4;
}

fn compare(comparison: Comparison, value: impl Into<Vec<u8>>) -> Expression {
    Expression::Compare { from: Register::FIRST, comparison, value: value.into() }
}

fn meta(key: MetaKey) -> Expression {
    Expression::Meta { key, to: Register::FIRST }
}

/// It is IPv4. Needed before any other condition on IPv4 addresses.
pub fn ipv4() -> [Expression; 2] {
    [meta(MetaKey::Family), compare(Comparison::Equal, [IPV4])]
}

/// It is IPv6.
pub fn ipv6() -> [Expression; 2] {
    [meta(MetaKey::Family), compare(Comparison::Equal, [IPV6])]
}

/// It came by a link whose name begins so.
pub fn from_link_prefix(prefix: &str) -> [Expression; 2] {
    [meta(MetaKey::InputName), compare(Comparison::Equal, prefix)]
}

/// It came by a link whose name begins otherwise.
pub fn not_from_link_prefix(prefix: &str) -> [Expression; 2] {
    [meta(MetaKey::InputName), compare(Comparison::NotEqual, prefix)]
}

/// It did not come by the loopback.
pub fn not_from_loopback() -> [Expression; 2] {
    // With the closing zero, so that only this name is meant.
    [meta(MetaKey::InputName), compare(Comparison::NotEqual, *b"lo\0")]
}

/// It leaves by a link whose name begins so.
pub fn to_link_prefix(prefix: &str) -> [Expression; 2] {
    [meta(MetaKey::OutputName), compare(Comparison::Equal, prefix)]
}

fn address(offset: u32, to: Register) -> Expression {
    Expression::Payload { header: Header::Network, offset, length: 4, to }
}

fn network(offset: u32, network: Ipv4Cidr, comparison: Comparison) -> [Expression; 3] {
    [
        address(offset, Register::FIRST),
        Expression::Bitwise {
            from: Register::FIRST,
            to: Register::FIRST,
            mask: network.mask().octets().to_vec(),
            xor: vec![0; 4],
        },
        compare(comparison, network.network().octets()),
    ]
}

/// Its source is in the network.
pub fn source_in(cidr: Ipv4Cidr) -> [Expression; 3] {
    network(SOURCE_OFFSET, cidr, Comparison::Equal)
}

/// Its source is outside the network.
pub fn source_not_in(cidr: Ipv4Cidr) -> [Expression; 3] {
    network(SOURCE_OFFSET, cidr, Comparison::NotEqual)
}

/// Its destination is in the network.
pub fn destination_in(cidr: Ipv4Cidr) -> [Expression; 3] {
    network(DESTINATION_OFFSET, cidr, Comparison::Equal)
}

/// Its destination is outside the network.
pub fn destination_not_in(cidr: Ipv4Cidr) -> [Expression; 3] {
    network(DESTINATION_OFFSET, cidr, Comparison::NotEqual)
}

fn lookup(set: &Set, is_inverted: bool) -> Expression {
    Expression::Lookup { set: set.name.to_owned(), from: Register::FIRST, is_inverted }
}

/// Its source is not in the set of addresses.
pub fn source_not_in_set(set: &Set) -> [Expression; 2] {
    [address(SOURCE_OFFSET, Register::FIRST), lookup(set, true)]
}

/// Its destination is not in the set of addresses.
pub fn destination_not_in_set(set: &Set) -> [Expression; 2] {
    [address(DESTINATION_OFFSET, Register::FIRST), lookup(set, true)]
}

fn link_and_source(key: MetaKey, set: &Set, is_inverted: bool) -> Vec<Expression> {
    let mut expressions = vec![meta(key)];
    expressions.extend(Register::FIRST.after(NAME_REGISTERS).map(|to| address(SOURCE_OFFSET, to)));
    expressions.push(lookup(set, is_inverted));
    expressions
}

/// The link it came by and its source are not a pair in the set.
pub fn input_and_source_not_in(set: &Set) -> Vec<Expression> {
    link_and_source(MetaKey::InputName, set, true)
}

/// The link it leaves by and its source are a pair in the set: it goes back to its sender.
pub fn output_and_source_in(set: &Set) -> Vec<Expression> {
    link_and_source(MetaKey::OutputName, set, false)
}

/// Its connection has one of the states.
pub fn connection_state(bits: u32) -> [Expression; 3] {
    connection(CtKey::State, bits)
}

/// Its connection's destination was rewritten.
pub fn destination_was_rewritten() -> [Expression; 3] {
    connection(CtKey::Status, STATUS_DESTINATION_NAT)
}

fn connection(key: CtKey, bits: u32) -> [Expression; 3] {
    [
        Expression::Ct { key, to: Register::FIRST },
        Expression::Bitwise {
            from: Register::FIRST,
            to: Register::FIRST,
            mask: bits.to_ne_bytes().to_vec(),
            xor: vec![0; 4],
        },
        compare(Comparison::NotEqual, [0; 4]),
    ]
}

/// Its destination is an address of this host.
pub fn destination_is_local() -> [Expression; 2] {
    [
        Expression::Fib { result: FibResult::AddressType, to: Register::FIRST },
        compare(Comparison::Equal, ADDRESS_TYPE_LOCAL.to_ne_bytes()),
    ]
}

/// Loads protocol and destination port behind the register that holds the address.
fn protocol_and_port() -> Vec<Expression> {
    let protocol =
        Register::FIRST.after(1).map(|to| Expression::Meta { key: MetaKey::TransportProtocol, to });
    let port = Register::FIRST.after(2).map(|to| Expression::Payload {
        header: Header::Transport,
        offset: DESTINATION_PORT_OFFSET,
        length: 2,
        to,
    });
    protocol.into_iter().chain(port).collect()
}

/// Loads its destination as address, protocol and port: the key of a map.
pub fn load_destination() -> Vec<Expression> {
    let mut expressions = vec![address(DESTINATION_OFFSET, Register::FIRST)];
    expressions.extend(protocol_and_port());
    expressions
}

/// The same with a given address in place of its own.
pub fn load_destination_as(stand_in: Ipv4Addr) -> Vec<Expression> {
    let value = stand_in.octets().to_vec();
    let mut expressions = vec![Expression::Immediate { value, to: Register::FIRST }];
    expressions.extend(protocol_and_port());
    expressions
}

/// Rewrites the destination to the address and port that the map has for the loaded key.
pub fn rewrite_destination(map: &Set) -> [Expression; 2] {
    let (from, to) = (Register::FIRST, Register::RESULT);
    let port = to.after(1);
    [
        Expression::Map { map: map.name.to_owned(), from, to },
        Expression::NatIpv4 { nat: Nat::Destination, address: to, port },
    ]
}
