//! What a profile makes of a Pod for debugging: the rights of the container, and what of the Pod is left away.

use clap::Args;
use serde_json::{Value, json};

use super::super::fault::Fault;
use super::super::value::{at_mut, object_mut};

/// How a Pod is made for debugging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// A Pod on a node.
    Node,
    /// A copy of a Pod.
    Copy,
    /// A container in a Pod that is there.
    Beside,
}

/// What a copy of a Pod keeps.
#[derive(Debug, Clone, Args)]
pub(super) struct Keep {
    /// With --copy-to: keep labels
    #[arg(long)]
    keep_labels: bool,
    /// With --copy-to: keep annotations
    #[arg(long)]
    keep_annotations: bool,
    /// With --copy-to: keep liveness probes
    #[arg(long)]
    keep_liveness: bool,
    /// With --copy-to: keep readiness probes
    #[arg(long)]
    keep_readiness: bool,
    /// With --copy-to: keep startup probes
    #[arg(long)]
    keep_startup: bool,
    /// With --copy-to: keep init containers
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    keep_init_containers: bool,
}

/// The profiles of kubectl v1.36.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Profile {
    Legacy,
    General,
    Baseline,
    Restricted,
    Netadmin,
    Sysadmin,
}

impl Profile {
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        Ok(match text {
            "legacy" => Self::Legacy,
            "general" => Self::General,
            "baseline" => Self::Baseline,
            "restricted" => Self::Restricted,
            "netadmin" => Self::Netadmin,
            "sysadmin" => Self::Sysadmin,
            other => return Err(Fault::refused(format!("unknown profile: {other}"))),
        })
    }

    /// Gives a container of a Pod its rights, and the Pod its shape.
    pub(super) fn apply(self, keep: &Keep, pod: &mut Value, name: &str, style: Style) {
        if let Some(container) = container_mut(pod, name) {
            self.secure(container, style);
        }
        let is_private = matches!(self, Self::Baseline | Self::Restricted);
        match style {
            Style::Node if !is_private => {
                for field in ["hostNetwork", "hostPID", "hostIPC"] {
                    at_mut(pod, &["spec"])[field] = true.into();
                }
                if self != Self::Netadmin {
                    mount_root(pod, name);
                }
            }
            Style::Copy if self == Self::Legacy => remove(pod, &["metadata"], "labels"),
            Style::Copy => {
                keep.strip(pod);
                let share = at_mut(pod, &["spec", "shareProcessNamespace"]);
                if share.is_null() {
                    *share = true.into();
                }
            }
            Style::Node | Style::Beside => {}
        }
    }

    fn secure(self, container: &mut Value, style: Style) {
        match self {
            Self::Legacy => {}
            Self::General if style == Style::Node => remove(container, &[], "securityContext"),
            Self::General => add_capabilities(container, &["SYS_PTRACE"]),
            Self::Baseline => remove(container, &[], "securityContext"),
            Self::Restricted => {
                container["securityContext"] = json!({
                    "runAsNonRoot": true,
                    "capabilities": {"drop": ["ALL"]},
                    "allowPrivilegeEscalation": false,
                    "seccompProfile": {"type": "RuntimeDefault"},
                });
            }
            Self::Netadmin => add_capabilities(container, &["NET_ADMIN", "NET_RAW"]),
            Self::Sysadmin => {
                at_mut(container, &["securityContext"])["privileged"] = true.into();
            }
        }
    }
}

impl Keep {
    fn strip(&self, pod: &mut Value) {
        let fields = [(self.keep_labels, "labels"), (self.keep_annotations, "annotations")];
        for (_, field) in fields.iter().filter(|(is_kept, _)| !is_kept) {
            remove(pod, &["metadata"], field);
        }
        let probes = [
            (self.keep_liveness, "livenessProbe"),
            (self.keep_readiness, "readinessProbe"),
            (self.keep_startup, "startupProbe"),
        ];
        for container in pod["spec"]["containers"].as_array_mut().into_iter().flatten() {
            for (_, field) in probes.iter().filter(|(is_kept, _)| !is_kept) {
                remove(container, &[], field);
            }
        }
        if !self.keep_init_containers {
            remove(pod, &["spec"], "initContainers");
        }
    }
}

/// The first container of a name, of whatever sort.
pub(super) fn container_mut<'a>(pod: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    let spec = pod.get_mut("spec")?;
    let groups = ["initContainers", "containers", "ephemeralContainers"];
    let has = |spec: &Value, group: &str| {
        let mut all = spec[group].as_array().into_iter().flatten();
        all.any(|container| container["name"] == name)
    };
    let group = groups.into_iter().find(|group| has(spec, group))?;
    spec[group].as_array_mut()?.iter_mut().find(|container| container["name"] == name)
}

fn add_capabilities(container: &mut Value, names: &[&str]) {
    let added = at_mut(container, &["securityContext", "capabilities", "add"]);
    let mut all = added.as_array().cloned().unwrap_or_default();
    all.extend(names.iter().map(|name| Value::from(*name)));
    *added = all.into();
}

fn mount_root(pod: &mut Value, name: &str) {
    const VOLUME: &str = "host-root";
    at_mut(pod, &["spec"])["volumes"] = json!([{"name": VOLUME, "hostPath": {"path": "/"}}]);
    if let Some(container) = container_mut(pod, name) {
        container["volumeMounts"] = json!([{"mountPath": "/host", "name": VOLUME}]);
    }
}

fn remove(value: &mut Value, path: &[&str], field: &str) {
    object_mut(at_mut(value, path)).remove(field);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_loses_what_is_not_kept() {
        let keep = Keep {
            keep_labels: true,
            keep_annotations: false,
            keep_liveness: false,
            keep_readiness: true,
            keep_startup: false,
            keep_init_containers: false,
        };
        let mut pod = json!({
            "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
            "spec": {
                "initContainers": [{"name": "i"}],
                "containers": [{"name": "x", "livenessProbe": {}, "readinessProbe": {}}],
            },
        });
        Profile::General.apply(&keep, &mut pod, "x", Style::Copy);
        assert_eq!(
            pod,
            json!({
                "metadata": {"labels": {"a": "b"}},
                "spec": {
                    "containers": [{
                        "name": "x", "readinessProbe": {},
                        "securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}},
                    }],
                    "shareProcessNamespace": true,
                },
            })
        );
    }
}
