//! The protocol between a server and a shim: framed JSON messages over a unix stream socket, with descriptors beside.
//!
//! A frame is a 12-byte head (magic and version, number of descriptors, length of the body; little endian) and a body.
//! Descriptors travel with the first byte of their frame. Replies carry their request's id; events may come between.
//! Holds always: a frame's body and descriptors are bounded; a peer that breaks the format is cut off.
//! Compatible by rule: fields and kinds are only added; a change that an old peer would misread takes a new version.

mod frame;
mod messages;

pub use frame::{DESCRIPTORS_MAX, FRAME_BYTES_MAX};
pub(crate) use frame::{FrameReader, FrameWriter};
pub use messages::{Event, Message, Reply, Request, RequestFrame};
