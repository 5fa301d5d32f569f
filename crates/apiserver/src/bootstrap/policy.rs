//! From the tables of roles to objects.

use podo_api::Value;
use serde_json::{Map, json};

use super::{cluster_roles, controller_roles, namespaced_roles};
use crate::authz::Rule;

const RBAC: &str = "rbac.authorization.k8s.io";

/// What stands before `admin`, `edit` and `view` in the labels of roles that are part of them.
const AGGREGATE: &str = "rbac.authorization.k8s.io/aggregate-to-";

/// One role of a table.
pub(super) struct RoleData {
    pub(super) name: &'static str,
    rules: &'static [&'static str],
    /// The label of the roles of which this one is the sum.
    aggregating: Option<&'static str>,
    /// The sum of which this role is a part.
    aggregated_to: Option<&'static str>,
}

impl RoleData {
    pub(super) const fn new(name: &'static str, rules: &'static [&'static str]) -> Self {
        Self { name, rules, aggregating: None, aggregated_to: None }
    }

    pub(super) const fn aggregating(self, label: &'static str) -> Self {
        Self { aggregating: Some(label), ..self }
    }

    pub(super) const fn aggregated_to(self, label: &'static str) -> Self {
        Self { aggregated_to: Some(label), ..self }
    }

    pub(super) fn rules(&self) -> Vec<Rule> {
        self.rules.iter().map(|line| rule(line)).collect()
    }
}

/// A rule of a line of a table; its lists are sorted, as upstream's are.
pub(super) fn rule(line: &str) -> Rule {
    let mut fields = line.split_ascii_whitespace();
    let mut list = || {
        let mut list: Vec<Box<str>> = fields
            .next()
            .unwrap_or("")
            .split(',')
            .filter(|item| !item.is_empty())
            .map(Into::into)
            .collect();
        list.sort_unstable();
        list
    };
    let (verbs, groups, things, names) = (list(), list(), list(), list());
    if groups.iter().any(|group| &**group == "URL") {
        return Rule { verbs, non_resource_urls: things, ..Rule::default() };
    }
    let mut api_groups: Vec<Box<str>> =
        groups.into_iter().map(|group| if &*group == "core" { "".into() } else { group }).collect();
    api_groups.sort_unstable();
    Rule {
        verbs,
        api_groups,
        resources: things,
        resource_names: names,
        non_resource_urls: Vec::new(),
    }
}

/// What every default role and binding carries: it is kept up to date as long as the annotation says so.
fn metadata(name: &str, namespace: &str) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), name.into());
    if !namespace.is_empty() {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
    metadata.insert("labels".to_owned(), json!({"kubernetes.io/bootstrapping": "rbac-defaults"}));
    metadata.insert(
        "annotations".to_owned(),
        json!({"rbac.authorization.kubernetes.io/autoupdate": "true"}),
    );
    metadata
}

fn role(name: &str, namespace: &str, data: &RoleData) -> Value {
    let mut role = json!({"metadata": metadata(name, namespace)});
    if let Some(label) = data.aggregated_to {
        role["metadata"]["labels"][format!("{AGGREGATE}{label}")] = "true".into();
    }
    match data.aggregating {
        Some(label) => {
            let selector = json!({"matchLabels": {format!("{AGGREGATE}{label}"): "true"}});
            role["aggregationRule"] = json!({"clusterRoleSelectors": [selector]});
        }
        None => role["rules"] = json!(data.rules()),
    }
    role
}

/// All ClusterRoles.
pub(super) fn cluster_roles() -> Vec<Value> {
    let system = cluster_roles::ROLES.iter().map(|data| role(data.name, "", data));
    let controllers = controller_roles::ROLES
        .iter()
        .map(|data| role(&format!("{}{}", controller_roles::PREFIX, data.name), "", data));
    system.chain(controllers).collect()
}

/// The rules that the aggregation controller would find for a sum: those of its parts in the order of their names, each once.
pub(super) fn aggregated_rules(sum: &str) -> Vec<Rule> {
    let mut parts: Vec<&RoleData> =
        cluster_roles::ROLES.iter().filter(|data| data.aggregated_to == Some(sum)).collect();
    parts.sort_unstable_by_key(|data| data.name);
    let mut rules: Vec<Rule> = Vec::new();
    for part in parts {
        let own = match part.aggregating {
            Some(label) => aggregated_rules(label),
            None => part.rules(),
        };
        for rule in own {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
    }
    rules
}

/// The sum that a ClusterRole is, if it is one.
pub(super) fn sum_of(name: &str) -> Option<&'static str> {
    cluster_roles::ROLES.iter().find(|data| data.name == name)?.aggregating
}

/// All ClusterRoleBindings.
pub(super) fn cluster_role_bindings() -> Vec<Value> {
    let system = cluster_roles::BINDINGS
        .iter()
        .map(|(name, subjects)| binding(name, "", ("ClusterRole", name), subjects));
    let controllers = controller_roles::ROLES.iter().map(|data| {
        let name = format!("{}{}", controller_roles::PREFIX, data.name);
        let subject = format!("ServiceAccount=kube-system/{}", data.name);
        binding(&name, "", ("ClusterRole", &name), &[&subject])
    });
    system.chain(controllers).collect()
}

/// All Roles.
pub(super) fn roles() -> Vec<Value> {
    namespaced_roles::ROLES
        .iter()
        .map(|(namespace, data)| role(data.name, namespace, data))
        .collect()
}

/// All RoleBindings.
pub(super) fn role_bindings() -> Vec<Value> {
    let bindings = namespaced_roles::BINDINGS.iter();
    bindings
        .map(|(namespace, name, role, subjects)| binding(name, namespace, ("Role", role), subjects))
        .collect()
}

fn binding(name: &str, namespace: &str, role: (&str, &str), subjects: &[&str]) -> Value {
    let subjects: Vec<Value> = subjects.iter().map(|text| subject(text)).collect();
    let mut binding = json!({
        "metadata": metadata(name, namespace),
        "roleRef": {"apiGroup": RBAC, "kind": role.0, "name": role.1},
    });
    if !subjects.is_empty() {
        binding["subjects"] = subjects.into();
    }
    binding
}

fn subject(text: &str) -> Value {
    match text.split_once('=') {
        Some(("ServiceAccount", account)) => {
            let (namespace, name) = account.split_once('/').unwrap_or(("", account));
            json!({"kind": "ServiceAccount", "name": name, "namespace": namespace})
        }
        Some((kind, name)) => json!({"kind": kind, "apiGroup": RBAC, "name": name}),
        None => Value::Null,
    }
}
