//! Requests, limits and claims of resources, of containers and of the Pod as a whole.

use std::collections::{HashMap, HashSet};

use podo_api::Value;
use podo_api::field::{ErrorKind, Errors, FieldError, Path, quoted};
use podo_api::names;
use podo_api::quantity::Quantity;

use super::super::internal;
use super::super::labels::check;
use super::super::resources::{
    HUGEPAGES_PREFIX, POD_LEVEL, aggregate, amounts, is_extended, is_hugepages, is_integer,
    is_native, is_overcommittable, is_pod_level, is_standard, is_standard_of_container, parse,
};
use super::super::view::{at, entries, get, has, list, not_supported, text};
use super::{Owner, is_mirror};

/// The resource claims of a Pod (KEP-4381).
pub(super) fn claims(spec: &Value, owner: Owner<'_>, path: &Path, errors: &mut Errors) {
    let path = path.child("resourceClaims");
    let mut seen = HashSet::new();
    let is_static = owner.is_pod && is_mirror(&serde_json::json!({ "metadata": owner.metadata }));
    for (index, claim) in list(spec, "resourceClaims").iter().enumerate() {
        if is_static {
            errors.forbidden(&Path::root(), "static pods do not support resource claims");
            continue;
        }
        let path = path.index(index);
        let name = text(claim, "name");
        if name.is_empty() {
            errors.required(&path.child("name"), "");
        } else if seen.insert(name) {
            check(errors, &path.child("name"), name, names::dns1123_label(name));
        } else {
            errors.duplicate(&path.child("name"), name);
        }
        claim_source(claim, &path, errors);
    }
}

fn claim_source(claim: &Value, path: &Path, errors: &mut Errors) {
    const FIELDS: [&str; 2] = ["resourceClaimName", "resourceClaimTemplateName"];
    let why = match FIELDS.iter().filter(|name| has(claim, name)).count() {
        0 => "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
        1 => "",
        _ => "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
    };
    if !why.is_empty() {
        errors.invalid_text(path, internal::compact(claim, "core/v1.PodResourceClaim"), why);
    }
    for name in FIELDS {
        if let Some(value) = get(claim, name).and_then(Value::as_str) {
            check(errors, &path.child(name), value, names::dns1123_subdomain(value));
        }
    }
}

/// Which names a list of resources may have.
type NameRule = fn(&str, &Path, &mut Errors);

/// The requirements of a container.
pub(crate) fn container(requirements: &Value, claims: &[&str], path: &Path, errors: &mut Errors) {
    check_requirements(requirements, container_name, path, errors);
    claim_names(requirements, claims, &path.child("claims"), errors);
}

/// The overhead of a Pod's runtime (KEP-688).
pub(super) fn overhead(spec: &Value, path: &Path, errors: &mut Errors) {
    if let Some(overhead) = get(spec, "overhead") {
        let limits = serde_json::json!({ "limits": overhead });
        check_requirements(&limits, container_name, &path.child("overhead"), errors);
    }
}

/// The requirements of a Pod as a whole (KEP-2837).
pub(super) fn pod_level(spec: &Value, path: &Path, errors: &mut Errors) {
    let path = path.child("resources");
    let Some(own) = get(spec, "resources") else { return };
    if text(at(spec, "os"), "name") == "windows" {
        errors.forbidden(&path, "may not be set for a windows pod");
        return;
    }
    if has(own, "claims") {
        errors.forbidden(&path.child("claims"), "claims may not be set for Resources at pod-level");
    }
    check_requirements(own, pod_level_name, &path, errors);
    claim_names(own, &[], &path.child("claims"), errors);
    consistent(spec, own, &path, errors);
}

/// What the containers have together fits into what the Pod has.
fn consistent(spec: &Value, own: &Value, path: &Path, errors: &mut Errors) {
    let (requests, limits) = (amounts(own, "requests"), amounts(own, "limits"));
    for (name, sum) in aggregate(spec, "requests") {
        if let Some(request) = requests.get(&name).filter(|request| sum > **request) {
            let why =
                format!("must be greater than or equal to aggregate container requests of {sum}");
            errors.invalid(&path.child("requests").key(&name), &request.to_string(), why);
        }
    }
    for (name, sum) in aggregate(spec, "limits") {
        if let Some(limit) = limits.get(&name).filter(|limit| is_hugepages(&name) && sum > **limit)
        {
            let why =
                format!("must be greater than or equal to aggregate container limits of {sum}");
            errors.invalid(&path.child("limits").key(&name), &limit.to_string(), why);
        }
    }
    for (index, container) in list(spec, "containers").iter().enumerate() {
        for (name, amount) in amounts(at(container, "resources"), "limits") {
            if let Some(limit) = limits.get(&name).filter(|limit| amount > **limit) {
                let path = path.child("containers").index(index).key(&name).child("limits");
                let why = format!("must be less than or equal to pod limits of {limit}");
                errors.invalid(&path, &amount.to_string(), why);
            }
        }
    }
}

