//! Volumes of Pods and templates.

use serde_json::Value;

use super::super::value::{Look, shown};
use super::page::Page;

/// All volumes. `space` is put before titles of templates.
pub(super) fn all(page: &mut Page, volumes: &[Value], space: &str) {
    if volumes.is_empty() {
        return page.raw(&format!("{space}Volumes:\t<none>\n"));
    }
    page.raw(&format!("{space}Volumes:\n"));
    for volume in volumes {
        let indent = if space.is_empty() { "" } else { " " };
        page.line(1, format!("{indent}{}:", volume.s("/name")));
        source(page, volume);
    }
}

/// Where a volume's content comes from.
pub(super) fn source(page: &mut Page, volume: &Value) {
    let kinds = volume.as_object().into_iter().flatten();
    let found = kinds.into_iter().find(|(key, value)| *key != "name" && value.is_object());
    let Some((kind, own)) = found else {
        return page.line(1, "<unknown>");
    };
    match kind.as_str() {
        "downwardAPI" => downward(page, own),
        "projected" => projected(page, own),
        kind => {
            for (label, value) in rows(kind, own) {
                page.pair(2, label, value);
            }
            if kind == "csi" {
                page.map("    ", "VolumeAttributes", own.get("volumeAttributes"));
            }
        }
    }
}

fn downward(page: &mut Page, own: &Value) {
    page.pair(2, "Type", "DownwardAPI (a volume populated by information about the pod)");
    page.line(2, "Items:");
    for item in own.list("/items") {
        for field in ["/fieldRef/fieldPath", "/resourceFieldRef/resource"] {
            if item.has(field) {
                page.line(3, format!("{} -> {}", item.s(field), item.s("/path")));
            }
        }
    }
}

/// The labels and values of a kind of volume.
fn rows(kind: &str, own: &Value) -> Vec<(&'static str, String)> {
    let text = |pointer: &str| own.at(pointer).map(shown).unwrap_or_default();
    let flag = |pointer: &str| own.b(pointer).to_string();
    match kind {
        "hostPath" => vec![
            ("Type", "HostPath (bare host directory volume)".into()),
            ("Path", text("/path")),
            ("HostPathType", own.at("/type").map_or("<none>".into(), shown)),
        ],
        "emptyDir" => vec![
            ("Type", "EmptyDir (a temporary directory that shares a pod's lifetime)".into()),
            ("Medium", text("/medium")),
            ("SizeLimit", own.at("/sizeLimit").map_or("<unset>".into(), shown)),
        ],
        "secret" => vec![
            ("Type", "Secret (a volume populated by a Secret)".into()),
            ("SecretName", text("/secretName")),
            ("Optional", flag("/optional")),
        ],
        "configMap" => vec![
            ("Type", "ConfigMap (a volume populated by a ConfigMap)".into()),
            ("Name", text("/name")),
            ("Optional", flag("/optional")),
        ],
        "persistentVolumeClaim" => vec![
            ("Type", "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)".into()),
            ("ClaimName", text("/claimName")),
            ("ReadOnly", flag("/readOnly")),
        ],
        "nfs" => vec![
            ("Type", "NFS (an NFS mount that lasts the lifetime of a pod)".into()),
            ("Server", text("/server")),
            ("Path", text("/path")),
            ("ReadOnly", flag("/readOnly")),
        ],
        "image" => vec![
            ("Type", "Image (a container image or OCI artifact)".into()),
            ("Reference", text("/reference")),
            ("PullPolicy", text("/pullPolicy")),
        ],
        "local" => vec![
            ("Type", "LocalVolume (a persistent volume backed by local storage on a node)".into()),
            ("Path", text("/path")),
        ],
        "csi" => {
            let mut rows = vec![
                ("Type", "CSI (a Container Storage Interface (CSI) volume source)".into()),
                ("Driver", text("/driver")),
                ("FSType", text("/fsType")),
            ];
            if own.has("/volumeHandle") {
                rows.push(("VolumeHandle", text("/volumeHandle")));
            }
            rows.push(("ReadOnly", flag("/readOnly")));
            rows
        }
        "ephemeral" => vec![(
            "Type",
            "EphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)".into(),
        )],
        _ => vec![("Type", kind.to_owned())],
    }
}

fn projected(page: &mut Page, own: &Value) {
    page.pair(2, "Type", "Projected (a volume that contains injected data from multiple sources)");
    for source in own.list("/sources") {
        if let Some(secret) = source.get("secret") {
            page.pair(2, "SecretName", secret.s("/name"));
            page.pair(2, "Optional", secret.b("/optional").to_string());
        } else if source.has("/downwardAPI") {
            page.pair(2, "DownwardAPI", "true");
        } else if let Some(config) = source.get("configMap") {
            page.pair(2, "ConfigMapName", config.s("/name"));
            page.pair(2, "Optional", config.b("/optional").to_string());
        } else if let Some(token) = source.get("serviceAccountToken") {
            page.pair(2, "TokenExpirationSeconds", token.i("/expirationSeconds").to_string());
        }
    }
}
