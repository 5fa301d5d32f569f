//! IP addresses and CIDRs (KEP-4858: strict by default since v1.36).
//!
//! Fields that are older than the strict rules accept what is not in canonical form; both refuse what programs read differently:
//! leading zeros and IPv4 in IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Problems;

/// An address as old versions of Go read it: zeros may lead.
fn parse_sloppy(text: &str) -> Option<IpAddr> {
    match text.bytes().find(|byte| matches!(byte, b'.' | b':'))? {
        b'.' => parse_v4(text).map(IpAddr::V4),
        _ => parse_v6(text).map(IpAddr::V6),
    }
}

fn parse_v4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        *octet =
            parse_number(parts.next()?, 10, 255).and_then(|number| u8::try_from(number).ok())?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

/// A number without sign, with any count of leading zeros.
fn parse_number(text: &str, radix: u32, max: u32) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.chars().try_fold(0u32, |number, letter| {
        let number = number * radix + letter.to_digit(radix)?;
        (number <= max).then_some(number)
    })
}

fn parse_v6(text: &str) -> Option<Ipv6Addr> {
    let (head, tail) = match text.split_once("::") {
        Some((_, tail)) if tail.contains("::") => return None,
        Some((head, tail)) => (head, Some(tail)),
        None => (text, None),
    };
    let head = groups(head, tail.is_none())?;
    let tail = tail.map_or(Some(Vec::new()), |tail| groups(tail, true))?;
    let is_compressed = text.contains("::");
    let missing = 8usize.checked_sub(head.len() + tail.len())?;
    if (missing == 0) == is_compressed {
        return None;
    }
    let mut all = head;
    all.resize(all.len() + missing, 0);
    all.extend(tail);
    Some(Ipv6Addr::from(<[u16; 8]>::try_from(all).ok()?))
}

/// Groups of four hexadecimal digits; the last two may be an IPv4 address if `can_end_in_v4`.
fn groups(text: &str, can_end_in_v4: bool) -> Option<Vec<u16>> {
    let mut found = Vec::new();
    if text.is_empty() {
        return Some(found);
    }
    for part in text.split(':') {
        if part.contains('.') {
            if !can_end_in_v4 || !text.ends_with(part) {
                return None;
            }
            let [a, b, c, d] = parse_v4(part)?.octets();
            found.extend([u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]);
        } else {
            found.push(u16::try_from(parse_number(part, 16, 0xFFFF)?).ok()?);
        }
    }
    (found.len() <= 8).then_some(found)
}

/// The form that Go writes: IPv4 in IPv6 shows as IPv4.
fn canonical(ip: IpAddr) -> String {
    ip.to_canonical().to_string()
}

fn is_v4_in_v6(ip: &IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

/// An IP address for a field that is older than the strict rules: any notation that all programs read alike.
pub fn ip_legacy(value: &str) -> Problems {
    if parse_sloppy(value).is_none() {
        return vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".into()];
    }
    match value.parse::<IpAddr>() {
        Err(_) => vec!["must not have leading 0s".into()],
        Ok(ip) if is_v4_in_v6(&ip) => vec!["must not be an IPv4-mapped IPv6 address".into()],
        Ok(_) => Problems::new(),
    }
}

/// An IP address in canonical form.
pub fn ip(value: &str) -> Problems {
    let problems = ip_legacy(value);
    match parse_sloppy(value).map(canonical) {
        Some(canonical) if problems.is_empty() && canonical != value => {
            vec![format!("must be in canonical form ({canonical:?})").into()]
        }
        _ => problems,
    }
}

/// The warning for an address that is accepted but unusual, without the field's path.
pub fn ip_warning(value: &str) -> Option<String> {
    let sloppy = canonical(parse_sloppy(value)?);
    match value.parse::<IpAddr>() {
        Err(_) => Some(format!("non-standard IP address {value:?} is invalid: use {sloppy:?}")),
        Ok(ip) if is_v4_in_v6(&ip) => {
            Some(format!("non-standard IP address {value:?} is invalid: use {sloppy:?}"))
        }
        Ok(IpAddr::V6(ip)) if ip.to_string() != value => {
            let form = "should be in RFC 5952 canonical format";
            Some(format!("IPv6 address {value:?} {form} ({:?})", ip.to_string()))
        }
        Ok(_) => None,
    }
}

/// An address and the bits of its network.
struct Cidr {
    ip: IpAddr,
    bits: u32,
}

impl Cidr {
    fn parse_sloppy(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let ip = parse_sloppy(address)?;
        let bits = parse_number(bits, 10, if ip.is_ipv4() { 32 } else { 128 })?;
        Some(Self { ip, bits })
    }

    fn parse_strict(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let ip: IpAddr = address.parse().ok()?;
        if bits.len() > 1 && bits.starts_with('0') {
            return None;
        }
        let bits = parse_number(bits, 10, if ip.is_ipv4() { 32 } else { 128 })?;
        Some(Self { ip, bits })
    }

    fn network(&self) -> IpAddr {
        match self.ip {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() & mask))
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & mask))
            }
        }
    }

    /// The network as Go's `net.IPNet` writes it.
    fn network_text(&self) -> String {
        format!("{}/{}", canonical(self.network()), self.bits)
    }
}

