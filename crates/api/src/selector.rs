//! Selectors: which objects a list, a watch, a Service or a controller means.
//!
//! [`label`] selects by labels, [`field`] by a few fields of the kind. Both are parsed once and matched many times; neither knows
//! objects, they ask a function for the value of a key.

pub mod field;
pub mod label;

/// Why a selector cannot be used; the text is upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct SelectorError {
    /// What is wrong, as Kubernetes v1.36 says it.
    pub text: String,
}

impl SelectorError {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }
}
