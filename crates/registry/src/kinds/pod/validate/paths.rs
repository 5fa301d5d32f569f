//! Paths within volumes and containers, which must not lead out of them.

use podo_api::field::{Errors, Path};

/// Whether no part of the path is `..`.
pub(super) fn has_backsteps(value: &str) -> bool {
    value.split('/').any(|part| part == "..")
}

/// The path has no `..` part.
pub(super) fn no_backsteps(value: &str, path: &Path, errors: &mut Errors) {
    if has_backsteps(value) {
        errors.invalid(path, value, "must not contain '..'");
    }
}

/// The path is relative and has no `..` part.
pub(super) fn descending(value: &str, path: &Path, errors: &mut Errors) {
    if value.starts_with('/') {
        errors.invalid(path, value, "must be a relative path");
    }
    no_backsteps(value, path, errors);
}

/// The path is relative, has no `..` part, and its first part does not start with `..`, which the node keeps for itself.
pub(super) fn descending_unreserved(value: &str, path: &Path, errors: &mut Errors) {
    descending(value, path, errors);
    if value.starts_with("..") && !value.starts_with("../") {
        errors.invalid(path, value, "must not start with '..'");
    }
}
