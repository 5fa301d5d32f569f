//! Kustomizations that only name resources: files, and folders with kustomizations of their own.
//!
//! Holds     a kustomization that says more is refused by the name of what it says: none is built in part.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::discovery::split_version;
use super::super::fault::{Fault, go_text, quoted};
use super::super::value::{Look, shown};
use super::{Document, Source};

/// The names that a kustomization may have.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// The fields that are built.
const BUILT: [&str; 5] = ["apiVersion", "kind", "metadata", "resources", "bases"];
/// The fields that kustomize v5 knows besides.
const KNOWN: [&str; 28] = [
    "openapi",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "commonLabels",
    "labels",
    "commonAnnotations",
    "patchesStrategicMerge",
    "patchesJson6902",
    "patches",
    "images",
    "imageTags",
    "replacements",
    "replicas",
    "vars",
    "sortOptions",
    "components",
    "crds",
    "configMapGenerator",
    "secretGenerator",
    "helmGlobals",
    "helmCharts",
    "helmChartInflationGenerator",
    "generatorOptions",
    "configurations",
    "generators",
    "transformers",
    "validators",
];
/// The kinds that come first, in this order, as kubectl v1.36 sorts what it has built.
const FIRST: [&str; 22] = [
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
/// The kinds that come last.
const LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];
/// The deepest nesting of folders.
const DEPTH_MAX: usize = 64;

/// The objects of a folder's kustomization, sorted.
pub(super) fn build(folder: &str) -> Result<Vec<Document>, Fault> {
    let root = std::fs::canonicalize(folder).map_err(|error| {
        let whole = std::env::current_dir().unwrap_or_default().join(folder);
        let whole = whole.display();
        Fault::refused(format!(
            "must build at directory: not a valid directory: evalsymlink failure on '{folder}' : lstat {whole}: {}",
            go_text(&error)
        ))
    })?;
    if !root.is_dir() {
        return Err(Fault::refused(format!(
            "must build at directory: '{folder}': file is not directory"
        )));
    }
    let mut objects = accumulate(&root, &mut Vec::new())?;
    objects.sort_by_cached_key(order);
    let document =
        |value: Value| Document { text: super::super::print::json::compact(&value), value };
    Ok(objects.into_iter().map(document).collect())
}

/// Where an object stands among others.
fn order(object: &Value) -> (usize, String) {
    let kind = object.s("/kind");
    let at = |kinds: &[&str]| kinds.iter().position(|own| *own == kind);
    let place = match (at(&FIRST), at(&LAST)) {
        (Some(first), _) => first,
        (_, Some(last)) => FIRST.len() + 1 + last,
        _ => FIRST.len(),
    };
    let or =
        |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
    let (group, version) = split_version(object.s("/apiVersion"));
    let parts = [
        or(group, "~G"),
        or(version, "~V"),
        or(kind, "~K"),
        or(object.namespace(), "~X"),
        or(object.name(), "~N"),
    ];
    (place, parts.join("_"))
}

