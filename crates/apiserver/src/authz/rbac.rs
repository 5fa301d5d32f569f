//! RBAC: what roles grant to those whom bindings name.
//!
//! [`Roles`] holds the four kinds compiled: roles as rules, bindings by the users and groups that they name. A question visits
//! the bindings of the user and of its groups, those of the cluster first, then those of the namespace.
//!
//! Holds always: the index of a scope names exactly the bindings of that scope, under exactly their subjects.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use podo_api::Object;
use podo_api::field::quoted;
use podo_store::Key;
use serde::Deserialize;

use super::Opinion;
use super::Rule;
use super::attributes::Attributes;
use super::mirror::{Change, Mirrored};
use crate::user::User;

/// The API group of the four kinds.
pub(crate) const GROUP: &str = "rbac.authorization.k8s.io";

const CLUSTER_ROLES: &str = "clusterroles.rbac.authorization.k8s.io";
const ROLES: &str = "roles.rbac.authorization.k8s.io";
const CLUSTER_BINDINGS: &str = "clusterrolebindings.rbac.authorization.k8s.io";
const BINDINGS: &str = "rolebindings.rbac.authorization.k8s.io";

/// The role that a binding grants.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct RoleRef {
    /// Always that of RBAC.
    pub api_group: Box<str>,
    /// `Role` or `ClusterRole`.
    pub kind: Box<str>,
    /// The name.
    pub name: Box<str>,
}

/// Whom a binding names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Subject {
    pub(crate) kind: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) namespace: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Binding {
    pub(crate) role_ref: RoleRef,
    pub(crate) subjects: Option<Vec<Subject>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Role {
    rules: Option<Vec<Rule>>,
}

/// Names of bindings by whom they name.
type Index = HashMap<Box<str>, BTreeSet<Box<str>>>;

/// The bindings of a namespace, or of the cluster.
#[derive(Debug, Default)]
struct Scope {
    bindings: BTreeMap<Box<str>, Binding>,
    by_user: Index,
    by_group: Index,
}

/// The rules of roles by name.
type Rules = HashMap<Box<str>, Arc<[Rule]>>;

/// All roles and bindings. Roles are kept by namespace and name, bindings by namespace; the cluster's namespace is empty.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    roles: HashMap<Box<str>, Rules>,
    scopes: HashMap<Box<str>, Scope>,
}

/// One rule that a user has, or a binding whose role is missing.
enum Visit<'a> {
    Rule { scope: &'a str, binding: &'a str, of: &'a Binding, rule: &'a Rule },
    Missing(String),
}

impl Mirrored for Roles {
    const BUCKETS: &'static [&'static str] = &[CLUSTER_ROLES, ROLES, CLUSTER_BINDINGS, BINDINGS];

    fn reset(&mut self, bucket: &str) {
        let is_cluster = matches!(bucket, CLUSTER_ROLES | CLUSTER_BINDINGS);
        if matches!(bucket, CLUSTER_ROLES | ROLES) {
            self.roles.retain(|namespace, _| namespace.is_empty() != is_cluster);
        } else {
            self.scopes.retain(|namespace, _| namespace.is_empty() != is_cluster);
        }
    }

    fn apply(&mut self, change: Change<'_>) {
        let (namespace, name) = split(change.key);
        let object = change.new.map(|entry| &**entry.value);
        match change.key.bucket() {
            CLUSTER_ROLES | ROLES => self.set_role(namespace, name, object.and_then(rules_in)),
            _ => self.set_binding(namespace, name, object.and_then(|object| object.to().ok())),
        }
    }
}

/// Namespace and name of a key; the namespace of what is the cluster's is empty.
fn split(key: &Key) -> (&str, &str) {
    match key.bucket() {
        ROLES | BINDINGS => key.rest().split_once('/').unwrap_or(("", key.rest())),
        _ => ("", key.rest()),
    }
}

