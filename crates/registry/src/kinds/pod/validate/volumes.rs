//! Volumes: names, one source each, and the sources that every node has.

use std::collections::BTreeMap;
use std::collections::HashSet;

use podo_api::Value;
use podo_api::field::{Errors, Path, quoted};
use podo_api::names;

use super::super::labels::check;
use super::super::resources::parse;
use super::super::view::{at, get, has, int, list, text};
use super::{
    Owner, claim_template, env, optional_one_of, paths, pull_policy, volumes_legacy,
    volumes_projected,
};

/// The volumes of a Pod that are valid, by name.
pub(super) type Volumes<'a> = BTreeMap<&'a str, &'a Value>;

/// The mode of a file must be one.
const MODE_TEXT: &str = "must be a number between 0 and 0777 (octal), both inclusive";

/// A source of volumes.
struct Source {
    /// The field.
    name: &'static str,
    /// The field as the error about a second source names it, where that differs.
    shown: &'static str,
    /// What its content must be.
    check: fn(&Value, &Path, &mut Errors),
}

const fn source(name: &'static str, check: fn(&Value, &Path, &mut Errors)) -> Source {
    Source { name, shown: name, check }
}

/// All sources in the order of their checks.
const SOURCES: &[Source] = &[
    source("emptyDir", empty_dir),
    source("hostPath", host_path),
    source("gitRepo", volumes_legacy::git_repo),
    source("gcePersistentDisk", volumes_legacy::gce),
    source("awsElasticBlockStore", volumes_legacy::aws),
    source("secret", secret),
    source("nfs", nfs),
    source("iscsi", volumes_legacy::iscsi),
    source("glusterfs", volumes_legacy::glusterfs),
    source("flocker", volumes_legacy::flocker),
    source("persistentVolumeClaim", claim),
    source("rbd", volumes_legacy::rbd),
    source("cinder", volumes_legacy::cinder),
    Source { name: "cephfs", shown: "cephFS", check: volumes_legacy::cephfs },
    source("quobyte", volumes_legacy::quobyte),
    Source { name: "downwardAPI", shown: "downwarAPI", check: downward_api },
    source("fc", volumes_legacy::fc),
    source("flexVolume", volumes_legacy::flex),
    source("configMap", config_map),
    source("azureFile", volumes_legacy::azure_file),
    source("vsphereVolume", volumes_legacy::vsphere),
    source("photonPersistentDisk", volumes_legacy::photon),
    source("portworxVolume", volumes_legacy::portworx),
    source("azureDisk", volumes_legacy::azure_disk),
    source("storageos", volumes_legacy::storageos),
    source("projected", projected),
    source("scaleIO", volumes_legacy::scale_io),
    source("csi", csi),
    source("ephemeral", ephemeral),
    source("image", |_, _, _| {}),
];

/// Checks the volumes of a Pod's spec and returns those that are valid.
pub(super) fn volumes<'a>(
    spec: &'a Value,
    owner: Owner<'_>,
    path: &Path,
    errors: &mut Errors,
) -> Volumes<'a> {
    let path = path.child("volumes");
    let made = made_claims(spec, owner);
    let mut valid = Volumes::new();
    for (index, volume) in list(spec, "volumes").iter().enumerate() {
        let path = path.index(index);
        let name = text(volume, "name");
        let mut own = Errors::new();
        check_source(volume, owner, &path, &mut own);
        check_name(name, &valid, &path.child("name"), &mut own);
        if own.is_empty() {
            valid.insert(name, volume);
        }
        errors.append(own);
        let claim = text(at(volume, "persistentVolumeClaim"), "claimName");
        if made.contains(claim) {
            let path = path.child("persistentVolumeClaim").child("claimName");
            errors.invalid(
                &path,
                claim,
                "must not reference a PVC that gets created for an ephemeral volume",
            );
        }
    }
    valid
}

fn check_name(name: &str, valid: &Volumes<'_>, path: &Path, errors: &mut Errors) {
    if name.is_empty() {
        errors.required(path, "");
    } else {
        check(errors, path, name, names::dns1123_label(name));
    }
    if valid.contains_key(name) {
        errors.duplicate(path, name);
    }
}

/// The claims that will be made for the Pod's ephemeral volumes.
fn made_claims(spec: &Value, owner: Owner<'_>) -> HashSet<String> {
    let pod = text(owner.metadata, "name");
    let volumes =
        list(spec, "volumes").iter().filter(|volume| !pod.is_empty() && has(volume, "ephemeral"));
    volumes.map(|volume| format!("{pod}-{}", text(volume, "name"))).collect()
}

fn check_source(volume: &Value, owner: Owner<'_>, path: &Path, errors: &mut Errors) {
    let mut count = 0;
    for source in SOURCES {
        let Some(content) = get(volume, source.name) else { continue };
        count += 1;
        if count == 1 {
            (source.check)(content, &path.child(source.name), errors);
            with_owner(source.name, volume, owner, path, errors);
        } else {
            errors.forbidden(&path.child(source.shown), "may not specify more than 1 volume type");
        }
        if source.name == "iscsi" {
            volumes_legacy::iscsi_length(volume, path, errors);
        }
    }
    if count == 0 {
        errors.required(path, "must specify a volume type");
    }
}

