//! Defaults of volumes.

use podo_api::Value;
use podo_api::tree;
use serde_json::{Map, json};

use super::super::image_name;
use super::super::view::{get, text};
use super::{field, resources};

/// The mode of files that volumes are made of: 0644.
const FILE_MODE: i64 = 0o644;

/// How long a service account's token lives if the Pod does not say.
const TOKEN_SECONDS: i64 = 60 * 60;

/// Defaults of the sources with plain fields: source, field, default, and whether the field is a pointer.
const SOURCE_FIELDS: &[(&str, &str, Plain)] = &[
    ("iscsi", "iscsiInterface", Plain::Text("default")),
    ("rbd", "pool", Plain::Text("rbd")),
    ("rbd", "user", Plain::Text("admin")),
    ("rbd", "keyring", Plain::Text("/etc/ceph/keyring")),
    ("azureDisk", "cachingMode", Plain::Pointer("ReadWrite")),
    ("azureDisk", "kind", Plain::Pointer("Shared")),
    ("azureDisk", "fsType", Plain::Pointer("ext4")),
    ("azureDisk", "readOnly", Plain::Off),
    ("scaleIO", "storageMode", Plain::Text("ThinProvisioned")),
    ("scaleIO", "fsType", Plain::Text("xfs")),
    ("hostPath", "type", Plain::Pointer("")),
    ("secret", "defaultMode", Plain::Mode),
    ("configMap", "defaultMode", Plain::Mode),
    ("downwardAPI", "defaultMode", Plain::Mode),
    ("projected", "defaultMode", Plain::Mode),
];

#[derive(Debug, Clone, Copy)]
enum Plain {
    Text(&'static str),
    Pointer(&'static str),
    Off,
    Mode,
}

/// Sets the defaults of a volume.
pub(super) fn volume(volume: &mut Value) {
    let has_source = volume
        .as_object()
        .is_some_and(|map| map.iter().any(|(key, value)| key != "name" && !value.is_null()));
    if !has_source {
        tree::set(volume, "emptyDir", Value::Object(Map::new()));
    }
    for &(source, name, default) in SOURCE_FIELDS {
        if get(volume, source).is_some() {
            plain(field(volume, source), name, default);
        }
    }
    files(volume.get_mut("downwardAPI"));
    if get(volume, "projected").is_some() {
        for source in tree::items_mut(field(volume, "projected"), "sources") {
            projection(source);
        }
    }
    if get(volume, "image").is_some() {
        let image = field(volume, "image");
        let policy =
            if image_name::is_latest(text(image, "reference")) { "Always" } else { "IfNotPresent" };
        tree::set_default(image, "pullPolicy", policy);
    }
    claim_template(volume);
}

fn plain(source: &mut Value, name: &str, default: Plain) {
    match default {
        Plain::Text(text) => tree::set_default(source, name, text),
        Plain::Pointer(text) => tree::set_default_pointer(source, name, text),
        Plain::Off => tree::set_default_pointer(source, name, false),
        Plain::Mode => tree::set_default_pointer(source, name, FILE_MODE),
    }
}

fn projection(source: &mut Value) {
    if get(source, "serviceAccountToken").is_some() {
        tree::set_default_pointer(
            field(source, "serviceAccountToken"),
            "expirationSeconds",
            TOKEN_SECONDS,
        );
    }
    files(source.get_mut("downwardAPI"));
}

/// The files of a downward API volume name fields of API version v1.
fn files(source: Option<&mut Value>) {
    let Some(source) = source else { return };
    for file in tree::items_mut(source, "items") {
        if get(file, "fieldRef").is_some() {
            tree::set_default(field(file, "fieldRef"), "apiVersion", "v1");
        }
    }
}

fn claim_template(volume: &mut Value) {
    let Some(template) =
        volume.pointer_mut("/ephemeral/volumeClaimTemplate").filter(|template| !template.is_null())
    else {
        return;
    };
    let spec = field(template, "spec");
    tree::set_default_pointer(spec, "volumeMode", json!("Filesystem"));
    resources::round_up_requirements(field(spec, "resources"));
}
