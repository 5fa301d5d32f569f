//! Links: requests about network interfaces, and how the kernel describes one. rtnetlink(7).
//!
//! Functions that return a [`Message`] only build the request; the caller batches and sends.

use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use crate::netlink::{Encoder, Malformed, Message, NetlinkError, Socket, flags, header};

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const SET_LINK: u16 = 19;

const ADDRESS: u16 = 1;
const NAME: u16 = 3;
const MTU: u16 = 4;
const PEER: u16 = 5;
const LINK_INFO: u16 = 18;
const FAMILY_SPECIFIC: u16 = 26;
const GROUP: u16 = 27;
const NETNS_FD: u16 = 28;
const EXTENDED_MASK: u16 = 29;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const VETH_PEER: u16 = 1;
const FAMILY_IPV6: u16 = 10;
const IPV6_ADDRESS_MODE: u16 = 8;
const IPV6_ADDRESS_MODE_NONE: u8 = 1;
/// Leaves the counters out of an answer: they are most of its size.
const SKIP_STATISTICS: u32 = 8;
const FLAG_UP: u32 = 1;

/// The loopback's index in every network namespace.
pub const LOOPBACK_INDEX: u32 = 1;

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.map(|byte| format!("{byte:02x}"));
        formatter.write_str(&digits.join(":"))
    }
}

/// A link as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Number within its namespace.
    pub index: u32,
    /// Name within its namespace.
    pub name: String,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// For a veth: the other end's index in the other end's namespace.
    pub peer_index: Option<u32>,
    /// Whether it is set up.
    pub is_up: bool,
}

/// One end of a new veth pair.
#[derive(Debug, Clone, Copy)]
pub struct VethEnd<'a> {
    /// Interface name, at most 15 characters.
    pub name: &'a str,
    /// Ethernet address.
    pub mac: MacAddress,
}

/// Creates a veth pair, one end here, the other in `netns`. Both ends are down: setting one up
/// while creating it costs twice as much as doing so afterwards.
pub fn create_veth(
    here: VethEnd<'_>,
    there: VethEnd<'_>,
    mtu: u32,
    netns: BorrowedFd<'_>,
) -> Message {
    let netns = netns.as_raw_fd();
    let flags = flags::CREATE | flags::EXCLUSIVE | flags::ACKNOWLEDGE;
    Message::new("create veth pair", NEW_LINK, flags, &info(0, 0, 0), |message| {
        end(message, here, mtu);
        message.nested(LINK_INFO, |message| {
            message.string(INFO_KIND, "veth").nested(INFO_DATA, |message| {
                message.nested(VETH_PEER, |message| {
                    message.raw(&info(0, 0, 0));
                    end(message, there, mtu);
                    message.attribute(NETNS_FD, &netns.to_ne_bytes());
                });
            });
        });
    })
}

fn end(message: &mut Encoder, end: VethEnd<'_>, mtu: u32) {
    message.string(NAME, end.name).u32(MTU, mtu).attribute(ADDRESS, &end.mac.0);
}

/// Sets a link up.
pub fn set_up(index: u32) -> Message {
    let header = info(index, FLAG_UP, FLAG_UP);
    Message::new("set link up", SET_LINK, flags::ACKNOWLEDGE, &header, |_| {})
}

/// Keeps the kernel from giving the link an IPv6 link-local address when it comes up.
pub fn without_ipv6_address(index: u32) -> Message {
    let header = info(index, 0, 0);
    Message::new("turn off link-local", SET_LINK, flags::ACKNOWLEDGE, &header, |message| {
        message.nested(FAMILY_SPECIFIC, |message| {
            message.nested(FAMILY_IPV6, |message| {
                message.attribute(IPV6_ADDRESS_MODE, &[IPV6_ADDRESS_MODE_NONE]);
            });
        });
    })
}

/// Puts a link into a device group.
pub fn set_group(index: u32, group: u32) -> Message {
    let header = info(index, 0, 0);
    Message::new("set link group", SET_LINK, flags::ACKNOWLEDGE, &header, |message| {
        message.u32(GROUP, group);
    })
}

/// Deletes a link, and its peer if it is a veth. Takes 14 to 27 ms.
pub fn delete(index: u32) -> Message {
    let header = info(index, 0, 0);
    Message::new("delete link", DELETE_LINK, flags::ACKNOWLEDGE, &header, |_| {})
}

/// Deletes all links of a group in one go: the kernel waits for its readers once, not per link.
pub fn delete_group(group: u32) -> Message {
    let header = info(0, 0, 0);
    Message::new("delete link group", DELETE_LINK, flags::ACKNOWLEDGE, &header, |message| {
        message.u32(GROUP, group);
    })
}

/// The link of this name, if there is one.
pub fn find(socket: &mut Socket, name: &str) -> Result<Option<Link>, NetlinkError> {
    let request = Message::new("find link", GET_LINK, 0, &info(0, 0, 0), |message| {
        message.string(NAME, name).u32(EXTENDED_MASK, SKIP_STATISTICS);
    });
    answer(socket, &request)
}

/// The link of this number, if there is one.
pub fn find_index(socket: &mut Socket, index: u32) -> Result<Option<Link>, NetlinkError> {
    let request = Message::new("find link", GET_LINK, 0, &info(index, 0, 0), |message| {
        message.u32(EXTENDED_MASK, SKIP_STATISTICS);
    });
    answer(socket, &request)
}

fn answer(socket: &mut Socket, request: &Message) -> Result<Option<Link>, NetlinkError> {
    match socket.execute(std::slice::from_ref(request)) {
        Ok(replies) => match replies.iter().find(|reply| reply.kind == NEW_LINK) {
            Some(reply) => Ok(Some(parse(&reply.body)?)),
            None => Err(NetlinkError::NoAnswer { operation: request.operation() }),
        },
        Err(error) if error.code() == Some(Errno::NODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

/// All links of the namespace.
pub fn list(socket: &mut Socket) -> Result<Vec<Link>, NetlinkError> {
    let request = Message::new("list links", GET_LINK, 0, &info(0, 0, 0), |message| {
        message.u32(EXTENDED_MASK, SKIP_STATISTICS);
    });
    let replies = socket.dump(&request)?;
    let links = replies.iter().filter(|reply| reply.kind == NEW_LINK);
    Ok(links.map(|reply| parse(&reply.body)).collect::<Result<_, _>>()?)
}

/// Reads the body of a link message. Pure.
pub fn parse(body: &[u8]) -> Result<Link, Malformed> {
    let ([_, _, _, _, i0, i1, i2, i3, f0, f1, f2, f3, ..], attributes) = header::<16>(body)?;
    let mut link = Link {
        index: u32::from_ne_bytes([*i0, *i1, *i2, *i3]),
        name: String::new(),
        mtu: 0,
        peer_index: None,
        is_up: u32::from_ne_bytes([*f0, *f1, *f2, *f3]) & FLAG_UP != 0,
    };
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            NAME => attribute.string()?.clone_into(&mut link.name),
            MTU => link.mtu = attribute.u32()?,
            PEER => link.peer_index = Some(attribute.u32()?),
            _ => {}
        }
    }
    Ok(link)
}

/// `struct ifinfomsg`: family, pad, type, index, flags, mask of flags to change.
fn info(index: u32, flags: u32, change: u32) -> Vec<u8> {
    [0, index, flags, change].map(u32::to_ne_bytes).concat()
}
