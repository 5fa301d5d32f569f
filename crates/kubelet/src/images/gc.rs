//! Removing images when their file system fills up: the one that was used longest ago first (Kubernetes v1.36 image GC).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use podo_base::Timestamp;
use podo_cri::{CriError, v1};

use super::{Images, spec};
use crate::config::KubeletConfig;
use crate::events::Subject;
use crate::runtime::{CALL_TIMEOUT, bounded};

/// When to begin and when to end, in percent of the file system, and what to leave alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GcPolicy {
    /// Begin at this.
    pub(crate) high_percent: u8,
    /// End at this.
    pub(crate) low_percent: u8,
    /// Keep what was used or came within this time.
    pub(crate) minimum_age: Duration,
}

impl GcPolicy {
    /// What the node was told.
    pub(crate) fn of(config: &KubeletConfig) -> Self {
        Self {
            high_percent: config.image_gc_high_percent,
            low_percent: config.image_gc_low_percent,
            minimum_age: config.image_minimum_age,
        }
    }
}

/// How full a file system is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    /// All of it.
    pub(crate) capacity: u64,
    /// What is left.
    pub(crate) available: u64,
}

/// An image that could be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    id: String,
    size: u64,
    used_at: Timestamp,
}

/// How many bytes have to go; `None` if there is room.
fn bytes_to_free(space: Space, policy: GcPolicy) -> Option<u64> {
    if policy.high_percent >= 100 || space.capacity == 0 {
        return None;
    }
    let used = space.capacity.saturating_sub(space.available);
    let percent = |percent: u8| {
        let bytes = u128::from(space.capacity) * u128::from(percent) / 100;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    };
    (used >= percent(policy.high_percent)).then(|| used.saturating_sub(percent(policy.low_percent)))
}

/// Which images go, so that enough is freed: those unused longest first, none that was used lately.
fn choose(
    mut candidates: Vec<Candidate>,
    wanted: u64,
    policy: GcPolicy,
    now: Timestamp,
) -> Vec<Candidate> {
    candidates.retain(|image| now.since(image.used_at) >= policy.minimum_age);
    candidates.sort_by_key(|image| image.used_at);
    let mut freed = 0;
    candidates
        .into_iter()
        .take_while(|image| {
            let is_needed = freed < wanted;
            freed += image.size;
            is_needed
        })
        .collect()
}

impl Images {
    /// Removes images if their file system is too full. `space` says how full the file system of a path is.
    pub(crate) async fn collect(
        &self,
        policy: GcPolicy,
        node: &str,
        space: impl Fn(&str) -> Option<Space>,
    ) -> Result<(), CriError> {
        let cri = self.runtime.cri();
        let in_use = self.in_use().await?;
        let listed_at = Instant::now();
        let list = bounded(CALL_TIMEOUT, cri.list_images(v1::ListImagesRequest::default())).await?;
        let is_there = |id: &str| list.images.iter().any(|image| image.id == id);
        let kept = self.records.retain(is_there, listed_at);
        kept.map_err(|error| CriError::internal(&error))?;
        let now = self.clock.now();
        let candidates: Vec<Candidate> = {
            let mut used = self.used.lock();
            used.retain(|id, _| list.images.iter().any(|image| image.id == *id));
            // What is used now, or was not seen before, counts from now.
            for image in &list.images {
                if in_use.contains(&image.id) {
                    used.insert(image.id.clone(), now);
                } else {
                    used.entry(image.id.clone()).or_insert(now);
                }
            }
            let free =
                list.images.iter().filter(|image| !image.pinned && !in_use.contains(&image.id));
            free.map(|image| Candidate {
                id: image.id.clone(),
                size: image.size,
                used_at: used.get(&image.id).copied().unwrap_or(now),
            })
            .collect()
        };
        let request = v1::ImageFsInfoRequest::default();
        let info = bounded(CALL_TIMEOUT, cri.image_fs_info(request)).await?;
        let mountpoint = info.image_filesystems.into_iter().find_map(|usage| usage.fs_id);
        let Some(space) = mountpoint.and_then(|id| space(&id.mountpoint)) else { return Ok(()) };
        let Some(wanted) = bytes_to_free(space, policy) else { return Ok(()) };
        let mut freed = 0;
        for image in choose(candidates, wanted, policy, now) {
            let request = v1::RemoveImageRequest { image: Some(spec(&image.id)) };
            match bounded(CALL_TIMEOUT, cri.remove_image(request)).await {
                Ok(_) => freed += image.size,
                Err(error) => tracing::warn!(image = image.id, %error, "image not removed"),
            }
        }
        tracing::info!(wanted, freed, "removed images to make room");
        if freed < wanted {
            let message = format!(
                "Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, but only found {freed} bytes eligible to free."
            );
            self.recorder.warning(Subject::node(node), "FreeDiskSpaceFailed", message);
        }
        Ok(())
    }

    /// The images of all containers, dead ones included: those may be started again.
    async fn in_use(&self) -> Result<BTreeSet<String>, CriError> {
        let request = v1::ListContainersRequest::default();
        let list = bounded(CALL_TIMEOUT, self.runtime.cri().list_containers(request)).await?;
        let mut in_use = BTreeSet::new();
        for container in list.containers {
            in_use.insert(container.image_id);
            in_use.insert(container.image_ref);
            in_use.extend(container.image.map(|image| image.image));
        }
        Ok(in_use)
    }
}

#[cfg(test)]
mod tests;
