//! The recorded scenarios: what upstream wrote into `managedFields` after creates, updates, patches and applies.

use serde_json::{Value, json};

use crate::json::settle;
use crate::managed_fields::{
    FieldSet, Filter, Managers, Request, SingleVersion, apply, blank, keep_times_if_unchanged,
    update,
};
use crate::patch::vectors::{self, NOW, Step};
use crate::tree;

/// What each endpoint resets, as upstream's strategies say.
fn filter(step: &Step) -> Filter {
    let kind = step.answer["kind"].as_str().unwrap_or("");
    match (step.subresource.as_str(), kind) {
        ("" | "finalize", _) => Filter::except(&[&["status"]]),
        ("status", "Pod") => Filter::except(&[
            &["spec"],
            &["metadata", "deletionTimestamp"],
            &["metadata", "ownerReferences"],
        ]),
        ("status", "Deployment") => Filter::except(&[&["spec"], &["metadata", "labels"]]),
        ("status", _) => Filter::except(&[&["spec"]]),
        _ => Filter::except(&[]),
    }
}

/// The entries of an object in a form in which they compare.
fn entries(object: &Value) -> Vec<Value> {
    let mut entries: Vec<Value> = tree::items_at(object, &["metadata", "managedFields"]).to_vec();
    entries.sort_by_key(|entry| {
        ["manager", "operation", "subresource", "apiVersion"]
            .map(|name| tree::str_at(entry, &[name]).to_owned())
    });
    entries
}

