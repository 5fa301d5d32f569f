//! The crate's only unsafe code: two kernel calls that the safe wrappers do not offer.

#![expect(unsafe_code, reason = "setsockopt on SOL_NETLINK and unshare have no safe wrapper")]

pub(crate) mod namespace;
pub(crate) mod socket_option;