fn check_requirements(requirements: &Value, name_rule: NameRule, path: &Path, errors: &mut Errors) {
    let (limits_path, requests_path) = (path.child("limits"), path.child("requests"));
    let limits = entries(requirements, "limits");
    for &(name, amount) in &limits {
        let path = limits_path.key(name);
        name_rule(name, &path, errors);
        quantity(name, amount, &path, errors);
        whole_pages(name, amount, &path, errors);
    }
    let requests = entries(requirements, "requests");
    for &(name, amount) in &requests {
        let path = requests_path.key(name);
        name_rule(name, &path, errors);
        quantity(name, amount, &path, errors);
        match get(at(requirements, "limits"), name) {
            Some(limit) => within(name, &parse(amount), &parse(limit), &requests_path, errors),
            None if is_overcommittable(name) => {}
            None => {
                errors.required(&limits_path, "Limit must be set for non overcommitable resources");
            }
        }
        whole_pages(name, amount, &path, errors);
    }
    let mut names = limits.iter().chain(&requests).map(|&(name, _)| name);
    let has_pages = names.clone().any(is_hugepages);
    if has_pages && !names.any(|name| matches!(name, "cpu" | "memory")) {
        errors.forbidden(path, "HugePages require cpu or memory");
    }
}

fn within(name: &str, request: &Quantity, limit: &Quantity, path: &Path, errors: &mut Errors) {
    if request != limit && !is_overcommittable(name) {
        let why = format!("must be equal to {name} limit of {limit}");
        errors.invalid(path, &request.to_string(), why);
    } else if request > limit {
        let why = format!("must be less than or equal to {name} limit of {limit}");
        errors.invalid(path, &request.to_string(), why);
    }
}

/// The amount of a resource: not negative, and a whole number where things are counted.
pub(crate) fn quantity(name: &str, amount: &Value, path: &Path, errors: &mut Errors) {
    let quantity = parse(amount);
    let shown = amount.as_str().unwrap_or("");
    if quantity.signum() < 0 {
        errors.invalid(path, shown, "must be greater than or equal to 0");
    }
    if is_integer(name) && quantity.milli_value() % 1000 != 0 {
        errors.invalid(path, shown, "must be an integer");
    }
}

fn whole_pages(name: &str, amount: &Value, path: &Path, errors: &mut Errors) {
    let Some(size) = name.strip_prefix(HUGEPAGES_PREFIX) else { return };
    let quantity = parse(amount);
    let size =
        size.parse::<Quantity>().ok().and_then(|size| size.as_i64()).filter(|&size| size > 0);
    if size.is_none_or(|size| quantity.value() % size != 0) {
        let why = format!("{quantity} is not positive integer multiple of {name}");
        errors.invalid(path, &quantity.to_string(), why);
    }
}

fn container_name(name: &str, path: &Path, errors: &mut Errors) {
    let problems = names::qualified_name(name);
    let is_qualified = problems.is_empty();
    check(errors, path, name, problems);
    if name.split('/').count() == 1 {
        if is_qualified && !is_standard(name) {
            errors.invalid(path, name, "must be a standard resource type or fully qualified");
        }
        if !is_standard_of_container(name) {
            errors.invalid(path, name, "must be a standard resource for containers");
        }
    } else if !is_native(name) && !is_extended(name) {
        errors.invalid(path, name, "doesn't follow extended resource name standard");
    }
}

fn pod_level_name(name: &str, path: &Path, errors: &mut Errors) {
    if !is_pod_level(name) {
        not_supported(errors, path, name, &POD_LEVEL);
    }
}

/// The claims that a container uses are claims of its Pod, whose names are in order, each used once.
fn claim_names(requirements: &Value, claims: &[&str], path: &Path, errors: &mut Errors) {
    let mut used: HashSet<String> = HashSet::new();
    // How many requests of a claim are used.
    let mut parts: HashMap<&str, usize> = HashMap::new();
    for (index, claim) in list(requirements, "claims").iter().enumerate() {
        let path = path.index(index);
        let (name, request) = (text(claim, "name"), text(claim, "request"));
        if name.is_empty() {
            errors.required(&path, "");
            continue;
        }
        if used.contains(name) {
            errors.duplicate(&path, name);
        } else if request.is_empty() {
            for _ in 0..parts.get(name).copied().unwrap_or(0) {
                errors.duplicate(&path, name);
            }
            used.insert(name.to_owned());
        } else {
            check(errors, &path.child("request"), request, names::dns1123_label(request));
            let key = format!("{name}/{request}");
            if used.insert(key.clone()) {
                *parts.entry(name).or_default() += 1;
            } else {
                errors.duplicate(&path, &key);
            }
        }
        if claims.binary_search(&name).is_err() && !errors.is_full() {
            unknown_claim(name, claims, &path, errors);
        }
    }
}

fn unknown_claim(name: &str, claims: &[&str], path: &Path, errors: &mut Errors) {
    let known = if claims.is_empty() {
        " which is empty".to_owned()
    } else {
        format!(": {}", claims.join(", "))
    };
    errors.push(FieldError {
        kind: ErrorKind::NotFound,
        field: path.clone(),
        value: Some(quoted(name)),
        detail: format!("must be one of the names in pod.spec.resourceClaims{known}"),
    });
}
