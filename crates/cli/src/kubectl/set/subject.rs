//! `set subject`: who is bound to a role.

use std::collections::BTreeSet;

use clap::Args;
use serde_json::{Value, json};

use super::super::context::Ctx;
use super::super::create::rbac::Subjects;
use super::super::fault::{Fault, Outcome};
use super::super::select::Item;
use super::super::value::Look;
use super::{ALL_AND_SELECTOR, Common, Setter, refused_by_server, told_of};

const GROUP: &str = "rbac.authorization.k8s.io";

/// Add users, groups and service accounts to bindings
#[derive(Debug, Args)]
pub(super) struct Subject {
    /// TYPE NAME or TYPE/NAME
    words: Vec<String>,
    /// Only those with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    #[command(flatten)]
    subjects: Subjects,
    #[command(flatten)]
    common: Common,
}

impl Subject {
    pub(super) async fn run(self, ctx: &Ctx) -> Outcome {
        let setter = Setter::new(ctx, &self.common)?;
        setter.refuse_words(&self.words)?;
        let items = setter.items(&self.words, self.selector.as_deref()).await?;
        setter.refuse_local_dry_run()?;
        let wanted = self.wanted(&items, &ctx.namespace()?)?;
        let mut faults = Vec::new();
        for item in items {
            if !matches!(item.object.s("/kind"), "RoleBinding" | "ClusterRoleBinding") {
                let why = "setting subjects is only supported for RoleBinding/ClusterRoleBinding";
                faults.push(told_of(&item, why));
                continue;
            }
            let mut after = item.object.clone();
            let own = item.object.list("/subjects");
            let added = wanted.iter().filter(|subject| !own.contains(subject));
            after["subjects"] = own.iter().chain(added).cloned().collect();
            if let Err(fault) = setter.change(&item, &after, "subjects updated").await {
                faults.push(refused_by_server("failed to patch subjects to rolebinding:", fault));
            }
        }
        Fault::all(faults)
    }

    /// The subjects of the flags, sorted by kind and name.
    fn wanted(&self, items: &[Item], namespace: &str) -> Result<Vec<Value>, Fault> {
        if self.common.all && self.selector.is_some() {
            return Err(Fault::refused(ALL_AND_SELECTOR));
        }
        let Subjects { users, groups, accounts } = &self.subjects;
        if users.is_empty() && groups.is_empty() && accounts.is_empty() {
            return Err(Fault::refused(
                "you must specify at least one value of user, group or serviceaccount",
            ));
        }
        let named = |kind: &str, names: &[String]| -> Vec<Value> {
            let names: BTreeSet<&String> = names.iter().collect();
            let subject = |name| json!({"apiGroup": GROUP, "kind": kind, "name": name});
            names.into_iter().map(subject).collect()
        };
        let mut subjects = named("User", users);
        subjects.extend(named("Group", groups));
        let is_cluster = items.iter().any(|item| item.object.s("/kind") == "ClusterRoleBinding");
        for account in accounts.iter().collect::<BTreeSet<_>>() {
            let (own, name) = account
                .split_once(':')
                .filter(|(_, name)| !name.is_empty() && !name.contains(':'))
                .ok_or_else(|| Fault::refused("serviceaccount must be <namespace>:<name>"))?;
            if own.is_empty() && is_cluster {
                return Err(Fault::refused(
                    "serviceaccount must be <namespace>:<name>, namespace must be specified",
                ));
            }
            let namespace = if own.is_empty() { namespace } else { own };
            subjects.push(json!({"kind": "ServiceAccount", "name": name, "namespace": namespace}));
        }
        Ok(subjects)
    }
}
