//! Validation of events (Kubernetes v1.36 `pkg/apis/core/validation/events.go`). Findings name the fields of Kubernetes' internal
//! form, which are mostly those of the core group.

use podo_api::field::{Errors, Path};
use podo_api::{Value, meta, names};

use super::view;
use crate::kinds::pod::internal;
use crate::kinds::pod::view::{at, get, int, text};
use crate::kinds::resource::is_new;
use crate::metadata::IMMUTABLE;

/// The bytes that most texts of an event may have.
const TEXT_BYTES_MAX: usize = 128;

/// The bytes that the message of an event may have.
const NOTE_BYTES_MAX: usize = 1024;

/// The rules of the core group: an event without a time of its own is one of old, of which little is asked.
pub(super) fn legacy(event: &Value, errors: &mut Errors) {
    common(event, "reportingComponent", errors);
}

/// The rules that both groups share; `controller` is what the group calls who reports.
fn common(event: &Value, controller: &str, errors: &mut Errors) {
    let namespace = meta::namespace(event);
    let object = text(at(event, "involvedObject"), "namespace");
    let path = Path::new("involvedObject").child("namespace");
    if get(event, "eventTime").is_none() {
        let fits = if object.is_empty() {
            matches!(namespace, "" | "default")
        } else {
            object == namespace
        };
        if !fits {
            errors.invalid(&path, object, "does not match event.namespace");
        }
    } else {
        if object.is_empty() && !matches!(namespace, "default" | "kube-system") {
            errors.invalid(&path, object, "does not match event.namespace");
        }
        texts(event, controller, errors);
    }
    let problems = names::dns1123_subdomain(namespace);
    errors.invalid_all(&Path::new("namespace"), namespace, problems);
}

/// Who reports what, why and how.
fn texts(event: &Value, shown: &str, errors: &mut Errors) {
    let controller = text(event, "reportingComponent");
    let path = Path::new(shown);
    if controller.is_empty() {
        errors.required(&path, "");
    }
    errors.invalid_all(&path, controller, names::qualified_name(controller));
    for field in ["reportingInstance", "action", "reason"] {
        let value = text(event, field);
        if value.is_empty() {
            errors.required(&Path::new(field), "");
        }
        limited(value, field, TEXT_BYTES_MAX, errors);
    }
    limited(text(event, "message"), "message", NOTE_BYTES_MAX, errors);
}

fn limited(value: &str, field: &str, bytes: usize, errors: &mut Errors) {
    if value.len() > bytes {
        errors.invalid(&Path::new(field), "", format!("can have at most {bytes} characters"));
    }
}

/// The rules of `events.k8s.io` for a new event.
pub(super) fn strict(event: &Value, errors: &mut Errors) {
    if !is_new(event) {
        return;
    }
    let event = &stored(event);
    common(event, "reportingController", errors);
    series(event, errors);
    if get(event, "eventTime").is_none() {
        errors.required(&Path::new("eventTime"), "");
    }
    let kind = text(event, "type");
    if !matches!(kind, "Normal" | "Warning") {
        errors.invalid(&Path::new("type"), "", format!("has invalid value: {kind}"));
    }
    let unset = |field: &str| get(event, field).is_none();
    let source = at(event, "source");
    let claims = [
        ("firstTimestamp", unset("firstTimestamp")),
        ("lastTimestamp", unset("lastTimestamp")),
        ("count", int(event, "count").unwrap_or(0) == 0),
        ("source", text(source, "component").is_empty() && text(source, "host").is_empty()),
    ];
    for (field, _) in claims.into_iter().filter(|(_, is_unset)| !is_unset) {
        errors.invalid(&Path::new(field), "", "needs to be unset");
    }
}

fn stored(event: &Value) -> Value {
    let mut event = event.clone();
    view::to_stored(&mut event);
    event
}