fn rules_in(object: &Object) -> Option<Vec<Rule>> {
    object.to::<Role>().ok().map(|role| role.rules.unwrap_or_default())
}

impl Roles {
    /// Sets or removes a role.
    pub(crate) fn set_role(&mut self, namespace: &str, name: &str, rules: Option<Vec<Rule>>) {
        let roles = self.roles.entry(namespace.into()).or_default();
        match rules {
            Some(rules) => {
                roles.insert(name.into(), rules.into());
            }
            None => {
                roles.remove(name);
            }
        }
        if roles.is_empty() {
            self.roles.remove(namespace);
        }
    }

    /// Sets or removes a binding.
    pub(crate) fn set_binding(&mut self, namespace: &str, name: &str, binding: Option<Binding>) {
        let scope = self.scopes.entry(namespace.into()).or_default();
        if let Some(old) = scope.bindings.remove(name) {
            scope.index(namespace, name, &old, |names, name| {
                names.remove(name);
            });
        }
        if let Some(binding) = binding {
            scope.index(namespace, name, &binding, |names, name| {
                names.insert(name.into());
            });
            scope.bindings.insert(name.into(), binding);
        }
        if scope.bindings.is_empty() {
            self.scopes.remove(namespace);
        }
    }

    /// The rules of a role that a binding in `namespace` refers to.
    pub(crate) fn rules_of(&self, role: &RoleRef, namespace: &str) -> Option<&[Rule]> {
        let namespace = if &*role.kind == "ClusterRole" { "" } else { namespace };
        Some(self.roles.get(namespace)?.get(&role.name)?)
    }

    /// Whether a rule of the user's allows what is asked.
    pub(super) fn authorize(&self, attributes: &Attributes<'_>, wants_reason: bool) -> Opinion {
        let mut errors = Vec::new();
        let mut allowed = None;
        let _first = self.visit(attributes.user, attributes.namespace, &mut |visit| match visit {
            Visit::Rule { scope, binding, of, rule } if attributes.is_allowed_by(rule) => {
                let describe = || of.describe(scope, binding, attributes.user);
                allowed = Some(if wants_reason { describe() } else { String::new() });
                ControlFlow::Break(())
            }
            Visit::Rule { .. } => ControlFlow::Continue(()),
            Visit::Missing(error) => {
                errors.push(error);
                ControlFlow::Continue(())
            }
        });
        match allowed {
            Some(reason) => Opinion::Allow(reason),
            None if errors.is_empty() => Opinion::None(String::new()),
            None => Opinion::None(format!("RBAC: {}", join_errors(&errors))),
        }
    }

    /// All rules of a user, and what went wrong.
    pub(crate) fn rules_for(&self, user: &User, namespace: &str) -> (Vec<Rule>, Vec<String>) {
        let (mut rules, mut errors) = (Vec::new(), Vec::new());
        let _all = self.visit(user, namespace, &mut |visit| {
            match visit {
                Visit::Rule { rule, .. } => rules.push(rule.clone()),
                Visit::Missing(error) => errors.push(error),
            }
            ControlFlow::Continue(())
        });
        (rules, errors)
    }

