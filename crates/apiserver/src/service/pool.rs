//! Two ranges to choose from: addresses and ports. The lower part of each is left to those who ask for a certain value (KEP-3070,
//! KEP-3668), so that a choice at random does not get in their way.

use std::collections::HashSet;
use std::net::Ipv4Addr;

/// What is in use.
#[derive(Debug, Clone, Default)]
pub(super) struct Taken {
    pub(super) addresses: HashSet<Ipv4Addr>,
    pub(super) ports: HashSet<u16>,
}

/// Why an address or port cannot be had. The texts are part of the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PoolError {
    /// Somebody has it.
    #[error("provided {what} is already allocated")]
    Taken {
        /// `IP` or `port`.
        what: &'static str,
    },
    /// It is no address of the range.
    #[error("the provided network does not match the current range")]
    OtherNetwork,
    /// It is no port of the range.
    #[error("provided port is not in the valid range. The range of valid ports is {low}-{high}")]
    PortRange {
        /// The first port.
        low: u16,
        /// The last port.
        high: u16,
    },
    /// All are taken.
    #[error("range is full")]
    Full,
}

/// The first address of a network.
pub(super) fn first((network, bits): (Ipv4Addr, u8)) -> Option<Ipv4Addr> {
    hosts((network, bits)).map(|(low, _)| Ipv4Addr::from_bits(low))
}

/// The first and the last address that something can have.
fn hosts((network, bits): (Ipv4Addr, u8)) -> Option<(u32, u32)> {
    let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
    let base = network.to_bits() & mask;
    let (low, high) = (base.checked_add(1)?, (base | !mask).checked_sub(1)?);
    (low <= high).then_some((low, high))
}

/// How many values at the start of a range of `size` are left to those who ask for them.
fn reserved(size: u32, step: u32, max: u32) -> u32 {
    const MIN: u32 = 16;
    if size <= MIN { 0 } else { (size / step).clamp(MIN, max) }
}

/// The first free value from a random one on: in the upper part, else in the lower one.
fn choose(
    low: u32,
    high: u32,
    offset: u32,
    is_free: impl Fn(u32) -> bool,
) -> Result<u32, PoolError> {
    let split = low.saturating_add(offset);
    for (low, high) in [(split, high), (low, split.saturating_sub(1))] {
        if low > high {
            continue;
        }
        let size = u64::from(high - low) + 1;
        let start = u64::from_le_bytes(podo_base::random_bytes()) % size;
        let found = (0..size)
            .filter_map(|step| u32::try_from(u64::from(low) + (start + step) % size).ok())
            .find(|&value| is_free(value));
        if let Some(found) = found {
            return Ok(found);
        }
    }
    Err(PoolError::Full)
}

/// The addresses of Services.
#[derive(Debug)]
pub(super) struct Addresses {
    range: Option<(u32, u32)>,
    /// What is left to those who ask for a certain address.
    offset: u32,
    taken: HashSet<Ipv4Addr>,
}

impl Addresses {
    pub(super) fn new(network: (Ipv4Addr, u8), taken: HashSet<Ipv4Addr>) -> Self {
        let size = 1_u32.checked_shl(32 - u32::from(network.1.min(32))).unwrap_or(u32::MAX);
        // The offset counts from the network's own address, which nothing can have.
        let offset = reserved(size, 16, 256).saturating_sub(1);
        Self { range: hosts(network), offset, taken }
    }

    /// Takes the address that is written here.
    pub(super) fn take(&mut self, wanted: &str) -> Result<Ipv4Addr, PoolError> {
        let Ok(wanted) = wanted.parse::<Ipv4Addr>() else { return Err(PoolError::OtherNetwork) };
        let is_within =
            self.range.is_some_and(|(low, high)| (low..=high).contains(&wanted.to_bits()));
        if !is_within {
            return Err(PoolError::OtherNetwork);
        }
        if self.taken.insert(wanted) { Ok(wanted) } else { Err(PoolError::Taken { what: "IP" }) }
    }

    /// Takes any free address.
    pub(super) fn take_any(&mut self) -> Result<Ipv4Addr, PoolError> {
        let (low, high) = self.range.ok_or(PoolError::Full)?;
        let found = choose(low, high, self.offset, |bits| {
            !self.taken.contains(&Ipv4Addr::from_bits(bits))
        })?;
        let found = Ipv4Addr::from_bits(found);
        self.taken.insert(found);
        Ok(found)
    }
}

/// The ports of nodes that lead to Services.
#[derive(Debug)]
pub(super) struct Ports {
    low: u16,
    high: u16,
    taken: HashSet<u16>,
}

impl Ports {
    pub(super) fn new((low, high): (u16, u16), taken: HashSet<u16>) -> Self {
        Self { low, high, taken }
    }

    /// Takes this port.
    pub(super) fn take(&mut self, wanted: i64) -> Result<u16, PoolError> {
        let (low, high) = (self.low, self.high);
        let within = u16::try_from(wanted).ok().filter(|port| (low..=high).contains(port));
        let wanted = within.ok_or(PoolError::PortRange { low, high })?;
        if self.taken.insert(wanted) { Ok(wanted) } else { Err(PoolError::Taken { what: "port" }) }
    }

    /// Takes any free port.
    pub(super) fn take_any(&mut self) -> Result<u16, PoolError> {
        let (low, high) = (u32::from(self.low), u32::from(self.high));
        if low > high {
            return Err(PoolError::Full);
        }
        let offset = reserved(high - low + 1, 32, 128);
        let is_free = |port: u32| u16::try_from(port).is_ok_and(|port| !self.taken.contains(&port));
        let found = choose(low, high, offset, is_free)?;
        let found = u16::try_from(found).map_err(|_| PoolError::Full)?;
        self.taken.insert(found);
        Ok(found)
    }
}
