use serde_json::{Value, json};

use crate::managed_fields::{
    Filter, Request, SingleVersion, keep_reset, keep_times_if_unchanged, update,
};
use crate::schema;
use crate::tree;

/// A ConfigMap.
fn config_map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "uid": "u"}, "data": data})
}

/// Updates `live` to hold `data` as `manager` at a second.
fn updated(live: &Value, data: Value, manager: &str, second: u32) -> Value {
    let mut new = live.clone();
    new["data"] = data;
    record(live, &mut new, manager, second, "");
    new
}

fn record(live: &Value, new: &mut Value, manager: &str, second: u32, subresource: &str) {
    let versions = SingleVersion {
        api_version: "v1",
        ty: schema::builtin().get("core/v1.ConfigMap"),
        filter: None,
    };
    let now = format!("2026-01-01T00:00:{second:02}Z");
    let request = Request {
        manager,
        api_version: "v1",
        kind: "ConfigMap",
        subresource,
        now: &now,
        versions: &versions,
    };
    update(live, new, &request);
}

fn created(data: Value) -> Value {
    let mut new = config_map(data);
    record(&json!({"apiVersion": "v1", "kind": "ConfigMap"}), &mut new, "creator", 0, "");
    new
}

/// Each entry as `manager:second:fields`.
fn print(object: &Value) -> String {
    let entries = tree::items_at(object, &["metadata", "managedFields"]).iter().map(|entry| {
        let time = tree::str_at(entry, &["time"]).get(17..19).unwrap_or("-").to_owned();
        format!("{}:{time}:{}", tree::str_at(entry, &["manager"]), entry["fieldsV1"])
    });
    entries.collect::<Vec<_>>().join(" ")
}

