//! `-f` of files that are right and wrong beside each other: what is done all the same, and how the rest is told.

use std::fs;

use crate::Cluster;

const GOOD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\n";
/// What is said of a kind that is not served in a version that is.
const NO_DEFINITIONS: &str = "error validating data: failed to check CRD: failed to list CRDs: the server could not find the requested resource; if you choose to ignore these errors, turn validation off with --validate=false";
const NO_KIND: &str = "Object 'Kind' is missing in '{\"metadata\":{\"name\":\"x\"}}'";

/// A folder of files, of which some cannot be used.
fn mixed(cluster: &Cluster) -> String {
    let folder = cluster.folder.path().join("mixed");
    fs::create_dir(&folder).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("a.yaml", &GOOD.replace("NAME", "a"));
    write("b.yaml", "a: b: c\n");
    write("c.yaml", "apiVersion: v1\nkind: Nosuch\nmetadata: {name: x}\n");
    write("d.json", "{\"apiVersion\": \"v1\", ");
    write("e.yaml", "metadata: {name: x}\n");
    write(
        "f.yaml",
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: f}}\n- {apiVersion: v9, kind: Other, metadata: {name: o}}\n- {apiVersion: v9, kind: More, metadata: {name: o}}\n",
    );
    write("ignored.txt", "a: b: c\n");
    write("z.yaml", &GOOD.replace("NAME", "cm"));
    folder.display().to_string()
}

/// What is said with the folder's name made short.
#[track_caller]
fn said(cluster: &Cluster, folder: &str, line: &str) -> (i32, String, String) {
    let said = cluster.ours(&line.replace("DIR", folder));
    (said.code, said.out.replace(folder, "DIR"), said.err.replace(folder, "DIR"))
}

#[test]
fn create_goes_on_and_tells_the_servers_words_first() {
    let cluster = Cluster::new();
    let folder = mixed(&cluster);
    let (code, out, err) = said(&cluster, &folder, "create -f DIR");
    assert_eq!((code, out.as_str()), (1, "configmap/a created\nconfigmap/f created\n"));
    let unread = [
        "error parsing DIR/b.yaml: error converting YAML to JSON: yaml: mapping values are not allowed in this context".to_owned(),
        format!("error validating \"DIR/c.yaml\": {NO_DEFINITIONS}"),
        "error parsing DIR/d.json: unexpected EOF".to_owned(),
        "error validating \"DIR/e.yaml\": error validating data: [apiVersion not set, kind not set]; if you choose to ignore these errors, turn validation off with --validate=false".to_owned(),
        "unable to recognize no matches for kind \"Other\" in version \"v9\"".to_owned(),
        "unable to recognize no matches for kind \"More\" in version \"v9\"".to_owned(),
    ];
    let expected = format!(
        "Error from server (AlreadyExists): error when creating \"DIR/z.yaml\": configmaps \"cm\" already exists\n[{}]\n",
        unread.join(", ")
    );
    assert_eq!(err, expected);
}

#[test]
fn what_cannot_be_read_is_told_line_by_line_when_it_is_all() {
    let cluster = Cluster::new();
    let folder = mixed(&cluster);
    let (code, out, err) =
        said(&cluster, &folder, "apply -f DIR/b.yaml -f DIR/d.json -f DIR/f.yaml");
    assert_eq!((code, out.as_str()), (1, "configmap/f created\n"));
    assert_eq!(
        err,
        "error parsing DIR/b.yaml: error converting YAML to JSON: yaml: mapping values are not allowed in this context\nerror parsing DIR/d.json: unexpected EOF\n[unable to recognize no matches for kind \"Other\" in version \"v9\", unable to recognize no matches for kind \"More\" in version \"v9\"]\n"
    );
}

#[test]
fn one_mistake_is_an_error_but_of_get_and_describe() {
    let cluster = Cluster::new();
    let folder = mixed(&cluster);
    let decode = format!("unable to decode \"DIR/e.yaml\": {NO_KIND}\n");
    for (line, expected) in [
        ("get -f DIR/e.yaml", decode.clone()),
        ("describe -f DIR/e.yaml", decode.clone()),
        ("get -f DIR/e.yaml -o name", format!("error: {decode}")),
        ("delete -f DIR/e.yaml", format!("error: {decode}")),
        ("label -f DIR/e.yaml a=b", format!("error: {decode}")),
        ("create -f DIR/e.yaml --validate=false", format!("error: {decode}")),
        ("get -f DIR/a.yaml", "Error from server (NotFound): configmaps \"a\" not found\n".into()),
        (
            "delete -f DIR/a.yaml",
            "Error from server (NotFound): error when deleting \"DIR/a.yaml\": configmaps \"a\" not found\n".into(),
        ),
        ("delete -f DIR/a.yaml --ignore-not-found", String::new()),
        (
            "create -f DIR/no -f DIR/nor",
            "the path \"DIR/no\" does not exist\nthe path \"DIR/nor\" does not exist\n".into(),
        ),
        ("create -f DIR/no", "error: the path \"DIR/no\" does not exist\n".into()),
        (
            "apply -f - -f -",
            "error: standard input cannot be used for multiple arguments\n".into(),
        ),
        ("apply -f DIR -k DIR", "error: only one of -f or -k can be specified\n".into()),
        (
            "apply -k DIR",
            "error: unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory 'DIR'\n".into(),
        ),
    ] {
        assert_eq!(said(&cluster, &folder, line).2, expected, "{line}");
    }
}

