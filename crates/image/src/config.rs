//! The image configuration blob: what an image says about how to run it.
//!
//! Owns the typed form of the OCI image configuration. Pure. Nothing here is trusted as a path: the
//! runtime resolves `Volumes` and `WorkingDir` inside the container's root (CVE-2022-23648).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::manifest::{Platform, or_default, parse_object};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not JSON of a configuration's form.
    #[error("image configuration is malformed")]
    Json(#[source] serde_json::Error),
    /// The root file system is of an unknown kind.
    #[error("image root file system type {kind:?} is not supported")]
    RootFs {
        /// What it says it is.
        kind: String,
    },
    /// The manifest and the configuration list different numbers of layers.
    #[error(
        "manifest lists {layers} layers, configuration lists {diff_ids}: mismatched image rootfs and manifest layers"
    )]
    LayerCount {
        /// Layers of the manifest.
        layers: usize,
        /// Layers of the configuration.
        diff_ids: usize,
    },
}

/// How to run the image; every field as the image gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RunConfig {
    /// Program and leading arguments.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// Default arguments, or the program if there is no entrypoint.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// `NAME=value` strings.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// `user[:group]`, names or numbers; empty is root.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Where the program starts; empty is `/`.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Paths that want a volume.
    #[serde(
        deserialize_with = "keys",
        serialize_with = "as_keys",
        skip_serializing_if = "BTreeSet::is_empty"
    )]
    pub volumes: BTreeSet<String>,
    /// `port[/protocol]` strings.
    #[serde(
        deserialize_with = "keys",
        serialize_with = "as_keys",
        skip_serializing_if = "BTreeSet::is_empty"
    )]
    pub exposed_ports: BTreeSet<String>,
    /// The signal that asks the program to stop, by name or number; empty is SIGTERM.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// Free labels.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl RunConfig {
    /// The user as CRI wants it: a number if it is one, else the name. Groups are left out.
    pub fn user_identity(&self) -> (Option<u32>, &str) {
        let user = self.user.split(':').next().unwrap_or_default();
        if user.is_empty() {
            return (Some(0), "");
        }
        match user.parse::<u32>() {
            Ok(uid) => (Some(uid), ""),
            Err(_) => (None, user),
        }
    }
}

/// What of an image configuration is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImageConfig {
    /// RFC 3339 time of making, as written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub created: String,
    /// What it runs on.
    #[serde(flatten)]
    pub platform: Platform,
    /// How to run it.
    pub config: RunConfig,
    /// The layers, bottom first.
    pub rootfs: RootFs,
}

/// The layers of an image by the digests of their uncompressed archives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Bottom first.
    #[serde(default, deserialize_with = "or_default")]
    pub diff_ids: Vec<Digest>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self { kind: "layers".into(), diff_ids: Vec::new() }
    }
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default, deserialize_with = "or_default")]
    created: String,
    #[serde(default, deserialize_with = "or_default")]
    architecture: String,
    #[serde(default, deserialize_with = "or_default")]
    os: String,
    #[serde(default, deserialize_with = "or_default")]
    variant: String,
    #[serde(default, deserialize_with = "or_default")]
    config: RunConfig,
    #[serde(default, deserialize_with = "or_default")]
    rootfs: RootFs,
}

impl ImageConfig {
    /// Reads a configuration blob.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let raw: Raw = parse_object(bytes).map_err(ConfigError::Json)?;
        if !matches!(raw.rootfs.kind.as_str(), "layers" | "") {
            return Err(ConfigError::RootFs { kind: raw.rootfs.kind });
        }
        Ok(Self {
            created: raw.created,
            platform: Platform { architecture: raw.architecture, os: raw.os, variant: raw.variant },
            config: raw.config,
            rootfs: raw.rootfs,
        })
    }

    /// Checks that there is one diff id for each of `layers` layers.
    pub fn check_layers(&self, layers: usize) -> Result<(), ConfigError> {
        let diff_ids = self.rootfs.diff_ids.len();
        if layers == diff_ids { Ok(()) } else { Err(ConfigError::LayerCount { layers, diff_ids }) }
    }
}

fn keys<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    let map = Option::<serde_json::Map<String, serde_json::Value>>::deserialize(deserializer)?;
    Ok(map.unwrap_or_default().into_iter().map(|(key, _)| key).collect())
}

fn as_keys<S: serde::Serializer>(
    keys: &BTreeSet<String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(keys.iter().map(|key| (key, serde_json::Map::new())))
}

#[cfg(test)]
mod tests;