/// The kustomization of a folder.
fn read(root: &Path) -> Result<Value, Fault> {
    let found: Vec<PathBuf> =
        NAMES.iter().map(|name| root.join(name)).filter(|path| path.exists()).collect();
    let path = match found.as_slice() {
        [one] => one,
        [] => {
            return Err(Fault::refused(format!(
                "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '{}'",
                root.display()
            )));
        }
        _ => {
            return Err(Fault::refused(format!(
                "Found multiple kustomization files under: {}",
                root.display()
            )));
        }
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Fault::refused(format!("open {}: {}", path.display(), go_text(&error))))?;
    if text.trim().is_empty() {
        return Err(Fault::refused("kustomization.yaml is empty"));
    }
    let value = podo_api::yaml::to_json(text.as_bytes())
        .map_err(|error| Fault::refused(format!("invalid Kustomization: {error}")))?;
    for field in ["resources", "bases"] {
        if value.get(field).is_some_and(Value::is_string) {
            return Err(Fault::refused(format!(
                "invalid Kustomization: json: cannot unmarshal string into Go struct field Kustomization.{field} of type []string"
            )));
        }
    }
    for (field, value) in value.entries("") {
        if KNOWN.contains(&field) && !is_empty(value) {
            return Err(Fault::refused(format!(
                "kustomizations with {field} are not supported: build them with kustomize and give the result to -f -"
            )));
        }
        if !KNOWN.contains(&field) && !BUILT.contains(&field) {
            let field = quoted(field);
            return Err(Fault::refused(format!(
                "invalid Kustomization: json: unknown field {field}"
            )));
        }
    }
    Ok(value)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// All objects of a folder, as its kustomization names them; `above` is the folders that lead to it.
fn accumulate(root: &Path, above: &mut Vec<PathBuf>) -> Result<Vec<Value>, Fault> {
    let kustomization = read(root)?;
    above.push(root.to_owned());
    let mut objects: Vec<Value> = Vec::new();
    let names = kustomization.list("/resources").iter().chain(kustomization.list("/bases"));
    for name in names.filter_map(Value::as_str) {
        let failed = |why: &str| {
            Fault::refused(format!(
                "accumulating resources: accumulation err='accumulating resources from '{name}': {why}"
            ))
        };
        let path = root.join(name);
        let whole = std::fs::canonicalize(&path).map_err(|error| {
            let plain = normal(&path);
            let lstat = format!(
                "evalsymlink failure on '{0}' : lstat {0}: {1}",
                plain.display(),
                go_text(&error)
            );
            failed(&format!("{lstat}': must build at directory: not a valid directory: {lstat}"))
        })?;
        let place = whole.display();
        let found = if whole.is_dir() {
            let not_a_file = format!("'{place}' must resolve to a file");
            if let Some(visited) = above.iter().find(|visited| visited.starts_with(&whole)) {
                return Err(failed(&format!(
                    "{not_a_file}': cycle detected: candidate root '{place}' contains visited root '{}'",
                    visited.display()
                )));
            }
            if above.len() > DEPTH_MAX {
                return Err(failed(&not_a_file));
            }
            accumulate(&whole, above).map_err(|fault| {
                failed(&format!("{not_a_file}': recursed accumulation of path '{place}': {fault}"))
            })?
        } else if whole.starts_with(root) {
            of_file(name, &whole)?
        } else {
            return Err(failed(&format!(
                "security; file '{place}' is not in or below '{}'': must build at directory: '{place}': file is not directory",
                root.display()
            )));
        };
        for object in found {
            let id = identity(&object);
            if !objects.iter().any(|own| identity(own) == id) {
                objects.push(object);
                continue;
            }
            let twice = format!("may not add resource with an already registered id: {id}");
            return Err(if whole.is_dir() {
                failed(&format!(
                    "'{place}' must resolve to a file': recursed merging from path '{place}': {twice}"
                ))
            } else {
                no_folder(&format!("merging resources from '{name}': {twice}"), &whole)
            });
        }
    }
    above.pop();
    Ok(objects)
}

/// How kustomize calls an object: kind, version and group, name and namespace.
fn identity(object: &Value) -> String {
    let (group, version) = split_version(object.s("/apiVersion"));
    let or =
        |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
    format!(
        "{}.{version}.{}/{}.{}",
        object.s("/kind"),
        or(group, "[noGrp]"),
        object.name(),
        or(object.namespace(), "[noNs]")
    )
}

/// What is said of a file that can be used neither as one nor as a folder.
fn no_folder(why: &str, path: &Path) -> Fault {
    let path = path.display();
    Fault::refused(format!(
        "accumulating resources: accumulation err='{why}': must build at directory: '{path}': file is not directory"
    ))
}

/// What an object lacks to be one.
fn lacking(object: &Value) -> Option<String> {
    let metadata = object.get("metadata").filter(|metadata| metadata.is_object());
    let Some(metadata) = metadata else { return Some("missing Resource metadata".to_owned()) };
    let what = match (object.s("/kind"), object.name()) {
        ("", _) => "kind",
        (_, "") => "metadata.name",
        _ => return None,
    };
    let map = |field: &str| {
        let pairs = metadata.get(field).and_then(Value::as_object).into_iter().flatten();
        let pairs: Vec<String> =
            pairs.map(|(key, value)| format!("{key}:{}", shown(value))).collect();
        format!("map[{}]", pairs.join(" "))
    };
    Some(format!(
        "missing {what} in object {{{{{} {}}} {{{{{} {}}} {} {}}}}}",
        object.s("/apiVersion"),
        object.s("/kind"),
        object.name(),
        object.namespace(),
        map("labels"),
        map("annotations"),
    ))
}

/// The objects of a file, those of lists one by one.
fn of_file(name: &str, path: &Path) -> Result<Vec<Value>, Fault> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Fault::refused(format!("open {}: {}", path.display(), go_text(&error))))?;
    let source = Source::parse(name, &text);
    if let Some(fault) = source.fault {
        let why = fault.to_string();
        let why = why.rsplit_once("yaml: ").map_or(why.as_str(), |(_, why)| why);
        return Err(Fault::refused(format!(
            "accumulating resources: accumulating resources from '{name}': MalformedYAMLError: yaml: {why} in File: {name}"
        )));
    }
    let mut objects = Vec::new();
    for Document { mut value, .. } in source.documents {
        let is_list = value.s("/kind").ends_with("List");
        match value.get_mut("items").filter(|_| is_list).map(Value::take) {
            Some(Value::Array(items)) => objects.extend(items),
            _ => objects.push(value),
        }
    }
    if let Some(why) = objects.iter().find_map(lacking) {
        return Err(no_folder(&format!("accumulating resources from '{name}': {why}"), path));
    }
    Ok(objects)
}

/// A path without `.` and `..`, whether it is there or not.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn resources_are_gathered_and_sorted() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("can be made");
            fs::write(path, text).expect("can be written");
        };
        let named = |kind: &str, name: &str| {
            format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n")
        };
        write("top/kustomization.yaml", "resources: [b.yaml, ../base]\n");
        write("top/b.yaml", &(named("Secret", "s") + "---\n" + &named("Pod", "p")));
        write("base/Kustomization", "resources: [x.yaml]\n");
        write("base/x.yaml", &named("ConfigMap", "c"));
        let top = folder.path().join("top").display().to_string();
        let built = build(&top).map_err(|fault| fault.to_string()).expect("can be built");
        let names: Vec<&str> = built.iter().map(|document| document.value.name()).collect();
        assert_eq!(names, ["c", "s", "p"]);
        write("top/kustomization.yaml", "images: [{name: a}]\n");
        let refused = build(&top).map(|_built| ()).expect_err("more than resources");
        assert!(refused.to_string().starts_with("kustomizations with images are not supported"));
    }
}