/// A network for a field that is older than the strict rules.
pub fn cidr_legacy(value: &str) -> Problems {
    if Cidr::parse_sloppy(value).is_none() {
        return vec!["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)".into()];
    }
    match Cidr::parse_strict(value) {
        None => vec!["must not have leading 0s in IP or prefix length".into()],
        Some(cidr) if is_v4_in_v6(&cidr.ip) => {
            vec!["must not have an IPv4-mapped IPv6 address".into()]
        }
        Some(cidr) if cidr.network() != cidr.ip => {
            vec!["must not have bits set beyond the prefix length".into()]
        }
        Some(_) => Problems::new(),
    }
}

/// A network in canonical form.
pub fn cidr(value: &str) -> Problems {
    let problems = cidr_legacy(value);
    match Cidr::parse_sloppy(value).map(|cidr| cidr.network_text()) {
        Some(canonical) if problems.is_empty() && canonical != value => {
            vec![format!("must be in canonical form ({canonical:?})").into()]
        }
        _ => problems,
    }
}

/// The warnings for a network that is accepted but unusual, without the field's path.
pub fn cidr_warnings(value: &str) -> Vec<String> {
    let Some(sloppy) = Cidr::parse_sloppy(value) else { return Vec::new() };
    let network = sloppy.network_text();
    let mut warnings = Vec::new();
    if sloppy.network() != sloppy.ip {
        let all_bits = if sloppy.ip.is_ipv4() { 32 } else { 128 };
        let single = format!("{}/{all_bits}", canonical(sloppy.ip));
        warnings.push(format!(
            "CIDR value {value:?} is ambiguous in this context (should be {network:?} or {single:?}?)"
        ));
    }
    match Cidr::parse_strict(value) {
        Some(cidr) if !is_v4_in_v6(&cidr.ip) => {
            let text = format!("{}/{}", cidr.ip, cidr.bits);
            if warnings.is_empty() && cidr.ip.is_ipv6() && text != value {
                let form = "should be in RFC 5952 canonical format";
                warnings.push(format!("IPv6 CIDR value {value:?} {form} ({text:?})"));
            }
        }
        _ => {
            warnings.push(format!("non-standard CIDR value {value:?} is invalid: use {network:?}"));
        }
    }
    warnings
}

/// An address with the length of its network, in canonical form, such as `192.168.1.5/24`.
pub fn interface_address(value: &str) -> Problems {
    let Some(cidr) = Cidr::parse_sloppy(value) else {
        let text = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)";
        return vec![text.into()];
    };
    // Of IPv4 in IPv6 the length is counted from where IPv4 begins, which may be behind the end of the network.
    let is_shifted = is_v4_in_v6(&cidr.ip) && cidr.bits > 32;
    let bits = i64::from(cidr.bits) - if is_shifted { 96 } else { 0 };
    let canonical = format!("{}/{bits}", canonical(cidr.ip));
    super::when(value != canonical, || format!("must be in canonical form ({canonical:?})").into())
}
