//! `ipFamilies` and `ipFamilyPolicy`: what they become in a cluster whose Services have IPv4 addresses.

use podo_api::field::{Errors, Path};
use podo_api::{Value, tree};

use super::validate::addresses;
use super::{HEADLESS, cluster_ips, kind, needs_cluster_ip, spec};
use crate::kinds::address::family;
use crate::kinds::pod::view::{at, get, text, texts};

/// The family of the cluster's Services.
const FAMILY: &str = "IPv4";

/// The other one.
const OTHER_FAMILY: &str = "IPv6";

const SINGLE: &str = "SingleStack";
const PREFER: &str = "PreferDualStack";
const REQUIRE: &str = "RequireDualStack";

fn families(service: &Value) -> Vec<&str> {
    texts(spec(service), "ipFamilies").collect()
}

fn policy(service: &Value) -> &str {
    text(spec(service), "ipFamilyPolicy")
}

fn set(service: &mut Value, field: &str, value: impl Into<Value>) {
    let spec = tree::as_map(service).entry("spec").or_insert(Value::Null);
    tree::set(spec, field, value);
}

/// Whether nothing is to be done about families: the Service prefers two of them and has what it could get, and a change of the
/// cluster alone changes no Service.
pub(super) fn is_settled(new: &Value, old: Option<&Value>) -> bool {
    old.is_some_and(|old| {
        kind(new) == kind(old)
            && matches!(kind(new), "ClusterIP" | "NodePort" | "LoadBalancer")
            && policy(new) == PREFER
            && matches!(policy(old), PREFER | "")
            && cluster_ips(new) == cluster_ips(old)
            && families(new) == families(old)
    })
}

/// Sets the families and their policy, or says why what was given cannot be had here.
///
/// Runs before addresses are allocated, on a Service that [`super::carry`] has completed.
pub fn init_families(new: &mut Value, old: Option<&Value>) -> Result<(), Errors> {
    if !needs_cluster_ip(new) || is_settled(new, old) {
        return Ok(());
    }
    default_policy(new, old);
    let mut errors = Errors::new();
    addresses(new, &[], &mut errors);
    check(errors)?;
    check(consistency(new, old))?;
    if text(spec(new), "clusterIP") == HEADLESS && is_without_selector(new) {
        // Its endpoints are made by hand, so they can be of any family.
        complete(new, policy(new) != SINGLE);
        return Ok(());
    }
    let mut errors = Errors::new();
    if policy(new) == REQUIRE {
        let why = "this cluster is not configured for dual-stack services";
        errors.invalid(&Path::new("spec").child("ipFamilyPolicy"), policy(new), why);
    }
    let path = Path::new("spec").child("ipFamilies");
    for (index, family) in families(new).iter().enumerate() {
        if *family != FAMILY {
            errors.invalid(&path.index(index), family, "not configured on this cluster");
        }
    }
    check(errors)?;
    complete(new, false);
    Ok(())
}

fn check(errors: Errors) -> Result<(), Errors> {
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn is_without_selector(service: &Value) -> bool {
    at(spec(service), "selector").as_object().is_none_or(serde_json::Map::is_empty)
}

fn default_policy(new: &mut Value, old: Option<&Value>) {
    if get(spec(new), "ipFamilyPolicy").is_some() {
        return;
    }
    let before = old.and_then(|old| get(spec(old), "ipFamilyPolicy"));
    let default = match before.and_then(Value::as_str) {
        Some(before) => before,
        None if text(spec(new), "clusterIP") == HEADLESS && is_without_selector(new) => REQUIRE,
        None => SINGLE,
    };
    set(new, "ipFamilyPolicy", default);
}

/// Makes addresses, families and policy fit each other as far as the client's intent is clear; what does not fit is an error.
fn consistency(new: &mut Value, old: Option<&Value>) -> Errors {
    let mut errors = Errors::new();
    let path = Path::new("spec").child("ipFamilyPolicy");
    if let Some(old) = old {
        if policy(new) == SINGLE {
            downgrade(new, old);
        } else {
            let reduced = |now: usize, before: usize| now != 0 && now < before;
            if reduced(cluster_ips(new).len(), cluster_ips(old).len()) {
                let why = "must be 'SingleStack' to release the secondary cluster IP";
                errors.invalid(&path, policy(new), why);
            }
            if reduced(families(new).len(), families(old).len()) {
                let why = "must be 'SingleStack' to release the secondary IP family";
                errors.invalid(&path, policy(new), why);
            }
        }
    }
    if policy(new) == SINGLE {
        let why = "must be 'RequireDualStack' or 'PreferDualStack' when multiple";
        if cluster_ips(new).len() == 2 {
            errors.invalid(&path, SINGLE, format!("{why} cluster IPs are specified"));
        }
        if families(new).len() == 2 {
            errors.invalid(&path, SINGLE, format!("{why} IP families are specified"));
        }
    }
    infer(new, &mut errors);
    errors
}

/// A Service that shall have one family and still lists two gives up the second.
fn downgrade(new: &mut Value, old: &Value) {
    if cluster_ips(new) == cluster_ips(old) && cluster_ips(new).len() > 1 {
        let first = vec![cluster_ips(new)[0].to_owned()];
        set(new, "clusterIPs", first);
    }
    if families(new) == families(old) && families(new).len() > 1 {
        let first = vec![families(new)[0].to_owned()];
        set(new, "ipFamilies", first);
    }
}

/// Adds the families of the addresses that are given.
fn infer(new: &mut Value, errors: &mut Errors) {
    let mut known: Vec<String> = families(new).into_iter().map(str::to_owned).collect();
    let ips: Vec<String> = cluster_ips(new).into_iter().map(str::to_owned).collect();
    let path = Path::new("spec").child("clusterIPs");
    for (index, ip) in ips.iter().enumerate().skip(known.len()) {
        if ip == HEADLESS {
            break;
        }
        match family(ip) {
            Some(FAMILY) => known.push(FAMILY.to_owned()),
            other => {
                let other = other.unwrap_or("unknown");
                let why = format!("{other} is not configured on this cluster");
                errors.invalid_value(&path.index(index), ips.clone(), why);
            }
        }
    }
    if !known.is_empty() {
        set(new, "ipFamilies", known);
    }
}

/// Gives a Service without families the cluster's, and where two are wanted the other one too.
fn complete(new: &mut Value, wants_two: bool) {
    let mut families: Vec<String> = families(new).into_iter().map(str::to_owned).collect();
    if families.is_empty() {
        families.push(FAMILY.to_owned());
    }
    if wants_two && families.len() == 1 {
        let other = if families[0] == FAMILY { OTHER_FAMILY } else { FAMILY };
        families.push(other.to_owned());
    }
    set(new, "ipFamilies", families);
}
