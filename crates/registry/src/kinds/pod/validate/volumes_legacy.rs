//! The volume sources that name a storage product. Nodes reach them through CSI drivers or not at all; their fields are checked
//! as ever.

use podo_api::Value;
use podo_api::field::{Errors, Path};
use podo_api::names;

use super::super::labels::check;
use super::super::view::{entries, get, has, in_range, int, is_on, list, required, text};
use super::{optional_one_of, paths};

/// Requires fields, each with an empty reason.
fn all_of(source: &Value, path: &Path, fields: &[&str], errors: &mut Errors) {
    for name in fields {
        required(errors, source, path, name);
    }
}

fn monitors(source: &Value, path: &Path, errors: &mut Errors) {
    if list(source, "monitors").is_empty() {
        errors.required(&path.child("monitors"), "");
    }
}

fn secret_name(source: &Value, path: &Path, errors: &mut Errors) {
    if let Some(reference) = get(source, "secretRef") {
        required(errors, reference, &path.child("secretRef"), "name");
    }
}

fn partition(source: &Value, path: &Path, errors: &mut Errors) {
    if let Some(number) = int(source, "partition").filter(|number| !(0..=255).contains(number)) {
        errors.invalid_value(&path.child("partition"), number, names::range_text(1, 255));
    }
}

pub(super) fn git_repo(source: &Value, path: &Path, errors: &mut Errors) {
    all_of(source, path, &["repository"], errors);
    paths::descending(text(source, "directory"), &path.child("directory"), errors);
}

/// Findings are below another name than the field's; that is upstream's.
pub(super) fn gce(source: &Value, path: &Path, errors: &mut Errors) {
    let shown = path.as_str().replace(".gcePersistentDisk", ".persistentDisk");
    let path = Path::new(&shown);
    all_of(source, &path, &["pdName"], errors);
    partition(source, &path, errors);
}

pub(super) fn aws(source: &Value, path: &Path, errors: &mut Errors) {
    all_of(source, path, &["volumeID"], errors);
    partition(source, path, errors);
}

pub(super) fn glusterfs(source: &Value, path: &Path, errors: &mut Errors) {
    all_of(source, path, &["endpoints", "path"], errors);
}

pub(super) fn flocker(source: &Value, path: &Path, errors: &mut Errors) {
    let (name, id) = (text(source, "datasetName"), text(source, "datasetUUID"));
    if name.is_empty() && id.is_empty() {
        errors.required(path, "one of datasetName and datasetUUID is required");
    }
    if !name.is_empty() && !id.is_empty() {
        const WHY: &str = "datasetName and datasetUUID can not be specified simultaneously";
        errors.invalid(path, "resource", WHY);
    }
    if name.contains('/') {
        errors.invalid(&path.child("datasetName"), name, "must not contain '/'");
    }
}

pub(super) fn rbd(source: &Value, path: &Path, errors: &mut Errors) {
    monitors(source, path, errors);
    all_of(source, path, &["image"], errors);
}

pub(super) fn cinder(source: &Value, path: &Path, errors: &mut Errors) {
    all_of(source, path, &["volumeID"], errors);
    secret_name(source, path, errors);
}

pub(super) fn cephfs(source: &Value, path: &Path, errors: &mut Errors) {
    monitors(source, path, errors);
}

pub(super) fn quobyte(source: &Value, path: &Path, errors: &mut Errors) {
    const REGISTRY: &str = "must be a host:port pair or multiple pairs separated by commas";
    let registry = text(source, "registry");
    if registry.is_empty() {
        errors.required(&path.child("registry"), REGISTRY);
    } else if text(source, "tenant").len() >= 65 {
        const WHY: &str = "must be a UUID and may not exceed a length of 64 characters";
        errors.required(&path.child("tenant"), WHY);
    } else {
        for _ in registry.split(',').filter(|pair| !is_host_and_port(pair)) {
            errors.invalid(&path.child("registry"), registry, REGISTRY);
        }
    }
    all_of(source, path, &["volume"], errors);
}

