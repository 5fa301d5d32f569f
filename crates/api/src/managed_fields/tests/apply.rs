use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::managed_fields::scale::{ReplicasPaths, to_parent, to_scale};
use crate::managed_fields::{
    ApplyError, Filter, Path, Request, SingleVersion, Versions, apply, blank,
};
use crate::schema::{self, TypeRef};
use crate::tree;

fn ty(name: &str) -> Option<TypeRef<'static>> {
    schema::builtin().get(name)
}

/// A server that holds one object.
struct Server {
    api_version: &'static str,
    kind: &'static str,
    ty: &'static str,
    live: Value,
}

impl Server {
    fn new(api_version: &'static str, kind: &'static str, name: &'static str) -> Self {
        let live = blank(ty(name), api_version, kind);
        Self { api_version, kind, ty: name, live }
    }

    /// Applies what `config` has beside its type and name.
    fn apply(&mut self, manager: &str, config: Value, force: bool) -> Result<(), ApplyError> {
        let versions =
            SingleVersion { api_version: self.api_version, ty: ty(self.ty), filter: None };
        let request = Request {
            manager,
            api_version: self.api_version,
            kind: self.kind,
            subresource: "",
            now: "2026-01-01T00:00:00Z",
            versions: &versions,
        };
        let mut config = config;
        config["apiVersion"] = json!(self.api_version);
        config["kind"] = json!(self.kind);
        let mut applied = apply(&self.live, &config, force, &request)?.object;
        crate::json::settle(&mut applied, ty(self.ty).expect("a type")).expect("it fits");
        self.live = applied;
        Ok(())
    }

    #[track_caller]
    fn applied(&mut self, manager: &str, config: Value) {
        self.apply(manager, config, false).expect("it applies");
    }

    fn owners(&self) -> String {
        let entries = tree::items_at(&self.live, &["metadata", "managedFields"]).iter();
        let print =
            |entry: &Value| format!("{}:{}", tree::str_at(entry, &["manager"]), entry["fieldsV1"]);
        entries.map(print).collect::<Vec<_>>().join(" ")
    }
}

fn config_map() -> Server {
    Server::new("v1", "ConfigMap", "core/v1.ConfigMap")
}

fn deployment() -> Server {
    Server::new("apps/v1", "Deployment", "apps/v1.Deployment")
}

