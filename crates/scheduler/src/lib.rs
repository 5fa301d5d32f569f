//! The scheduler: chooses the node of every Pod that has none.
//!
//! The decision is pure ([`schedule`] over a [`Snapshot`]): filters say where a Pod may run, scores where it should. Around it is a
//! thin shell ([`start`]) that keeps the snapshot current from Pods and Nodes, posts Bindings and tells why a Pod fits nowhere.
//!
//! Not here: preemption, inter-pod affinity and topology spread, which get their files when they are built.

mod filter;
mod fit;
mod node;
mod pod;
mod queue;
mod resources;
mod score;
mod shell;
mod snapshot;
mod state;

pub use fit::{FitError, schedule};
pub use node::NodeInfo;
pub use pod::PodInfo;
pub use resources::Resources;
pub use shell::start;
pub use snapshot::Snapshot;

#[cfg(test)]
mod tests;
