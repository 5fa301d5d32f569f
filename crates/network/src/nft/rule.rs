//! A rule: expressions in order.

use super::expression::{Expression, Verdict};

/// A rule: conditions, then what is done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    expressions: Vec<Expression>,
}

impl Rule {
    /// A rule that holds for every packet until conditions are added.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition or an action.
    #[must_use]
    pub fn with(mut self, expressions: impl IntoIterator<Item = Expression>) -> Self {
        self.expressions.extend(expressions);
        self
    }

    /// Ends the rule: counts the packet and drops it.
    #[must_use]
    pub fn drop(self) -> Self {
        self.with([Expression::Counter, Expression::Verdict(Verdict::Drop)])
    }

    /// Ends the rule: the packet passes this chain.
    #[must_use]
    pub fn accept(self) -> Self {
        self.with([Expression::Verdict(Verdict::Accept)])
    }

    /// Ends the rule: the packet gets the source address of the link that it leaves by.
    #[must_use]
    pub fn masquerade(self) -> Self {
        self.with([Expression::Counter, Expression::Masquerade])
    }

    /// What it is made of.
    pub fn expressions(&self) -> &[Expression] {
        &self.expressions
    }
}
