//! An IPv4 prefix: `10.42.0.0/24`.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

#[cfg(test)]
mod tests;

/// An IPv4 network: an address whose host bits are zero, and a prefix length of at most 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ipv4Cidr {
    network: Ipv4Addr,
    prefix: u8,
}

/// Text or numbers that are no IPv4 network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no IPv4 network in the form 10.42.0.0/16")]
pub struct CidrError {
    text: String,
}

impl Ipv4Cidr {
    /// All addresses: the destination of a default route.
    pub const EVERYWHERE: Self = Self { network: Ipv4Addr::UNSPECIFIED, prefix: 0 };
    /// The addresses of every host's own loopback.
    pub const LOOPBACK: Self = Self { network: Ipv4Addr::new(127, 0, 0, 0), prefix: 8 };

    /// The network of `prefix` bits; refuses host bits and prefixes above 32.
    pub fn new(network: Ipv4Addr, prefix: u8) -> Result<Self, CidrError> {
        let cidr = Self { network, prefix: prefix.min(32) };
        let has_host_bits = u32::from(network) & !cidr.mask_bits() != 0;
        if prefix > 32 || has_host_bits {
            return Err(CidrError { text: format!("{network}/{prefix}") });
        }
        Ok(cidr)
    }

    /// The network that holds this address only.
    pub const fn host(address: Ipv4Addr) -> Self {
        Self { network: address, prefix: 32 }
    }

    /// First address.
    pub fn network(self) -> Ipv4Addr {
        self.network
    }

    /// Last address.
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.network) | !self.mask_bits())
    }

    /// Prefix length, 0 to 32.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The mask, as in 255.255.255.0.
    pub fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from(self.mask_bits())
    }

    /// Whether the address lies in the network.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & self.mask_bits() == u32::from(self.network)
    }

    /// Whether all of `other` lies in this network.
    pub fn contains_network(self, other: Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.network)
    }

    fn mask_bits(self) -> u32 {
        u32::MAX.checked_shl(32_u32.saturating_sub(self.prefix.into())).unwrap_or(0)
    }
}

impl fmt::Display for Ipv4Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.network, self.prefix)
    }
}

impl FromStr for Ipv4Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let error = || CidrError { text: text.to_owned() };
        let (network, prefix) = text.split_once('/').ok_or_else(error)?;
        let network = network.parse().map_err(|_| error())?;
        let prefix = prefix.parse().map_err(|_| error())?;
        Self::new(network, prefix)
    }
}
