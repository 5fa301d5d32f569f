//! Questions that everybody asks of a Pod's spec: its containers in order, who is a sidecar, what is restarted, its QoS class.
//!
//! Pure: Kubernetes v1.36 `pkg/api/v1/pod` and `pkg/kubelet/container` are the source of the rules.

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_api::k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use podo_api::quantity::Quantity;

/// What kind of container of a Pod it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Runs to success before the next begins.
    Init,
    /// An init container with `restartPolicy: Always`: starts in order and stays.
    Sidecar,
    /// An ordinary container.
    Main,
    /// Added to a running Pod.
    Ephemeral,
}

impl Role {
    /// The field of the spec that such a container stands in.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::Init | Self::Sidecar => "spec.initContainers",
            Self::Main => "spec.containers",
            Self::Ephemeral => "spec.ephemeralContainers",
        }
    }
}

/// When a container that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    /// Always.
    Always,
    /// If it failed.
    OnFailure,
    /// Never.
    Never,
}

impl RestartPolicy {
    fn parse(text: Option<&str>) -> Self {
        match text {
            Some("Never") => Self::Never,
            Some("OnFailure") => Self::OnFailure,
            _ => Self::Always,
        }
    }
}

/// The Pod's service class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QosClass {
    /// Limits equal requests everywhere.
    Guaranteed,
    /// Something is asked for.
    Burstable,
    /// Nothing is asked for.
    BestEffort,
}

impl QosClass {
    /// The name on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }
}

/// A Pod with its spec at hand.
#[derive(Debug, Clone)]
pub(crate) struct PodView {
    /// The Pod.
    pub(crate) pod: k8s::Pod,
    /// Its spec; empty if it has none.
    pub(crate) spec: k8s::PodSpec,
    /// Its ephemeral containers as containers.
    ephemeral: Vec<k8s::Container>,
}

impl PodView {
    /// The view of a Pod.
    pub(crate) fn new(mut pod: k8s::Pod) -> Self {
        let spec = pod.spec.take().unwrap_or_default();
        let ephemeral =
            spec.ephemeral_containers.iter().flatten().map(ephemeral_as_container).collect();
        Self { pod, spec, ephemeral }
    }

    /// The name.
    pub(crate) fn name(&self) -> &str {
        self.pod.metadata.name.as_deref().unwrap_or_default()
    }

    /// The namespace.
    pub(crate) fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// The UID.
    pub(crate) fn uid(&self) -> &str {
        self.pod.metadata.uid.as_deref().unwrap_or_default()
    }

    /// The generation of the spec.
    pub(crate) fn generation(&self) -> Option<i64> {
        self.pod.metadata.generation
    }

    /// `name_namespace(uid)`, as messages name a Pod.
    pub(crate) fn full_name(&self) -> String {
        format!("{}_{}({})", self.name(), self.namespace(), self.uid())
    }

    /// Whether its deletion was asked for.
    pub(crate) fn is_deleting(&self) -> bool {
        self.pod.metadata.deletion_timestamp.is_some()
    }

    /// The status that the object carries.
    pub(crate) fn status(&self) -> Option<&k8s::PodStatus> {
        self.pod.status.as_ref()
    }

    /// The phase that the object carries.
    pub(crate) fn phase(&self) -> &str {
        self.status().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
    }

