use podo_api::schema::builtin;
use serde_json::{Value, json};

use super::*;

const fn kind(kind: &'static str, plural: &'static str, is_namespaced: bool) -> StoredKind {
    StoredKind { group: "", version: "v1", plural, kind, is_namespaced }
}

pub(in super::super) const KINDS: [StoredKind; 3] = [
    kind("Node", "nodes", false),
    kind("Pod", "pods", true),
    kind("ConfigMap", "configmaps", true),
];

/// An object by words: `Pod x/p`, and any of `of:Node/n` (`of:Node/n!` blocks), `deleting`, `foreground`, `orphan`. Its UID is its
/// name; `of:Node/n=u` refers to another UID.
pub(in super::super) fn object(words: &[&str], version: u64) -> (KindIndex, Arc<Object>) {
    let (kind, key) = (words[0], words[1]);
    let (namespace, name) = key.split_once('/').unwrap_or(("", key));
    let mut metadata = json!({"name": name, "uid": name, "resourceVersion": version.to_string()});
    if !namespace.is_empty() {
        metadata["namespace"] = namespace.into();
    }
    let owners: Vec<Value> =
        words.iter().filter_map(|word| word.strip_prefix("of:")).map(reference).collect();
    if !owners.is_empty() {
        metadata["ownerReferences"] = owners.into();
    }
    if words.contains(&"deleting") {
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    }
    for (word, finalizer) in [("foreground", "foregroundDeletion"), ("orphan", "orphan")] {
        if words.contains(&word) {
            metadata["finalizers"] = json!([finalizer]);
        }
    }
    let value = json!({"kind": kind, "apiVersion": "v1", "metadata": metadata});
    let ty = builtin().get(&format!("core/v1.{kind}")).expect("known");
    let index = (0..).zip(&KINDS).find(|(_, known)| known.kind == kind).expect("known").0;
    (index, Arc::new(Object::new(&value, ty, Box::default())))
}

fn reference(word: &str) -> Value {
    let (word, blocks) = word.strip_suffix('!').map_or((word, false), |word| (word, true));
    let (kind, name) = word.split_once('/').expect("Kind/name");
    let (name, uid) = name.split_once('=').unwrap_or((name, name));
    json!({"apiVersion": "v1", "kind": kind, "name": name, "uid": uid, "blockOwnerDeletion": blocks})
}

/// Does what each line says, at a revision of its own, and compares whom that wakes; returns the graph.
#[track_caller]
fn check(steps: &[(&str, &str)]) -> Graph {
    let mut graph = Graph::new(Arc::from(KINDS));
    for ((line, expected), version) in steps.iter().zip(1..) {
        let words: Vec<&str> = line.split(' ').collect();
        let mut wake = step(&mut graph, &words, version);
        wake.sort();
        wake.dedup();
        let woken: Vec<String> = wake.iter().map(Uid::to_string).collect();
        assert_eq!(woken.join(" "), *expected, "{line}");
    }
    graph
}

/// [`check`], and that nothing is held at the end.
#[track_caller]
fn check_all_gone(steps: &[(&str, &str)]) {
    assert_eq!(check(steps).nodes.len(), 0);
}

fn step(graph: &mut Graph, words: &[&str], version: u64) -> Wake {
    match words[0] {
        "put" => {
            let (kind, object) = object(&words[1..], version);
            graph.put(kind, &object, &Ownership::of(&object))
        }
        "late" => {
            let (kind, object) = object(&words[1..], 0);
            graph.put(kind, &object, &Ownership::of(&object))
        }
        "confirm" => {
            let (kind, object) = object(&words[1..], version);
            graph.confirm(kind, &object, graph.lists());
            Wake::new()
        }
        "gone" => graph.remove(&Uid::of(words[1])),
        "list" => {
            let objects: Vec<_> =
                words[2..].iter().map(|key| object(&[words[1], key], 1).1).collect();
            graph.list(object(&[words[1], "x"], 0).0, &objects, version)
        }
        "refute" => {
            let (kind, object) = object(&words[1..], version);
            let (namespace, name) = (object.namespace.clone(), object.name.clone());
            graph.refute(Owner { kind, namespace, name, uid: Uid::of(&object.uid) })
        }
        other => panic!("{other}"),
    }
}

