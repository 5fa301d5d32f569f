//! Service accounts, roles and bindings.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::value::{Look, shown};
use super::Subject;
use super::page::Page;

pub(super) fn service_account(subject: &Subject<'_>) -> Page {
    let object = subject.object;
    let mut page = subject.page();
    page.pair(0, "Namespace", object.namespace());
    page.labels(object);
    page.annotations(object);
    let secrets = object.list("/imagePullSecrets");
    if secrets.is_empty() {
        page.raw("Image pull secrets:\t<none>\n");
    }
    for (index, secret) in secrets.iter().enumerate() {
        let head = if index == 0 { "Image pull secrets:" } else { "                   " };
        page.raw(&format!("{head}\t{}\n", secret.s("/name")));
    }
    subject.events(&mut page);
    page
}

pub(super) fn role(subject: &Subject<'_>) -> Page {
    let object = subject.object;
    let mut page = subject.page();
    page.labels(object);
    page.annotations(object);
    page.line(0, "PolicyRule:");
    page.line(1, "Resources\tNon-Resource URLs\tResource Names\tVerbs");
    page.line(1, "---------\t-----------------\t--------------\t-----");
    for (what, verbs) in compact(object.list("/rules")) {
        page.line(
            1,
            format!("{}\t{}\t{}\t[{}]", what.resource, what.url, what.name, verbs.join(" ")),
        );
    }
    page
}

/// What a line of the table is about.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct What {
    order: String,
    resource: String,
    url: String,
    name: String,
}

/// One line for each resource, name and URL with all verbs that any rule gives it.
fn compact(rules: &[Value]) -> Vec<(What, Vec<String>)> {
    let mut lines: BTreeMap<What, Vec<String>> = BTreeMap::new();
    let texts = |rule: &Value, pointer: &str| -> Vec<String> {
        rule.list(pointer).iter().map(shown).collect()
    };
    for rule in rules {
        let verbs = texts(rule, "/verbs");
        let mut names = texts(rule, "/resourceNames");
        if names.is_empty() {
            names.push(String::new());
        }
        let mut whats = Vec::new();
        for group in texts(rule, "/apiGroups") {
            for resource in texts(rule, "/resources") {
                for name in &names {
                    let shown = group_resource(&resource, &group);
                    let order = format!("[{group}],[{resource}]");
                    let name = if name.is_empty() { "[]".into() } else { format!("[{name}]") };
                    whats.push(What { order, resource: shown, url: "[]".into(), name });
                }
            }
        }
        for url in texts(rule, "/nonResourceURLs") {
            whats.push(What {
                order: "[],[]".into(),
                resource: String::new(),
                url: format!("[{url}]"),
                name: "[]".into(),
            });
        }
        for what in whats {
            let own = lines.entry(what).or_default();
            for verb in &verbs {
                if !own.contains(verb) {
                    own.push(verb.clone());
                }
            }
        }
    }
    let mut lines: Vec<_> = lines.into_iter().collect();
    // Upstream sorts rules by their text, which begins with the verbs.
    lines.sort_by_cached_key(|(what, verbs)| {
        format!("[{}],{},{},{}", verbs.join(" "), what.order, what.name, what.url)
    });
    lines
}

/// `resource.group/subresource`.
fn group_resource(resource: &str, group: &str) -> String {
    if group.is_empty() {
        return resource.to_owned();
    }
    match resource.split_once('/') {
        Some((resource, sub)) => format!("{resource}.{group}/{sub}"),
        None => format!("{resource}.{group}"),
    }
}

pub(super) fn binding(subject: &Subject<'_>) -> Page {
    let object = subject.object;
    let mut page = subject.page();
    page.labels(object);
    page.annotations(object);
    page.line(0, "Role:");
    page.pair(1, "Kind", object.s("/roleRef/kind"));
    page.pair(1, "Name", object.s("/roleRef/name"));
    page.line(0, "Subjects:");
    page.line(1, "Kind\tName\tNamespace");
    page.line(1, "----\t----\t---------");
    for subject in object.list("/subjects") {
        page.line(
            1,
            format!("{}\t{}\t{}", subject.s("/kind"), subject.s("/name"), subject.s("/namespace")),
        );
    }
    page
}