    /// Whether the object says that all is over.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self.phase(), "Succeeded" | "Failed")
    }

    /// The grace period: that of the deletion, else the spec's, in seconds.
    pub(crate) fn grace_seconds(&self) -> i64 {
        let deletion = self.pod.metadata.deletion_grace_period_seconds;
        deletion.or(self.spec.termination_grace_period_seconds).unwrap_or(30).max(1)
    }

    /// Whether it uses the host's network.
    pub(crate) fn is_host_network(&self) -> bool {
        self.spec.host_network == Some(true)
    }

    /// Whether its users are not the host's.
    pub(crate) fn has_user_namespace(&self) -> bool {
        self.spec.host_users == Some(false)
    }

    /// The init containers.
    pub(crate) fn init_containers(&self) -> &[k8s::Container] {
        self.spec.init_containers.as_deref().unwrap_or_default()
    }

    /// The ephemeral containers.
    pub(crate) fn ephemeral_containers(&self) -> &[k8s::Container] {
        &self.ephemeral
    }

    /// All containers with their roles: init containers, then main ones, then ephemeral ones, each in the spec's order.
    pub(crate) fn containers(&self) -> impl Iterator<Item = (Role, &k8s::Container)> {
        let init = self.init_containers().iter().map(|container| (init_role(container), container));
        let main = self.spec.containers.iter().map(|container| (Role::Main, container));
        init.chain(main).chain(self.ephemeral.iter().map(|container| (Role::Ephemeral, container)))
    }

    /// A container by name.
    pub(crate) fn container(&self, name: &str) -> Option<(Role, &k8s::Container)> {
        self.containers().find(|(_, container)| container.name == name)
    }

    /// The Pod's restart policy.
    pub(crate) fn restart_policy(&self) -> RestartPolicy {
        RestartPolicy::parse(self.spec.restart_policy.as_deref())
    }

    /// Whether a container that ended with this code is started again.
    ///
    /// Restart rules of a container come first, then its own policy, then the Pod's (KEP-5307).
    pub(crate) fn restarts(&self, role: Role, container: &k8s::Container, exit_code: i32) -> bool {
        match role {
            Role::Sidecar => return true,
            Role::Ephemeral => return false,
            Role::Init | Role::Main => {}
        }
        if let Some("Restart" | "RestartAllContainers") = ruled_action(container, exit_code) {
            return true;
        }
        let policy = match container.restart_policy.as_deref() {
            Some(own) => RestartPolicy::parse(Some(own)),
            None => self.restart_policy(),
        };
        match (role, policy) {
            (_, RestartPolicy::Never) => false,
            (Role::Init, _) | (_, RestartPolicy::OnFailure) => exit_code != 0,
            (_, RestartPolicy::Always) => true,
        }
    }

    /// The service class: the one that the object carries, else computed.
    pub(crate) fn qos_class(&self) -> QosClass {
        match self.status().and_then(|status| status.qos_class.as_deref()) {
            Some("Guaranteed") => QosClass::Guaranteed,
            Some("Burstable") => QosClass::Burstable,
            Some("BestEffort") => QosClass::BestEffort,
            _ => qos_class(&self.spec),
        }
    }

    /// A volume by name.
    pub(crate) fn volume(&self, name: &str) -> Option<&k8s::Volume> {
        self.spec.volumes.iter().flatten().find(|volume| volume.name == name)
    }
}

/// What the first rule says that an end matches.
fn ruled_action(container: &k8s::Container, exit_code: i32) -> Option<&str> {
    let matches = |rule: &&k8s::ContainerRestartRule| {
        let Some(codes) = &rule.exit_codes else { return false };
        let is_listed = codes.values.iter().flatten().any(|code| *code == exit_code);
        match codes.operator.as_str() {
            "In" => is_listed,
            "NotIn" => !is_listed,
            _ => false,
        }
    };
    let mut rules = container.restart_policy_rules.iter().flatten();
    rules.find(matches).map(|rule| rule.action.as_str())
}

/// Whether a container that ended so wants all containers of its Pod to be started anew.
pub(crate) fn asks_for_all(container: &k8s::Container, exit_code: i32) -> bool {
    ruled_action(container, exit_code) == Some("RestartAllContainers")
}

/// The role of an init container.
pub(crate) fn init_role(container: &k8s::Container) -> Role {
    if container.restart_policy.as_deref() == Some("Always") { Role::Sidecar } else { Role::Init }
}

fn ephemeral_as_container(from: &k8s::EphemeralContainer) -> k8s::Container {
    k8s::Container {
        name: from.name.clone(),
        image: from.image.clone(),
        command: from.command.clone(),
        args: from.args.clone(),
        working_dir: from.working_dir.clone(),
        env: from.env.clone(),
        env_from: from.env_from.clone(),
        volume_mounts: from.volume_mounts.clone(),
        image_pull_policy: from.image_pull_policy.clone(),
        security_context: from.security_context.clone(),
        stdin: from.stdin,
        stdin_once: from.stdin_once,
        tty: from.tty,
        termination_message_path: from.termination_message_path.clone(),
        termination_message_policy: from.termination_message_policy.clone(),
        ..k8s::Container::default()
    }
}

/// Reads a quantity; nothing if it is malformed, which the API server refuses.
pub(crate) fn quantity(text: &Text) -> Quantity {
    text.0.parse().unwrap_or(Quantity::ZERO)
}