#[test]
fn a_kind_in_lower_case_is_the_servers_to_refuse() {
    let cluster = Cluster::new();
    let path = cluster.file("lower.yaml", "apiVersion: v1\nkind: pod\nmetadata: {name: lower}\n");
    for (line, expected) in [
        ("create -f F", format!("error: error validating \"F\": {NO_DEFINITIONS}\n")),
        ("get -f F", "Error from server (NotFound): pods \"lower\" not found\n".to_owned()),
        (
            "delete -f F",
            "Error from server (NotFound): error when deleting \"F\": pods \"lower\" not found\n"
                .to_owned(),
        ),
    ] {
        assert_eq!(
            said(&cluster, &path, &line.replace('F', "DIR")).2.replace("DIR", "F"),
            expected
        );
    }
}

#[test]
fn lists_are_taken_apart_and_empty_documents_passed_over() {
    let cluster = Cluster::new();
    for (text, code, out, err) in [
        ("# nothing\n", 1, "", "error: no objects passed to apply\n"),
        (
            "---\n# one\n---\n\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: l1}\n---\n",
            0,
            "configmap/l1 created\n",
            "",
        ),
        ("apiVersion: v1\nkind: List\nitems: []\n", 1, "", "error: no objects passed to apply\n"),
        (
            "apiVersion: v1\nkind: List\n",
            1,
            "",
            "error: error validating \"F\": error validating data: invalid object to validate; if you choose to ignore these errors, turn validation off with --validate=false\n",
        ),
        (
            "apiVersion: v1\nkind: List\nitems:\n- {metadata: {name: a}}\n- text\n",
            1,
            "",
            "error: error validating \"F\": error validating data: [apiVersion not set, kind not set, invalid object to validate]; if you choose to ignore these errors, turn validation off with --validate=false\n",
        ),
        (
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: List, items: []}\n",
            1,
            "",
            "error: *unstructured.Unstructured is not a list: no Items field in this object\n",
        ),
        (
            "\u{feff}apiVersion: v1\r\nkind: ConfigMap\r\nmetadata: {name: l2}\r\n",
            0,
            "configmap/l2 created\n",
            "",
        ),
        (
            "apiVersion: 1\nkind: 2\n",
            1,
            "",
            "error: error validating \"F\": error validating data: [apiVersion isn't string type, kind isn't string type]; if you choose to ignore these errors, turn validation off with --validate=false\n",
        ),
        // What is not valid ends its file.
        (
            "foo: bar\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: l3}\n",
            1,
            "",
            "error: error validating \"F\": error validating data: [apiVersion not set, kind not set]; if you choose to ignore these errors, turn validation off with --validate=false\n",
        ),
    ] {
        let path = cluster.file("list.yaml", text);
        let said = cluster.ours(&format!("apply -f {path}"));
        let said = (said.code, said.out.as_str(), said.err.replace(&path, "F"));
        assert_eq!(said, (code, out, err.to_owned()), "{text}");
    }
    let typed = cluster.file(
        "typed.yaml",
        "apiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: l4}\n",
    );
    assert_eq!(
        cluster.ours(&format!("apply -f {typed} --validate=false")).out,
        "configmap/l4 created\n"
    );
}

#[test]
fn files_are_read_over_http() {
    let cluster = Cluster::new();
    let port = cluster.fake.port;
    for (path, code, out, err) in [
        ("file.yaml", 0, "configmap/far created\n", String::new()),
        ("moved", 1, "", "Error from server (AlreadyExists): error when creating \"URL\": configmaps \"far\" already exists\n".to_owned()),
        ("gone", 1, "", "error: unable to read URL \"URL\", server reported 404 Not Found, status code=404\n".to_owned()),
        ("broken", 1, "", "error: unable to read URL \"URL\", server reported 500 Internal Server Error, status code=500\n".to_owned()),
        ("%zz", 1, "", "error: the URL passed to filename \"URL\" is not valid: parse \"URL\": invalid URL escape \"%zz\"\n".to_owned()),
    ] {
        let url = format!("http://127.0.0.1:{port}/files/{path}");
        let said = cluster.ours(&format!("create -f {url}"));
        assert_eq!((said.code, said.out.as_str(), said.err.replace(&url, "URL")), (code, out, err));
    }
    let asked = cluster.fake.state.lock().unwrap().requests.clone();
    assert_eq!(asked.iter().filter(|line| line.contains("/files/broken")).count(), 3);
    let refused = cluster.ours("create -f http://127.0.0.1:1/x");
    assert_eq!(
        refused.err,
        "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?\n"
    );
}
