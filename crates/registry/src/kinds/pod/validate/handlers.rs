//! Probes and hooks: what they do and when.

use podo_api::Value;
use podo_api::field::{Errors, Path};
use podo_api::names;

use super::super::labels::check;
use super::super::view::{at, get, int, list, non_negative, one_of, text};
use super::containers::port_number;

/// What a handler can do, in the order of its checks.
const ACTIONS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

/// Hooks and probes of a container.
pub(super) fn all(container: &Value, spec: &Value, path: &Path, errors: &mut Errors) {
    let grace = int(spec, "terminationGracePeriodSeconds");
    if let Some(lifecycle) = get(container, "lifecycle") {
        let path = path.child("lifecycle");
        for name in ["postStart", "preStop"] {
            if let Some(hook) = get(lifecycle, name) {
                handler(hook, grace, &path.child(name), errors);
            }
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(value) = get(container, name) {
            probe(value, name, grace, &path.child(name), errors);
        }
    }
}

fn probe(probe: &Value, kind: &str, grace: Option<i64>, path: &Path, errors: &mut Errors) {
    handler(probe, grace, path, errors);
    for name in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        non_negative(errors, &path.child(name), int(probe, name).unwrap_or(0));
    }
    let own_grace = int(probe, "terminationGracePeriodSeconds");
    let grace_path = path.child("terminationGracePeriodSeconds");
    if let Some(seconds) = own_grace.filter(|&seconds| seconds <= 0) {
        errors.invalid_value(&grace_path, seconds, "must be greater than 0");
    }
    if kind == "readinessProbe" {
        if let Some(seconds) = own_grace {
            errors.invalid_value(&grace_path, seconds, "must not be set for readinessProbes");
        }
    } else {
        let threshold = int(probe, "successThreshold").unwrap_or(0);
        if threshold != 1 {
            errors.invalid_value(&path.child("successThreshold"), threshold, "must be 1");
        }
    }
}

fn handler(handler: &Value, grace: Option<i64>, path: &Path, errors: &mut Errors) {
    let mut count = 0;
    for name in ACTIONS {
        let Some(action) = get(handler, name) else { continue };
        let path = path.child(name);
        count += 1;
        if count > 1 {
            errors.forbidden(&path, "may not specify more than 1 handler type");
            continue;
        }
        match name {
            "exec" if list(action, "command").is_empty() => {
                errors.required(&path.child("command"), "");
            }
            "httpGet" => http_get(action, &path, errors),
            "tcpSocket" => port(at(action, "port"), &path.child("port"), errors),
            "grpc" => port_number(int(action, "port").unwrap_or(0), &path.child("port"), errors),
            "sleep" => sleep(action, grace, &path, errors),
            _ => {}
        }
    }
    if count == 0 {
        errors.required(path, "must specify a handler type");
    }
}

fn http_get(request: &Value, path: &Path, errors: &mut Errors) {
    if text(request, "path").is_empty() {
        errors.required(&path.child("path"), "");
    }
    port(at(request, "port"), &path.child("port"), errors);
    one_of(errors, &path.child("scheme"), text(request, "scheme"), &["HTTP", "HTTPS"]);
    for header in list(request, "httpHeaders") {
        let name = text(header, "name");
        check(errors, &path.child("httpHeaders"), name, names::http_header_name(name));
    }
}

/// A port by number or by name.
fn port(port: &Value, path: &Path, errors: &mut Errors) {
    match port.as_str() {
        Some(name) => check(errors, path, name, names::port_name(name)),
        None => port_number(port.as_i64().unwrap_or(0), path, errors),
    }
}

fn sleep(action: &Value, grace: Option<i64>, path: &Path, errors: &mut Errors) {
    let seconds = int(action, "seconds").unwrap_or(0);
    if let Some(grace) = grace.filter(|&grace| seconds < 0 || seconds > grace) {
        let why =
            format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        errors.invalid_value(path, seconds, why);
    }
}