#[test]
fn who_neither_owns_nor_is_owned_is_not_held() {
    check_all_gone(&[("put Pod x/p", "")]);
    check_all_gone(&[("put Pod x/q deleting", ""), ("put Node n", ""), ("gone n", "")]);
    check_all_gone(&[("put Pod x/p of:Unknown/u", "p")]);
}

#[test]
fn the_first_to_name_an_owner_is_looked_at_and_further_ones_only_until_the_owner_was_seen() {
    let steps = [
        ("put ConfigMap x/a of:Pod/p", "a"),
        ("put ConfigMap x/b of:Pod/p", "b"),
        ("confirm Pod x/p", ""),
        ("put ConfigMap x/c of:Pod/p", ""),
        ("put ConfigMap x/a of:Pod/p", ""),
    ];
    check(&steps);
    let steps = [
        ("put ConfigMap x/a of:Pod/p", "a"),
        ("put Pod x/p", ""),
        ("put ConfigMap x/b of:Pod/p", ""),
    ];
    check(&steps);
}

#[test]
fn dependents_of_an_owner_that_goes_are_looked_at() {
    let steps = [
        ("put ConfigMap x/a of:Pod/p", "a"),
        ("put ConfigMap x/b of:Pod/p of:Node/n", "b"),
        ("gone p", "a b"),
        ("gone a", ""),
        ("gone n", "b"),
        ("gone b", ""),
    ];
    check_all_gone(&steps);
}

#[test]
fn references_that_do_not_fit_the_owner_are_looked_at() {
    let owners = [("put Pod x/p of:Node/m", "p"), ("put Node n of:Node/m", "n")];
    for (line, expected) in [
        ("put ConfigMap x/a of:Pod/p", ""),
        ("put ConfigMap y/a of:Pod/p", "a"),
        ("put ConfigMap x/a of:Pod/other=p", "a"),
        ("put ConfigMap x/a of:Node/p", "a"),
        ("put Node a of:Pod/p", "a"),
        ("put ConfigMap x/a of:Node/n", ""),
        ("put Node a of:Node/n", ""),
        ("put ConfigMap x/a of:Pod/p of:Node/k", "a"),
        ("put ConfigMap x/a of:ConfigMap/a", "a"),
        ("put ConfigMap x/a deleting of:Pod/other", ""),
    ] {
        check(&[owners[0], owners[1], (line, expected)]);
    }
}

#[test]
fn a_changed_reference_is_looked_at_and_an_unchanged_one_is_not() {
    let steps = [
        ("put ConfigMap x/a of:Pod/p", "a"),
        ("put Pod x/p", ""),
        ("put ConfigMap x/a of:Pod/p", ""),
        ("put ConfigMap x/a of:Pod/other=p", "a"),
        ("put ConfigMap x/a of:Pod/p!", ""),
        ("late ConfigMap x/a of:Pod/q", ""),
        ("put ConfigMap x/a", ""),
    ];
    check_all_gone(&steps);
}

#[test]
fn an_owner_in_the_foreground_is_looked_at_at_first_and_when_the_last_that_blocks_it_is_gone() {
    let steps = [
        ("put Pod x/p deleting foreground", "p"),
        ("put ConfigMap x/a of:Pod/p!", "a"),
        ("put ConfigMap x/b of:Pod/p!", "b"),
        ("put ConfigMap x/c of:Pod/p", "c"),
        ("gone a", ""),
        ("put ConfigMap x/b of:Pod/p! deleting", ""),
        ("gone b", "p"),
        ("gone c", "p"),
        ("put Pod x/p deleting", ""),
    ];
    check_all_gone(&steps);
    let steps = [
        ("put ConfigMap x/a of:Pod/p!", "a"),
        ("put ConfigMap x/b of:Pod/p", "b"),
        ("put Pod x/p", ""),
        ("put Pod x/p deleting foreground", "a b p"),
        ("put Pod x/p deleting foreground", ""),
        ("put ConfigMap x/a of:Pod/p", "a p"),
    ];
    check(&steps);
}