/// Whether Go could split the text into a host and a port.
fn is_host_and_port(pair: &str) -> bool {
    let Some((host, port)) = pair.rsplit_once(':') else { return false };
    let host_is_whole = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').is_some_and(|inner| !inner.contains(['[', ']'])),
        None => !host.contains([':', '[', ']']),
    };
    host_is_whole && !port.contains(['[', ']'])
}

pub(super) fn fc(source: &Value, path: &Path, errors: &mut Errors) {
    let (names, ids) = (list(source, "targetWWNs"), list(source, "wwids"));
    let names_path = path.child("targetWWNs");
    if names.is_empty() && ids.is_empty() {
        errors.required(&names_path, "must specify either targetWWNs or wwids, but not both");
    }
    if !names.is_empty() && !ids.is_empty() {
        const WHY: &str = "targetWWNs and wwids can not be specified simultaneously";
        errors.invalid_value(&names_path, names.to_vec(), WHY);
    }
    if names.is_empty() {
        return;
    }
    match int(source, "lun") {
        None => errors.required(&path.child("lun"), "lun is required if targetWWNs is specified"),
        Some(lun) => in_range(errors, &path.child("lun"), lun, 0, 255),
    }
}

pub(super) fn flex(source: &Value, path: &Path, errors: &mut Errors) {
    all_of(source, path, &["driver"], errors);
    for (key, _) in entries(source, "options") {
        let namespace = key.split_once('/').map_or(key, |(namespace, _)| namespace);
        let namespace = format!(".{}", namespace.to_lowercase());
        if namespace.ends_with(".kubernetes.io") || namespace.ends_with(".k8s.io") {
            const WHY: &str = "kubernetes.io and k8s.io namespaces are reserved";
            errors.invalid(&path.child("options").key(key), key, WHY);
        }
    }
}

pub(super) fn azure_file(source: &Value, path: &Path, errors: &mut Errors) {
    all_of(source, path, &["secretName", "shareName"], errors);
}

pub(super) fn azure_disk(source: &Value, path: &Path, errors: &mut Errors) {
    const MANAGED: &str = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
    const BLOB: &str =
        "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
    all_of(source, path, &["diskName", "diskURI"], errors);
    optional_one_of(source, path, "cachingMode", &["None", "ReadOnly", "ReadWrite"], errors);
    optional_one_of(source, path, "kind", &["Dedicated", "Managed", "Shared"], errors);
    let uri = text(source, "diskURI");
    let Some(kind) = get(source, "kind").and_then(Value::as_str) else { return };
    let (start, form) =
        if kind == "Managed" { ("/subscriptions/", MANAGED) } else { ("https://", BLOB) };
    if !uri.starts_with(start) {
        errors.not_supported(&path.child("diskURI"), uri, &[form]);
    }
}

pub(super) fn vsphere(source: &Value, path: &Path, errors: &mut Errors) {
    all_of(source, path, &["volumePath"], errors);
}

pub(super) fn photon(source: &Value, path: &Path, errors: &mut Errors) {
    all_of(source, path, &["pdID"], errors);
}

pub(super) fn portworx(source: &Value, path: &Path, errors: &mut Errors) {
    all_of(source, path, &["volumeID"], errors);
}

pub(super) fn scale_io(source: &Value, path: &Path, errors: &mut Errors) {
    all_of(source, path, &["gateway", "system", "volumeName"], errors);
}

pub(super) fn storageos(source: &Value, path: &Path, errors: &mut Errors) {
    let (name, namespace) = (text(source, "volumeName"), text(source, "volumeNamespace"));
    if name.is_empty() {
        errors.required(&path.child("volumeName"), "");
    } else {
        check(errors, &path.child("volumeName"), name, names::dns1123_label(name));
    }
    if !namespace.is_empty() {
        check(errors, &path.child("volumeNamespace"), namespace, names::dns1123_label(namespace));
    }
    secret_name(source, path, errors);
}

