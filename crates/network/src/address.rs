//! Addresses of links: requests. rtnetlink(7).

use std::net::Ipv4Addr;

use crate::netlink::{Message, flags};

const NEW_ADDRESS: u16 = 20;
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const FAMILY_IPV4: u8 = 2;

/// Gives a link an address of a prefix; harmless if it has it already.
pub fn add(index: u32, address: Ipv4Addr, prefix: u8) -> Message {
    let [a, b, c, d] = index.to_ne_bytes();
    let header = [FAMILY_IPV4, prefix, 0, 0, a, b, c, d];
    let flags = flags::CREATE | flags::REPLACE | flags::ACKNOWLEDGE;
    Message::new("add address", NEW_ADDRESS, flags, &header, |message| {
        message.ipv4(LOCAL, address).ipv4(ADDRESS, address);
    })
}
