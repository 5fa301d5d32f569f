//! Namespaces with their quotas and limits, and priority classes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::fault::Fault;
use super::super::select::{Select, list_all};
use super::super::time::rfc1123z;
use super::super::value::{Look, pairs, shown};
use super::Subject;
use super::page::Page;

pub(super) async fn namespace(subject: &Subject<'_>) -> Result<Page, Fault> {
    let object = subject.object;
    let mut page = subject.page();
    page.labels(object);
    page.annotations(object);
    page.pair(0, "Status", object.s("/status/phase"));
    let conditions = object.list("/status/conditions");
    if !conditions.is_empty() {
        page.line(0, "Conditions:");
        page.line(1, "Type\tStatus\tLastTransitionTime\tReason\tMessage");
        page.line(1, "----\t------\t------------------\t------\t-------");
        for one in conditions {
            let time = rfc1123z(one.s("/lastTransitionTime"));
            let (kind, status) = (one.s("/type"), one.s("/status"));
            page.line(
                1,
                format!("{kind}\t{status}\t{time}\t{}\t{}", one.s("/reason"), one.s("/message")),
            );
        }
    }
    if let Some(quotas) = related(subject, "ResourceQuota").await? {
        page.raw("\n");
        quota_list(&mut page, &quotas);
    }
    if let Some(ranges) = related(subject, "LimitRange").await? {
        page.raw("\n");
        if ranges.is_empty() {
            page.line(0, "No LimitRange resource.");
        } else {
            page.raw("Resource Limits\n Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio\n");
            page.raw(" ----\t--------\t---\t---\t---------------\t-------------\t-----------------------\n");
            ranges.iter().for_each(|range| limits(&mut page, range, " "));
        }
    }
    Ok(page)
}

/// The namespace's objects of a core kind; `None` if the server has no such kind.
async fn related(subject: &Subject<'_>, kind: &str) -> Result<Option<Vec<Value>>, Fault> {
    let Some(resource) = subject.ctx.discovery().await?.by_kind("v1", kind) else {
        return Ok(None);
    };
    match list_all(subject.ctx, resource, Some(subject.object.name()), &Select::default()).await {
        Ok(found) => Ok(Some(found)),
        Err(fault) if fault.is_not_found() => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn quota_list(page: &mut Page, quotas: &[Value]) {
    if quotas.is_empty() {
        return page.line(0, "No resource quota.");
    }
    page.line(0, "Resource Quotas");
    for quota in quotas {
        page.pair(1, "Name", quota.name());
        scopes(page, quota, 1, "* ");
        page.line(1, "Resource\tUsed\tHard");
        page.line(1, "--------\t---\t---");
        used(page, quota, 1);
    }
}

fn scopes(page: &mut Page, quota: &Value, level: usize, mark: &str) {
    let mut scopes: Vec<String> = quota.list("/spec/scopes").iter().map(shown).collect();
    scopes.sort();
    page.pair_if(level, "Scopes", &scopes.join(", "));
    for scope in &scopes {
        let help = match scope.as_str() {
            "Terminating" => {
                "Matches all pods that have an active deadline. These pods have a limited lifespan on a node before being actively terminated by the system."
            }
            "NotTerminating" => {
                "Matches all pods that do not have an active deadline. These pods usually include long running pods whose container command is not expected to terminate."
            }
            "BestEffort" => {
                "Matches all pods that do not have resource requirements set. These pods have a best effort quality of service."
            }
            "NotBestEffort" => {
                "Matches all pods that have at least one resource requirement set. These pods have a burstable or guaranteed quality of service."
            }
            _ => continue,
        };
        page.line(level, format!("{mark}{help}"));
    }
}

fn used(page: &mut Page, quota: &Value, level: usize) {
    for (name, hard) in quota.entries("/status/hard") {
        let used = quota["status"]["used"].get(name).map_or("0".into(), shown);
        page.line(level, format!("{name}\t{used}\t{}", shown(hard)));
    }
}

pub(super) fn quota(subject: &Subject<'_>) -> Page {
    let mut page = subject.page();
    page.pair(0, "Namespace", subject.object.namespace());
    scopes(&mut page, subject.object, 0, " * ");
    page.line(0, "Resource\tUsed\tHard");
    page.line(0, "--------\t----\t----");
    used(&mut page, subject.object, 0);
    page
}

pub(super) fn limit_range(subject: &Subject<'_>) -> Page {
    let mut page = subject.page();
    page.pair(0, "Namespace", subject.object.namespace());
    page.line(
        0,
        "Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio",
    );
    page.line(
        0,
        "----\t--------\t---\t---\t---------------\t-------------\t-----------------------",
    );
    limits(&mut page, subject.object, "");
    page
}

fn limits(page: &mut Page, range: &Value, prefix: &str) {
    let fields = ["min", "max", "defaultRequest", "default", "maxLimitRequestRatio"];
    for limit in range.list("/spec/limits") {
        let entries = fields.iter().flat_map(|field| limit.entries(&format!("/{field}")));
        let names: BTreeSet<&str> = entries.map(|(name, _)| name).collect();
        for name in names {
            let cells: Vec<String> = fields
                .iter()
                .map(|field| limit[*field].get(name).map_or("-".into(), shown))
                .collect();
            page.raw(&format!("{prefix}{}\t{name}\t{}\n", limit.s("/type"), cells.join("\t")));
        }
    }
}

pub(super) fn priority_class(subject: &Subject<'_>) -> Page {
    let object = subject.object;
    let mut page = subject.page();
    page.pair(0, "Value", object.i("/value").to_string());
    page.pair(0, "GlobalDefault", object.b("/globalDefault").to_string());
    page.pair(0, "PreemptionPolicy", object.s("/preemptionPolicy"));
    page.pair(0, "Description", object.s("/description"));
    page.pair(0, "Annotations", pairs(object.at("/metadata/annotations"), "<none>"));
    subject.events(&mut page);
    page
}
