//! [`PolicyRule`]: one rule of a role: what it allows, and which rules it covers (Kubernetes v1.36
//! `k8s.io/component-helpers/auth/rbac`).

use std::collections::HashMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::field::quoted;

const ALL: &str = "*";

/// What may be done to which things. A thing is a resource or a URL, never both.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PolicyRule {
    /// The verbs.
    #[serde(deserialize_with = "list")]
    pub verbs: Vec<Box<str>>,
    /// The API groups of the resources.
    #[serde(deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<Box<str>>,
    /// The resources: `pods`, `pods/log`, `*/scale`, `*`.
    #[serde(deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<Box<str>>,
    /// The only objects that are meant; none means all.
    #[serde(deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<Box<str>>,
    /// The URLs: `/healthz`, `/healthz/*`, `*`.
    #[serde(
        rename = "nonResourceURLs",
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub non_resource_urls: Vec<Box<str>>,
}

/// A list that may be `null`.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Box<str>>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn has(list: &[Box<str>], wanted: &str) -> bool {
    list.iter().any(|known| **known == *wanted)
}

fn has_or_all(list: &[Box<str>], wanted: &str) -> bool {
    list.iter().any(|known| **known == *wanted || **known == *ALL)
}

impl PolicyRule {
    /// Whether it allows a verb on an object; `resource` and `subresource` (empty if there is none) are those of the request.
    pub fn allows_resource(
        &self,
        verb: &str,
        group: &str,
        (resource, subresource): (&str, &str),
        name: &str,
    ) -> bool {
        has_or_all(&self.verbs, verb)
            && has_or_all(&self.api_groups, group)
            && self.resources.iter().any(|known| matches_resource(known, resource, subresource))
            && (self.resource_names.is_empty() || has(&self.resource_names, name))
    }

    /// Whether it allows a verb on a URL that is no resource.
    pub fn allows_url(&self, verb: &str, path: &str) -> bool {
        has_or_all(&self.verbs, verb) && self.covers_url(path)
    }

    /// The parts of `wanted` that `held` together do not cover, each with one verb of one resource or URL.
    pub fn missing(held: &[Self], wanted: &[Self]) -> Vec<Self> {
        let parts = Self::uncovered(held, wanted).flat_map(Self::parts);
        parts.filter(|part| !part.is_covered(held)).collect()
    }

    /// How many parts [`Self::missing`] has to look at: a number that a few kilobytes of rules make astronomical, being the product
    /// of the lengths of a rule's lists.
    pub fn parts_to_ask(held: &[Self], wanted: &[Self]) -> usize {
        Self::uncovered(held, wanted).fold(0, |sum, rule| sum.saturating_add(rule.count()))
    }

    /// The rules that no single one covers as a whole: only those have to be taken apart.
    fn uncovered<'a>(held: &'a [Self], wanted: &'a [Self]) -> impl Iterator<Item = &'a Self> {
        wanted.iter().filter(|rule| !rule.is_covered(held))
    }

    fn is_covered(&self, held: &[Self]) -> bool {
        held.iter().any(|held| held.covers(self))
    }

    /// How many parts it has.
    fn count(&self) -> usize {
        let of_resources = [&self.api_groups, &self.resources, &self.verbs].map(Vec::len);
        let of_resources =
            of_resources.into_iter().fold(self.resource_names.len().max(1), usize::saturating_mul);
        of_resources.saturating_add(self.non_resource_urls.len().saturating_mul(self.verbs.len()))
    }

    /// The rule taken apart into rules with one verb of one object of one resource, or of one URL.
    fn parts(&self) -> Vec<Self> {
        let mut parts = Vec::with_capacity(self.count());
        let names: Vec<&[Box<str>]> = match self.resource_names.as_slice() {
            [] => vec![&[]],
            names => names.chunks(1).collect(),
        };
        for group in &self.api_groups {
            for resource in &self.resources {
                for verb in &self.verbs {
                    parts.extend(names.iter().map(|name| Self {
                        verbs: vec![verb.clone()],
                        api_groups: vec![group.clone()],
                        resources: vec![resource.clone()],
                        resource_names: name.to_vec(),
                        non_resource_urls: Vec::new(),
                    }));
                }
            }
        }
        for url in &self.non_resource_urls {
            parts.extend(self.verbs.iter().map(|verb| Self {
                verbs: vec![verb.clone()],
                non_resource_urls: vec![url.clone()],
                ..Self::default()
            }));
        }
        parts
    }

    /// Whether the rule allows all that `part` does.
    fn covers(&self, part: &Self) -> bool {
        let all =
            |held: &[Box<str>], wanted: &[Box<str>]| wanted.iter().all(|one| has_or_all(held, one));
        all(&self.verbs, &part.verbs)
            && all(&self.api_groups, &part.api_groups)
            && part.resources.iter().all(|wanted| self.covers_resource(wanted))
            && part.non_resource_urls.iter().all(|wanted| self.covers_url(wanted))
            && self.covers_names(&part.resource_names)
    }

