//! `create role`, `clusterrole`, `rolebinding` and `clusterrolebinding`.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};

use super::super::context::Ctx;
use super::super::discovery::unserved_in_group;
use super::super::fault::{Fault, Outcome, quoted};
use super::super::labels::pairs;
use super::super::rules::STANDARD_VERBS;
use super::Common;

const GROUP: &str = "rbac.authorization.k8s.io";
/// The verbs of requests for URLs that are no resources.
const URL_VERBS: [&str; 8] = ["*", "get", "post", "put", "delete", "patch", "head", "options"];
/// The verbs that mean something for some resources only, as kubectl v1.36 has them: verb, group, resource.
const SPECIAL: [(&str, &str, &str); 10] = [
    ("use", "policy", "podsecuritypolicies"),
    ("use", "extensions", "podsecuritypolicies"),
    ("bind", GROUP, "roles"),
    ("bind", GROUP, "clusterroles"),
    ("escalate", GROUP, "roles"),
    ("escalate", GROUP, "clusterroles"),
    ("impersonate", "", "users"),
    ("impersonate", "", "serviceaccounts"),
    ("impersonate", "", "groups"),
    ("impersonate", "authentication.k8s.io", "userextras"),
];

/// What a role allows.
#[derive(Debug, Args)]
struct Rules {
    /// get, list, watch, ...; repeat for more
    #[arg(long, value_delimiter = ',')]
    verb: Vec<String>,
    /// RESOURCE[.GROUP][/SUBRESOURCE]; repeat for more
    #[arg(long, value_delimiter = ',')]
    resource: Vec<String>,
    /// Only objects of this name; repeat for more
    #[arg(long)]
    resource_name: Vec<String>,
}

/// Create a role
#[derive(Debug, Args)]
pub(super) struct Role {
    name: String,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    common: Common,
}

/// Create a cluster role
#[derive(Debug, Args)]
pub(super) struct ClusterRole {
    name: String,
    #[command(flatten)]
    rules: Rules,
    /// A path that is no resource; repeat for more
    #[arg(long = "non-resource-url", value_delimiter = ',')]
    urls: Vec<String>,
    /// The labels of the cluster roles to combine
    #[arg(long)]
    aggregation_rule: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Who is bound.
#[derive(Debug, Args)]
pub(crate) struct Subjects {
    /// A user; repeat for more
    #[arg(long = "subject-user", value_name = "USER")]
    pub(crate) users: Vec<String>,
    /// A group; repeat for more
    #[arg(long = "group")]
    pub(crate) groups: Vec<String>,
    /// NAMESPACE:NAME of a service account; repeat for more
    #[arg(long = "serviceaccount")]
    pub(crate) accounts: Vec<String>,
}

/// Create a role binding
#[derive(Debug, Args)]
pub(super) struct RoleBinding {
    name: String,
    /// The role
    #[arg(long)]
    role: Option<String>,
    /// The cluster role
    #[arg(long)]
    clusterrole: Option<String>,
    #[command(flatten)]
    subjects: Subjects,
    #[command(flatten)]
    common: Common,
}

/// Create a cluster role binding
#[derive(Debug, Args)]
pub(super) struct ClusterRoleBinding {
    name: String,
    /// The cluster role
    #[arg(long)]
    clusterrole: Option<String>,
    #[command(flatten)]
    subjects: Subjects,
    #[command(flatten)]
    common: Common,
}

impl Rules {
    fn warn_of_verbs(&self, ctx: &Ctx) {
        for verb in
            unique(&self.verb).iter().filter(|verb| !STANDARD_VERBS.contains(&verb.as_str()))
        {
            ctx.note(format!("Warning: '{verb}' is not a standard resource verb"));
        }
    }

