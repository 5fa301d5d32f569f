//! IP addresses and networks in specs: what the fields that are older than the strict rules accept (KEP-4858).
//!
//! Holds always: a value that the stored object already had is never refused, however it is written.

use std::net::{IpAddr, Ipv4Addr};

use podo_api::field::{Errors, Path};
use podo_api::names;

/// An address in any notation that all programs read alike, or one that was there before.
pub(crate) fn legacy_ip(errors: &mut Errors, path: &Path, value: &str, before: &[&str]) {
    if !before.contains(&value) {
        errors.invalid_all(path, value, names::ip_legacy(value));
    }
}

/// A network in any notation that all programs read alike, or one that was there before.
pub(crate) fn legacy_cidr(errors: &mut Errors, path: &Path, value: &str, before: &[&str]) {
    if !before.contains(&value) {
        errors.invalid_all(path, value, names::cidr_legacy(value));
    }
}

/// An address that endpoints can have: not unspecified, loopback or link-local.
pub(crate) fn not_special(errors: &mut Errors, path: &Path, value: &str) {
    let Some(ip) = parse(value) else {
        errors.invalid(path, value, "must be a valid IP address");
        return;
    };
    let ip = ip.to_canonical();
    if ip.is_unspecified() {
        errors.invalid(path, value, format!("may not be unspecified ({value})"));
    }
    let special = [
        (ip.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (is_link_local(ip), "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (
            is_link_local_multicast(ip),
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        ),
    ];
    for (_, why) in special.into_iter().filter(|(is_special, _)| *is_special) {
        errors.invalid(path, value, why);
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn is_link_local_multicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
        IpAddr::V6(ip) => ip.octets()[0] == 0xff && ip.octets()[1] & 0x0f == 0x02,
    }
}

/// Reads an address as old versions of Go did: the numbers of an IPv4 address may begin with zeros.
pub(crate) fn parse(value: &str) -> Option<IpAddr> {
    if let Ok(ip) = value.parse() {
        return Some(ip);
    }
    let mut octets = [0; 4];
    let mut parts = value.split('.');
    for octet in &mut octets {
        let digits = parts.next()?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = digits.trim_start_matches('0');
        *octet = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    }
    parts.next().is_none().then(|| IpAddr::V4(Ipv4Addr::from(octets)))
}

/// The IP family that an address belongs to, as Services name it.
pub(crate) fn family(value: &str) -> Option<&'static str> {
    match parse(value)?.to_canonical() {
        IpAddr::V4(_) => Some("IPv4"),
        IpAddr::V6(_) => Some("IPv6"),
    }
}

/// The warning about an address that is accepted but unusual.
pub(crate) fn warning(path: &Path, value: &str) -> Option<String> {
    names::ip_warning(value).map(|text| format!("{path}: {text}"))
}

/// The warnings about a network that is accepted but unusual.
pub(crate) fn network_warnings(path: &Path, value: &str) -> impl Iterator<Item = String> {
    names::cidr_warnings(value).into_iter().map(move |text| format!("{path}: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: &str) {
        let mut errors = Errors::new();
        not_special(&mut errors, &Path::new("ip"), value);
        let details: Vec<&str> = errors.iter().map(|error| error.detail.as_str()).collect();
        assert_eq!(details.join("; "), expected);
    }

    #[test]
    fn addresses_that_mean_this_machine_or_this_link_are_no_endpoints() {
        check("192.0.2.1", "");
        check("2001:db8::1", "");
        check("0.0.0.0", "may not be unspecified (0.0.0.0)");
        check("127.0.0.1", "may not be in the loopback range (127.0.0.0/8, ::1/128)");
        check("::1", "may not be in the loopback range (127.0.0.0/8, ::1/128)");
        check("169.254.1.1", "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
        check("ff02::1", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
        check("x", "must be a valid IP address");
    }

    #[test]
    fn numbers_may_begin_with_zeros() {
        assert_eq!(parse("127.000.000.01"), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert_eq!(parse("1.2.3"), None);
        assert_eq!(parse("1.2.3.256"), None);
    }
}
