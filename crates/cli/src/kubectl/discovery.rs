//! What the server serves: kinds, their names, and the paths of their objects.
//!
//! Reads     the aggregated discovery documents (KEP-3352), or the older ones of a server that has only those.

use serde_json::Value;

use super::call::Call;
use super::context::Ctx;
use super::fault::{Fault, quoted};
use super::value::Look;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// A kind of object in one version of its group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) is_namespaced: bool,
    pub(crate) verbs: Vec<String>,
    pub(crate) short: Vec<String>,
    pub(crate) categories: Vec<String>,
}

/// A group and its versions, the preferred one first.
#[derive(Debug, Clone)]
struct Group {
    name: String,
    versions: Vec<String>,
}

/// All that a server serves, in its order of preference.
#[derive(Debug)]
pub(crate) struct Discovery {
    groups: Vec<Group>,
    resources: Vec<Resource>,
}

impl Resource {
    /// `v1` or `apps/v1`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `pods` or `deployments.apps`.
    pub(crate) fn qualified(&self) -> String {
        with_group(&self.plural, &self.group)
    }

    /// `pod` or `deployment.apps`: how kubectl calls an object of this kind.
    pub(crate) fn label(&self) -> String {
        with_group(&self.kind.to_lowercase(), &self.group)
    }

    /// `/api/v1` or `/apis/apps/v1`.
    fn root(&self) -> String {
        if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        }
    }

    /// The path of the collection; of all namespaces if none is given.
    pub(crate) fn collection(&self, namespace: Option<&str>) -> String {
        match namespace.filter(|name| self.is_namespaced && !name.is_empty()) {
            Some(namespace) => format!("{}/namespaces/{namespace}/{}", self.root(), self.plural),
            None => format!("{}/{}", self.root(), self.plural),
        }
    }

    /// The path of one object.
    pub(crate) fn object(&self, namespace: Option<&str>, name: &str) -> String {
        format!("{}/{}", self.collection(namespace), super::call::escaped(name))
    }

    pub(crate) fn has_verb(&self, verb: &str) -> bool {
        self.verbs.iter().any(|own| own == verb)
    }

    fn is_called(&self, name: &str) -> bool {
        self.plural == name
            || self.singular == name
            || self.short.iter().any(|short| short == name)
            || self.kind.to_lowercase() == name
    }
}

