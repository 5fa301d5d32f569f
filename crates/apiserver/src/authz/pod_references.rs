//! What a Pod refers to: the objects that its node must be able to read to run it.
//!
//! One visitor over every kind of container and volume, so that none can be forgotten where it matters (CVE-2023-2728,
//! CVE-2024-3177).

use std::collections::BTreeSet;

use podo_api::{Value, meta, tree};

/// The annotation of a mirror Pod, which stands for a Pod that the node got elsewhere: it grants its node nothing.
pub(crate) const MIRROR: &str = "kubernetes.io/config.mirror";

/// Names in the Pod's namespace, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PodReferences {
    pub(crate) secrets: BTreeSet<Box<str>>,
    pub(crate) config_maps: BTreeSet<Box<str>>,
    /// Claims of volumes, those of ephemeral volumes included.
    pub(crate) claims: BTreeSet<Box<str>>,
    /// Claims of devices.
    pub(crate) resource_claims: BTreeSet<Box<str>>,
    pub(crate) service_account: Box<str>,
    /// Whether a projected volume shows trust bundles.
    pub(crate) has_trust_bundles: bool,
}

impl PodReferences {
    /// The references of a Pod.
    pub(crate) fn of(pod: &Value) -> Self {
        let mut found = Self::default();
        let spec = tree::at(pod, &["spec"]);
        found.service_account = tree::str_at(spec, &["serviceAccountName"]).into();
        for secret in tree::items_at(spec, &["imagePullSecrets"]) {
            found.secret(secret, &["name"]);
        }
        for list in ["initContainers", "containers", "ephemeralContainers"] {
            for container in tree::items_at(spec, &[list]) {
                found.container(container);
            }
        }
        for volume in tree::items_at(spec, &["volumes"]) {
            found.volume(volume, meta::name(pod));
        }
        found.devices(pod);
        found
    }

    fn secret(&mut self, value: &Value, path: &[&str]) {
        add(&mut self.secrets, value, path);
    }

    fn config_map(&mut self, value: &Value, path: &[&str]) {
        add(&mut self.config_maps, value, path);
    }

    fn container(&mut self, container: &Value) {
        for source in tree::items_at(container, &["envFrom"]) {
            self.secret(source, &["secretRef", "name"]);
            self.config_map(source, &["configMapRef", "name"]);
        }
        for variable in tree::items_at(container, &["env"]) {
            self.secret(variable, &["valueFrom", "secretKeyRef", "name"]);
            self.config_map(variable, &["valueFrom", "configMapKeyRef", "name"]);
        }
    }

    fn volume(&mut self, volume: &Value, pod: &str) {
        self.secret(volume, &["secret", "secretName"]);
        self.secret(volume, &["azureFile", "secretName"]);
        self.secret(volume, &["csi", "nodePublishSecretRef", "name"]);
        for source in ["cephfs", "cinder", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos"] {
            self.secret(volume, &[source, "secretRef", "name"]);
        }
        self.config_map(volume, &["configMap", "name"]);
        for source in tree::items_at(volume, &["projected", "sources"]) {
            self.secret(source, &["secret", "name"]);
            self.config_map(source, &["configMap", "name"]);
            self.has_trust_bundles |= !tree::at(source, &["clusterTrustBundle"]).is_null();
        }
        add(&mut self.claims, volume, &["persistentVolumeClaim", "claimName"]);
        if !tree::at(volume, &["ephemeral"]).is_null() {
            self.claims.insert(ephemeral_claim(pod, volume).into());
        }
    }

    fn devices(&mut self, pod: &Value) {
        for claim in tree::items_at(pod, &["spec", "resourceClaims"]) {
            add(&mut self.resource_claims, claim, &["resourceClaimName"]);
        }
        for claim in tree::items_at(pod, &["status", "resourceClaimStatuses"]) {
            add(&mut self.resource_claims, claim, &["resourceClaimName"]);
        }
        add(
            &mut self.resource_claims,
            pod,
            &["status", "extendedResourceClaimStatus", "resourceClaimName"],
        );
    }
}

fn add(names: &mut BTreeSet<Box<str>>, value: &Value, path: &[&str]) {
    let name = tree::str_at(value, path);
    if !name.is_empty() {
        names.insert(name.into());
    }
}

/// The claim that is made for an ephemeral volume (KEP-1698).
pub(crate) fn ephemeral_claim(pod: &str, volume: &Value) -> String {
    format!("{pod}-{}", tree::str_at(volume, &["name"]))
}
