//! The name rules of kinds, in the form that a [`crate::Definition`] wants, on top of `podo_api::names`.

use std::borrow::Cow;

use podo_api::names::{self, Problems};

/// DNS-1123 subdomain, the rule of most kinds.
pub fn dns_subdomain(name: &str, is_prefix: bool) -> Problems {
    names::dns1123_subdomain(&masked(name, is_prefix))
}

/// DNS-1123 label.
pub fn dns_label(name: &str, is_prefix: bool) -> Problems {
    names::dns1123_label(&masked(name, is_prefix))
}

/// A path segment, the rule of the RBAC kinds.
pub fn path_segment(name: &str, is_prefix: bool) -> Problems {
    if is_prefix { names::path_segment_prefix(name) } else { names::path_segment_name(name) }
}

/// The keys of ConfigMaps and Secrets.
pub fn config_map_key(key: &str) -> Problems {
    names::config_map_key(key)
}

/// A prefix may end in a dash, since letters will follow it.
fn masked(name: &str, is_prefix: bool) -> Cow<'_, str> {
    if is_prefix { names::mask_trailing_dash(name) } else { Cow::Borrowed(name) }
}
