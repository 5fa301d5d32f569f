//! Who a container runs as and what it may do: the Pod's and the container's security contexts merged, in the runtime's terms.
//!
//! Source of the rules: Kubernetes v1.36 `pkg/securitycontext` and `pkg/kubelet/kuberuntime/security_context.go`.

use std::path::Path;

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_cri::{MASKED_PATHS, READ_ONLY_PATHS, v1};

use super::user_namespace::IdRange;
use crate::pod::{PodView, Role};

/// Why a container's security context cannot be had. The texts are upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SecurityError {
    /// The spec says root.
    #[error("container's runAsUser breaks non-root policy (pod: {pod:?}, container: {container})")]
    RunsAsRoot {
        /// The Pod's full name.
        pod: String,
        /// The container's name.
        container: String,
    },
    /// The image says root.
    #[error(
        "container has runAsNonRoot and image will run as root (pod: {pod:?}, container: {container})"
    )]
    ImageRunsAsRoot {
        /// The Pod's full name.
        pod: String,
        /// The container's name.
        container: String,
    },
    /// The image's user may be root.
    #[error(
        "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root (pod: {pod:?}, container: {container})"
    )]
    ImageUserUnknown {
        /// The image's user.
        user: String,
        /// The Pod's full name.
        pod: String,
        /// The container's name.
        container: String,
    },
    /// A profile of the node without its name: an empty name must not mean no profile (CVE-2023-2431).
    #[error("localhostProfile must be set if seccompProfile type is Localhost.")]
    SeccompWithoutProfile,
    /// A profile that would be outside of the node's profiles.
    #[error("seccomp profile {0:?} is outside of the node's profiles")]
    SeccompOutside(String),
}

/// As whom an image wants to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ImageUser {
    /// By number.
    pub(crate) uid: Option<i64>,
    /// By name.
    pub(crate) name: String,
}

/// What else a security context is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SecurityInput<'a> {
    /// As whom the image wants to run.
    pub(crate) image_user: &'a ImageUser,
    /// The container whose processes an ephemeral one sees; empty if none.
    pub(crate) target_id: &'a str,
    /// The Pod's range of user ids, if it has a user namespace.
    pub(crate) id_range: Option<IdRange>,
    /// Where the node's seccomp profiles are.
    pub(crate) seccomp_root: &'a Path,
    /// Whether containers that say nothing get the runtime's default profile.
    pub(crate) is_seccomp_default: bool,
}

/// The container's and the Pod's contexts, the container's going first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Effective {
    pub(crate) user: Option<i64>,
    pub(crate) group: Option<i64>,
    pub(crate) must_not_be_root: bool,
}

/// Merges the parts that both contexts have.
pub(crate) fn effective(pod: &PodView, container: &k8s::Container) -> Effective {
    let of_pod = pod.spec.security_context.as_ref();
    let own = container.security_context.as_ref();
    let either = |from_own: Option<i64>, from_pod: Option<i64>| from_own.or(from_pod);
    Effective {
        user: either(own.and_then(|own| own.run_as_user), of_pod.and_then(|all| all.run_as_user)),
        group: either(
            own.and_then(|own| own.run_as_group),
            of_pod.and_then(|all| all.run_as_group),
        ),
        must_not_be_root: own
            .and_then(|own| own.run_as_non_root)
            .or_else(|| of_pod.and_then(|all| all.run_as_non_root))
            .unwrap_or(false),
    }
}

/// The user that all containers of a Pod run as; `None` if they differ or do not say. Files of tokens belong to that user.
pub(crate) fn common_user(pod: &PodView) -> Option<i64> {
    let mut users = pod.containers().map(|(_, container)| effective(pod, container).user);
    let first = users.next()??;
    users.all(|user| user == Some(first)).then_some(first)
}

