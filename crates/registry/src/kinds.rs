//! The table of all kinds, in discovery's order. A kind is added by its file and its line here.

use crate::Definition;

mod configmap;
mod pod;

/// All kinds that are served.
pub static KINDS: &[&Definition] = &[&configmap::CONFIG_MAP, &pod::POD];
