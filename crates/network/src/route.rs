//! IPv4 routes of the main table: requests, and how the kernel describes one. rtnetlink(7).

use std::net::Ipv4Addr;

use crate::cidr::Ipv4Cidr;
use crate::link;
use crate::netlink::{Malformed, Message, NetlinkError, Socket, flags, header};

const NEW_ROUTE: u16 = 24;
const DELETE_ROUTE: u16 = 25;
const GET_ROUTE: u16 = 26;

const DESTINATION: u16 = 1;
const INTERFACE: u16 = 4;
const GATEWAY: u16 = 5;
const METRIC: u16 = 6;
const PREFERRED_SOURCE: u16 = 7;
const TABLE: u16 = 15;

const FAMILY_IPV4: u8 = 2;
const TABLE_MAIN: u8 = 254;
/// Marks what an administrator or a program put there, as opposed to the kernel.
const PROTOCOL_STATIC: u8 = 4;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const TYPE_UNICAST: u8 = 1;
const TYPE_UNREACHABLE: u8 = 7;
/// What a packet of Ethernet may hold if nothing else is known.
const MTU_DEFAULT: u32 = 1500;

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub destination: Ipv4Cidr,
    /// Through which link.
    pub interface: Option<u32>,
    /// Through which neighbour, if the destination is not on the link itself.
    pub gateway: Option<Ipv4Addr>,
    /// The source address that the host's own packets get.
    pub preferred_source: Option<Ipv4Addr>,
    /// Lower is preferred.
    pub metric: u32,
    /// Whether packets are refused rather than sent.
    pub is_unreachable: bool,
}

impl Route {
    /// A route to what is directly on a link.
    pub fn on_link(destination: Ipv4Cidr, interface: u32) -> Self {
        Self {
            destination,
            interface: Some(interface),
            gateway: None,
            preferred_source: None,
            metric: 0,
            is_unreachable: false,
        }
    }

    /// A route through a neighbour.
    pub fn through(destination: Ipv4Cidr, interface: u32, gateway: Ipv4Addr) -> Self {
        Self { gateway: Some(gateway), ..Self::on_link(destination, interface) }
    }

    /// A route that refuses.
    pub fn unreachable(destination: Ipv4Cidr, metric: u32) -> Self {
        Self {
            destination,
            interface: None,
            gateway: None,
            preferred_source: None,
            metric,
            is_unreachable: true,
        }
    }

    fn header(&self) -> [u8; 12] {
        let scope = match self.gateway {
            None if !self.is_unreachable => SCOPE_LINK,
            _ => SCOPE_UNIVERSE,
        };
        let kind = if self.is_unreachable { TYPE_UNREACHABLE } else { TYPE_UNICAST };
        let prefix = self.destination.prefix();
        [FAMILY_IPV4, prefix, 0, 0, TABLE_MAIN, PROTOCOL_STATIC, scope, kind, 0, 0, 0, 0]
    }

    fn message(&self, operation: &'static str, kind: u16, flags: u16) -> Message {
        Message::new(operation, kind, flags, &self.header(), |message| {
            if self.destination.prefix() > 0 {
                message.ipv4(DESTINATION, self.destination.network());
            }
            if let Some(interface) = self.interface {
                message.u32(INTERFACE, interface);
            }
            if let Some(gateway) = self.gateway {
                message.ipv4(GATEWAY, gateway);
            }
            if let Some(source) = self.preferred_source {
                message.ipv4(PREFERRED_SOURCE, source);
            }
            if self.metric > 0 {
                message.u32(METRIC, self.metric);
            }
        })
    }
}

/// Puts the route in place of any with the same destination and metric.
pub fn replace(route: &Route) -> Message {
    let flags = flags::CREATE | flags::REPLACE | flags::ACKNOWLEDGE;
    route.message("set route", NEW_ROUTE, flags)
}

/// Removes the route.
pub fn delete(route: &Route) -> Message {
    route.message("delete route", DELETE_ROUTE, flags::ACKNOWLEDGE)
}

/// The IPv4 routes of the main table.
pub fn list(socket: &mut Socket) -> Result<Vec<Route>, NetlinkError> {
    let header = [FAMILY_IPV4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let replies = socket.dump(&Message::new("list routes", GET_ROUTE, 0, &header, |_| {}))?;
    let mut routes = Vec::new();
    for reply in replies.iter().filter(|reply| reply.kind == NEW_ROUTE) {
        routes.extend(parse(&reply.body)?);
    }
    Ok(routes)
}

/// Reads the body of a route message; `None` if it is not of the main IPv4 table. Pure.
pub fn parse(body: &[u8]) -> Result<Option<Route>, Malformed> {
    let ([family, prefix, _, _, table, _, _, kind, ..], attributes) = header::<12>(body)?;
    let mut table = u32::from(*table);
    let mut network = Ipv4Addr::UNSPECIFIED;
    let empty = Ipv4Cidr::host(network);
    let mut route = Route { interface: None, ..Route::on_link(empty, 0) };
    route.is_unreachable = *kind == TYPE_UNREACHABLE;
    if *family != FAMILY_IPV4 {
        return Ok(None);
    }
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            DESTINATION => network = attribute.ipv4()?,
            INTERFACE => route.interface = Some(attribute.u32()?),
            GATEWAY => route.gateway = Some(attribute.ipv4()?),
            PREFERRED_SOURCE => route.preferred_source = Some(attribute.ipv4()?),
            METRIC => route.metric = attribute.u32()?,
            TABLE => table = attribute.u32()?,
            _ => {}
        }
    }
    route.destination =
        Ipv4Cidr::new(network, *prefix).map_err(|_| Malformed { part: "route destination" })?;
    Ok((table == u32::from(TABLE_MAIN)).then_some(route))
}

/// Largest packet of the link that leads outside; 1500 if there is none.
pub fn outside_mtu(socket: &mut Socket) -> Result<u32, NetlinkError> {
    let default = list(socket)?
        .into_iter()
        .filter(|route| route.destination.prefix() == 0 && !route.is_unreachable)
        .min_by_key(|route| route.metric);
    let Some(interface) = default.and_then(|route| route.interface) else {
        return Ok(MTU_DEFAULT);
    };
    Ok(link::find_index(socket, interface)?.map_or(MTU_DEFAULT, |link| link.mtu))
}
