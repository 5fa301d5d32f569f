//! The real `podo` binary with real containers, each test on a host and a cluster of its own. Tests carry the number of the
//! requirement that they hold: `s02_…` is row S02 of the list of what Podo must do.
//!
//! Needs root; the images are made from the distribution's busybox and nginx and served by its docker-registry. What the machine
//! lacks makes a test skip aloud.
//!
//! Numbers that a long run makes larger: `PODO_TEST_KILLS`, `PODO_TEST_WRITERS`, `PODO_TEST_PODS`, `PODO_TEST_WATCHES`,
//! `PODO_TEST_WATCHES_PER_CONNECTION`. `PODO_TEST_ROWS=1` goes through all rows by hand.

#![expect(clippy::unwrap_used, reason = "a world that cannot be set up fails its test")]

mod access;
mod documents;
mod garbage;
mod hostile;
mod hostile_files;
mod hostile_images;
mod hostile_network;
mod hostile_requests;
mod image_failures;
mod images;
mod input;
mod instances;
mod kills;
mod kubectl;
mod kubectl_compare;
mod kubectl_files;
mod kubectl_objects;
mod kubectl_streams;
mod life;
mod logs;
mod manifests;
mod mounts;
mod placement;
mod pods;
mod progress;
mod proxies;
mod reasons;
mod reboot;
mod resize;
mod rows;
mod servers;
mod status;
mod vectors;
mod volumes;

use podo_cluster_tests::{Cluster, Options};

/// Runs a test on a cluster with nothing special.
#[track_caller]
fn on_cluster(test: impl FnOnce(&mut Cluster) + Send) {
    podo_cluster_tests::with_cluster(Options::default(), test);
}

/// A number that a long run makes larger.
fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}
