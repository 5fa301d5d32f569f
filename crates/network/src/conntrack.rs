//! Connection tracking: forget UDP flows that go to the wrong place.
//!
//! A rewritten destination is decided by a flow's first packet and kept for as long as packets
//! follow. A UDP client that never pauses would for ever send to where a port led before; TCP ends
//! by itself. So whoever changes where a UDP port leads forgets the flows that it concerns.

use std::net::Ipv4Addr;

use rustix::io::Errno;

use crate::netlink::{
    Attribute, Attributes, Malformed, Message, NetlinkError, Socket, flags, header,
};

#[cfg(test)]
mod tests;

/// Number of connection tracking among the netfilter subsystems.
const SUBSYSTEM: u16 = 1;
const GET: u16 = (SUBSYSTEM << 8) | 1;
const DELETE: u16 = (SUBSYSTEM << 8) | 2;
const FAMILY_IPV4: u8 = 2;
const UDP: u8 = 17;

const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const TUPLE_ADDRESSES: u16 = 1;
const TUPLE_TRANSPORT: u16 = 2;

/// One UDP flow, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpFlow {
    /// Where its sender sends to.
    pub destination: Ipv4Addr,
    /// Which port its sender sends to.
    pub port: u16,
    /// Who answers: another than `destination` if that was rewritten.
    pub responder: Ipv4Addr,
}

/// Forgets the UDP flows that `is_stale`; returns how many. Reads all flows of the host.
pub fn forget_udp(
    socket: &mut Socket,
    is_stale: impl Fn(&UdpFlow) -> bool,
) -> Result<usize, NetlinkError> {
    let header = [FAMILY_IPV4, 0, 0, 0];
    let request = Message::new("list connections", GET, 0, &header, |_| {});
    let mut count = 0_usize;
    for reply in socket.dump(&request)? {
        let Some((flow, original)) = parse(&reply.body)? else { continue };
        if !is_stale(&flow) {
            continue;
        }
        let flags = flags::ACKNOWLEDGE;
        let delete = Message::new("forget connection", DELETE, flags, &header, |message| {
            message.nested(ORIGINAL, |message| {
                message.raw(original);
            });
        });
        match socket.execute(&[delete]) {
            Ok(_) => count = count.saturating_add(1),
            Err(error) if error.code() == Some(Errno::NOENT) => {} // It ended by itself.
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// Reads one connection: the flow and the tuple that names it; `None` if it is not UDP. Pure.
pub fn parse(body: &[u8]) -> Result<Option<(UdpFlow, &[u8])>, Malformed> {
    let (mut original, mut reply) = (None, None);
    for attribute in header::<4>(body)?.1 {
        let attribute = attribute?;
        match attribute.kind {
            ORIGINAL => original = Some(attribute),
            REPLY => reply = Some(attribute),
            _ => {}
        }
    }
    let (Some(original), Some(reply)) = (original, reply) else { return Ok(None) };
    let (forth, back) = (tuple(original.nested())?, tuple(reply.nested())?);
    let (Some(destination), Some(responder)) = (forth.destination, back.source) else {
        return Ok(None); // IPv6.
    };
    let flow = UdpFlow { destination, port: forth.port, responder };
    Ok((forth.protocol == UDP).then_some((flow, original.payload)))
}

#[derive(Default)]
struct Tuple {
    source: Option<Ipv4Addr>,
    destination: Option<Ipv4Addr>,
    protocol: u8,
    port: u16,
}

fn tuple(attributes: Attributes<'_>) -> Result<Tuple, Malformed> {
    let mut tuple = Tuple::default();
    for part in attributes {
        let part = part?;
        for field in part.nested() {
            let field = field?;
            match (part.kind, field.kind) {
                (TUPLE_ADDRESSES, 1) => tuple.source = Some(field.ipv4()?),
                (TUPLE_ADDRESSES, 2) => tuple.destination = Some(field.ipv4()?),
                (TUPLE_TRANSPORT, 1) => tuple.protocol = u8::from_be_bytes(integer(&field)?),
                (TUPLE_TRANSPORT, 3) => tuple.port = u16::from_be_bytes(integer(&field)?),
                _ => {}
            }
        }
    }
    Ok(tuple)
}

fn integer<const N: usize>(field: &Attribute<'_>) -> Result<[u8; N], Malformed> {
    field.payload.first_chunk().copied().ok_or(Malformed { part: "connection tuple" })
}
