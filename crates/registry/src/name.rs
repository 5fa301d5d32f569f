//! The name rules of kinds, in the form that a [`crate::Definition`] wants, on top of `podo_api::names`.

use podo_api::names;

/// DNS-1123 subdomain, the rule of most kinds.
pub fn dns_subdomain(name: &str, is_prefix: bool) -> Vec<String> {
    names::dns1123_subdomain(masked(name, is_prefix))
}

/// DNS-1123 label.
pub fn dns_label(name: &str, is_prefix: bool) -> Vec<String> {
    names::dns1123_label(masked(name, is_prefix))
}

/// A path segment, the rule of the RBAC kinds.
pub fn path_segment(name: &str, _is_prefix: bool) -> Vec<String> {
    names::path_segment(name)
}

/// The keys of ConfigMaps and Secrets.
pub fn config_map_key(key: &str) -> Vec<String> {
    names::config_map_key(key)
}

/// A prefix may end in a dash, since letters will follow it.
fn masked(name: &str, is_prefix: bool) -> &str {
    if is_prefix && name.len() > 1 { name.strip_suffix('-').unwrap_or(name) } else { name }
}
