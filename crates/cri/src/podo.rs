//! Our implementation.