/// `name` or `name.group`.
pub(crate) fn with_group(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

/// Group and version of an `apiVersion`.
pub(crate) fn split_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

impl Discovery {
    /// Asks the server.
    pub(crate) async fn load(ctx: &Ctx) -> Result<Self, Fault> {
        let (core, groups) = tokio::join!(
            ctx.call(Call::get("/api").accept(AGGREGATED)),
            ctx.call(Call::get("/apis").accept(AGGREGATED)),
        );
        let mut discovery = Self { groups: Vec::new(), resources: Vec::new() };
        for document in [core?, groups?] {
            match document.s("/kind") {
                "APIGroupDiscoveryList" => {
                    for group in document.list("/items") {
                        discovery.add_aggregated(group);
                    }
                }
                "APIVersions" => {
                    let versions = document.list("/versions").iter();
                    let versions = versions.filter_map(Value::as_str).map(str::to_owned).collect();
                    discovery.add_legacy(ctx, "", versions).await?;
                }
                _ => {
                    for group in document.list("/groups") {
                        let versions = preferred_first(group);
                        discovery.add_legacy(ctx, group.s("/name"), versions).await?;
                    }
                }
            }
        }
        Ok(discovery)
    }

    fn add_aggregated(&mut self, item: &Value) {
        let group = item.name();
        let mut versions = Vec::new();
        for version in item.list("/versions") {
            versions.push(version.s("/version").to_owned());
            for resource in version.list("/resources") {
                self.resources.push(Resource {
                    group: group.to_owned(),
                    version: version.s("/version").to_owned(),
                    kind: resource.s("/responseKind/kind").to_owned(),
                    plural: resource.s("/resource").to_owned(),
                    singular: singular(
                        resource.s("/singularResource"),
                        resource,
                        "/responseKind/kind",
                    ),
                    is_namespaced: resource.s("/scope") == "Namespaced",
                    verbs: texts(resource.list("/verbs")),
                    short: texts(resource.list("/shortNames")),
                    categories: texts(resource.list("/categories")),
                });
            }
        }
        self.groups.push(Group { name: group.to_owned(), versions });
    }

    async fn add_legacy(
        &mut self,
        ctx: &Ctx,
        group: &str,
        versions: Vec<String>,
    ) -> Result<(), Fault> {
        for version in &versions {
            let path = if group.is_empty() {
                format!("/api/{version}")
            } else {
                format!("/apis/{group}/{version}")
            };
            let document = match ctx.call(Call::get(path)).await {
                Ok(document) => document,
                // An aggregated API that is down must not hide the others.
                Err(Fault::Status(_)) => continue,
                Err(fault) => return Err(fault),
            };
            let own = document.list("/resources").iter();
            self.resources.extend(own.filter(|resource| !resource.s("/name").contains('/')).map(
                |resource| Resource {
                    group: group.to_owned(),
                    version: version.clone(),
                    kind: resource.s("/kind").to_owned(),
                    plural: resource.s("/name").to_owned(),
                    singular: singular(resource.s("/singularName"), resource, "/kind"),
                    is_namespaced: resource.b("/namespaced"),
                    verbs: texts(resource.list("/verbs")),
                    short: texts(resource.list("/shortNames")),
                    categories: texts(resource.list("/categories")),
                },
            ));
        }
        self.groups.push(Group { name: group.to_owned(), versions });
        Ok(())
    }

    /// Every kind in every version.
    pub(crate) fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// Every group and version, as in `apps/v1`.
    pub(crate) fn group_versions(&self) -> Vec<String> {
        let pair = |group: &Group, version: &String| {
            if group.name.is_empty() {
                version.clone()
            } else {
                format!("{}/{version}", group.name)
            }
        };
        self.groups
            .iter()
            .flat_map(|group| group.versions.iter().map(move |version| pair(group, version)))
            .collect()
    }

    /// Whether this is the version that the server prefers for its kind.
    pub(crate) fn is_preferred(&self, resource: &Resource) -> bool {
        let first = self
            .resources
            .iter()
            .find(|other| other.group == resource.group && other.plural == resource.plural);
        first.is_some_and(|first| first.version == resource.version)
    }

    /// The kind that a user calls `name`: plural, singular, short, kind, each also with `.group` or `.version.group`.
    pub(crate) fn find(&self, name: &str) -> Option<&Resource> {
        let name = name.to_lowercase();
        if let Some((first, rest)) = name.split_once('.') {
            if let Some((version, group)) = rest.split_once('.')
                && let Some(found) = self.resources.iter().find(|resource| {
                    resource.is_called(first)
                        && resource.version == version
                        && resource.group == group
                })
            {
                return Some(found);
            }
            let exact = |resource: &&Resource| resource.is_called(first) && resource.group == rest;
            let prefix = |resource: &&Resource| {
                resource.is_called(first) && resource.group.starts_with(&format!("{rest}."))
            };
            return self
                .resources
                .iter()
                .find(exact)
                .or_else(|| self.resources.iter().find(prefix));
        }
        // A short name of one kind may be the plural of another: full names come first.
        let full = |resource: &&Resource| {
            resource.plural == name
                || resource.singular == name
                || resource.kind.to_lowercase() == name
        };
        self.resources
            .iter()
            .find(full)
            .or_else(|| self.resources.iter().find(|resource| resource.is_called(&name)))
    }

    /// What is said when a short name could mean kinds of several groups.
    pub(crate) fn rivals(&self, name: &str) -> Vec<String> {
        let is_short = |resource: &&Resource| resource.short.iter().any(|short| short == name);
        let Some(found) = self.find(name).filter(|found| is_short(found)) else {
            return Vec::new();
        };
        let others = self.resources.iter().filter(is_short);
        let others = others.filter(|other| other.group != found.group && self.is_preferred(other));
        let told = others.map(|other| {
            let other = other.qualified();
            format!("short name {} could also match lower priority resource {other}", quoted(name))
        });
        told.collect()
    }

    /// The kind that a user calls `name`, or kubectl's complaint.
    pub(crate) fn require(&self, name: &str) -> Result<&Resource, Fault> {
        self.find(name).ok_or_else(|| Fault::refused(unserved(name)))
    }

    /// The kinds of a category, such as `all`; empty if there is no such category.
    pub(crate) fn category(&self, name: &str) -> Vec<&Resource> {
        self.resources
            .iter()
            .filter(|resource| resource.categories.iter().any(|category| category == name))
            .filter(|resource| self.is_preferred(resource))
            .collect()
    }

    /// The kind of an object by its `apiVersion` and `kind`, which may be in lower case.
    pub(crate) fn by_kind(&self, api_version: &str, kind: &str) -> Option<&Resource> {
        let (group, version) = split_version(api_version);
        self.resources.iter().find(|resource| {
            (resource.kind == kind || resource.kind.to_lowercase() == kind)
                && resource.group == group
                && resource.version == version
        })
    }

    /// Whether objects of a list's kind may be listed: `List` in any version that is served, or the kind of its items and `List`.
    pub(crate) fn has_list(&self, api_version: &str, kind: &str) -> bool {
        match kind {
            "List" => self.has_version(api_version),
            _ => {
                let item =
                    kind.strip_suffix("List").and_then(|kind| self.by_kind(api_version, kind));
                item.is_some_and(|item| kind.starts_with(&item.kind))
            }
        }
    }

    /// Whether a group and version, as in `apps/v1`, is served.
    pub(crate) fn has_version(&self, api_version: &str) -> bool {
        let (group, version) = split_version(api_version);
        self.resources.iter().any(|own| own.group == group && own.version == version)
    }

    /// The preferred version of a kind of a group.
    pub(crate) fn by_group_kind(&self, group: &str, kind: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.kind == kind && resource.group == group)
    }
}

/// What is said of a kind that the server does not serve; the group that a user gives is not repeated.
pub(crate) fn unserved(name: &str) -> String {
    let name = name.split('.').next().unwrap_or(name);
    format!("the server doesn't have a resource type {}", quoted(name))
}

/// The same with the group that a user gives.
pub(crate) fn unserved_in_group(name: &str) -> String {
    match name.split_once('.') {
        Some((_, group)) => format!("{} in group {}", unserved(name), quoted(group)),
        None => unserved(name),
    }
}

fn singular(given: &str, resource: &Value, kind: &str) -> String {
    if given.is_empty() { resource.s(kind).to_lowercase() } else { given.to_owned() }
}

fn texts(values: &[Value]) -> Vec<String> {
    values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn preferred_first(group: &Value) -> Vec<String> {
    let preferred = group.s("/preferredVersion/version").to_owned();
    let all = group.list("/versions").iter().map(|version| version.s("/version").to_owned());
    let mut versions: Vec<String> = all.collect();
    versions.sort_by_key(|version| *version != preferred);
    versions
}