/// Checks that depend on whose volume it is.
fn with_owner(source: &str, volume: &Value, owner: Owner<'_>, path: &Path, errors: &mut Errors) {
    match source {
        "ephemeral" => {
            let (pod, name) = (text(owner.metadata, "name"), text(volume, "name"));
            if pod.is_empty() || name.is_empty() {
                return;
            }
            let claim = format!("{pod}-{name}");
            for problem in names::dns1123_subdomain(&claim) {
                errors.invalid(
                    &path.child("name"),
                    name,
                    format!("PVC name {}: {problem}", quoted(&claim)),
                );
            }
        }
        "image" => {
            let (image, path) = (at(volume, "image"), path.child("image"));
            if owner.is_pod && text(image, "reference").is_empty() {
                errors.required(&path.child("reference"), "");
            }
            pull_policy(image, &path, "pullPolicy", errors);
        }
        _ => {}
    }
}

fn empty_dir(source: &Value, path: &Path, errors: &mut Errors) {
    if parse(at(source, "sizeLimit")).signum() < 0 {
        errors.forbidden(
            &path.child("sizeLimit"),
            "SizeLimit field must be a valid resource quantity",
        );
    }
}

fn host_path(source: &Value, path: &Path, errors: &mut Errors) {
    const TYPES: &[&str] = &[
        "",
        "BlockDevice",
        "CharDevice",
        "Directory",
        "DirectoryOrCreate",
        "File",
        "FileOrCreate",
        "Socket",
    ];
    match text(source, "path") {
        "" => errors.required(&path.child("path"), ""),
        place => {
            paths::no_backsteps(place, &path.child("path"), errors);
            optional_one_of(source, path, "type", TYPES, errors);
        }
    }
}

fn secret(source: &Value, path: &Path, errors: &mut Errors) {
    super::super::view::required(errors, source, path, "secretName");
    files_of_keys(source, path, errors);
}

fn config_map(source: &Value, path: &Path, errors: &mut Errors) {
    super::super::view::required(errors, source, path, "name");
    files_of_keys(source, path, errors);
}

fn files_of_keys(source: &Value, path: &Path, errors: &mut Errors) {
    mode(source, "defaultMode", path, errors);
    for (index, item) in list(source, "items").iter().enumerate() {
        key_to_path(item, &path.child("items").index(index), errors);
    }
}

/// A key and the file that it becomes.
pub(super) fn key_to_path(item: &Value, path: &Path, errors: &mut Errors) {
    for name in ["key", "path"] {
        super::super::view::required(errors, item, path, name);
    }
    paths::descending_unreserved(text(item, "path"), &path.child("path"), errors);
    mode(item, "mode", path, errors);
}

/// The permission bits of a file.
pub(super) fn mode(owner: &Value, name: &str, path: &Path, errors: &mut Errors) {
    if let Some(mode) = int(owner, name).filter(|mode| !(0..=0o777).contains(mode)) {
        errors.invalid_value(&path.child(name), mode, MODE_TEXT);
    }
}

fn nfs(source: &Value, path: &Path, errors: &mut Errors) {
    for name in ["server", "path"] {
        super::super::view::required(errors, source, path, name);
    }
    let place = text(source, "path");
    if !place.starts_with('/') {
        errors.invalid(&path.child("path"), place, "must be an absolute path");
    }
}

fn claim(source: &Value, path: &Path, errors: &mut Errors) {
    super::super::view::required(errors, source, path, "claimName");
}

fn downward_api(source: &Value, path: &Path, errors: &mut Errors) {
    mode(source, "defaultMode", path, errors);
    for file in list(source, "items") {
        downward_file(file, path, errors);
    }
}

/// A file that shows a field of the Pod. Findings are at the list; that is upstream's.
pub(super) fn downward_file(file: &Value, path: &Path, errors: &mut Errors) {
    super::super::view::required(errors, file, path, "path");
    paths::descending_unreserved(text(file, "path"), &path.child("path"), errors);
    match (get(file, "fieldRef"), get(file, "resourceFieldRef")) {
        (Some(field), amount) => {
            env::field(field, env::VOLUME_FIELDS, &path.child("fieldRef"), errors);
            if amount.is_some() {
                const WHY: &str =
                    "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.invalid(path, "resource", WHY);
            }
        }
        (None, Some(amount)) => env::amount(amount, &path.child("resourceFieldRef"), true, errors),
        (None, None) => errors.required(path, "one of fieldRef and resourceFieldRef is required"),
    }
    mode(file, "mode", path, errors);
}

fn projected(source: &Value, path: &Path, errors: &mut Errors) {
    mode(source, "defaultMode", path, errors);
    volumes_projected::sources(source, path, errors);
}

fn csi(source: &Value, path: &Path, errors: &mut Errors) {
    let driver = text(source, "driver");
    csi_driver_name(driver, &path.child("driver"), errors);
    if let Some(reference) = get(source, "nodePublishSecretRef") {
        match text(reference, "name") {
            "" => errors.required(&path.child("nodePublishSecretRef").child("name"), ""),
            name => check(errors, &path.child("name"), name, names::dns1123_subdomain(name)),
        }
    }
}

/// The bytes that the name of a CSI driver may have.
const CSI_DRIVER_BYTES_MAX: usize = 63;

/// The name of a CSI driver.
pub(crate) fn csi_driver_name(driver: &str, path: &Path, errors: &mut Errors) {
    if driver.is_empty() {
        errors.required(path, "");
        return;
    }
    if driver.len() > CSI_DRIVER_BYTES_MAX {
        errors.too_long(path, CSI_DRIVER_BYTES_MAX);
    }
    check(errors, path, driver, names::dns1123_subdomain(&driver.to_lowercase()));
}

fn ephemeral(source: &Value, path: &Path, errors: &mut Errors) {
    let path = path.child("volumeClaimTemplate");
    match get(source, "volumeClaimTemplate") {
        None => errors.required(&path, ""),
        Some(template) => claim_template::template(template, &path, errors),
    }
}