/// The security context of a container.
pub(crate) fn of_container(
    pod: &PodView,
    role: Role,
    container: &k8s::Container,
    input: SecurityInput<'_>,
) -> Result<v1::LinuxContainerSecurityContext, SecurityError> {
    let effective = effective(pod, container);
    verify_non_root(pod, container, &effective, input.image_user)?;
    let own = container.security_context.as_ref();
    let is_privileged = own.and_then(|own| own.privileged) == Some(true);
    let (run_as_user, run_as_username) = match (effective.user, input.image_user.uid) {
        (Some(uid), _) | (None, Some(uid)) => (Some(uid), String::new()),
        (None, None) => (None, input.image_user.name.clone()),
    };
    // The kernel's settings are the host's wherever root inside is root outside.
    let is_unmasked = own.and_then(|own| own.proc_mount.as_deref()) == Some("Unmasked")
        && input.id_range.is_some();
    let paths = |list: &[&str]| -> Vec<String> {
        if is_unmasked { Vec::new() } else { list.iter().map(|path| (*path).to_owned()).collect() }
    };
    let groups = supplemental_groups(pod);
    Ok(v1::LinuxContainerSecurityContext {
        capabilities: own.and_then(|own| own.capabilities.as_ref()).map(capabilities),
        privileged: is_privileged,
        namespace_options: Some(namespaces(pod, role, input.target_id, input.id_range)),
        selinux_options: selinux(pod, own),
        run_as_user: run_as_user.map(int64),
        run_as_group: effective.group.map(int64),
        run_as_username,
        readonly_rootfs: own.and_then(|own| own.read_only_root_filesystem) == Some(true),
        supplemental_groups: groups,
        supplemental_groups_policy: groups_policy(pod),
        no_new_privs: own.and_then(|own| own.allow_privilege_escalation) == Some(false),
        masked_paths: paths(MASKED_PATHS),
        readonly_paths: paths(READ_ONLY_PATHS),
        seccomp: Some(seccomp(pod, own, is_privileged, input)?),
        apparmor: apparmor(pod, own),
    })
}

/// The security context of a Pod's sandbox.
pub(crate) fn of_sandbox(
    pod: &PodView,
    seccomp_root: &Path,
    id_range: Option<IdRange>,
) -> Result<v1::LinuxSandboxSecurityContext, SecurityError> {
    let of_pod = pod.spec.security_context.as_ref();
    let input = SecurityInput {
        image_user: &ImageUser::default(),
        target_id: "",
        id_range,
        seccomp_root,
        is_seccomp_default: true,
    };
    let is_privileged = pod.containers().any(|(_, container)| {
        container.security_context.as_ref().and_then(|own| own.privileged) == Some(true)
    });
    Ok(v1::LinuxSandboxSecurityContext {
        namespace_options: Some(namespaces(pod, Role::Main, "", id_range)),
        selinux_options: selinux(pod, None),
        run_as_user: of_pod.and_then(|all| all.run_as_user).map(int64),
        run_as_group: of_pod.and_then(|all| all.run_as_group).map(int64),
        readonly_rootfs: true,
        supplemental_groups: supplemental_groups(pod),
        supplemental_groups_policy: groups_policy(pod),
        privileged: is_privileged,
        seccomp: Some(seccomp(pod, None, false, input)?),
        apparmor: None,
    })
}

fn int64(value: i64) -> v1::Int64Value {
    v1::Int64Value { value }
}

fn verify_non_root(
    pod: &PodView,
    container: &k8s::Container,
    effective: &Effective,
    image_user: &ImageUser,
) -> Result<(), SecurityError> {
    if !effective.must_not_be_root {
        return Ok(());
    }
    let (pod, container) = (pod.full_name(), container.name.clone());
    match (effective.user, image_user.uid) {
        (Some(0), _) => Err(SecurityError::RunsAsRoot { pod, container }),
        (None, Some(0)) => Err(SecurityError::ImageRunsAsRoot { pod, container }),
        (Some(_), _) | (None, Some(_)) => Ok(()),
        (None, None) if image_user.name.is_empty() => {
            Err(SecurityError::ImageRunsAsRoot { pod, container })
        }
        (None, None) => {
            let user = image_user.name.clone();
            Err(SecurityError::ImageUserUnknown { user, pod, container })
        }
    }
}

fn capabilities(from: &k8s::Capabilities) -> v1::Capability {
    v1::Capability {
        add_capabilities: from.add.clone().unwrap_or_default(),
        drop_capabilities: from.drop.clone().unwrap_or_default(),
        add_ambient_capabilities: Vec::new(),
    }
}

