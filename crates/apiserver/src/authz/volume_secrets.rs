//! The Secrets that a node needs to mount a persistent volume.

use podo_api::{Value, tree};

/// Sources that name a Secret by a reference with a name and, for most, a namespace.
const REFERENCES: &[&[&str]] = &[
    &["cephfs", "secretRef"],
    &["cinder", "secretRef"],
    &["csi", "nodeExpandSecretRef"],
    &["csi", "nodePublishSecretRef"],
    &["csi", "nodeStageSecretRef"],
    &["flexVolume", "secretRef"],
    &["iscsi", "secretRef"],
    &["rbd", "secretRef"],
    &["scaleIO", "secretRef"],
    &["storageos", "secretRef"],
];

/// Whether a node that mounts the volume reads a Secret. A reference without a namespace means that of the volume's claim.
pub(super) fn uses_secret(volume: &Value, namespace: &str, name: &str) -> bool {
    let spec = tree::at(volume, &["spec"]);
    let own = tree::str_at(spec, &["claimRef", "namespace"]);
    let is_meant = |found_namespace: &str, found: &str| {
        found == name
            && (if found_namespace.is_empty() { own } else { found_namespace }) == namespace
    };
    let azure = tree::at(spec, &["azureFile"]);
    if is_meant(tree::str_at(azure, &["secretNamespace"]), tree::str_at(azure, &["secretName"])) {
        return true;
    }
    REFERENCES.iter().any(|path| {
        let reference = tree::at(spec, path);
        is_meant(tree::str_at(reference, &["namespace"]), tree::str_at(reference, &["name"]))
    })
}