type Amounts = std::collections::BTreeMap<String, Text>;

/// An amount in a list of resources; `None` if it is not set.
pub(crate) fn amount(list: Option<&Amounts>, name: &str) -> Option<Quantity> {
    list?.get(name).map(quantity)
}

/// What a container asks for, the limit standing in for a missing request.
pub(crate) fn request(container: &k8s::Container, name: &str) -> Quantity {
    let Some(resources) = &container.resources else { return Quantity::ZERO };
    amount(resources.requests.as_ref(), name)
        .or_else(|| amount(resources.limits.as_ref(), name))
        .unwrap_or(Quantity::ZERO)
}

/// A container's limit; `None` if it has none.
pub(crate) fn limit(container: &k8s::Container, name: &str) -> Option<Quantity> {
    amount(container.resources.as_ref()?.limits.as_ref(), name).filter(|limit| !limit.is_zero())
}

/// What a Pod asks for in all: the greater of its main containers with sidecars and of the init container that needs most, and the
/// overhead; what `spec.resources` says comes first.
pub(crate) fn pod_request(spec: &k8s::PodSpec, name: &str) -> Quantity {
    let pod_level = spec.resources.as_ref().and_then(|all| amount(all.requests.as_ref(), name));
    let wanted = pod_level.unwrap_or_else(|| containers_request(spec, name));
    let overhead = amount(spec.overhead.as_ref(), name).unwrap_or(Quantity::ZERO);
    wanted.add(&overhead)
}

/// What a Pod's containers ask for in all.
pub(crate) fn containers_request(spec: &k8s::PodSpec, name: &str) -> Quantity {
    sum_containers(spec, |container| request(container, name))
}

/// The limit that a Pod's own resources set.
pub(crate) fn pod_level_limit(spec: &k8s::PodSpec, name: &str) -> Option<Quantity> {
    amount(spec.resources.as_ref()?.limits.as_ref(), name)
}

/// A Pod's limit in all; `None` if a container has none.
pub(crate) fn pod_limit(spec: &k8s::PodSpec, name: &str) -> Option<Quantity> {
    let pod_level = pod_level_limit(spec, name);
    if pod_level.is_some() {
        return pod_level;
    }
    let mut containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    if containers.any(|container| limit(container, name).is_none()) {
        return None;
    }
    Some(sum_containers(spec, |container| limit(container, name).unwrap_or(Quantity::ZERO)))
}

fn sum_containers(spec: &k8s::PodSpec, of: impl Fn(&k8s::Container) -> Quantity) -> Quantity {
    let mut peak = Quantity::ZERO;
    let mut sidecars = Quantity::ZERO;
    for container in spec.init_containers.iter().flatten() {
        let with_sidecars = sidecars.add(&of(container));
        if init_role(container) == Role::Sidecar {
            sidecars = with_sidecars.clone();
        }
        if with_sidecars > peak {
            peak = with_sidecars;
        }
    }
    let main = spec.containers.iter().fold(sidecars, |sum, container| sum.add(&of(container)));
    if main > peak { main } else { peak }
}

/// The service class of a spec.
pub(crate) fn qos_class(spec: &k8s::PodSpec) -> QosClass {
    let parts: Vec<_> = match &spec.resources {
        Some(all) if all.requests.is_some() || all.limits.is_some() => vec![Some(all)],
        _ => {
            let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
            containers.map(|container| container.resources.as_ref()).collect()
        }
    };
    let mut asks = false;
    let mut is_guaranteed = true;
    for resources in parts {
        for name in ["cpu", "memory"] {
            let limits = resources.and_then(|all| amount(all.limits.as_ref(), name));
            let requests = resources.and_then(|all| amount(all.requests.as_ref(), name));
            let limit = limits.filter(|limit| !limit.is_zero());
            let request = requests.or_else(|| limit.clone()).filter(|request| !request.is_zero());
            asks |= limit.is_some() || request.is_some();
            is_guaranteed &= limit.is_some() && limit == request;
        }
    }
    match (asks, is_guaranteed) {
        (false, _) => QosClass::BestEffort,
        (true, true) => QosClass::Guaranteed,
        (true, false) => QosClass::Burstable,
    }
}

#[cfg(test)]
mod tests;