pub(super) fn iscsi(source: &Value, path: &Path, errors: &mut Errors) {
    all_of(source, path, &["targetPortal", "iqn"], errors);
    let name = text(source, "iqn");
    if !name.is_empty() {
        initiator(name, &path.child("iqn"), errors);
    }
    if let Some(lun) = int(source, "lun") {
        in_range(errors, &path.child("lun"), lun, 0, 255);
    }
    if (is_on(source, "chapAuthDiscovery") || is_on(source, "chapAuthSession"))
        && !has(source, "secretRef")
    {
        errors.required(&path.child("secretRef"), "");
    }
    if let Some(name) = get(source, "initiatorName").and_then(Value::as_str) {
        initiator(name, &path.child("initiatorname"), errors);
    }
}

/// The volume's name and portal become a name on the node, which has a limit.
pub(super) fn iscsi_length(volume: &Value, path: &Path, errors: &mut Errors) {
    let Some(source) = get(volume, "iscsi").filter(|source| has(source, "initiatorName")) else {
        return;
    };
    let name = text(volume, "name");
    if format!("{name}:{}", text(source, "targetPortal")).len() > 64 {
        const WHY: &str = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";
        errors.invalid(&path.child("name"), name, WHY);
    }
}

/// An iSCSI name (RFC 3720 section 3.2.6).
fn initiator(name: &str, path: &Path, errors: &mut Errors) {
    let is_valid = match name.get(..3) {
        Some("iqn") => is_iqn(name),
        Some("eui") => is_hardware_name(name, 16),
        Some("naa") => is_hardware_name(name, 32),
        _ => {
            errors.invalid(path, name, "must be valid format starting with iqn, eui, or naa");
            return;
        }
    };
    if !is_valid {
        errors.invalid(path, name, "must be valid format");
    }
}

/// `eui.` or `naa.` and so many letters or digits; any letter does for the dot.
fn is_hardware_name(name: &str, count: usize) -> bool {
    let mut rest = name.chars().skip(3);
    let letters: String = rest.by_ref().skip(1).collect();
    letters.len() == count && letters.chars().all(|letter| letter.is_ascii_alphanumeric())
}

/// `iqn.YYYY-MM.authority:name`, anywhere in the text but up to its end.
fn is_iqn(name: &str) -> bool {
    let is_name = |text: &str| {
        let is_barred = |letter: char| ",;^*&$|".contains(letter) || letter.is_ascii_whitespace();
        !text.is_empty() && !text.contains(is_barred)
    };
    let is_authority = |text: &str| {
        !text.is_empty()
            && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-.".contains(letter))
    };
    name.match_indices("iqn.").any(|(at, start)| {
        let rest = &name[at + start.len()..];
        let Some((date, rest)) = rest.split_at_checked(8) else { return false };
        let is_date = date.bytes().enumerate().all(|(index, byte)| match index {
            4 => byte == b'-',
            7 => byte == b'.',
            _ => byte.is_ascii_digit(),
        });
        is_date
            && rest
                .match_indices(':')
                .any(|(at, _)| is_authority(&rest[..at]) && is_name(&rest[at + 1..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iscsi_names_have_one_of_three_forms() {
        for name in [
            "iqn.2015-02.example.com:test",
            "eui.0123456789ABCDEF",
            "naa.62004567BA64678D0123456789ABCDEF",
        ] {
            let mut errors = Errors::new();
            initiator(name, &Path::new("iqn"), &mut errors);
            assert!(errors.is_empty(), "{errors}");
        }
        for name in ["iqn.2015-02.example.com", "iqn.2015-2.example.com:x", "eui.0123", "naa.", "x"]
        {
            let mut errors = Errors::new();
            initiator(name, &Path::new("iqn"), &mut errors);
            assert!(!errors.is_empty(), "{name}");
        }
    }
}