#[test]
fn an_owner_that_leaves_its_dependents_is_looked_at_once() {
    let steps = [
        ("put Pod x/p deleting orphan", "p"),
        ("put Pod x/p deleting orphan", ""),
        ("put Pod x/p deleting", ""),
    ];
    check_all_gone(&steps);
}

#[test]
fn what_a_list_does_not_have_is_gone_and_what_was_never_seen_is_looked_for_again() {
    let steps = [
        ("list Pod x/p x/q", ""),
        ("put ConfigMap x/a of:Pod/p", "a"),
        ("put ConfigMap x/b of:Pod/q", "b"),
        ("put ConfigMap x/c of:Node/n", "c"),
        ("confirm Pod x/p", ""),
        ("confirm Pod x/q", ""),
        ("list Pod x/q", "a c"),
    ];
    let mut graph = check(&steps);
    let gone = Owner { kind: 1, namespace: "x".into(), name: "p".into(), uid: Uid::of("p") };
    assert!(graph.is_absent(&gone));
    let _woken = step(&mut graph, &["list", "ConfigMap"], 9);
    assert_eq!(graph.nodes.len(), 0, "nothing refers to anything any longer");
}

#[test]
fn what_was_read_before_a_list_does_not_confirm() {
    let mut graph = Graph::new(Arc::from(KINDS));
    step(&mut graph, &["put", "ConfigMap", "x/a", "of:Pod/p"], 1);
    let lists = graph.lists();
    step(&mut graph, &["list", "Pod"], 2);
    let (kind, owner) = object(&["Pod", "x/p"], 1);
    graph.confirm(kind, &owner, lists);
    let woken = step(&mut graph, &["put", "ConfigMap", "x/b", "of:Pod/p"], 3);
    assert_eq!(woken, [Uid::of("b")]);
}

#[test]
fn an_owner_that_was_confirmed_and_is_not_there_takes_all_its_dependents_with_it() {
    let steps = [
        ("put ConfigMap x/a of:Pod/p", "a"),
        ("confirm Pod x/p", ""),
        ("put ConfigMap x/b of:Pod/p", ""),
        ("refute Pod y/p", ""),
        ("refute Pod x/p", "a b"),
    ];
    check(&steps);
}

#[test]
fn who_blocks_whom_is_known() {
    let mut graph = Graph::new(Arc::from(KINDS));
    for (line, version) in [
        "put Pod x/p of:Pod/p!",
        "put ConfigMap x/a of:Pod/p",
        "put ConfigMap x/b of:Pod/p! of:Node/n!",
        "put ConfigMap x/c of:ConfigMap/a deleting foreground",
    ]
    .iter()
    .zip(1..)
    {
        let _woken = step(&mut graph, &line.split(' ').collect::<Vec<_>>(), version);
    }
    let is_blocked = |graph: &Graph, name| graph.is_blocked(&Uid::of(name));
    assert_eq!((is_blocked(&graph, "p"), is_blocked(&graph, "a")), (true, false));
    assert!(graph.has_waiting_dependents(&Uid::of("a")));
    assert!(!graph.has_waiting_dependents(&Uid::of("p")));
    let _woken = graph.remove(&Uid::of("b"));
    assert!(!is_blocked(&graph, "p"), "an object does not block itself");
}

#[test]
fn a_node_is_small() {
    assert!(size_of::<Node>() <= 72, "{}", size_of::<Node>());
}

#[test]
fn an_object_of_very_many_owners_takes_its_time_only_once_for_each() {
    let many = |range: std::ops::Range<usize>| {
        let owners: Vec<String> = range.map(|index| format!("of:Pod/{index}")).collect();
        format!("put ConfigMap x/a {}", owners.join(" "))
    };
    let mut graph = Graph::new(Arc::from(KINDS));
    for (line, version) in [many(0..20_000), many(10_000..30_000)].iter().zip(1..) {
        let woken = step(&mut graph, &line.split(' ').collect::<Vec<_>>(), version);
        assert_eq!(woken, [Uid::of("a")]);
    }
    assert_eq!(graph.nodes.len(), 20_001);
}