#[test]
fn changed_fields_go_to_the_writer_and_leave_the_others() {
    let live = created(json!({"a": "1", "b": "1"}));
    assert_eq!(print(&live), r#"creator:00:{"f:data":{".":{},"f:a":{},"f:b":{}}}"#);
    let live = updated(&live, json!({"a": "2", "b": "1"}), "editor", 1);
    assert_eq!(
        print(&live),
        r#"creator:00:{"f:data":{".":{},"f:b":{}}} editor:01:{"f:data":{"f:a":{}}}"#
    );
    let live = updated(&live, json!({"a": "2"}), "other", 2);
    assert_eq!(print(&live), r#"creator:00:{"f:data":{}} editor:01:{"f:data":{"f:a":{}}}"#);
}

#[test]
fn a_write_that_changes_nothing_leaves_times_and_entries() {
    let live = created(json!({"a": "1"}));
    let same = updated(&live, json!({"a": "1"}), "editor", 5);
    assert_eq!(print(&same), print(&live));
}

#[test]
fn a_manager_without_a_name_is_unknown() {
    let mut new = config_map(json!({"a": "1"}));
    record(&json!({}), &mut new, "", 0, "");
    assert_eq!(print(&new), r#"unknown:00:{"f:data":{".":{},"f:a":{}}}"#);
}

#[test]
fn the_client_may_empty_the_entries_and_nobody_is_recorded_until_the_next_apply() {
    let live = created(json!({"a": "1"}));
    for sent in [json!([{}]), json!([])] {
        let mut new = live.clone();
        new["metadata"]["managedFields"] = sent;
        record(&live, &mut new, "editor", 1, "");
        assert_eq!(print(&new), "");
        let next = updated(&new, json!({"b": "1"}), "editor", 2);
        assert_eq!(print(&next), "");
    }
}

#[test]
fn an_empty_list_is_carried_over_the_settled_form() {
    let body = json!({"metadata": {"managedFields": []}});
    let mut settled = config_map(json!({}));
    keep_reset(&body, &mut settled);
    assert_eq!(settled["metadata"]["managedFields"], json!([{}]));
}

#[test]
fn entries_that_are_malformed_or_sent_through_a_subresource_are_ignored() {
    let live = created(json!({"a": "1"}));
    let entry = |operation: &str, fields_type: &str| json!([{"manager": "m", "operation": operation, "apiVersion": "v1", "fieldsType": fields_type, "fieldsV1": {"f:data": {}}}]);
    for (sent, subresource) in [
        (entry("Bad", "FieldsV1"), ""),
        (entry("Update", "X"), ""),
        (entry("Update", "FieldsV1"), "status"),
    ] {
        let mut new = live.clone();
        new["metadata"]["managedFields"] = sent;
        record(&live, &mut new, "editor", 1, subresource);
        assert_eq!(print(&new), print(&live));
    }
    let mut new = live.clone();
    new["metadata"]["managedFields"] = entry("Update", "FieldsV1");
    record(&live, &mut new, "editor", 1, "");
    assert_eq!(print(&new), r#"m:-:{"f:data":{}}"#);
}

#[test]
fn an_object_that_does_not_fit_its_type_keeps_its_entries() {
    let live = created(json!({"a": "1"}));
    let mut new = live.clone();
    new["metadata"]["finalizers"] = json!([null]);
    record(&live, &mut new, "editor", 1, "");
    assert_eq!(print(&new), print(&live));
}

#[test]
fn the_oldest_updaters_are_merged_when_there_are_too_many() {
    let mut live = created(json!({}));
    let mut data = json!({});
    for second in 1..=13 {
        data[format!("k{second:02}")] = json!("x");
        live = updated(&live, data.clone(), &format!("m{second:02}"), second);
    }
    let printed = print(&live);
    let ancient =
        r#"ancient-changes:04:{"f:data":{".":{},"f:k01":{},"f:k02":{},"f:k03":{},"f:k04":{}}}"#;
    assert!(printed.starts_with(ancient), "{printed}");
    assert_eq!(tree::items_at(&live, &["metadata", "managedFields"]).len(), 10);
}

#[test]
fn entries_are_sorted_by_operation_time_and_name() {
    let entry = |manager: &str, operation: &str, time: &str| json!({"manager": manager, "operation": operation, "apiVersion": "v1", "time": time, "fieldsType": "FieldsV1", "fieldsV1": {"f:x": {}}});
    let mut live = config_map(json!({}));
    live["metadata"]["managedFields"] = json!([
        entry("b", "Update", "2026-01-01T00:00:02Z"),
        entry("a", "Update", "2026-01-01T00:00:02Z"),
        entry("z", "Update", "2026-01-01T00:00:01Z"),
        entry("y", "Apply", "2026-01-01T00:00:09Z"),
    ]);
    let live = updated(&live, json!({"a": "1"}), "c", 2);
    let names: Vec<&str> = tree::items_at(&live, &["metadata", "managedFields"])
        .iter()
        .map(|entry| tree::str_at(entry, &["manager"]))
        .collect();
    assert_eq!(names, ["y", "z", "a", "b", "c"]);
}

#[test]
fn a_reset_field_is_not_owned() {
    let filter = Filter::except(&[&["data"]]);
    let versions = SingleVersion {
        api_version: "v1",
        ty: schema::builtin().get("core/v1.ConfigMap"),
        filter: Some(&filter),
    };
    let request = Request {
        manager: "m",
        api_version: "v1",
        kind: "ConfigMap",
        subresource: "",
        now: "2026-01-01T00:00:00Z",
        versions: &versions,
    };
    let mut new = config_map(json!({"a": "1"}));
    new["metadata"]["labels"] = json!({"l": "m"});
    update(&json!({}), &mut new, &request);
    assert_eq!(print(&new), r#"m:00:{"f:metadata":{"f:labels":{".":{},"f:l":{}}}}"#);
}

#[test]
fn what_became_atomic_is_owned_as_a_whole() {
    let mut live = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"uid": "u"}, "spec": {"nodeSelector": {"a": "1"}}});
    live["metadata"]["managedFields"] = json!([{
        "manager": "old", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:nodeSelector": {".": {}, "f:a": {}}, "f:containers": {"k:{\"name\":\"c\"}": {"f:image": {}}}}},
    }]);
    let versions =
        SingleVersion { api_version: "v1", ty: schema::builtin().get("core/v1.Pod"), filter: None };
    let request = Request {
        manager: "m",
        api_version: "v1",
        kind: "Pod",
        subresource: "",
        now: "2026-01-01T00:00:00Z",
        versions: &versions,
    };
    let mut new = live.clone();
    update(&live, &mut new, &request);
    let expected = r#"old:-:{"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{"f:image":{}}},"f:nodeSelector":{}}}"#;
    assert_eq!(print(&new), expected);
}

#[test]
fn entries_of_versions_that_are_gone_are_dropped() {
    let mut live = config_map(json!({"a": "1"}));
    live["metadata"]["managedFields"] = json!([{
        "manager": "old", "operation": "Update", "apiVersion": "v0", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}},
    }]);
    let new = updated(&live, json!({"a": "2"}), "m", 1);
    assert_eq!(print(&new), r#"m:01:{"f:data":{"f:a":{}}}"#);
}

#[test]
fn new_times_alone_are_no_change() {
    let old = created(json!({"a": "1"}));
    let mut new = old.clone();
    new["metadata"]["managedFields"][0]["time"] = json!("2026-01-01T00:00:09Z");
    let mut other = new.clone();
    keep_times_if_unchanged(&old, &mut new);
    assert_eq!(new, old);
    other["data"]["a"] = json!("2");
    let before = other.clone();
    keep_times_if_unchanged(&old, &mut other);
    assert_eq!(other, before);
}
