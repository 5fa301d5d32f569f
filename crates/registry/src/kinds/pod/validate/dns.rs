//! How a Pod resolves names, and its own name.

use podo_api::Value;
use podo_api::field::{Errors, Path};
use podo_api::names;

use super::super::labels::check;
use super::super::view::{at, get, has, is_on, list, text, texts};

/// The limits of the C library's resolver.
const NAMESERVERS_MAX: usize = 3;
const SEARCHES_MAX: usize = 32;
const SEARCH_LETTERS_MAX: usize = 2048;

/// The bytes of a host name on Linux (`HOST_NAME_MAX`).
const HOSTNAME_BYTES_MAX: usize = 64;

/// The Pod's own settings of its resolver.
pub(super) fn config(spec: &Value, path: &Path, errors: &mut Errors) {
    let path = path.child("dnsConfig");
    let config = at(spec, "dnsConfig");
    if text(spec, "dnsPolicy") == "None" {
        if config.is_null() {
            errors.required(&path, "must provide `dnsConfig` when `dnsPolicy` is None");
            return;
        }
        if list(config, "nameservers").is_empty() {
            const WHY: &str = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            errors.required(&path.child("nameservers"), WHY);
            return;
        }
    }
    nameservers(config, &path.child("nameservers"), errors);
    searches(config, &path.child("searches"), errors);
    for (index, option) in list(config, "options").iter().enumerate() {
        if text(option, "name").is_empty() {
            errors.required(&path.child("options").index(index), "must not be empty");
        }
    }
}

fn nameservers(config: &Value, path: &Path, errors: &mut Errors) {
    let servers = list(config, "nameservers");
    if servers.len() > NAMESERVERS_MAX {
        let why = format!("must not have more than {NAMESERVERS_MAX} nameservers");
        errors.invalid_value(path, servers.to_vec(), why);
    }
    for (index, server) in texts(config, "nameservers").enumerate() {
        check(errors, &path.index(index), server, names::ip_legacy(server));
    }
}

fn searches(config: &Value, path: &Path, errors: &mut Errors) {
    let domains: Vec<&str> = texts(config, "searches").collect();
    if domains.len() > SEARCHES_MAX {
        let why = format!("must not have more than {SEARCHES_MAX} search paths");
        errors.invalid_value(path, domains.clone(), why);
    }
    if domains.join(" ").len() > SEARCH_LETTERS_MAX {
        let why = format!(
            "must not have more than {SEARCH_LETTERS_MAX} characters (including spaces) in the search list"
        );
        errors.invalid_value(path, domains.clone(), why);
    }
    for (index, domain) in domains.into_iter().enumerate().filter(|(_, domain)| *domain != ".") {
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        check(errors, &path.index(index), domain, names::dns1123_subdomain_with_underscore(domain));
    }
}

/// A host name that has nothing to do with the Pod's name (KEP-4762).
pub(super) fn hostname_override(spec: &Value, path: &Path, errors: &mut Errors) {
    if !has(spec, "hostnameOverride") {
        return;
    }
    let path = path.child("hostnameOverride");
    let name = get(spec, "hostnameOverride").and_then(Value::as_str).unwrap_or("");
    for other in ["setHostnameAsFQDN", "hostNetwork"] {
        if is_on(spec, other) {
            errors.forbidden(&path, format!("may not be specified when {other} is true"));
        }
    }
    if name.len() > HOSTNAME_BYTES_MAX {
        errors.too_long(&path, HOSTNAME_BYTES_MAX);
    }
    check(errors, &path, name, names::dns1123_subdomain(name));
}
