//! `-f` and `-k` of folders, compared with the newest real kubectl: what is done all the same, and how the rest is told (S60).

use std::fs;
use std::path::Path;

use podo_cluster_tests::Cluster;

use crate::kubectl::compared;
use crate::on_cluster;

/// Files of which some cannot be used, by name.
const MIXED: &[(&str, &str)] = &[
    ("a.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n"),
    ("b.yaml", "a: b: c\n"),
    (
        "c.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: absent}\n---\napiVersion: v1\nkind: Nosuch\nmetadata: {name: x}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: Bad_}\n",
    ),
    ("d.json", "{\"apiVersion\": \"v1\", "),
    ("e.yaml", "metadata: {name: x}\n"),
    (
        "f.yaml",
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: missing}}\n- {apiVersion: v1, kind: pod, metadata: {name: lower}}\n- {apiVersion: v9, kind: Other, metadata: {name: other}}\n",
    ),
    ("lower/lower.yaml", "apiVersion: v1\nkind: pod\nmetadata: {name: lower}\n"),
    ("other/group.yaml", "apiVersion: no.such/v1\nkind: Pod\nmetadata: {name: x}\n"),
    ("text/notes.txt", "no manifest\n"),
];

/// Lines that change nothing, so that both kubectls find the same.
const LINES: &[&str] = &[
    "create -f DIR --dry-run=client",
    "create -f DIR --dry-run=server",
    "create -f DIR --dry-run=server --validate=false",
    "create -R -f DIR --dry-run=client",
    "apply -f DIR --dry-run=server",
    "replace -f DIR --dry-run=server",
    "get -f DIR",
    "get -f DIR -o name",
    "describe -f DIR/c.yaml -f DIR/d.json",
    "label -f DIR a=b --dry-run=client",
    "delete -f DIR --dry-run=client",
    "delete -f DIR/c.yaml -f DIR/e.yaml",
    "delete -f DIR/c.yaml -f DIR/f.yaml --ignore-not-found",
    "get -f DIR/e.yaml",
    "get -f DIR/e.yaml -o yaml",
    "delete -f DIR/e.yaml",
    "create -f DIR/lower --dry-run=server",
    "create -f DIR/lower --dry-run=server --validate=false",
    "get -f DIR/lower",
    "apply -f DIR/other",
    "create -f DIR/text",
    "create -f DIR/no -f DIR/nor",
    "create -f 'DIR/[e].yaml'",
    "create -f - -f -",
    "apply -f http://127.0.0.1:1/x",
    "apply -k DIR",
    "apply -k DIR/no",
    "apply -k DIR -f DIR",
    "kustomize DIR",
];

fn write(folder: &Path) {
    for (name, text) in MIXED {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
        fs::write(path, text).expect("a file can be written");
    }
}

/// How one line differs, if it does.
fn difference(it: &Cluster, folder: &str, line: &str) -> Option<String> {
    let line = line.replace("DIR", folder).replace('\'', "");
    compared(it, &line.split(' ').collect::<Vec<_>>()).1
}

#[test]
fn s60_folders_of_files_that_are_right_and_wrong() {
    on_cluster(|it| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write(folder.path());
        let name = folder.path().display().to_string();
        let differ: Vec<String> =
            LINES.iter().filter_map(|line| difference(it, &name, line)).collect();
        assert!(differ.is_empty(), "{} differ\n{}", differ.len(), differ.join("\n\n"));
    });
}

#[test]
fn kustomizations_of_more_than_resources_are_refused_in_one_sentence() {
    on_cluster(|it| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("kustomization.yaml"), "resources: []\nnamePrefix: a-\n")
            .expect("a file can be written");
        let folder = folder.path().display().to_string();
        for args in [["kustomize", &folder].as_slice(), &["apply", "-k", &folder]] {
            let ran = it.kubectl(args);
            assert_eq!(ran.code, 1, "{ran:?}");
            let words = "error: kustomizations with namePrefix are not supported: ";
            assert!(ran.err.starts_with(words), "{ran:?}");
            assert_eq!((ran.err.lines().count(), ran.out.as_str()), (1, ""), "{ran:?}");
        }
    });
}
