//! The rules for names, label keys, ports, addresses and other short strings, as Kubernetes v1.36 words them.
//!
//! Each rule is a pure function that returns what is wrong with a value, in upstream's order and to the letter; nothing means that
//! the value is valid. Lengths are counted in bytes; the texts of the older rules nevertheless say "characters".
//!
//! Not here: which field follows which rule (`podo-registry` has that).

mod dns;
mod ip;
mod misc;

use std::borrow::Cow;

pub use dns::{
    dns1035_label, dns1123_label, dns1123_subdomain, dns1123_subdomain_with_underscore,
    fully_qualified_domain_name, fully_qualified_name, long_name, long_name_caseless,
    mask_trailing_dash, short_name, wildcard_dns1123_subdomain,
};
pub use ip::{cidr, cidr_legacy, cidr_warnings, interface_address, ip, ip_legacy, ip_warning};
pub use misc::{
    annotation_key, c_identifier, condition_reason, config_map_key, decimal_integer,
    domain_prefixed_path, env_var_name, field_manager, group_id, http_header_name, in_range,
    label_value, path_segment_name, path_segment_prefix, percent, port_name, port_number,
    prefixed_label_key, qualified_name, relaxed_env_var_name, user_id,
};

/// What is wrong with a value; empty if nothing is.
pub type Problems = Vec<Cow<'static, str>>;

/// The bytes that a DNS label may have (RFC 1123).
pub const LABEL_BYTES_MAX: usize = 63;
/// The bytes that a DNS subdomain may have (RFC 1123).
pub const SUBDOMAIN_BYTES_MAX: usize = 253;
/// The bytes that all annotations of an object may have, keys and values together (Kubernetes v1.36: 256 KiB).
pub const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;
/// The bytes that the name of a field manager may have.
pub const FIELD_MANAGER_BYTES_MAX: usize = 128;

/// Text for a string that is too long, as the older rules word it.
pub fn max_length_text(characters: usize) -> String {
    format!("must be no more than {characters} characters")
}

/// Text for a string that is too long, as the newer rules word it.
pub fn max_bytes_text(bytes: usize) -> String {
    format!("must be no more than {bytes} bytes")
}

/// Text for a number outside a range.
pub fn range_text(low: i64, high: i64) -> String {
    format!("must be between {low} and {high}, inclusive")
}

/// Text for a string that does not have the form of `pattern`.
pub fn regex_text(message: &str, pattern: &str, examples: &[&str]) -> String {
    if examples.is_empty() {
        return format!("{message} (regex used for validation is '{pattern}')");
    }
    let quoted: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!("{message} (e.g. {}regex used for validation is '{pattern}')", quoted.join(" or "))
}

/// One problem, if `is_wrong`.
fn when(is_wrong: bool, text: impl FnOnce() -> Cow<'static, str>) -> Problems {
    if is_wrong { vec![text()] } else { Vec::new() }
}

#[cfg(test)]
mod tests;
