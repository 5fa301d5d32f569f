//! nf_tables as data: tables, chains, sets, rules and expressions are values; a transaction turns
//! them into one atomic netlink batch.
//!
//! Holds always
//! - A transaction takes effect whole or not at all.
//! - The cost of adding or removing an element does not depend on how many there are.
//!
//! Not here: what the rules say ([`crate::firewall`], [`crate::hostport`]).

mod expression;
pub mod matching;
mod object;
mod query;
mod rule;
#[cfg(test)]
mod tests;
mod transaction;

pub use expression::{
    Comparison, CtKey, Expression, FibResult, Generator, Header, MetaKey, Nat, Register, Verdict,
};
pub use object::{
    BaseChain, Chain, ChainKind, Data, Element, Field, FieldWriter, Hook, Set, SetData, Table,
    priority,
};
pub use query::{list_elements, list_tables, rule_counters};
pub use rule::Rule;
pub use transaction::Transaction;
