//! The user: who somebody is to authorization, admission and whoever notes what was done.
//!
//! Not here: how a user is found by what a request shows ([`crate::authn`]).

use std::collections::BTreeMap;

use podo_api::names;

/// Everybody who has shown who it is.
const AUTHENTICATED: &str = "system:authenticated";

/// Everybody else.
const UNAUTHENTICATED: &str = "system:unauthenticated";

/// The user who has not shown who it is.
const ANONYMOUS: &str = "system:anonymous";

/// What tells apart the credentials of one user (KEP-3257).
pub(crate) const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// A user as authorization and admission see it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// The name, such as `system:serviceaccount:default:web`.
    pub name: String,
    /// The UID; empty where there is none.
    pub uid: String,
    /// The groups.
    pub groups: Vec<String>,
    /// What else is known.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// Nobody in particular.
    pub fn anonymous() -> Self {
        Self {
            name: ANONYMOUS.to_owned(),
            groups: vec![UNAUTHENTICATED.to_owned()],
            ..Self::default()
        }
    }

    /// A user who has shown who it is: a member of `system:authenticated` besides `groups`.
    pub fn authenticated(name: impl Into<String>, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        Self { name: name.into(), groups, ..Self::default() }.with_authenticated()
    }

    /// Whether the user is in a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|known| known == group)
    }

    /// The only value of something else that is known.
    pub(crate) fn extra(&self, key: &str) -> Option<&str> {
        match self.extra.get(key)?.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// The same user with the group that follows from its having been recognized.
    pub(crate) fn with_authenticated(mut self) -> Self {
        if self.name == ANONYMOUS {
            self.join(UNAUTHENTICATED);
        } else if !self.is_in(UNAUTHENTICATED) {
            self.join(AUTHENTICATED);
        }
        self
    }

    fn join(&mut self, group: &str) {
        if !self.is_in(group) {
            self.groups.push(group.to_owned());
        }
    }
}

/// The user name of a service account.
pub(crate) fn service_account_user_name(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

/// The groups of a service account, without `system:authenticated`.
pub(crate) fn service_account_groups(namespace: &str) -> [String; 2] {
    ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]
}

/// Namespace and name of the service account whose user name this is.
pub(crate) fn split_service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    let is_valid =
        names::dns1123_label(namespace).is_empty() && names::dns1123_subdomain(name).is_empty();
    is_valid.then_some((namespace, name))
}
