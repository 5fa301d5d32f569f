//! JSON in and out by the schema table.
//!
//! [`decode`] reads a body as Go's decoder of Kubernetes would: case-sensitive names, unknown and duplicate fields noted rather
//! than refused, the same error texts. What it returns is *settled*: just the fields that Go would write again, in normal form.
//! [`settle`] brings a tree that was changed in memory back to that form. [`encode`] writes a settled tree in Go's field order.

mod decode;
mod encode;
mod settle;
mod syntax;

pub use decode::{Decoded, decode, decode_any};
pub use encode::encode;
pub use settle::{SettleError, settle, settle_stored};
pub use syntax::check as check_syntax;

#[cfg(test)]
mod tests;
