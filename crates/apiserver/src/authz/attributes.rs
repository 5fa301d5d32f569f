//! [`Attributes`]: what is asked, and [`Denial`], the answer no.

use podo_api::field::quoted;
use podo_api::status::GroupResource;
use podo_api::{Reason, Status};
use podo_base::Chain;
use podo_store::ReadError;

use super::Rule;
use crate::user::User;

/// Who wants to do what to which thing.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    /// Who asks.
    pub user: &'a User,
    /// The verb; for a path the HTTP method in lower case.
    pub verb: &'a str,
    /// The API group; empty for core.
    pub group: &'a str,
    /// The API version.
    pub version: &'a str,
    /// The resource.
    pub resource: &'a str,
    /// The subresource; empty if there is none.
    pub subresource: &'a str,
    /// The namespace; empty for the whole cluster.
    pub namespace: &'a str,
    /// The name; empty for collections.
    pub name: &'a str,
    /// The path of a request that is about no resource; empty for one that is.
    pub path: &'a str,
    /// The field selector of a list, watch or deletion of a collection, as text.
    pub field_selector: &'a str,
    /// The label selector of such a request.
    pub label_selector: &'a str,
}

impl<'a> Attributes<'a> {
    /// Whether a rule of a role allows it.
    pub(crate) fn is_allowed_by(&self, rule: &Rule) -> bool {
        if self.is_resource() {
            let resource = (self.resource, self.subresource);
            rule.allows_resource(self.verb, self.group, resource, self.name)
        } else {
            rule.allows_url(self.verb, self.path)
        }
    }

    /// Attributes of which only the user is known yet.
    pub fn path(user: &'a User) -> Self {
        Self {
            user,
            verb: "",
            group: "",
            version: "",
            resource: "",
            subresource: "",
            namespace: "",
            name: "",
            path: "",
            field_selector: "",
            label_selector: "",
        }
    }

    /// Whether this is about a resource and not about a path.
    pub fn is_resource(&self) -> bool {
        self.path.is_empty()
    }

    /// What is denied, in the words of Kubernetes v1.36, whose `<`, `>` and `&` are escaped so that no browser takes it for HTML.
    fn sentence(&self) -> String {
        let user = quoted(&self.user.name);
        let verb = self.verb;
        if !self.is_resource() {
            return escape(&format!("User {user} cannot {verb} path {}", quoted(self.path)));
        }
        let resource = match self.subresource {
            "" => quoted(self.resource),
            subresource => quoted(&format!("{}/{subresource}", self.resource)),
        };
        let group = quoted(self.group);
        let place = match self.namespace {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {}", quoted(namespace)),
        };
        escape(&format!(
            "User {user} cannot {verb} resource {resource} in API group {group} {place}"
        ))
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Why something is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial(Box<Status>);

impl Denial {
    /// No, with the reasons of those who were asked.
    pub(crate) fn new(attributes: &Attributes<'_>, reason: &str) -> Self {
        let sentence = attributes.sentence();
        let why = if reason.is_empty() { sentence } else { format!("{sentence}: {reason}") };
        let resource = GroupResource { group: attributes.group, resource: attributes.resource };
        Self(Box::new(Status::forbidden(resource, attributes.name, why)))
    }

    /// Nobody could be asked.
    pub(super) fn unreadable(error: &ReadError) -> Self {
        Self(Box::new(Status::internal(Chain(error))))
    }

    /// What the client is told.
    pub fn status(&self) -> Status {
        Status::clone(&self.0)
    }

    /// Whether somebody decided; otherwise the question could not be answered.
    pub fn is_decision(&self) -> bool {
        self.0.reason() == Reason::Forbidden
    }
}