fn series(event: &Value, errors: &mut Errors) {
    let Some(series) = get(event, "series") else { return };
    if int(series, "count").unwrap_or(0) < 2 {
        errors.invalid(&Path::new("series.count"), "", "should be at least 2");
    }
    if get(series, "lastObservedTime").is_none() {
        errors.required(&Path::new("series.lastObservedTime"), "");
    }
}

/// The fields that cannot change, in the order of the findings: their names in the core group and in the finding.
const FIXED: &[(&str, &str)] = &[
    ("involvedObject", "involvedObject"),
    ("reason", "reason"),
    ("message", "message"),
    ("source", "source"),
    ("firstTimestamp", "firstTimestamp"),
    ("lastTimestamp", "lastTimestamp"),
    ("count", "count"),
    ("reason", "reason"),
    ("type", "type"),
    ("eventTime", "eventTime"),
    ("action", "action"),
    ("related", "related"),
    ("reportingComponent", "reportingController"),
    ("reportingInstance", "reportingInstance"),
];

/// The rules of `events.k8s.io` for a change: only the series goes on.
pub(super) fn strict_update(new: &Value, old: &Value, errors: &mut Errors) {
    let (new, old) = (&stored(new), &stored(old));
    common(new, "reportingController", errors);
    if at(new, "series") != at(old, "series") {
        series(new, errors);
    }
    for (field, shown_as) in FIXED {
        let value = at(new, field);
        if value == at(old, field) {
            continue;
        }
        let path = Path::new(shown_as);
        match *field {
            "involvedObject" | "related" if value.is_object() => {
                let shown = internal::compact(value, "core/v1.ObjectReference");
                errors.invalid_text(&path, shown, IMMUTABLE);
            }
            "source" => {
                let shown = internal::compact(value, "core/v1.EventSource");
                errors.invalid_text(&path, shown, IMMUTABLE);
            }
            "count" => errors.invalid_value(&path, value.as_i64().unwrap_or(0), IMMUTABLE),
            "reason" | "message" | "type" | "action" => {
                errors.invalid(&path, value.as_str().unwrap_or(""), IMMUTABLE);
            }
            _ => errors.invalid_value(&path, value.clone(), IMMUTABLE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> Value {
        json!({
            "metadata": {"name": "e", "namespace": "n"}, "eventTime": "2024-01-01T00:00:00.000000Z",
            "regarding": {"kind": "Pod", "namespace": "n"}, "reason": "R", "note": "m",
            "type": "Normal", "action": "A", "reportingController": "c",
            "reportingInstance": "i",
        })
    }

    fn found(errors: &Errors) -> Vec<String> {
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_newer_group_wants_to_know_everything_and_nothing_of_old() {
        let mut errors = Errors::new();
        strict(&event(), &mut errors);
        assert_eq!(found(&errors), Vec::<String>::new());
        let mut event = event();
        event["type"] = json!("Odd");
        event["deprecatedCount"] = json!(2);
        event["action"] = json!("");
        event["series"] = json!({"count": 1});
        strict(&event, &mut errors);
        assert_eq!(
            found(&errors),
            [
                "action: Required value",
                "series.count: Invalid value: \"\": should be at least 2",
                "series.lastObservedTime: Required value",
                "type: Invalid value: \"\": has invalid value: Odd",
                "count: Invalid value: \"\": needs to be unset",
            ]
        );
    }

    #[test]
    fn only_the_series_of_an_event_changes() {
        let (old, mut new) = (event(), event());
        new["series"] = json!({"count": 2, "lastObservedTime": "2024-01-01T00:00:01.000000Z"});
        let mut errors = Errors::new();
        strict_update(&new, &old, &mut errors);
        assert_eq!(found(&errors), Vec::<String>::new());
        new["note"] = json!("other");
        strict_update(&new, &old, &mut errors);
        assert_eq!(found(&errors), ["message: Invalid value: \"other\": field is immutable"]);
    }
}
