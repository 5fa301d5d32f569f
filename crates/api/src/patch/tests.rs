use serde_json::Value;

use super::{json, merge, strategic, vectors};
use crate::json::settle;
use crate::patch::vectors::Step;

/// What a patch of a step makes of the object before it, in normal form; an error is its text.
fn outcome(step: &Step, before: &Value) -> Result<Value, String> {
    let body = step.body.clone();
    let patched = match step.media_type.as_str() {
        "application/json-patch+json" => json::Patch::decode(body, true)
            .map_err(|error| error.to_string())?
            .apply(before.clone())
            .map_err(|_| {
                "the server rejected our request due to an error in our request".to_owned()
            })?,
        "application/merge-patch+json" => {
            let patch = merge::decode(body, true).map_err(|error| error.to_string())?;
            merge::apply(before.clone(), patch)
        }
        _ => {
            let ty = vectors::ty(before).ok_or("no type")?;
            let mut patch = strategic::decode(body).map_err(|error| error.to_string())?;
            strategic::apply(before.clone(), &mut patch, ty).map_err(|error| error.to_string())?
        }
    };
    let mut settled = patched;
    if let Some(ty) = vectors::ty(before) {
        settle(&mut settled, ty).map_err(|error| error.to_string())?;
    }
    Ok(settled)
}

fn is_patch(step: &Step) -> bool {
    let types = [
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    ];
    step.method == "PATCH" && types.contains(&step.media_type.as_str()) && !step.body.is_null()
}

/// Steps after whose patch the server changes what it made: by strategy (status and spec apart, immutable and dropped fields),
/// defaults, or admission.
const CHANGED_LATER: &[&str] = &[
    "crd/status-subresource 5",
    "csr/create 2",
    "patch/strategic-pod-image 6",
    "services/clusterip-allocate 6",
    "services/loadbalancer 7",
    "services/nodeport 9",
    "services/session-affinity 2",
    "services/type-changes 4",
    "services/type-changes 5",
    "subresources/ephemeral-containers 11",
    "subresources/status-deployment 6",
    "subresources/status-replicaset 6",
    "subresources/status-statefulset 6",
    "update/metadata 2",
    "update/metadata 4",
    "update/secret 3",
];

#[test]
fn recorded_patches_have_the_recorded_results() {
    let Some(steps) = vectors::steps("recorded_patches_have_the_recorded_results") else {
        return;
    };
    let (mut count, mut failures) = (0, Vec::new());
    for step in steps.iter().filter(|step| is_patch(step) && step.status == 200) {
        let Some(before) =
            step.before.as_ref().filter(|before| before["kind"] == step.answer["kind"])
        else {
            continue;
        };
        if CHANGED_LATER.contains(&step.name.as_str()) {
            continue;
        }
        count += 1;
        let found = match outcome(step, before) {
            Ok(result) => vectors::difference("", &result, &step.answer),
            Err(error) => Some(error),
        };
        failures.extend(found.map(|found| format!("{}: {found}", step.name)));
    }
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
    assert!(count > 150, "only {count} patches were found");
}

#[test]
fn recorded_failures_of_patches_have_the_recorded_texts() {
    let Some(steps) = vectors::steps("recorded_failures_of_patches_have_the_recorded_texts") else {
        return;
    };
    let texts = [
        "the server rejected our request",
        "error decoding patch",
        "unknown patch type",
        "The order in patch",
    ];
    let (mut count, mut failures) = (0, Vec::new());
    for step in steps.iter().filter(|step| is_patch(step) && step.status >= 400) {
        let message = step.answer["message"].as_str().unwrap_or("");
        let Some(before) = &step.before else {
            continue;
        };
        if !texts.iter().any(|text| message.starts_with(text)) {
            continue;
        }
        count += 1;
        let found = outcome(step, before);
        if found != Err(message.to_owned()) {
            failures.push(format!("{}: {found:?}, expected {message:?}", step.name));
        }
    }
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
    assert!(count > 10, "only {count} failures were found");
}
