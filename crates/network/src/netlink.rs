//! Netlink as a small blocking client: a pure codec and a socket.
//!
//! Owns     the wire format of messages and attributes (netlink(7)), request/acknowledge exchange
//!          and dumps, and the error text that the kernel attaches to a refusal.
//! Holds always
//! - The kernel works on a request inside `send`; replies stand in the socket when it returns.
//! - Parsing is pure, never panics and never reads past its input.
//!
//! Not here: what a link, route or rule looks like ([`crate::link`], [`crate::route`],
//! [`crate::nft`]).

mod codec;
mod socket;
#[cfg(test)]
mod tests;

pub(crate) use codec::header;
pub use codec::{Attribute, Attributes, Encoder, Malformed, Message, Messages, Received, flags};
pub use socket::{NetlinkError, Protocol, Reply, Socket};
