//! Mountable Secrets: Pods of an account that asks for it refer to the Secrets that the account lists, and to no others (Kubernetes
//! v1.36 plug-in `ServiceAccount`, annotation `kubernetes.io/enforce-mountable-secrets`).

use podo_api::{Value, boolean, meta, tree};

const ENFORCED: &str = "kubernetes.io/enforce-mountable-secrets";

/// Lists of containers, and what one of them is called.
pub(super) const CONTAINERS: [(&str, &str); 2] =
    [("initContainers", "init container"), ("containers", "container")];

/// The list of containers that are added later.
pub(super) const EPHEMERAL: [(&str, &str); 1] = [("ephemeralContainers", "ephemeral container")];

/// What a Pod may refer to.
pub(super) struct Mountable<'a> {
    account: &'a Value,
}

impl<'a> Mountable<'a> {
    /// The bounds that an account sets, if it does.
    pub(super) fn of(account: &'a Value) -> Option<Self> {
        let is_enforced = meta::annotation(account, ENFORCED).and_then(boolean::parse);
        is_enforced.unwrap_or(false).then_some(Self { account })
    }

    fn lists(&self, field: &str, name: &str) -> bool {
        tree::items_at(self.account, &[field]).iter().any(|it| tree::str_at(it, &["name"]) == name)
    }

    fn refused(&self, user: &str, secret: &str) -> String {
        let account = meta::name(self.account);
        format!(
            "{user} secret.secretName=\"{secret}\" is not allowed because service account {account} does not reference that secret"
        )
    }

    /// Why the volumes or pull secrets of a spec are refused.
    pub(super) fn refuse_spec(&self, spec: &Value) -> Option<String> {
        let volumes = tree::items_at(spec, &["volumes"]).iter();
        let names = volumes.filter(|volume| !tree::at(volume, &["secret"]).is_null());
        let mut names = names.map(|volume| tree::str_at(volume, &["secret", "secretName"]));
        if let Some(name) = names.find(|name| !self.lists("secrets", name)) {
            return Some(self.refused("volume with", name));
        }
        self.refuse_containers(spec, &CONTAINERS).or_else(|| self.refuse_pull_secrets(spec))
    }

    fn refuse_pull_secrets(&self, spec: &Value) -> Option<String> {
        let secrets = tree::items_at(spec, &["imagePullSecrets"]).iter().enumerate();
        let mut named = secrets.map(|(index, secret)| (index, tree::str_at(secret, &["name"])));
        let (index, name) = named.find(|(_, name)| !self.lists("imagePullSecrets", name))?;
        let account = meta::name(self.account);
        Some(format!(
            "imagePullSecrets[{index}].name=\"{name}\" is not allowed because service account {account} does not reference that imagePullSecret"
        ))
    }

    /// Why the environment of a container is refused.
    pub(super) fn refuse_containers(&self, spec: &Value, lists: &[(&str, &str)]) -> Option<String> {
        lists.iter().find_map(|(list, kind)| {
            tree::items_at(spec, &[list]).iter().find_map(|container| {
                self.refuse_environment(container, &format!("{kind} {}", name_of(container)))
            })
        })
    }

    fn refuse_environment(&self, container: &Value, shown: &str) -> Option<String> {
        for variable in tree::items_at(container, &["env"]) {
            let source = tree::at(variable, &["valueFrom", "secretKeyRef"]);
            let secret = tree::str_at(source, &["name"]);
            if !source.is_null() && !self.lists("secrets", secret) {
                let user = format!("{shown} with envVar {} referencing", name_of(variable));
                return Some(self.refused(&user, secret));
            }
        }
        for source in tree::items_at(container, &["envFrom"]) {
            let source = tree::at(source, &["secretRef"]);
            let secret = tree::str_at(source, &["name"]);
            if !source.is_null() && !self.lists("secrets", secret) {
                return Some(self.refused(&format!("{shown} with envFrom referencing"), secret));
            }
        }
        None
    }
}

/// The name of a container or variable.
fn name_of(of: &Value) -> &str {
    tree::str_at(of, &["name"])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(spec: &Value, expected: &str) {
        let account = json!({"metadata": {"name": "sa", "annotations": {ENFORCED: "true"}},
            "secrets": [{"name": "listed"}], "imagePullSecrets": [{"name": "pull"}]});
        let bounds = Mountable::of(&account).unwrap();
        let refused =
            bounds.refuse_spec(spec).or_else(|| bounds.refuse_containers(spec, &EPHEMERAL));
        assert_eq!(refused.unwrap_or_default(), expected);
    }

    #[test]
    fn only_listed_secrets_are_referred_to() {
        let env = |name: &str| json!({"name": "c", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": name}}}]});
        let from = |name: &str| json!({"name": "c", "envFrom": [{"secretRef": {"name": name}}]});
        let end = "is not allowed because service account sa does not reference that";
        check(
            &json!({"volumes": [{"secret": {"secretName": "listed"}}], "containers": [env("listed"), from("listed")],
                "imagePullSecrets": [{"name": "pull"}]}),
            "",
        );
        check(
            &json!({"volumes": [{"name": "e"}, {"secret": {"secretName": "x"}}]}),
            &format!("volume with secret.secretName=\"x\" {end} secret"),
        );
        check(
            &json!({"initContainers": [env("x")]}),
            &format!(
                "init container c with envVar A referencing secret.secretName=\"x\" {end} secret"
            ),
        );
        check(
            &json!({"containers": [from("x")]}),
            &format!("container c with envFrom referencing secret.secretName=\"x\" {end} secret"),
        );
        check(
            &json!({"ephemeralContainers": [from("x")]}),
            &format!(
                "ephemeral container c with envFrom referencing secret.secretName=\"x\" {end} secret"
            ),
        );
        check(
            &json!({"imagePullSecrets": [{"name": "listed"}]}),
            &format!("imagePullSecrets[0].name=\"listed\" {end} imagePullSecret"),
        );
        assert!(Mountable::of(&json!({"metadata": {"name": "sa"}})).is_none());
    }
}
