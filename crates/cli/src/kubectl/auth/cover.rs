//! What rules of roles allow, in pieces: which of them others allow as well.

use std::fmt;

use serde_json::{Value, json};

use super::super::value::{Look, shown};

/// A rule as a struct of Go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rule {
    verbs: Vec<String>,
    groups: Vec<String>,
    resources: Vec<String>,
    names: Vec<String>,
    urls: Vec<String>,
}

impl Rule {
    /// The rules of a role.
    pub(super) fn all_of(role: &Value) -> Vec<Self> {
        role.list("/rules").iter().map(Self::of).collect()
    }

    fn of(rule: &Value) -> Self {
        let texts = |pointer: &str| rule.list(pointer).iter().map(shown).collect();
        Self {
            verbs: texts("/verbs"),
            groups: texts("/apiGroups"),
            resources: texts("/resources"),
            names: texts("/resourceNames"),
            urls: texts("/nonResourceURLs"),
        }
    }

    pub(super) fn to_value(&self) -> Value {
        let mut rule = json!({"verbs": self.verbs});
        for (field, texts) in [
            ("apiGroups", &self.groups),
            ("resources", &self.resources),
            ("resourceNames", &self.names),
            ("nonResourceURLs", &self.urls),
        ] {
            if !texts.is_empty() {
                rule[field] = json!(texts);
            }
        }
        rule
    }

    /// One rule for each thing that it allows.
    fn pieces(&self) -> Vec<Self> {
        let mut pieces = Vec::new();
        let names: Vec<Vec<String>> = match self.names.as_slice() {
            [] => vec![Vec::new()],
            names => names.iter().map(|name| vec![name.clone()]).collect(),
        };
        for group in &self.groups {
            for resource in &self.resources {
                for verb in &self.verbs {
                    pieces.extend(names.iter().map(|names| Self {
                        verbs: vec![verb.clone()],
                        groups: vec![group.clone()],
                        resources: vec![resource.clone()],
                        names: names.clone(),
                        urls: Vec::new(),
                    }));
                }
            }
        }
        for url in &self.urls {
            pieces.extend(self.verbs.iter().map(|verb| Self {
                verbs: vec![verb.clone()],
                urls: vec![url.clone()],
                ..Self::default()
            }));
        }
        pieces
    }

    /// Whether it allows all that a piece does.
    fn covers(&self, piece: &Self) -> bool {
        let has_all = |own: &[String], wanted: &[String]| {
            own.iter().any(|one| one == "*") || wanted.iter().all(|one| own.contains(one))
        };
        let is_resource = |wanted: &String| {
            let of_any = wanted.split_once('/').map(|(_, sub)| format!("*/{sub}"));
            self.resources
                .iter()
                .any(|own| own == "*" || own == wanted || Some(own) == of_any.as_ref())
        };
        let is_url = |wanted: &String| {
            let fits = |own: &String| match own.strip_suffix('*') {
                Some(begin) => wanted.starts_with(begin),
                None => own == wanted,
            };
            self.urls.iter().any(fits)
        };
        has_all(&self.verbs, &piece.verbs)
            && has_all(&self.groups, &piece.groups)
            && piece.resources.iter().all(is_resource)
            && piece.urls.iter().all(is_url)
            && (self.names.is_empty()
                || !piece.names.is_empty()
                    && piece.names.iter().all(|name| self.names.contains(name)))
    }
}

/// What some rules allow and others do not, in pieces.
pub(super) fn beyond(rules: &[Rule], others: &[Rule]) -> Vec<Rule> {
    let pieces = rules.iter().flat_map(Rule::pieces);
    pieces.filter(|piece| !others.iter().any(|other| other.covers(piece))).collect()
}

/// As Go writes a struct.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |texts: &[String]| format!("[{}]", texts.join(" "));
        write!(
            f,
            "{{Verbs:{} APIGroups:{} Resources:{} ResourceNames:{} NonResourceURLs:{}}}",
            list(&self.verbs),
            list(&self.groups),
            list(&self.resources),
            list(&self.names),
            list(&self.urls)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: &Value, other: &Value, expected: &[&str]) {
        let beyond = beyond(&[Rule::of(rule)], &[Rule::of(other)]);
        let beyond: Vec<String> = beyond.iter().map(Rule::to_string).collect();
        assert_eq!(beyond, expected, "{rule} beyond {other}");
    }

    #[test]
    fn what_others_do_not_allow_is_left_in_pieces() {
        let all = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
        let pods =
            json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "pods/log"]});
        check(&pods, &all, &[]);
        check(
            &pods,
            &json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "*/log"]}),
            &[],
        );
        check(
            &pods,
            &json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}),
            &[
                "{Verbs:[list] APIGroups:[] Resources:[pods] ResourceNames:[] NonResourceURLs:[]}",
                "{Verbs:[get] APIGroups:[] Resources:[pods/log] ResourceNames:[] NonResourceURLs:[]}",
                "{Verbs:[list] APIGroups:[] Resources:[pods/log] ResourceNames:[] NonResourceURLs:[]}",
            ],
        );
        let named = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]});
        check(&named, &pods, &[]);
        check(
            &json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}),
            &named,
            &["{Verbs:[get] APIGroups:[] Resources:[pods] ResourceNames:[] NonResourceURLs:[]}"],
        );
        check(
            &json!({"verbs": ["get"], "nonResourceURLs": ["/a/b", "/c"]}),
            &json!({"verbs": ["*"], "nonResourceURLs": ["/a/*"]}),
            &["{Verbs:[get] APIGroups:[] Resources:[] ResourceNames:[] NonResourceURLs:[/c]}"],
        );
    }
}
