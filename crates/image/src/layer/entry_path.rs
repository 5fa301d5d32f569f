//! Paths of archive entries: split, bounded, and without a way up.

use super::{LayerError, printable};
use crate::limits::Limits;

/// The components of a path below the layer's root; empty for the root itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntryPath<'a> {
    components: Vec<&'a [u8]>,
}

impl<'a> EntryPath<'a> {
    /// Leading slashes and `.` mean nothing, as they do to containerd; `..` is refused.
    pub(super) fn parse(path: &'a [u8], limits: &Limits) -> Result<Self, LayerError> {
        if path.len() > limits.path_bytes {
            return Err(LayerError::PathBounds { path: printable(path) });
        }
        let mut components = Vec::new();
        for component in path.split(|byte| *byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => return Err(LayerError::Escape { path: printable(path) }),
                _ if component.contains(&0) => {
                    return Err(LayerError::Escape { path: printable(path) });
                }
                _ => components.push(component),
            }
        }
        if components.len() > limits.path_depth {
            return Err(LayerError::PathBounds { path: printable(path) });
        }
        Ok(Self { components })
    }

    /// The last component and those before it; none for the root.
    pub(super) fn split(&self) -> Option<(&'a [u8], &[&'a [u8]])> {
        self.components.split_last().map(|(name, parents)| (*name, parents))
    }
}
