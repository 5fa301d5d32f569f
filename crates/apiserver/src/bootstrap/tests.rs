//! The tables against what a recorded Kubernetes v1.36.2 served.

use podo_api::{Value, meta, tree};
use serde_json::json;

use super::{policy, reconcile};
use crate::authz::Rule;

/// The names of the default ClusterRoles, those of controllers without their prefix.
const ROLES: &str = "\
    admin cluster-admin edit system:aggregate-to-admin system:aggregate-to-edit system:aggregate-to-view \
    system:auth-delegator system:basic-user system:certificates.k8s.io:certificatesigningrequests:nodeclient \
    system:certificates.k8s.io:certificatesigningrequests:selfnodeclient \
    system:certificates.k8s.io:kube-apiserver-client-approver \
    system:certificates.k8s.io:kube-apiserver-client-kubelet-approver \
    system:certificates.k8s.io:kubelet-serving-approver system:certificates.k8s.io:legacy-unknown-approver \
    system:discovery system:heapster system:kube-aggregator system:kube-controller-manager system:kube-dns \
    system:kube-scheduler system:kubelet-api-admin system:monitoring system:node system:node-bootstrapper \
    system:node-problem-detector system:node-proxier system:persistent-volume-provisioner \
    system:public-info-viewer system:service-account-issuer-discovery system:volume-scheduler view";

/// The controllers that have a role and a binding.
const CONTROLLERS: &str = "\
    attachdetach-controller certificate-controller clusterrole-aggregation-controller cronjob-controller \
    daemon-set-controller deployment-controller device-taint-eviction-controller disruption-controller \
    endpoint-controller endpointslice-controller endpointslicemirroring-controller ephemeral-volume-controller \
    expand-controller generic-garbage-collector horizontal-pod-autoscaler job-controller \
    legacy-service-account-token-cleaner namespace-controller node-controller persistent-volume-binder \
    pod-garbage-collector pv-protection-controller pvc-protection-controller replicaset-controller \
    replication-controller resource-claim-controller resourcequota-controller root-ca-cert-publisher \
    route-controller selinux-warning-controller service-account-controller service-ca-cert-publisher \
    service-cidrs-controller service-controller statefulset-controller ttl-after-finished-controller \
    ttl-controller validatingadmissionpolicy-status-controller volumeattributesclass-protection-controller";

/// The names of the other default ClusterRoleBindings.
const BINDINGS: &str = "\
    cluster-admin system:basic-user system:discovery system:kube-controller-manager system:kube-dns \
    system:kube-scheduler system:monitoring system:node system:node-proxier system:public-info-viewer \
    system:service-account-issuer-discovery system:volume-scheduler";

/// The rules of `edit` without those of `view`, as recorded.
const EDIT: &[&str] = &[
    "get,list,watch core pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy",
    "impersonate core serviceaccounts",
    "create,delete,deletecollection,patch,update core pods,pods/attach,pods/exec,pods/portforward,pods/proxy",
    "create core pods/eviction",
    "create,delete,deletecollection,patch,update core configmaps,persistentvolumeclaims,\
     replicationcontrollers,replicationcontrollers/scale,secrets,serviceaccounts,services,services/proxy",
    "create core serviceaccounts/token",
    "create,delete,deletecollection,patch,update core,events.k8s.io events",
    "create,delete,deletecollection,patch,update apps daemonsets,deployments,deployments/rollback,\
     deployments/scale,replicasets,replicasets/scale,statefulsets,statefulsets/scale",
    "create,delete,deletecollection,patch,update autoscaling horizontalpodautoscalers",
    "create,delete,deletecollection,patch,update batch cronjobs,jobs",
    "create,delete,deletecollection,patch,update extensions daemonsets,deployments,deployments/rollback,\
     deployments/scale,ingresses,networkpolicies,replicasets,replicasets/scale,replicationcontrollers/scale",
    "create,delete,deletecollection,patch,update policy poddisruptionbudgets",
    "create,delete,deletecollection,patch,update networking.k8s.io ingresses,networkpolicies",
    "create,delete,deletecollection,get,list,patch,update,watch coordination.k8s.io leases",
    "create,delete,deletecollection,patch,update resource.k8s.io resourceclaims,resourceclaimtemplates",
];

