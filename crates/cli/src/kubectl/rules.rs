//! Rules of roles as the lines of a table: resources, URLs, names and verbs.

use std::collections::BTreeMap;

use serde_json::Value;

use super::value::{Look, shown};

/// The verbs of resources that kubectl v1.36 takes for standard in a role.
pub(crate) const STANDARD_VERBS: &[&str] = &[
    "*",
    "bind",
    "create",
    "delete",
    "deletecollection",
    "escalate",
    "get",
    "impersonate",
    "list",
    "patch",
    "proxy",
    "update",
    "use",
    "watch",
];

/// What a line of the table is about.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct What {
    order: String,
    resource: String,
    url: String,
    name: String,
}

/// One line for each resource, name and URL with all verbs that any rule gives it.
pub(crate) fn compact(rules: &[Value]) -> Vec<String> {
    let mut lines: BTreeMap<What, Vec<String>> = BTreeMap::new();
    let mut alone: Vec<(What, Vec<String>)> = Vec::new();
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
        // Upstream does not join the verbs of URLs.
        for url in texts(rule, "/nonResourceURLs") {
            for verb in &verbs {
                let what = What {
                    order: "[],[]".into(),
                    resource: String::new(),
                    url: format!("[{url}]"),
                    name: "[]".into(),
                };
                alone.push((what, vec![verb.clone()]));
            }
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
    let mut lines: Vec<_> = lines.into_iter().chain(alone).collect();
    // Upstream sorts rules by their text, which begins with the verbs.
    lines.sort_by_cached_key(|(what, verbs)| {
        format!("[{}],{},{},{}", verbs.join(" "), what.order, what.name, what.url)
    });
    let text = |(what, verbs): &(What, Vec<String>)| {
        format!("{}\t{}\t{}\t[{}]", what.resource, what.url, what.name, verbs.join(" "))
    };
    lines.iter().map(text).collect()
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