#[test]
fn a_field_that_is_not_named_any_more_goes_when_nobody_else_owns_it() {
    let mut server = config_map();
    server.applied("one", json!({"data": {"a": "1", "b": "2"}}));
    server.applied("two", json!({"data": {"b": "2", "c": "3"}}));
    server.applied("one", json!({}));
    assert_eq!(server.live["data"], json!({"b": "2", "c": "3"}));
    assert_eq!(server.owners(), r#"two:{"f:data":{"f:b":{},"f:c":{}}}"#);
    server.applied("two", json!({}));
    assert_eq!(tree::at(&server.live, &["data"]), &Value::Null);
    assert_eq!(server.owners(), "");
}

#[test]
fn another_s_value_is_a_conflict_unless_forced() {
    let mut server = config_map();
    server.applied("one", json!({"data": {"a": "1"}}));
    let error = server.apply("two", json!({"data": {"a": "2"}}), false).expect_err("a conflict");
    assert_eq!(error.to_string(), "Apply failed with 1 conflict: conflict with \"one\": .data.a");
    assert_eq!(server.live["data"]["a"], "1");
    server.apply("two", json!({"data": {"a": "2"}}), true).expect("forced");
    assert_eq!(server.owners(), r#"two:{"f:data":{"f:a":{}}}"#);
}

#[test]
fn conflicts_are_grouped_by_manager() {
    let mut server = deployment();
    server.applied("one", json!({"spec": {"replicas": 1, "paused": true}}));
    server.applied("two", json!({"metadata": {"labels": {"x": "1"}}}));
    let config =
        json!({"metadata": {"labels": {"x": "2"}}, "spec": {"replicas": 2, "paused": false}});
    let error = server.apply("three", config, false).expect_err("conflicts");
    assert_eq!(
        error.to_string(),
        "Apply failed with 3 conflicts: conflicts with \"one\":\n- .spec.paused\n- .spec.replicas\nconflicts with \"two\":\n- .metadata.labels.x"
    );
    let ApplyError::Conflicts(conflicts) = error else { panic!("conflicts") };
    assert_eq!(conflicts.0[0].message(), "conflict with \"one\"");
    assert_eq!(conflicts.0[2].path.to_string(), ".metadata.labels.x");
}

#[test]
fn items_of_keyed_lists_and_sets_come_and_go_alone() {
    let mut server = deployment();
    let with =
        |containers: Value| json!({"spec": {"template": {"spec": {"containers": containers}}}});
    server.applied(
        "one",
        with(json!([{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}])),
    );
    server.applied("two", with(json!([{"name": "a", "env": [{"name": "Y", "value": "2"}]}, {"name": "b", "image": "2"}])));
    server.applied("one", with(json!([{"name": "a", "image": "1"}])));
    let containers = &server.live["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers[0]["env"], json!([{"name": "Y", "value": "2"}]));
    assert_eq!(containers[1]["name"], "b");
    server.applied("two", with(json!([{"name": "a"}])));
    let containers = &server.live["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers.as_array().map(Vec::len), Some(1));

    let mut server = config_map();
    let finalizers = |list: Value| json!({"metadata": {"finalizers": list}});
    server.applied("one", finalizers(json!(["a.b/c"])));
    server.applied("two", finalizers(json!(["d.e/f"])));
    server.applied("one", finalizers(json!(["g.h/i"])));
    assert_eq!(server.live["metadata"]["finalizers"], json!(["d.e/f", "g.h/i"]));
}

#[test]
fn a_reordered_list_takes_the_order_of_the_configuration() {
    let mut server = deployment();
    let with = |names: &[&str]| {
        let containers: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"spec": {"template": {"spec": {"containers": containers}}}})
    };
    let order = |server: &Server| -> String {
        let containers = &server.live["spec"]["template"]["spec"]["containers"];
        containers
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| item["name"].as_str())
            .collect()
    };
    server.applied("one", with(&["a", "b", "c"]));
    server.applied("two", with(&["x", "b", "y"]));
    assert_eq!(order(&server), "axbcy");
    server.applied("one", with(&["c", "b", "a"]));
    assert_eq!(order(&server), "xcyba");
}

#[test]
fn atomic_values_are_replaced_as_a_whole() {
    let mut server = deployment();
    let with =
        |selector: Value| json!({"spec": {"template": {"spec": {"nodeSelector": selector}}}});
    server.applied("one", with(json!({"a": "1"})));
    let error = server.apply("two", with(json!({"b": "1"})), false).expect_err("a conflict");
    assert!(error.to_string().ends_with(": .spec.template.spec.nodeSelector"), "{error}");
    server.apply("two", with(json!({"b": "1"})), true).expect("forced");
    assert_eq!(server.live["spec"]["template"]["spec"]["nodeSelector"], json!({"b": "1"}));
}

#[test]
fn fields_of_an_object_without_owners_belong_to_before_the_first_apply() {
    let mut server = config_map();
    server.live["data"] = json!({"a": "1"});
    let error = server.apply("one", json!({"data": {"a": "2"}}), false).expect_err("a conflict");
    let expected =
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.a";
    assert_eq!(error.to_string(), expected);
    server.applied("one", json!({"data": {"a": "1"}}));
    assert_eq!(
        server.owners(),
        r#"one:{"f:data":{"f:a":{}}} before-first-apply:{"f:data":{".":{},"f:a":{}}}"#
    );
}

#[test]
fn bodies_that_cannot_be_applied_are_refused_in_upstream_s_words() {
    let mut server = config_map();
    for (config, expected) in [
        (
            json!({"metadata": {"name": "c"}, "data": {"a": 5}}),
            "failed to create typed patch object (/c; /v1, Kind=ConfigMap): .data.a: expected string, got &value.valueUnstructured{Value:5}",
        ),
        (
            json!({"nosuch": 1}),
            "failed to create typed patch object (/; /v1, Kind=ConfigMap): .nosuch: field not declared in schema",
        ),
        (
            json!({"data": 1, "immutable": "x"}),
            "failed to create typed patch object (/; /v1, Kind=ConfigMap): errors:\n  .data: expected map, got &{1}\n  .immutable: expected boolean, got &{x}",
        ),
        (json!({"metadata": {"managedFields": []}}), "metadata.managedFields must be nil"),
        (
            json!({"metadata": {"finalizers": ["a", "a"], "generation": "x"}}),
            "failed to create typed patch object (/; /v1, Kind=ConfigMap): errors:\n  .metadata.finalizers: duplicate entries for key [=\"a\"]\n  .metadata.generation: expected numeric (int or float), got string",
        ),
    ] {
        let error = server.apply("one", config, false).expect_err("refused");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn existing_duplicates_are_tolerated_and_give_way() {
    let mut server = deployment();
    let env = |env: Value| json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "env": env}]}}}});
    server.live["spec"]["template"]["spec"]["containers"] =
        json!([{"name": "c", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}]);
    server.applied("one", env(json!([{"name": "B", "value": "1"}])));
    let found =
        server.live["spec"]["template"]["spec"]["containers"][0]["env"].as_array().map(Vec::len);
    assert_eq!(found, Some(3));
    server.apply("one", env(json!([{"name": "A", "value": "9"}])), true).expect("forced");
    let env = &server.live["spec"]["template"]["spec"]["containers"][0]["env"];
    assert_eq!(env, &json!([{"name": "A", "value": "9"}]));
}

