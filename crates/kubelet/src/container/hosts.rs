//! `/etc/hosts` of a Pod, and its host name (Kubernetes v1.36 `pkg/kubelet/kubelet_pods.go`).

use std::fmt::Write as _;

use podo_api::k8s_openapi::api::core::v1 as k8s;

use crate::pod::PodView;

/// The longest host name that Linux takes.
const HOST_NAME_BYTES_MAX: usize = 64;

/// The longest label of a domain name.
const LABEL_BYTES_MAX: usize = 63;

/// A Pod's host name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostName {
    /// What `hostname` says.
    pub(crate) name: String,
    /// The domain that the name stands in; empty if none.
    pub(crate) domain: String,
    /// What the kernel is told: the name, or all of it with `setHostnameAsFQDN`.
    pub(crate) kernel_name: String,
}

/// The host name is longer than the kernel takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Failed to construct FQDN from pod hostname and cluster domain, FQDN {fqdn} is too long ({HOST_NAME_BYTES_MAX} characters is the max, {} characters requested)",
    fqdn.len()
)]
pub(crate) struct HostNameTooLong {
    fqdn: String,
}

/// The host name of a Pod.
pub(crate) fn host_name(pod: &PodView, cluster_domain: &str) -> Result<HostName, HostNameTooLong> {
    let spec = &pod.spec;
    if let Some(name) = spec.hostname_override.as_deref().filter(|name| !name.is_empty()) {
        let name = name.to_owned();
        return Ok(HostName { kernel_name: name.clone(), name, domain: String::new() });
    }
    let name = match spec.hostname.as_deref() {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => truncate(pod.name()),
    };
    let domain = match spec.subdomain.as_deref() {
        Some(subdomain) if !subdomain.is_empty() => {
            format!("{subdomain}.{}.svc.{cluster_domain}", pod.namespace())
        }
        _ => String::new(),
    };
    let kernel_name = if spec.set_hostname_as_fqdn == Some(true) && !domain.is_empty() {
        let fqdn = format!("{name}.{domain}");
        if fqdn.len() > HOST_NAME_BYTES_MAX {
            return Err(HostNameTooLong { fqdn });
        }
        fqdn
    } else {
        name.clone()
    };
    Ok(HostName { name, domain, kernel_name })
}

/// A Pod's name as a label of a domain name.
fn truncate(name: &str) -> String {
    let end = name.len().min(LABEL_BYTES_MAX);
    // Names of Pods are ASCII.
    name.get(..end).unwrap_or(name).trim_end_matches(['-', '.']).to_owned()
}

/// The file for a Pod with a network of its own.
pub(crate) fn managed(ips: &[String], host: &HostName, aliases: &[k8s::HostAlias]) -> String {
    let mut text = String::from(
        "# Kubernetes-managed hosts file.\n\
         127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::0\tip6-localnet\n\
         fe00::0\tip6-mcastprefix\n\
         fe00::1\tip6-allnodes\n\
         fe00::2\tip6-allrouters\n",
    );
    for ip in ips {
        let HostName { name, domain, .. } = host;
        if domain.is_empty() {
            let _infallible = writeln!(text, "{ip}\t{name}");
        } else {
            let _infallible = writeln!(text, "{ip}\t{name}.{domain}\t{name}");
        }
    }
    text.push_str(&alias_lines(aliases));
    text
}

/// The file for a Pod on the host's network: the host's own, and the Pod's aliases.
pub(crate) fn of_host(host_file: &str, aliases: &[k8s::HostAlias]) -> String {
    format!("# Kubernetes-managed hosts file (host network).\n{host_file}{}", alias_lines(aliases))
}

fn alias_lines(aliases: &[k8s::HostAlias]) -> String {
    if aliases.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n# Entries added by HostAliases.\n");
    for alias in aliases {
        let names = alias.hostnames.as_deref().unwrap_or_default().join("\t");
        let _infallible = writeln!(text, "{}\t{names}", alias.ip);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn name(pod_name: &str, spec: Value) -> Result<HostName, HostNameTooLong> {
        let pod = json!({"metadata": {"name": pod_name, "namespace": "n"}, "spec": spec});
        host_name(&PodView::new(serde_json::from_value(pod).expect("a Pod")), "cluster.local")
    }

    #[test]
    fn the_file_names_the_pod_with_and_without_a_domain() {
        let host = name("p", json!({"containers": [], "subdomain": "sub"})).expect("a name");
        let aliases = [k8s::HostAlias {
            ip: "1.2.3.4".to_owned(),
            hostnames: Some(vec!["a.example".to_owned(), "b.example".to_owned()]),
        }];
        let text = managed(&["10.42.0.2".to_owned()], &host, &aliases);
        assert!(text.starts_with("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"));
        assert!(text.ends_with(
            "10.42.0.2\tp.sub.n.svc.cluster.local\tp\n\n# Entries added by HostAliases.\n1.2.3.4\ta.example\tb.example\n"
        ));
        let plain = name("p", json!({"containers": []})).expect("a name");
        assert!(managed(&["10.42.0.2".to_owned()], &plain, &[]).ends_with("\n10.42.0.2\tp\n"));
    }

    #[test]
    fn a_long_name_is_cut_and_a_full_name_that_is_too_long_is_refused() {
        let long = format!("{}-{}", "a".repeat(62), "b".repeat(20));
        assert_eq!(name(&long, json!({"containers": []})).expect("a name").name, "a".repeat(62));
        let spec = json!({"containers": [], "hostname": "h".repeat(41), "subdomain": "sub",
            "setHostnameAsFQDN": true});
        let error = name("p", spec).expect_err("too long").to_string();
        assert!(
            error.ends_with("is too long (64 characters is the max, 65 characters requested)"),
            "{error}"
        );
    }
}
