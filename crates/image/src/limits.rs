//! How much an image may ask of the node: every bound on outside input, in one place.
//!
//! An image is written by a stranger. Each number here is generous for real images and far below
//! what would hurt a node (CVE-2023-25153 is the class).

/// Bounds on what is taken from registries, archives and layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of one manifest or index in bytes. 4 MiB is what registries themselves accept.
    pub manifest_bytes: u64,
    /// Size of an image configuration in bytes.
    pub config_bytes: u64,
    /// Layers of one image; overlayfs stacks at most 500.
    pub layers: usize,
    /// Size of one layer as it is transferred, in bytes.
    pub layer_bytes: u64,
    /// Size of one layer once unpacked, in bytes (holes of sparse files count).
    pub unpacked_bytes: u64,
    /// Entries of one layer (files, directories, links).
    pub entries: u64,
    /// Components of one path within a layer.
    pub path_depth: usize,
    /// Length of one path within a layer; PATH_MAX.
    pub path_bytes: usize,
    /// Size of the extended headers (PAX, GNU long names, sparse maps) of one entry, in bytes.
    pub header_bytes: u64,
    /// Manifests that one index may list.
    pub index_entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest_bytes: 4 << 20,
            config_bytes: 8 << 20,
            layers: 500,
            layer_bytes: 64 << 30,
            unpacked_bytes: 128 << 30,
            entries: 5_000_000,
            path_depth: 256,
            path_bytes: 4096,
            header_bytes: 1 << 20,
            index_entries: 1024,
        }
    }
}
