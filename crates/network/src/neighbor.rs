//! Permanent neighbour entries: requests. rtnetlink(7).
//!
//! Both ends of an endpoint's link know each other by such an entry, so no ARP is spoken there:
//! nothing to wait for, nothing to forge.

use std::net::Ipv4Addr;

use crate::link::MacAddress;
use crate::netlink::{Message, flags};

const NEW_NEIGHBOR: u16 = 28;
const DESTINATION: u16 = 1;
const LINK_ADDRESS: u16 = 2;
const FAMILY_IPV4: u8 = 2;
const STATE_PERMANENT: u16 = 0x80;

/// Says once and for all which Ethernet address `address` has on the link.
pub fn set_permanent(index: u32, address: Ipv4Addr, mac: MacAddress) -> Message {
    // `struct ndmsg`: family, pad, index, state, flags, type.
    let state = [STATE_PERMANENT.to_ne_bytes(), [0, 0]].concat();
    let header = [&[FAMILY_IPV4, 0, 0, 0], &index.to_ne_bytes(), state.as_slice()].concat();
    let flags = flags::CREATE | flags::REPLACE | flags::ACKNOWLEDGE;
    Message::new("set neighbour", NEW_NEIGHBOR, flags, &header, |message| {
        message.ipv4(DESTINATION, address).attribute(LINK_ADDRESS, &mac.0);
    })
}