/// What of the Pod, the node or the container a container's namespaces are.
pub(crate) fn namespaces(
    pod: &PodView,
    role: Role,
    target_id: &str,
    id_range: Option<IdRange>,
) -> v1::NamespaceOption {
    let mode = |is_host: bool, otherwise: v1::NamespaceMode| {
        if is_host { v1::NamespaceMode::Node } else { otherwise }
    };
    let own_pid = if pod.spec.share_process_namespace == Some(true) {
        v1::NamespaceMode::Pod
    } else {
        v1::NamespaceMode::Container
    };
    let mut pid = mode(pod.spec.host_pid == Some(true), own_pid);
    let has_target = role == Role::Ephemeral && !target_id.is_empty();
    if has_target && pid == v1::NamespaceMode::Container {
        pid = v1::NamespaceMode::Target;
    }
    v1::NamespaceOption {
        network: mode(pod.is_host_network(), v1::NamespaceMode::Pod).into(),
        pid: pid.into(),
        ipc: mode(pod.spec.host_ipc == Some(true), v1::NamespaceMode::Pod).into(),
        target_id: if has_target { target_id.to_owned() } else { String::new() },
        userns_options: Some(match id_range {
            Some(range) => v1::UserNamespace {
                mode: v1::NamespaceMode::Pod.into(),
                uids: range.mappings(),
                gids: range.mappings(),
            },
            None => v1::UserNamespace {
                mode: v1::NamespaceMode::Node.into(),
                ..v1::UserNamespace::default()
            },
        }),
    }
}

fn supplemental_groups(pod: &PodView) -> Vec<i64> {
    let Some(all) = &pod.spec.security_context else { return Vec::new() };
    all.fs_group.into_iter().chain(all.supplemental_groups.iter().flatten().copied()).collect()
}

fn groups_policy(pod: &PodView) -> i32 {
    let all = pod.spec.security_context.as_ref();
    match all.and_then(|all| all.supplemental_groups_policy.as_deref()) {
        Some("Strict") => v1::SupplementalGroupsPolicy::Strict.into(),
        _ => v1::SupplementalGroupsPolicy::Merge.into(),
    }
}

fn selinux(pod: &PodView, own: Option<&k8s::SecurityContext>) -> Option<v1::SeLinuxOption> {
    let of_pod = pod.spec.security_context.as_ref().and_then(|all| all.se_linux_options.as_ref());
    let from = own.and_then(|own| own.se_linux_options.as_ref()).or(of_pod)?;
    Some(v1::SeLinuxOption {
        user: from.user.clone().unwrap_or_default(),
        role: from.role.clone().unwrap_or_default(),
        r#type: from.type_.clone().unwrap_or_default(),
        level: from.level.clone().unwrap_or_default(),
    })
}

fn seccomp(
    pod: &PodView,
    own: Option<&k8s::SecurityContext>,
    is_privileged: bool,
    input: SecurityInput<'_>,
) -> Result<v1::SecurityProfile, SecurityError> {
    let of_pod = pod.spec.security_context.as_ref().and_then(|all| all.seccomp_profile.as_ref());
    let from = own.and_then(|own| own.seccomp_profile.as_ref()).or(of_pod);
    let plain = |profile_type: v1::ProfileType| v1::SecurityProfile {
        profile_type: profile_type.into(),
        localhost_ref: String::new(),
    };
    if is_privileged {
        return Ok(plain(v1::ProfileType::Unconfined));
    }
    Ok(match from.map(|profile| (profile.type_.as_str(), profile.localhost_profile.as_deref())) {
        Some(("Localhost", None | Some(""))) => return Err(SecurityError::SeccompWithoutProfile),
        Some(("Localhost", Some(name))) => {
            let is_below = Path::new(name)
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_)));
            if !is_below {
                return Err(SecurityError::SeccompOutside(name.to_owned()));
            }
            v1::SecurityProfile {
                profile_type: v1::ProfileType::Localhost.into(),
                localhost_ref: input.seccomp_root.join(name).to_string_lossy().into_owned(),
            }
        }
        Some(("RuntimeDefault", _)) => plain(v1::ProfileType::RuntimeDefault),
        None if input.is_seccomp_default => plain(v1::ProfileType::RuntimeDefault),
        _ => plain(v1::ProfileType::Unconfined),
    })
}