    fn visit<'a>(
        &'a self,
        user: &User,
        namespace: &'a str,
        each: &mut dyn FnMut(Visit<'a>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let scopes = if namespace.is_empty() { &[""][..] } else { &["", namespace][..] };
        for &name in scopes {
            let Some(scope) = self.scopes.get(name) else { continue };
            for binding in scope.names_for(user) {
                let Some(of) = scope.bindings.get(binding) else { continue };
                let Some(rules) = self.rules_of(&of.role_ref, name) else {
                    each(Visit::Missing(not_found(&of.role_ref)))?;
                    continue;
                };
                for rule in rules {
                    each(Visit::Rule { scope: namespace_of(name, namespace), binding, of, rule })?;
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// The same text with the lifetime of the question's namespace.
fn namespace_of<'a>(scope: &str, namespace: &'a str) -> &'a str {
    if scope.is_empty() { "" } else { namespace }
}

fn not_found(role: &RoleRef) -> String {
    match &*role.kind {
        "ClusterRole" => format!("clusterrole.{GROUP} {} not found", quoted(&role.name)),
        "Role" => format!("role.{GROUP} {} not found", quoted(&role.name)),
        other => format!("unsupported role reference kind: {}", quoted(other)),
    }
}

/// Several errors as Go's aggregate shows them: each once, in brackets if there is more than one.
pub(crate) fn join_errors(errors: &[String]) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for error in errors {
        if !seen.contains(&error.as_str()) {
            seen.push(error);
        }
    }
    match seen.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        many => format!("[{}]", many.join(", ")),
    }
}

impl Scope {
    /// Changes the index entries of a binding.
    fn index(
        &mut self,
        namespace: &str,
        name: &str,
        binding: &Binding,
        change: impl Fn(&mut BTreeSet<Box<str>>, &str),
    ) {
        for subject in binding.subjects.iter().flatten() {
            let (index, key) = match subject.key(namespace) {
                Some(SubjectKey::User(user)) => (&mut self.by_user, user),
                Some(SubjectKey::Group(group)) => (&mut self.by_group, group),
                None => continue,
            };
            let names = index.entry(key.clone()).or_default();
            change(names, name);
            if names.is_empty() {
                index.remove(&key);
            }
        }
    }

    /// The bindings that name a user or one of its groups.
    fn names_for<'a>(&'a self, user: &User) -> BTreeSet<&'a str> {
        let by_user = self.by_user.get(user.name.as_str());
        let by_group = user.groups.iter().filter_map(|group| self.by_group.get(group.as_str()));
        by_user.into_iter().chain(by_group).flatten().map(AsRef::as_ref).collect()
    }
}

/// Under what a subject is found.
enum SubjectKey {
    User(Box<str>),
    Group(Box<str>),
}

impl Subject {
    /// A service account is the user of its name; in a binding of a namespace its own namespace need not be named.
    fn key(&self, namespace: &str) -> Option<SubjectKey> {
        match &*self.kind {
            "User" => Some(SubjectKey::User(self.name.clone())),
            "Group" => Some(SubjectKey::Group(self.name.clone())),
            "ServiceAccount" => {
                let own = if self.namespace.is_empty() { namespace } else { &self.namespace };
                let user = crate::user::service_account_user_name(own, &self.name);
                (!own.is_empty()).then(|| SubjectKey::User(user.into()))
            }
            _ => None,
        }
    }

    fn is(&self, user: &User, namespace: &str) -> bool {
        match self.key(namespace) {
            Some(SubjectKey::User(name)) => *user.name == *name,
            Some(SubjectKey::Group(name)) => user.is_in(&name),
            None => false,
        }
    }

    fn describe(&self, namespace: &str) -> String {
        let own = if self.namespace.is_empty() { namespace } else { &self.namespace };
        match &*self.kind {
            "ServiceAccount" => {
                format!("{} {}", self.kind, quoted(&format!("{}/{own}", self.name)))
            }
            _ => format!("{} {}", self.kind, quoted(&self.name)),
        }
    }
}

impl Binding {
    fn describe(&self, namespace: &str, name: &str, user: &User) -> String {
        let (kind, name) = match namespace {
            "" => ("ClusterRoleBinding", quoted(name)),
            namespace => ("RoleBinding", quoted(&format!("{name}/{namespace}"))),
        };
        let subject = self.subjects.iter().flatten().find(|subject| subject.is(user, namespace));
        let subject = subject.map(|subject| subject.describe(namespace)).unwrap_or_default();
        let role = &self.role_ref;
        format!(
            "RBAC: allowed by {kind} {name} of {} {} to {subject}",
            role.kind,
            quoted(&role.name)
        )
    }
}
