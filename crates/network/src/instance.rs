//! Names that one instance gives to what it puts into the kernel.
//!
//! Holds always
//! - A link's name is a function of instance and address, so an address leads to its link after a
//!   crash, and two endpoints of one instance never share a name.
//! - Links carry a 16-bit tag of the instance (interface names have 15 characters), the table its
//!   whole name; [`crate::firewall`] refuses a second instance with the same tag.

use std::fmt;
use std::net::Ipv4Addr;

#[cfg(test)]
mod tests;

/// Start of all names that Podo gives to links and tables.
const LINK_START: &str = "podo";
const TABLE_START: &str = "podo-";
/// 63 is the bound of a DNS label; the nf_tables bound of 255 is far.
const INSTANCE_BYTES_MAX: usize = 63;
/// An interface name leaves 7 characters for an address: 5 bits each.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A checked instance name and the names derived from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    name: String,
    tag: u16,
}

/// A name that cannot be part of kernel object names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("instance name {name:?} is not 1 to 63 of a-z, 0-9 and -")]
pub struct InstanceError {
    name: String,
}

impl Instance {
    /// Checks the name.
    pub fn new(name: &str) -> Result<Self, InstanceError> {
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > INSTANCE_BYTES_MAX || !name.bytes().all(is_plain) {
            return Err(InstanceError { name: name.to_owned() });
        }
        let hash = fnv1a(name.as_bytes());
        let [.., high, low] = (hash ^ (hash >> 16)).to_be_bytes();
        Ok(Self { name: name.to_owned(), tag: u16::from_be_bytes([high, low]) })
    }

    /// Start of the names of all links of this instance: `podo` and four hexadecimal digits.
    pub fn link_prefix(&self) -> String {
        format!("{LINK_START}{:04x}", self.tag)
    }

    /// Name of the host's end of the link to the endpoint with this address; 15 characters.
    pub fn link_name(&self, address: Ipv4Addr) -> String {
        let mut name = self.link_prefix();
        let bits = u64::from(u32::from(address));
        for place in (0..7).rev() {
            let digit = usize::try_from((bits >> (place * 5)) & 31).unwrap_or(0);
            name.extend(ALPHABET.get(digit).map(|byte| char::from(*byte)));
        }
        name
    }

    /// Name of the nf_tables table.
    pub fn table_name(&self) -> String {
        format!("{TABLE_START}{}", self.name)
    }

    /// A number for device groups and route metrics: "po" and the tag, far from what people use.
    pub fn number(&self) -> u32 {
        0x706f_0000 | u32::from(self.tag)
    }

    /// The instance that a table of this name belongs to, if it is one of ours.
    pub fn of_table(table: &str) -> Option<Self> {
        table.strip_prefix(TABLE_START).and_then(|name| Self::new(name).ok())
    }

    /// Whether the two would own each other's links.
    pub fn collides(&self, other: &Self) -> bool {
        self.tag == other.tag && self.name != other.name
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

/// FNV-1a, 32 bits: short, stable across versions, and no defence against anybody.
pub(crate) fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