    /// What the flags name: group, resource and subresource. Everything stands for itself alone.
    async fn resources(&self, ctx: &Ctx) -> Result<Vec<(String, String, String)>, Fault> {
        if self.resource.iter().any(|text| text == "*") {
            return Ok(vec![(String::new(), "*".into(), String::new())]);
        }
        let mut found = Vec::new();
        for text in self.resource.iter().filter(|text| !text.is_empty()) {
            let (whole, sub) = text.split_once('/').unwrap_or((text, ""));
            let (name, group) = whole.split_once('.').unwrap_or((whole, ""));
            if name.is_empty() {
                return Err(Fault::refused(
                    "resource must be specified if apiGroup/subresource specified",
                ));
            }
            let known = ctx.discovery().await?.find(whole.trim_end_matches('.'));
            let (group, plural) = match known {
                Some(known) => (known.group.as_str(), known.plural.as_str()),
                None if name == "*" || SPECIAL.iter().any(|(_, _, special)| *special == name) => {
                    (group, name)
                }
                None => return Err(Fault::Bare(unserved_in_group(whole))),
            };
            found.push((group.to_owned(), plural.to_owned(), sub.to_owned()));
        }
        Ok(found)
    }

    /// Refuses verbs that mean nothing for a resource.
    async fn check_special(&self, ctx: &Ctx) -> Outcome {
        let verbs = unique(&self.verb);
        for (group, plural, _) in self.resources(ctx).await? {
            if plural == "*" {
                return Ok(());
            }
            for verb in &verbs {
                let mut own = SPECIAL.iter().filter(|(special, _, _)| special == verb).peekable();
                if own.peek().is_some() && !own.any(|(_, g, p)| *g == group && *p == plural) {
                    return Err(Fault::refused(format!(
                        "can not perform '{verb}' on '{plural}' in group '{group}'"
                    )));
                }
            }
        }
        Ok(())
    }

    /// One rule for each group.
    async fn of_resources(&self, ctx: &Ctx) -> Result<Vec<Value>, Fault> {
        let verbs = unique(&self.verb);
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (group, plural, sub) in self.resources(ctx).await? {
            let resource = if sub.is_empty() { plural } else { format!("{plural}/{sub}") };
            let resources = groups.entry(group).or_default();
            if !resources.contains(&resource) {
                resources.push(resource);
            }
        }
        let rules = groups.into_iter().map(|(group, resources)| {
            let mut rule = json!({"verbs": verbs, "apiGroups": [group], "resources": resources});
            if !self.resource_name.is_empty() {
                rule["resourceNames"] = unique_exact(&self.resource_name).cloned().collect();
            }
            rule
        });
        Ok(rules.collect())
    }
}

fn unique(texts: &[String]) -> Vec<String> {
    if texts.iter().any(|text| text == "*") {
        return vec!["*".into()];
    }
    let mut seen = Vec::new();
    for text in texts {
        if !seen.contains(text) {
            seen.push(text.clone());
        }
    }
    seen
}

impl Role {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        if self.rules.verb.is_empty() {
            return Err(Fault::refused("at least one verb must be specified"));
        }
        self.rules.warn_of_verbs(ctx);
        if self.rules.resource.is_empty() {
            return Err(Fault::refused("at least one resource must be specified"));
        }
        self.rules.check_special(ctx).await?;
        let rules = self.rules.of_resources(ctx).await?;
        let object = json!({
            "apiVersion": format!("{GROUP}/v1"), "kind": "Role", "metadata": {"name": self.name}, "rules": rules,
        });
        self.common.submit(ctx, object, None).await
    }
}