/// The rules of `view`, as recorded.
const VIEW: &[&str] = &[
    "get,list,watch core configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,\
     replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/status",
    "get,list,watch core bindings,limitranges,namespaces/status,pods/log,pods/status,\
     replicationcontrollers/status,resourcequotas,resourcequotas/status",
    "get,list,watch core namespaces",
    "get,list,watch core,events.k8s.io events",
    "get,list,watch discovery.k8s.io endpointslices",
    "get,list,watch apps controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,\
     deployments/status,replicasets,replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,\
     statefulsets/status",
    "get,list,watch autoscaling horizontalpodautoscalers,horizontalpodautoscalers/status",
    "get,list,watch batch cronjobs,cronjobs/status,jobs,jobs/status",
    "get,list,watch extensions daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,\
     ingresses,ingresses/status,networkpolicies,replicasets,replicasets/scale,replicasets/status,\
     replicationcontrollers/scale",
    "get,list,watch policy poddisruptionbudgets,poddisruptionbudgets/status",
    "get,list,watch networking.k8s.io ingresses,ingresses/status,networkpolicies",
    "get,list,watch resource.k8s.io resourceclaims,resourceclaims/status,resourceclaimtemplates",
];

/// The rules that `admin` has beyond `edit`, as recorded.
const ADMIN: &[&str] = &[
    "create authorization.k8s.io localsubjectaccessreviews",
    "create,delete,deletecollection,get,list,patch,update,watch rbac.authorization.k8s.io rolebindings,roles",
];

fn names(objects: &[Value]) -> Vec<String> {
    let mut names: Vec<String> =
        objects.iter().map(|object| meta::name(object).to_owned()).collect();
    names.sort_unstable();
    names
}

fn expected(own: &str) -> Vec<String> {
    let own = own.split_ascii_whitespace().map(str::to_owned);
    let controllers =
        CONTROLLERS.split_ascii_whitespace().map(|name| format!("system:controller:{name}"));
    let mut names: Vec<String> = own.chain(controllers).collect();
    names.sort_unstable();
    names
}

fn lines(rules: &[Rule]) -> Vec<String> {
    let list = |list: &[Box<str>]| {
        let items: Vec<&str> =
            list.iter().map(|item| if item.is_empty() { "core" } else { item }).collect();
        items.join(",")
    };
    rules
        .iter()
        .map(|rule| {
            format!("{} {} {}", list(&rule.verbs), list(&rule.api_groups), list(&rule.resources))
        })
        .collect()
}

#[test]
fn the_default_roles_and_bindings_are_the_recorded_ones() {
    assert_eq!(names(&policy::cluster_roles()), expected(ROLES));
    assert_eq!(names(&policy::cluster_role_bindings()), expected(BINDINGS));
}

#[test]
fn admin_edit_and_view_are_filled_as_the_recorded_controller_fills_them() {
    let edit = [EDIT, VIEW].concat();
    assert_eq!(lines(&policy::aggregated_rules("view")), VIEW);
    assert_eq!(lines(&policy::aggregated_rules("edit")), edit);
    assert_eq!(lines(&policy::aggregated_rules("admin")), [&edit[..], ADMIN].concat());
}

fn find(objects: &[Value], name: &str, namespace: &str) -> Value {
    let is_meant =
        |object: &&Value| meta::name(object) == name && meta::namespace(object) == namespace;
    objects.iter().find(is_meant).cloned().unwrap_or_else(|| panic!("no {namespace}/{name}"))
}