fn apparmor(pod: &PodView, own: Option<&k8s::SecurityContext>) -> Option<v1::SecurityProfile> {
    let of_pod = pod.spec.security_context.as_ref().and_then(|all| all.app_armor_profile.as_ref());
    let from = own.and_then(|own| own.app_armor_profile.as_ref()).or(of_pod)?;
    let profile_type = match from.type_.as_str() {
        "RuntimeDefault" => v1::ProfileType::RuntimeDefault,
        "Localhost" => v1::ProfileType::Localhost,
        _ => v1::ProfileType::Unconfined,
    };
    Some(v1::SecurityProfile {
        profile_type: profile_type.into(),
        localhost_ref: from.localhost_profile.clone().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(
        of_pod: Value,
        own: Value,
        image_user: &ImageUser,
    ) -> Result<v1::LinuxContainerSecurityContext, String> {
        let pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {
            "securityContext": of_pod, "containers": [{"name": "c", "securityContext": own}]}});
        let pod = PodView::new(serde_json::from_value(pod).expect("a Pod"));
        let input = SecurityInput {
            image_user,
            target_id: "",
            id_range: None,
            seccomp_root: Path::new("/seccomp"),
            is_seccomp_default: false,
        };
        of_container(&pod, Role::Main, &pod.spec.containers[0], input)
            .map_err(|error| error.to_string())
    }

    fn image(uid: Option<i64>, name: &str) -> ImageUser {
        ImageUser { uid, name: name.to_owned() }
    }

    #[test]
    fn the_containers_context_goes_before_the_pods() {
        let of_pod = json!({"runAsUser": 1000, "runAsGroup": 1001, "fsGroup": 2000,
            "supplementalGroups": [3000], "seccompProfile": {"type": "RuntimeDefault"}});
        let own = json!({"runAsUser": 7, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}});
        let found = check(of_pod, own, &image(Some(0), "")).expect("a context");
        assert_eq!(found.run_as_user, Some(int64(7)));
        assert_eq!(found.run_as_group, Some(int64(1001)));
        assert_eq!(found.supplemental_groups, [2000, 3000]);
        assert!(found.no_new_privs && found.readonly_rootfs);
        let seccomp = found.seccomp.expect("a profile").profile_type;
        assert_eq!(seccomp, i32::from(v1::ProfileType::RuntimeDefault));
        assert_eq!(found.capabilities.expect("given").drop_capabilities, ["ALL"]);
    }

    #[test]
    fn who_must_not_be_root_is_checked_by_number() {
        let strict = || json!({"runAsNonRoot": true});
        let none = || json!({});
        let text = |result: Result<_, String>| result.map(|_| ()).unwrap_or_else_text();
        assert_eq!(
            text(check(strict(), none(), &image(Some(0), ""))),
            "container has runAsNonRoot and image will run as root (pod: \"p_n(u)\", container: c)"
        );
        assert_eq!(
            text(check(strict(), none(), &image(None, "web"))),
            "container has runAsNonRoot and image has non-numeric user (web), cannot verify user is non-root (pod: \"p_n(u)\", container: c)"
        );
        assert_eq!(
            text(check(strict(), json!({"runAsUser": 0}), &image(Some(5), ""))),
            "container's runAsUser breaks non-root policy (pod: \"p_n(u)\", container: c)"
        );
        assert_eq!(text(check(strict(), none(), &image(Some(5), ""))), "");
        assert_eq!(text(check(strict(), json!({"runAsNonRoot": false}), &image(Some(0), ""))), "");
    }

    trait OrText {
        fn unwrap_or_else_text(self) -> String;
    }

    impl OrText for Result<(), String> {
        fn unwrap_or_else_text(self) -> String {
            self.err().unwrap_or_default()
        }
    }

    #[test]
    fn a_profile_of_the_node_must_have_a_name_below_the_root() {
        let own = |name: Value| json!({"seccompProfile": {"type": "Localhost", "localhostProfile": name}});
        let user = image(Some(0), "");
        assert!(check(json!({}), own(json!("")), &user).is_err());
        assert!(check(json!({}), own(json!("../x")), &user).is_err());
        let found = check(json!({}), own(json!("a/b.json")), &user).expect("a context");
        assert_eq!(found.seccomp.expect("a profile").localhost_ref, "/seccomp/a/b.json");
    }
}
