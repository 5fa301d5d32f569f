//! The few operations on URLs that a registry client needs. Pure.

use std::net::{IpAddr, Ipv6Addr};

use http::Uri;

/// `host` without port and brackets.
pub(crate) fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    match authority.rsplit_once(':') {
        Some((host, _)) if !host.contains(':') => host,
        _ => authority,
    }
}

/// Whether a host can only be this machine.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = host_of(authority);
    if host == "localhost" || host.ends_with(".localhost") {
        return true;
    }
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_loopback(),
        Ok(IpAddr::V6(address)) => address == Ipv6Addr::LOCALHOST,
        Err(_) => false,
    }
}

/// Resolves a `Location` header against the URL that answered with it.
pub(crate) fn redirect(from: &Uri, location: &str) -> Option<Uri> {
    let scheme = from.scheme_str()?;
    let authority = from.authority()?;
    let absolute = if location.contains("://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let path = from.path();
        let folder = path.rfind('/').and_then(|at| path.get(..=at)).unwrap_or("/");
        format!("{scheme}://{authority}{folder}{location}")
    };
    let absolute = absolute.split('#').next().unwrap_or_default();
    let uri: Uri = absolute.parse().ok()?;
    matches!(uri.scheme_str(), Some("http" | "https"))
        .then_some(uri)
        .filter(|uri| uri.host().is_some())
}

/// Whether two URLs have the same scheme, host and port: the same receiver of credentials.
pub(crate) fn is_same_origin(one: &Uri, other: &Uri) -> bool {
    let port = |uri: &Uri| {
        uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 })
    };
    one.scheme_str() == other.scheme_str()
        && one.host().map(str::to_ascii_lowercase) == other.host().map(str::to_ascii_lowercase)
        && port(one) == port(other)
}

/// Percent-encodes a query or form value.
pub(crate) fn encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
                encoded.extend([
                    '%',
                    digit(byte >> 4).to_ascii_uppercase(),
                    digit(byte & 15).to_ascii_uppercase(),
                ]);
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