#[test]
fn roles_and_bindings_look_as_recorded() {
    let rbac = "rbac.authorization.k8s.io";
    let admin = find(&policy::cluster_roles(), "edit", "");
    assert_eq!(
        admin["metadata"]["labels"],
        json!({
            "kubernetes.io/bootstrapping": "rbac-defaults", "rbac.authorization.k8s.io/aggregate-to-admin": "true",
        })
    );
    assert_eq!(
        admin["aggregationRule"],
        json!({"clusterRoleSelectors": [
            {"matchLabels": {"rbac.authorization.k8s.io/aggregate-to-edit": "true"}},
        ]})
    );
    let info = find(&policy::cluster_role_bindings(), "system:public-info-viewer", "");
    assert_eq!(
        info["subjects"],
        json!([
            {"kind": "Group", "apiGroup": rbac, "name": "system:authenticated"},
            {"kind": "Group", "apiGroup": rbac, "name": "system:unauthenticated"},
        ])
    );
    let node = find(&policy::cluster_role_bindings(), "system:node", "");
    assert_eq!(node.get("subjects"), None);
    assert_eq!(
        node["metadata"]["annotations"],
        json!({"rbac.authorization.kubernetes.io/autoupdate": "true"})
    );
    let job = find(&policy::cluster_role_bindings(), "system:controller:job-controller", "");
    assert_eq!(
        job["subjects"],
        json!([{"kind": "ServiceAccount", "name": "job-controller", "namespace": "kube-system"}])
    );
    let signer = find(&policy::roles(), "system:controller:bootstrap-signer", "kube-public");
    assert_eq!(
        signer["rules"],
        json!([
            {"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["configmaps"]},
            {"verbs": ["update"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["cluster-info"]},
            {"verbs": ["create", "patch", "update"], "apiGroups": ["", "events.k8s.io"], "resources": ["events"]},
        ])
    );
    let leader = find(&policy::roles(), "system::leader-locking-kube-scheduler", "kube-system");
    assert_eq!(
        leader["rules"],
        json!([
            {"verbs": ["create", "get", "list", "update", "watch"], "apiGroups": ["coordination.k8s.io"], "resources": ["leases"]},
            {
                "verbs": ["create", "get", "list", "update", "watch"], "apiGroups": ["coordination.k8s.io"],
                "resources": ["leasecandidates"],
            },
        ])
    );
    let leader =
        find(&policy::role_bindings(), "system::leader-locking-kube-scheduler", "kube-system");
    assert_eq!(
        leader["subjects"],
        json!([
            {"kind": "User", "apiGroup": rbac, "name": "system:kube-scheduler"},
            {"kind": "ServiceAccount", "name": "kube-scheduler", "namespace": "kube-system"},
        ])
    );
}

#[test]
fn every_line_of_a_table_is_a_rule_and_its_lists_are_sorted() {
    let roles = [policy::cluster_roles(), policy::roles()].concat();
    for role in &roles {
        let rules: Vec<Rule> =
            serde_json::from_value(tree::at(role, &["rules"]).clone()).unwrap_or_default();
        assert_eq!(rules.is_empty(), role.get("aggregationRule").is_some(), "{}", meta::name(role));
        for rule in rules {
            let is_of_resources = !rule.api_groups.is_empty() && !rule.resources.is_empty();
            let is_of_urls = rule.resources.is_empty() && !rule.non_resource_urls.is_empty();
            assert!(
                !rule.verbs.is_empty() && (is_of_resources != is_of_urls),
                "{}: {rule:?}",
                meta::name(role)
            );
            let lists = [
                &rule.verbs,
                &rule.api_groups,
                &rule.resources,
                &rule.resource_names,
                &rule.non_resource_urls,
            ];
            assert!(lists.iter().all(|list| list.is_sorted()), "{rule:?}");
        }
    }
}

#[test]
fn a_role_that_was_narrowed_gets_back_what_it_lacks_and_keeps_what_was_added() {
    let wanted = json!({"metadata": {"name": "r", "labels": {"a": "b"}}, "rules": [
        {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]},
    ]});
    let mut present = wanted.clone();
    assert_eq!(reconcile::role(&present, &wanted), None);
    present["rules"] = json!([
        {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]},
        {"verbs": ["*"], "apiGroups": ["x"], "resources": ["y"]},
    ]);
    present["metadata"]["labels"] = json!({"own": "label"});
    let mended = reconcile::role(&present, &wanted).expect("changed");
    assert_eq!(mended["metadata"]["labels"], json!({"a": "b", "own": "label"}));
    assert_eq!(
        mended["rules"][2],
        json!({"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]})
    );
    assert_eq!(mended["rules"].as_array().map(Vec::len), Some(3));
    assert_eq!(reconcile::role(&mended, &wanted), None);
    present["metadata"]["annotations"] =
        json!({"rbac.authorization.kubernetes.io/autoupdate": "false"});
    assert_eq!(reconcile::role(&present, &wanted), None);
}

#[test]
fn a_binding_gets_back_its_subjects_and_one_of_another_role_is_another_object() {
    let subject = |name: &str| json!({"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": name});
    let wanted = json!({"metadata": {"name": "b", "uid": "u"}, "roleRef": {"name": "r"}, "subjects": [subject("g")]});
    let mut present = wanted.clone();
    present["subjects"] = json!([subject("other")]);
    let mended = reconcile::binding(&present, &wanted).expect("changed");
    assert_eq!(mended["subjects"], json!([subject("other"), subject("g")]));
    assert_eq!(
        (&mended["metadata"]["uid"], reconcile::binding(&mended, &wanted)),
        (&json!("u"), None)
    );
    present["roleRef"] = json!({"name": "cluster-admin"});
    let replaced = reconcile::binding(&present, &wanted).expect("changed");
    assert_eq!(replaced["roleRef"], json!({"name": "r"}));
    assert_ne!(replaced["metadata"]["uid"], json!("u"));
}

async fn started() -> crate::authz::testing::World {
    let world = crate::authz::testing::world();
    super::ensure(&world.api, ([192, 0, 2, 1], 6443).into()).await.expect("made");
    world
}

/// An object without what differs from run to run.
fn read(world: &crate::authz::testing::World, plural: &str, namespace: &str, name: &str) -> Value {
    let target = crate::authz::testing::target("", plural, namespace, name);
    let mut object = crate::verbs::find(&world.api, &target).expect("there").value();
    for field in ["uid", "resourceVersion", "creationTimestamp"] {
        assert!(!meta::str(&object, field).is_empty(), "{field}");
        meta::set(&mut object, field, Value::Null);
    }
    tree::set(&mut object["metadata"]["managedFields"][0], "time", Value::Null);
    object
}

#[tokio::test]
async fn a_second_run_writes_nothing_and_what_was_taken_away_comes_back() {
    let world = started().await;
    let revision = world.api.store.revision();
    super::ensure(&world.api, ([192, 0, 2, 1], 6443).into()).await.expect("good");
    assert_eq!(world.api.store.revision(), revision);
    let rbac = crate::authz::testing::RBAC;
    world.remove(rbac, "clusterroles", "", "view");
    let mut empty = find(&policy::cluster_roles(), "system:discovery", "");
    empty["rules"] = json!([]);
    world.put(rbac, "clusterroles", &empty);
    super::ensure(&world.api, ([192, 0, 2, 2], 6443).into()).await.expect("mended");
    let user = crate::user::User::authenticated("u", &[]);
    let get = crate::authz::Attributes {
        verb: "get",
        path: "/api",
        ..crate::authz::Attributes::path(&user)
    };
    assert_eq!(world.may(&get), Ok(()));
    let endpoints = read(&world, "endpoints", "default", "kubernetes");
    assert_eq!(endpoints["subsets"][0]["addresses"], json!([{"ip": "192.0.2.2"}]));
    let slice = || {
        let group = "discovery.k8s.io";
        let target =
            crate::authz::testing::target(group, "endpointslices", "default", "kubernetes");
        let value = crate::verbs::find(&world.api, &target).expect("there").value();
        let addresses = value["endpoints"][0]["addresses"].clone();
        (json!([value["addressType"], addresses]), meta::uid(&value).to_owned())
    };
    let (found, uid) = slice();
    assert_eq!(found, json!(["IPv4", ["192.0.2.2"]]));
    let address = "[2001:db8::3]:6443".parse().expect("an address");
    super::ensure(&world.api, address).await.expect("mended");
    let (found, other) = slice();
    assert_eq!(found, json!(["IPv6", ["2001:db8::3"]]));
    assert_ne!(other, uid, "the family of a slice cannot change");
}

#[tokio::test]
async fn the_namespaces_and_the_service_are_the_recorded_ones() {
    let world = started().await;
    assert_eq!(
        read(&world, "namespaces", "", "kube-system"),
        json!({
            "kind": "Namespace", "apiVersion": "v1",
            "metadata": {
                "name": "kube-system", "labels": {"kubernetes.io/metadata.name": "kube-system"},
                "managedFields": [{
                    "manager": "kube-apiserver", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:kubernetes.io/metadata.name": {}}}},
                }],
            },
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
        })
    );
    assert_eq!(
        read(&world, "services", "default", "kubernetes"),
        json!({
            "kind": "Service", "apiVersion": "v1",
            "metadata": {
                "name": "kubernetes", "namespace": "default", "labels": {"component": "apiserver", "provider": "kubernetes"},
                "managedFields": [{
                    "manager": "kube-apiserver", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
                    "fieldsV1": {
                        "f:metadata": {"f:labels": {".": {}, "f:component": {}, "f:provider": {}}},
                        "f:spec": {
                            "f:clusterIP": {}, "f:internalTrafficPolicy": {}, "f:ipFamilyPolicy": {},
                            "f:ports": {".": {}, "k:{\"port\":443,\"protocol\":\"TCP\"}": {
                                ".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {},
                            }},
                            "f:sessionAffinity": {}, "f:type": {},
                        },
                    },
                }],
            },
            "spec": {
                "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": 6443}],
                "clusterIP": "10.43.0.1", "clusterIPs": ["10.43.0.1"], "type": "ClusterIP", "sessionAffinity": "None",
                "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster",
            },
            "status": {"loadBalancer": {}},
        })
    );
}