    fn covers_resource(&self, wanted: &str) -> bool {
        let of_any = |subresource: &str| has(&self.resources, &format!("*/{subresource}"));
        has_or_all(&self.resources, wanted)
            || wanted.split_once('/').is_some_and(|(_, subresource)| of_any(subresource))
    }

    fn covers_url(&self, wanted: &str) -> bool {
        self.non_resource_urls.iter().any(|held| matches_url(held, wanted))
    }

    /// All objects are covered by all objects only.
    fn covers_names(&self, wanted: &[Box<str>]) -> bool {
        self.resource_names.is_empty()
            || !wanted.is_empty() && wanted.iter().all(|name| has(&self.resource_names, name))
    }

    /// The rules in the words of an escalation error, one a line, those of one resource joined and all in order.
    pub fn describe(rules: &[Self]) -> String {
        let mut joined: Vec<Self> = Vec::new();
        let mut places = HashMap::new();
        for rule in rules {
            let is_simple = rule.resource_names.is_empty() && rule.non_resource_urls.is_empty();
            let place = places.entry((&rule.api_groups, &rule.resources)).or_insert(usize::MAX);
            match joined.get_mut(*place).filter(|_| is_simple) {
                Some(known) => known.verbs.extend(rule.verbs.iter().cloned()),
                None if is_simple => {
                    *place = joined.len();
                    joined.push(rule.clone());
                }
                None => joined.push(rule.clone()),
            }
        }
        let mut lines: Vec<String> = joined.iter().map(Self::line).collect();
        lines.sort_unstable();
        lines.dedup();
        lines.join("\n")
    }

    fn line(&self) -> String {
        let fields = [
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.non_resource_urls),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ];
        let shown = fields.iter().filter(|(_, list)| !list.is_empty());
        let shown: Vec<String> =
            shown.map(|(name, list)| format!("{name}:{}", go_list(list))).collect();
        format!("{{{}}}", shown.join(", "))
    }
}

/// A list of strings as Go's `%q` shows it.
pub fn go_list<T: AsRef<str>>(list: &[T]) -> String {
    let shown: Vec<String> = list.iter().map(|item| quoted(item.as_ref())).collect();
    format!("[{}]", shown.join(" "))
}

fn matches_resource(rule: &str, resource: &str, subresource: &str) -> bool {
    if rule == ALL {
        return true;
    }
    if subresource.is_empty() {
        return rule == resource;
    }
    match rule.split_once('/') {
        Some((of, sub)) => sub == subresource && (of == ALL || of == resource),
        None => false,
    }
}

/// A URL of a rule that ends in `*` matches everything that begins so.
fn matches_url(rule: &str, path: &str) -> bool {
    rule == path || rule.ends_with('*') && path.starts_with(rule.trim_end_matches('*'))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(wanted: &Value, held: &Value, expected: &[&str]) {
        let rule = |value: &Value| serde_json::from_value::<PolicyRule>(value.clone()).unwrap();
        let missing = PolicyRule::missing(&[rule(held)], &[rule(wanted)]);
        let missing: Vec<String> = missing.iter().map(PolicyRule::line).collect();
        assert_eq!(missing, expected, "{wanted} beyond {held}");
    }

    #[test]
    fn what_is_not_held_is_missing_part_by_part() {
        let all = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
        let logs =
            json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "pods/log"]});
        check(&logs, &all, &[]);
        let of_any =
            json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "*/log"]});
        check(&logs, &of_any, &[]);
        let pods = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]});
        check(
            &logs,
            &pods,
            &[
                r#"{APIGroups:[""], Resources:["pods"], Verbs:["list"]}"#,
                r#"{APIGroups:[""], Resources:["pods/log"], Verbs:["get"]}"#,
                r#"{APIGroups:[""], Resources:["pods/log"], Verbs:["list"]}"#,
            ],
        );
        let named = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]});
        check(&named, &pods, &[]);
        check(&pods, &named, &[r#"{APIGroups:[""], Resources:["pods"], Verbs:["get"]}"#]);
        check(
            &json!({"verbs": ["get"], "nonResourceURLs": ["/a/b", "/c"]}),
            &json!({"verbs": ["*"], "nonResourceURLs": ["/a/*"]}),
            &[r#"{NonResourceURLs:["/c"], Verbs:["get"]}"#],
        );
    }

    #[test]
    fn what_is_covered_as_a_whole_is_not_taken_apart() {
        let many = || (0..400).map(|number| number.to_string().into()).collect::<Vec<Box<str>>>();
        let wanted = PolicyRule {
            verbs: many(),
            api_groups: many(),
            resources: many(),
            resource_names: many(),
            ..PolicyRule::default()
        };
        let all = || vec![ALL.into()];
        let held = PolicyRule {
            verbs: all(),
            api_groups: all(),
            resources: all(),
            ..PolicyRule::default()
        };
        let wanted = [wanted];
        assert_eq!(PolicyRule::missing(std::slice::from_ref(&held), &wanted), []);
        assert_eq!(PolicyRule::parts_to_ask(std::slice::from_ref(&held), &wanted), 0);
        let held = PolicyRule { verbs: vec!["get".into()], ..held };
        assert_eq!(PolicyRule::parts_to_ask(&[held], &wanted), 400_usize.pow(4));
    }
}