impl ClusterRole {
    /// Refuses URLs that no request can have, and verbs that no request for one has.
    fn check_urls(&self) -> Outcome {
        let verbs = unique(&self.rules.verb);
        let strange = verbs.iter().find(|verb| !URL_VERBS.contains(&verb.as_str()));
        if let Some(verb) = strange.filter(|_| !self.urls.is_empty()) {
            return Err(Fault::refused(format!("invalid verb: '{verb}' for nonResourceURL")));
        }
        for url in self.urls.iter().filter(|url| *url != "*") {
            if !url.starts_with('/') {
                return Err(Fault::refused("nonResourceURL should start with /"));
            }
            if url.find('*').is_some_and(|at| at + 1 < url.len()) {
                return Err(Fault::refused(
                    "nonResourceURL only supports wildcard matches when '*' is at the end",
                ));
            }
        }
        Ok(())
    }

    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        let mut object = json!({
            "apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRole", "metadata": {"name": self.name}, "rules": null,
        });
        if let Some(labels) = &self.aggregation_rule {
            let rules = &self.rules;
            let has_more = [&rules.verb, &rules.resource, &rules.resource_name, &self.urls];
            if has_more.iter().any(|values| !values.is_empty()) {
                return Err(Fault::refused(
                    "aggregation rule must be specified without nonResourceURLs, verbs, resources or resourceNames",
                ));
            }
            let labels = pairs(labels).ok_or_else(|| {
                Fault::refused(format!(
                    "invalid argument {} for \"--aggregation-rule\" flag: malformed pair, expect string=string\nSee 'kubectl create clusterrole --help' for usage.",
                    quoted(labels)
                ))
            })?;
            object["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": labels}]});
            return self.common.submit(ctx, object, None).await;
        }
        if self.rules.verb.is_empty() {
            return Err(Fault::refused("at least one verb must be specified"));
        }
        let urls = self.urls.iter().any(|url| !url.is_empty());
        if self.rules.resource.is_empty() && !urls {
            return Err(Fault::refused("one of resource or nonResourceURL must be specified"));
        }
        if !self.rules.resource.is_empty() {
            self.rules.warn_of_verbs(ctx);
            self.rules.check_special(ctx).await?;
        }
        self.check_urls()?;
        let mut rules = self.rules.of_resources(ctx).await?;
        if !self.urls.is_empty() {
            rules.push(json!({"verbs": unique(&self.rules.verb), "nonResourceURLs": self.urls}));
        }
        object["rules"] = Value::Array(rules);
        self.common.submit(ctx, object, None).await
    }
}

impl Subjects {
    fn list(&self) -> Result<Vec<Value>, Fault> {
        let mut subjects = Vec::new();
        for (kind, names) in [("User", &self.users), ("Group", &self.groups)] {
            subjects.extend(
                unique_exact(names)
                    .map(|name| json!({"kind": kind, "apiGroup": GROUP, "name": name})),
            );
        }
        for account in unique_exact(&self.accounts) {
            let (namespace, name) = account
                .split_once(':')
                .filter(|(ns, name)| !ns.is_empty() && !name.is_empty() && !name.contains(':'))
                .ok_or_else(|| Fault::refused("serviceaccount must be <namespace>:<name>"))?;
            subjects.push(json!({"kind": "ServiceAccount", "namespace": namespace, "name": name}));
        }
        Ok(subjects)
    }
}

fn unique_exact(names: &[String]) -> impl Iterator<Item = &String> {
    names.iter().enumerate().filter(|(at, name)| !names[..*at].contains(name)).map(|(_, name)| name)
}

fn binding(kind: &str, name: &str, role: (&str, &str), subjects: Vec<Value>) -> Value {
    let mut object = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": {"name": name},
        "roleRef": {"apiGroup": GROUP, "kind": role.0, "name": role.1},
    });
    if !subjects.is_empty() {
        object["subjects"] = Value::Array(subjects);
    }
    object
}

impl RoleBinding {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        let role = match (&self.role, &self.clusterrole) {
            (Some(role), None) => ("Role", role.as_str()),
            (None, Some(role)) => ("ClusterRole", role.as_str()),
            _ => {
                return Err(Fault::refused("exactly one of clusterrole or role must be specified"));
            }
        };
        let object = binding("RoleBinding", &self.name, role, self.subjects.list()?);
        self.common.submit(ctx, object, Some("failed to create rolebinding:")).await
    }
}

impl ClusterRoleBinding {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        let Some(role) = &self.clusterrole else {
            return Err(Fault::refused("required flag(s) \"clusterrole\" not set"));
        };
        let object =
            binding("ClusterRoleBinding", &self.name, ("ClusterRole", role), self.subjects.list()?);
        self.common.submit(ctx, object, Some("failed to create clusterrolebinding:")).await
    }
}
