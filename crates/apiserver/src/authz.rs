//! May they: every request of a user is allowed here, or it is denied with the words that tell what is missing.
//!
//! The modes of Kubernetes v1.36 `--authorization-mode=Node,RBAC`, asked in this order: members of `system:masters` may do
//! everything, nodes what their Pods need ([`node`]), everybody what roles grant them ([`rbac`]). The first that allows decides;
//! none can forbid what another allows.
//!
//! Reads     the four RBAC kinds, and of Pods which node runs them.
//! Holds always
//! - A decision is made from everything that the store had committed when the question was asked: who has just got a role can
//!   use it.
//! - No object is parsed for a decision of RBAC; roles and bindings are kept compiled and follow the store's events.
//!
//! Not here: who asks ([`crate::authn`]), and what is decided by looking at the object that is written ([`crate::admission`]).

mod attributes;
mod mirror;
mod node;
mod node_pods;
pub(crate) mod pod_references;
mod rbac;
pub(crate) mod request_info;
mod volume_secrets;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use podo_base::Chain;
use podo_store::ReadError;

use crate::storage::Store;
use crate::user::User;
use mirror::Kept;
use node_pods::NodePods;

pub(crate) use attributes::{Attributes, Denial};
pub(crate) use node::node_name_of;
pub(crate) use podo_api::policy_rule::{PolicyRule as Rule, go_list};
pub(crate) use rbac::GROUP;
pub(crate) use rbac::RoleRef;
pub(crate) use rbac::{Roles, join_errors};

/// Its members may do everything, whatever roles say.
pub(crate) const MASTERS: &str = "system:masters";

/// Decides what users may do.
#[derive(Debug, Default)]
pub(crate) struct Authorizer {
    roles: Kept<Roles>,
    pods: Kept<NodePods>,
}

/// What one authorizer thinks of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Opinion {
    Allow(String),
    None(String),
}

/// An answer with its reason, as access reviews tell it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Decision {
    /// Whether it is allowed.
    pub is_allowed: bool,
    /// Why; may be empty.
    pub reason: String,
}

/// What a user may do in a namespace, as far as it can be listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct UserRules {
    /// The rules, those for resources and those for URLs.
    pub rules: Vec<Rule>,
    /// Whether there is more than can be listed.
    pub is_incomplete: bool,
    /// What went wrong with listing.
    pub error: String,
}

impl Authorizer {
    /// Whether a user may do something.
    pub(crate) fn authorize(
        &self,
        store: &Store,
        attributes: &Attributes<'_>,
    ) -> Result<(), Denial> {
        match self.decide(store, attributes, false) {
            Ok(decision) if decision.is_allowed => Ok(()),
            Ok(decision) => Err(Denial::new(attributes, &decision.reason)),
            Err(error) => Err(Denial::unreadable(&error)),
        }
    }

    /// Whether a user may do something, and why.
    pub(crate) fn review(&self, store: &Store, attributes: &Attributes<'_>) -> Decision {
        self.decide(store, attributes, true).unwrap_or_else(|error| Decision {
            is_allowed: false,
            reason: Chain(&error).to_string(),
        })
    }

    fn decide(
        &self,
        store: &Store,
        attributes: &Attributes<'_>,
        wants_reason: bool,
    ) -> Result<Decision, ReadError> {
        if attributes.user.is_in(MASTERS) {
            return Ok(Decision { is_allowed: true, reason: String::new() });
        }
        let mut reasons = Vec::new();
        if let Some(node) = node_name_of(attributes.user) {
            let opinion =
                self.pods.read(store, |pods| node::authorize(store, pods, node, attributes))?;
            match opinion {
                Opinion::Allow(reason) => return Ok(Decision { is_allowed: true, reason }),
                Opinion::None(reason) => reasons.push(reason),
            }
        }
        match self.roles.read(store, |roles| roles.authorize(attributes, wants_reason))? {
            Opinion::Allow(reason) => return Ok(Decision { is_allowed: true, reason }),
            Opinion::None(reason) => reasons.push(reason),
        }
        reasons.retain(|reason| !reason.is_empty());
        Ok(Decision { is_allowed: false, reason: reasons.join("\n") })
    }

    /// Everything that roles allow a user in a namespace.
    pub(crate) fn rules_for(
        &self,
        store: &Store,
        user: &User,
        namespace: &str,
    ) -> Result<UserRules, ReadError> {
        let (rules, errors) = self.roles.read(store, |roles| roles.rules_for(user, namespace))?;
        let mut error = join_errors(&errors);
        let is_node = node_name_of(user).is_some();
        if is_node {
            let words = "node authorizer does not support user rule resolution";
            error = join_errors(&[vec![words.to_owned()], errors.clone()].concat());
        }
        Ok(UserRules { rules, is_incomplete: is_node || !errors.is_empty(), error })
    }

    /// The rules of the role that a binding in `namespace` refers to; `None` if there is no such role.
    pub(crate) fn rules_of_role(
        &self,
        store: &Store,
        role: &RoleRef,
        namespace: &str,
    ) -> Result<Option<Vec<Rule>>, ReadError> {
        self.roles.read(store, |roles| roles.rules_of(role, namespace).map(<[Rule]>::to_vec))
    }
}