#[test]
fn kubectl_takes_over_what_it_applied_from_the_client_side() {
    let mut server = config_map();
    let text = r#"{"apiVersion":"v1","data":{"a":"1","b":"2"},"kind":"ConfigMap","metadata":{"name":"c"}}"#;
    server.live["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": text});
    server.live["data"] = json!({"a": "1", "b": "changed"});
    server.applied("kubectl", json!({"data": {"a": "2"}}));
    assert_eq!(server.live["data"]["a"], "2");
    let error = server.apply("kubectl", json!({"data": {"a": "2", "b": "3"}}), false);
    let error = error.expect_err("somebody changed it");
    assert!(error.to_string().ends_with(" .data.b"), "{error}");
    let annotation =
        &server.live["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
    let expected = "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"2\"},\"kind\":\"ConfigMap\"}\n";
    assert_eq!(annotation, expected);
}

/// Two versions of a ConfigMap; in the older the data is under another name.
struct TwoVersions;

impl Versions for TwoVersions {
    fn serves(&self, api_version: &str) -> bool {
        ["v1", "v0"].contains(&api_version)
    }

    fn convert<'v>(&self, object: &'v Value, api_version: &str) -> Option<Cow<'v, Value>> {
        let (from, to) = if api_version == "v0" { ("data", "old") } else { ("old", "data") };
        let mut converted = object.clone();
        if let Some(value) = tree::take(&mut converted, from) {
            converted[to] = value;
        }
        converted["apiVersion"] = json!(api_version);
        Some(Cow::Owned(converted))
    }

    fn type_of(&self, _api_version: &str) -> Option<TypeRef<'_>> {
        None
    }

    fn filter(&self, _api_version: &str) -> Option<&Filter> {
        None
    }
}

#[test]
fn entries_made_in_another_version_are_judged_in_it() {
    let request = |manager: &'static str, api_version: &'static str| Request {
        manager,
        api_version,
        kind: "ConfigMap",
        subresource: "",
        now: "2026-01-01T00:00:00Z",
        versions: &TwoVersions,
    };
    let live = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}});
    let config = |api_version: &str, field: &str, value: &str| json!({"apiVersion": api_version, "kind": "ConfigMap", field: {"a": value, "b": "1"}});
    let applied =
        apply(&live, &config("v0", "old", "1"), false, &request("one", "v0")).expect("applied");
    let error = apply(&applied.object, &config("v1", "data", "2"), false, &request("two", "v1"));
    let expected = "Apply failed with 1 conflict: conflict with \"one\": .old.a";
    assert_eq!(error.expect_err("a conflict").to_string(), expected);

    // The same applier in another version has one entry, and what it drops goes.
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}});
    let applied = apply(&applied.object, &config, false, &request("one", "v1")).expect("applied");
    assert_eq!(applied.object["data"], json!({"a": "1"}));
    assert_eq!(tree::items_at(&applied.object, &["metadata", "managedFields"]).len(), 1);
}

#[test]
fn replicas_pass_between_an_object_and_its_scale() {
    let paths: ReplicasPaths<'_> =
        BTreeMap::from([("apps/v1", Some(Path::of_fields(&["spec", "replicas"])))]);
    let entry = |manager: &str,
                 operation: &str,
                 api_version: &str,
                 fields: Value,
                 subresource: &str| {
        let mut entry = json!({"manager": manager, "operation": operation, "apiVersion": api_version, "fieldsType": "FieldsV1", "fieldsV1": fields});
        tree::set(&mut entry, "subresource", Some(subresource).filter(|name| !name.is_empty()));
        entry
    };
    let replicas = || json!({"f:spec": {"f:replicas": {}}});
    let parent = json!([
        entry(
            "alpha",
            "Apply",
            "apps/v1",
            json!({"f:spec": {"f:paused": {}, "f:replicas": {}}}),
            ""
        ),
        entry("beta", "Update", "apps/v1", json!({"f:spec": {"f:paused": {}}}), ""),
    ]);
    let scale = to_scale(&parent, &paths).expect("entries");
    assert_eq!(scale, json!([entry("alpha", "Apply", "autoscaling/v1", replicas(), "")]));
    assert_eq!(to_parent(&parent, &scale, "apps/v1", &paths), Ok(parent.clone()));

    let taken = json!([entry("scaler", "Update", "autoscaling/v1", replicas(), "scale")]);
    let merged = to_parent(&parent, &taken, "apps/v1", &paths).expect("entries");
    assert_eq!(
        merged,
        json!([
            entry("alpha", "Apply", "apps/v1", json!({"f:spec": {"f:paused": {}}}), ""),
            entry("beta", "Update", "apps/v1", json!({"f:spec": {"f:paused": {}}}), ""),
            entry("scaler", "Update", "apps/v1", replicas(), "scale"),
        ])
    );
}
