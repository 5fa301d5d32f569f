//! HTTP: the wire in front of the pipeline. Connections, TLS, routes, content negotiation, encoding of answers.
//!
//! Nothing here decides about an object; [`crate::verbs`] does not know that HTTP exists.

mod activity;
mod body;
mod crowd;
mod events;
mod front;
mod handler;
mod headers;
mod heavy;
mod in_flight;
mod lists;
pub(crate) mod negotiate;
mod render;
pub(crate) mod route;
mod stretches;
mod table;
pub(crate) mod websocket;

pub(crate) use body::{Body, Response, full};
pub use front::{Front, FrontConfig};
pub(crate) use headers::header_text;
pub(crate) use heavy::Heavy;
pub(crate) use in_flight::InFlight;
pub(crate) use negotiate::{Form, Wanted, media_types, negotiate, unroutable};
pub(crate) use render::{respond, text};
pub(crate) use route::Resource;
