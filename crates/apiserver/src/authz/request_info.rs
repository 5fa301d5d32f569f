//! [`RequestInfo`]: what a URL is about, by its shape alone, whether or not anything of the kind is served.
//!
//! Authorization comes before it is known whether a resource exists, so that nobody learns from a 404 what he may not know.
//! The rules are those of Kubernetes v1.36 `k8s.io/apiserver/pkg/endpoints/request`.

use podo_api::names;
use podo_api::selector::field::Selector;

use super::attributes::Attributes;
use crate::options::is_set;
use crate::user::User;

/// What follows a namespace's name and is not a resource in it.
const NAMESPACE_SUBRESOURCES: [&str; 2] = ["status", "finalize"];

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RequestInfo {
    pub(crate) is_resource: bool,
    pub(crate) verb: String,
    pub(crate) path: String,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) name: String,
    pub(crate) field_selector: String,
    pub(crate) label_selector: String,
}

impl RequestInfo {
    /// What a request is about.
    pub(crate) fn of(parts: &http::request::Parts) -> Self {
        let pairs: Vec<(String, String)> =
            parts.uri.query().unwrap_or("").split('&').map(pair).collect();
        let option =
            |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        Self::new(&parts.method, parts.uri.path(), &option)
    }

    /// What a request of this method, path and query is about. `option` gives the first value of a query option.
    pub(crate) fn new<'q>(
        method: &http::Method,
        path: &str,
        option: &dyn Fn(&str) -> Option<&'q str>,
    ) -> Self {
        let path = percent_decoded(path).unwrap_or_else(|| path.to_owned());
        let verb = method.as_str().to_ascii_lowercase();
        let other = || Self { path: path.clone(), verb: verb.clone(), ..Self::default() };
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            _ => return other(),
        };
        let mut info = Self {
            is_resource: true,
            path: path.clone(),
            group: group.to_owned(),
            version: version.to_owned(),
            ..Self::default()
        };
        let Some(rest) = info.read_verb(method, rest) else { return other() };
        info.read_parts(rest);
        info.read_options(option);
        info
    }

    /// Reads the verb, and gives the parts that are left; `None` if the path ends too early.
    fn read_verb<'p>(
        &mut self,
        method: &http::Method,
        parts: &'p [&'p str],
    ) -> Option<&'p [&'p str]> {
        if let [special @ ("proxy" | "watch"), rest @ ..] = parts {
            (*special).clone_into(&mut self.verb);
            return Some(rest).filter(|rest| !rest.is_empty());
        }
        let verb = match *method {
            http::Method::POST => "create",
            http::Method::GET | http::Method::HEAD => "get",
            http::Method::PUT => "update",
            http::Method::PATCH => "patch",
            http::Method::DELETE => "delete",
            _ => "",
        };
        verb.clone_into(&mut self.verb);
        Some(parts)
    }

    fn read_parts(&mut self, parts: &[&str]) {
        let mut parts = parts;
        if let ["namespaces", namespace, rest @ ..] = parts {
            (*namespace).clone_into(&mut self.namespace);
            if rest.first().is_some_and(|first| !NAMESPACE_SUBRESOURCES.contains(first)) {
                parts = rest;
            }
        }
        let part = |at: usize| parts.get(at).copied().unwrap_or("").to_owned();
        (self.resource, self.name) = (part(0), part(1));
        if self.verb != "proxy" {
            self.subresource = part(2);
        }
    }

    fn read_options<'q>(&mut self, option: &dyn Fn(&str) -> Option<&'q str>) {
        if self.name.is_empty() && self.verb == "get" {
            let is_watch = option("watch").is_some_and(is_set);
            (if is_watch { "watch" } else { "list" }).clone_into(&mut self.verb);
        }
        if self.name.is_empty() && self.verb == "delete" {
            "deletecollection".clone_into(&mut self.verb);
        }
        if !matches!(self.verb.as_str(), "list" | "watch" | "deletecollection") {
            return;
        }
        option("fieldSelector").unwrap_or("").clone_into(&mut self.field_selector);
        option("labelSelector").unwrap_or("").clone_into(&mut self.label_selector);
        if self.name.is_empty() && self.verb != "deletecollection" {
            self.name = selected_name(&self.field_selector);
        }
    }

    /// What is asked of authorization.
    pub(crate) fn attributes<'a>(&'a self, user: &'a User) -> Attributes<'a> {
        if !self.is_resource {
            return Attributes { verb: &self.verb, path: &self.path, ..Attributes::path(user) };
        }
        Attributes {
            user,
            verb: &self.verb,
            group: &self.group,
            version: &self.version,
            resource: &self.resource,
            subresource: &self.subresource,
            namespace: &self.namespace,
            name: &self.name,
            path: "",
            field_selector: &self.field_selector,
            label_selector: &self.label_selector,
        }
    }
}

/// A pair of a query.
fn pair(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decoded(&text).unwrap_or(text)
    };
    (decode(key), decode(value))
}

/// A text without percent encoding; `None` if it is malformed.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let decoded = match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        };
        out.push(decoded);
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

/// The one name that a list or watch selects by its field selector; empty if it does not.
pub(crate) fn selected_name(field_selector: &str) -> String {
    let selector = Selector::parse(field_selector).unwrap_or_default();
    let name = selector.required("metadata.name").unwrap_or("");
    if names::path_segment_name(name).is_empty() { name.to_owned() } else { String::new() }
}
