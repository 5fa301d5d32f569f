//! Which images to give up when the disk fills: a pure plan.
//!
//! The rules are those of the kubelet's image manager in Kubernetes v1.36: above the high threshold
//! the least recently used images go until usage is at the low one; images in use, pinned or younger
//! than the minimum age stay; unused ones beyond the maximum age go in any case.
//!
//! Not here: deleting ([`crate::service::ImageService::collect`]).

use std::time::{Duration, SystemTime};

use crate::digest::Digest;

/// When to collect and what to spare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Disk usage in percent from which images are collected; 100 means never.
    pub high_percent: u8,
    /// Disk usage in percent down to which they are.
    pub low_percent: u8,
    /// How long an image must have been known to be collected.
    pub age_min: Duration,
    /// How long an image may stay unused; none means as long as there is room.
    pub age_max: Option<Duration>,
}

impl Default for Policy {
    /// The kubelet's defaults.
    fn default() -> Self {
        Self { high_percent: 85, low_percent: 80, age_min: Duration::from_mins(2), age_max: None }
    }
}

/// The file system that holds the images, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// All of it.
    pub capacity_bytes: u64,
    /// What can still be written.
    pub available_bytes: u64,
}

/// An image that could go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which image.
    pub id: Digest,
    /// What it occupies.
    pub size_bytes: u64,
    /// When it was last used.
    pub used_at: SystemTime,
    /// When it was first seen.
    pub created_at: SystemTime,
    /// A container uses it.
    pub is_in_use: bool,
    /// It is never to go.
    pub is_pinned: bool,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Images to remove, in order.
    pub remove: Vec<Digest>,
    /// Bytes that must be freed.
    pub wanted_bytes: u64,
    /// Bytes that removing all of them frees, as far as their sizes tell.
    pub freed_bytes: u64,
}

impl Plan {
    /// The kubelet's message if there is not enough to remove.
    pub fn shortfall(&self) -> Option<String> {
        let (wanted, freed) = (self.wanted_bytes, self.freed_bytes);
        (freed < wanted).then(|| {
            format!(
                "Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, \
                 but only found {freed} bytes eligible to free."
            )
        })
    }
}

/// Decides. No clock, no disk.
pub fn plan(policy: &Policy, disk: Disk, candidates: &[Candidate], now: SystemTime) -> Plan {
    let age = |since: SystemTime| now.duration_since(since).unwrap_or_default();
    let mut free: Vec<&Candidate> = candidates
        .iter()
        .filter(|image| !image.is_in_use && !image.is_pinned)
        .filter(|image| age(image.created_at) >= policy.age_min)
        .collect();
    free.sort_by_key(|image| (image.used_at, image.created_at, image.id.clone()));

    let mut plan = Plan { wanted_bytes: wanted_bytes(policy, disk), ..Plan::default() };
    for image in free {
        let is_old = policy.age_max.is_some_and(|max| age(image.used_at) > max);
        if is_old || plan.freed_bytes < plan.wanted_bytes {
            plan.freed_bytes = plan.freed_bytes.saturating_add(image.size_bytes);
            plan.remove.push(image.id.clone());
        }
    }
    plan
}

fn wanted_bytes(policy: &Policy, disk: Disk) -> u64 {
    let capacity = u128::from(disk.capacity_bytes);
    let available = u128::from(disk.available_bytes).min(capacity);
    if capacity == 0 {
        return 0;
    }
    let usage_percent = 100 - available * 100 / capacity;
    if policy.high_percent >= 100 || usage_percent < u128::from(policy.high_percent) {
        return 0;
    }
    let free_at_low = capacity * u128::from(100_u8.saturating_sub(policy.low_percent)) / 100;
    u64::try_from(free_at_low.saturating_sub(available)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