/// The request of a step, given to `run`.
fn with_request<T>(step: &Step, run: impl FnOnce(&Request<'_>) -> T) -> T {
    let filter = filter(step);
    let api_version = step.answer["apiVersion"].as_str().unwrap_or("");
    let versions = SingleVersion { api_version, ty: step.ty(), filter: Some(&filter) };
    run(&Request {
        manager: step.manager(),
        api_version,
        kind: step.answer["kind"].as_str().unwrap_or(""),
        subresource: &step.subresource,
        now: NOW,
        versions: &versions,
    })
}

/// What the server sets after it has recorded the owners of a new object: in admission, strategy and allocation.
///
/// A field that the request sets itself was recorded.
const SET_LATER: &[(&str, &[&str])] = &[
    ("", &["/status"]),
    ("Pod", &["/spec/priority", "/spec/preemptionPolicy", "/spec/priorityClassName"]),
    ("Job", &["/spec/selector", "/spec/template/metadata/labels", "/metadata/labels"]),
    (
        "Service",
        &[
            "/spec/clusterIP",
            "/spec/clusterIPs",
            "/spec/ipFamilies",
            "/spec/ipFamilyPolicy",
            "/spec/healthCheckNodePort",
        ],
    ),
    (
        "PersistentVolumeClaim",
        &["/metadata/finalizers", "/spec/storageClassName", "/spec/dataSourceRef"],
    ),
    ("PersistentVolume", &["/metadata/finalizers"]),
    ("VolumeAttributesClass", &["/metadata/finalizers"]),
    ("Node", &["/spec/taints"]),
    ("Ingress", &["/spec/ingressClassName"]),
    ("TokenRequest", &["/spec/audiences"]),
    ("Namespace", &["/spec/finalizers"]),
    ("PriorityClass", &["/metadata/generation"]),
    ("CertificateSigningRequest", &["/spec/username", "/spec/groups", "/spec/uid", "/spec/extra"]),
];

/// Steps whose answer is not what the client asked for with defaults: admission (LimitRanger, ServiceAccount) or strategy have
/// changed more than [`SET_LATER`] takes back, or dropped what the client set.
const CHANGED_BY_THE_SERVER: &[&str] = &[
    // Creates.
    "admission/limitrange-defaults 3",
    "admission/limitrange-defaults 4",
    "admission/limitrange-defaults 5",
    "admission/limitrange-min-max 6",
    "admission/service-account 2",
    "defaults/pod-stop-signal 1",
    "validation/lease 3",
    // Updates.
    "services/headless 3",
    "services/type-changes 2",
    "services/type-changes 4",
    "services/type-changes 5",
    "services/type-changes 6",
    "subresources/ephemeral-containers 11",
    "subresources/namespace-finalize 4",
    "subresources/status-daemonset 5",
    // Applies: `stringData`, default target ports, and a status endpoint that leaves the spec alone.
    "apply/secrets-and-string-data 1",
    "apply/secrets-and-string-data 3",
    "apply/service-ports 1",
    "apply/service-ports 2",
    "apply/service-ports 3",
    "apply/status-subresource 4",
];

fn without_set_later(step: &Step) -> Value {
    let mut object = step.answer.clone();
    let kind = object["kind"].as_str().unwrap_or("").to_owned();
    for path in SET_LATER
        .iter()
        .filter(|(of, _)| of.is_empty() || *of == kind)
        .flat_map(|(_, paths)| *paths)
    {
        let (owner, name) = path.rsplit_once('/').expect("a path has a slash");
        if step.body.pointer(path).is_none()
            && let Some(owner) = object.pointer_mut(owner)
        {
            tree::take(owner, name);
        }
    }
    if kind == "Pod" {
        remove_injected(&step.body, &mut object["spec"]);
    }
    if kind == "Service" {
        for (index, port) in tree::items_mut(&mut object["spec"], "ports").iter_mut().enumerate() {
            if step.body.pointer(&format!("/spec/ports/{index}/nodePort")).is_none() {
                tree::take(port, "nodePort");
            }
        }
    }
    object
}

/// Puts back the empty lists of the request that storage made `null`: upstream records before it stores.
fn restore_empty_lists(body: &Value, object: &mut Value) {
    for (key, sent) in body.as_object().into_iter().flatten() {
        match object.get_mut(key) {
            Some(kept @ Value::Null) if sent.as_array().is_some_and(Vec::is_empty) => {
                *kept = sent.clone();
            }
            Some(kept) => restore_empty_lists(sent, kept),
            None => {}
        }
    }
}

/// The token volume of the service account and the default tolerations.
fn remove_injected(body: &Value, spec: &mut Value) {
    let is_token = |item: &Value| tree::str_at(item, &["name"]).starts_with("kube-api-access-");
    let retain = |owner: &mut Value, list: &str, keep: &dyn Fn(&Value) -> bool| {
        if let Some(items) = owner.get_mut(list).and_then(Value::as_array_mut) {
            items.retain(keep);
            if items.is_empty() {
                tree::take(owner, list);
            }
        }
    };
    retain(spec, "volumes", &|item| !is_token(item));
    for list in ["containers", "initContainers"] {
        for container in tree::items_mut(spec, list) {
            retain(container, "volumeMounts", &|item| !is_token(item));
        }
    }
    let names = ["serviceAccountName", "serviceAccount"];
    if names.iter().all(|name| tree::at(body, &["spec", name]).is_null()) {
        for name in names {
            tree::take(spec, name);
        }
    }
    let asked = tree::items_at(body, &["spec", "tolerations"]).len();
    if let Some(items) = spec.get_mut("tolerations").and_then(Value::as_array_mut) {
        items.truncate(asked);
        if items.is_empty() {
            tree::take(spec, "tolerations");
        }
    }
}

#[test]
fn the_creator_of_each_recorded_object_owns_what_upstream_says() {
    let Some(steps) = vectors::steps("the_creator_of_each_recorded_object_owns_what_upstream_says")
    else {
        return;
    };
    let (mut count, mut failures) = (0, Vec::new());
    for step in steps.iter().filter(|step| step.method == "POST" && step.status == 201) {
        let recorded = entries(&step.answer);
        let (Some(ty), [_]) = (step.ty(), recorded.as_slice()) else {
            continue;
        };
        if !step.body.is_object() {
            continue;
        }
        if CHANGED_BY_THE_SERVER.contains(&step.name.as_str()) {
            continue;
        }
        count += 1;
        let mut new = without_set_later(step);
        tree::take(&mut new["metadata"], "managedFields");
        settle(&mut new, ty).expect("a recorded object is well-formed");
        restore_empty_lists(&step.body, &mut new);
        with_request(step, |request| {
            update(&blank(Some(ty), request.api_version, request.kind), &mut new, request);
        });
        let found = entries(&new);
        if found != recorded {
            failures.push(difference(step, &found, &recorded));
        }
    }
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
    assert!(count > 200, "only {count} creates were found");
}

/// Which fields are found too many and too few.
fn difference(step: &Step, found: &[Value], recorded: &[Value]) -> String {
    let set = |entries: &[Value]| {
        Managers::decode(&Value::Array(entries.to_vec()))
            .expect("entries")
            .iter()
            .fold(FieldSet::new(), |all, (_, set)| all.union(set))
    };
    let print =
        |set: FieldSet| set.paths().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let (ours, theirs) = (set(found), set(recorded));
    format!(
        "{} {}: too many: {}; too few: {}; {} entries of {}",
        step.name,
        step.answer["kind"],
        print(ours.difference(&theirs)),
        print(theirs.difference(&ours)),
        found.len(),
        recorded.len()
    )
}

#[test]
fn each_recorded_update_moves_the_fields_that_upstream_moves() {
    let Some(steps) = vectors::steps("each_recorded_update_moves_the_fields_that_upstream_moves")
    else {
        return;
    };
    let (mut count, mut failures) = (0, Vec::new());
    for step in steps
        .iter()
        .filter(|step| step.status == 200 && step.media_type != "application/apply-patch+yaml")
    {
        let (Some(before), true) = (&step.before, ["PATCH", "PUT"].contains(&step.method.as_str()))
        else {
            continue;
        };
        if step.ty().is_none()
            || before["kind"] != step.answer["kind"]
            || !step.query("dryRun").is_empty()
        {
            continue;
        }
        if CHANGED_BY_THE_SERVER.contains(&step.name.as_str()) {
            continue;
        }
        count += 1;
        let mut new = step.answer.clone();
        let is_patched = step.body.pointer("/0/path") == Some(&json!("/metadata/managedFields"));
        let sent = match step.body.pointer("/metadata/managedFields") {
            Some(sent) => sent.clone(),
            None if is_patched => step.body[0]["value"].clone(),
            None => before["metadata"]["managedFields"].clone(),
        };
        tree::set(&mut new["metadata"], "managedFields", sent);
        with_request(step, |request| update(before, &mut new, request));
        let (found, recorded) = (entries(&new), entries(&step.answer));
        if found != recorded {
            failures.push(difference(step, &found, &recorded));
        }
    }
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
    assert!(count > 150, "only {count} updates were found");
}

#[test]
fn each_recorded_apply_merges_as_upstream_merges() {
    let Some(steps) = vectors::steps("each_recorded_apply_merges_as_upstream_merges") else {
        return;
    };
    let (mut count, mut failures) = (0, Vec::new());
    for step in steps
        .iter()
        .filter(|step| step.media_type == "application/apply-patch+yaml" && step.body.is_object())
    {
        let wanted = step.answer["message"].as_str().unwrap_or("");
        let is_ours = step.status < 300
            || step.status == 409
            || step.status == 500
            || wanted.contains("managedFields");
        let template = if step.status < 300 { &step.answer } else { &step.body };
        let Some(ty) =
            vectors::ty(template).filter(|_| is_ours && !wanted.contains("uid mismatch"))
        else {
            continue;
        };
        let needs_before = [200, 409].contains(&step.status);
        if template["kind"] == "Scale" || (needs_before && step.before.is_none()) {
            continue;
        }
        count += 1;
        if let Some(failure) = check_apply(step, ty, template) {
            failures.push(format!("{}: {failure}", step.name));
        }
    }
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
    assert!(count > 60, "only {count} applies were found");
}

fn check_apply(step: &Step, ty: crate::schema::TypeRef<'_>, template: &Value) -> Option<String> {
    let filter = filter(step);
    let api_version = template["apiVersion"].as_str()?;
    let kind = template["kind"].as_str()?;
    let versions = SingleVersion { api_version, ty: Some(ty), filter: Some(&filter) };
    let request = Request {
        manager: step.manager(),
        api_version,
        kind,
        subresource: &step.subresource,
        now: NOW,
        versions: &versions,
    };
    let live = step.before.clone().unwrap_or_else(|| blank(Some(ty), api_version, kind));
    let force = step.query("force") == "true";
    match apply(&live, &step.body, force, &request) {
        Err(error) if step.status >= 300 => {
            let message = step.answer["message"].as_str().unwrap_or("");
            (message != "<any>" && error.to_string() != message)
                .then(|| format!("{error}, expected {message}"))
        }
        Err(error) => Some(error.to_string()),
        Ok(_) if step.status >= 300 => {
            Some(format!("applied, expected {}", step.answer["message"]))
        }
        Ok(applied) => {
            let mut object = applied.object;
            settle(&mut object, ty).ok()?;
            keep_times_if_unchanged(&live, &mut object);
            let found = vectors::difference("", &object, &step.answer);
            if found.is_some() && !CHANGED_BY_THE_SERVER.contains(&step.name.as_str()) {
                return found;
            }
            let (found, recorded) = (entries(&object), entries(&step.answer));
            (found != recorded).then(|| {
                difference(step, &found, &recorded)
                    + &format!("\n {}\n {}", json!(found), json!(recorded))
            })
        }
    }
}
