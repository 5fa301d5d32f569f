//! A Pod's resolver configuration by `dnsPolicy` and `dnsConfig` (Kubernetes v1.36 `pkg/kubelet/network/dns`).

use crate::pod::PodView;
use podo_cri::v1;

/// How many servers and search domains a resolver takes, and how long the domains may be in all.
const SERVERS_MAX: usize = 3;
const SEARCHES_MAX: usize = 32;
const SEARCH_BYTES_MAX: usize = 2048;

/// A resolver configuration, as in `/etc/resolv.conf`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Resolver {
    /// The servers' addresses.
    pub(crate) servers: Vec<String>,
    /// The domains to search.
    pub(crate) searches: Vec<String>,
    /// The options.
    pub(crate) options: Vec<String>,
}

impl Resolver {
    /// Reads a `resolv.conf`; what it does not know is skipped.
    pub(crate) fn parse(text: &str) -> Self {
        let mut resolver = Self::default();
        for line in text.lines() {
            let line = line.trim();
            if line.starts_with(['#', ';']) {
                continue;
            }
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => resolver.servers.extend(words.next().map(ToOwned::to_owned)),
                // The last line of these counts.
                Some("search") => {
                    resolver.searches = words
                        .filter(|domain| *domain != ".")
                        .map(|domain| domain.strip_suffix('.').unwrap_or(domain).to_owned())
                        .collect();
                }
                Some("options") => words.for_each(|option| resolver.set(option.to_owned())),
                _ => {}
            }
        }
        resolver
    }

    /// Adds an option in the place of one of the same name.
    fn set(&mut self, option: String) {
        let name = |option: &str| option.split(':').next().map(ToOwned::to_owned);
        self.options.retain(|known| name(known) != name(&option));
        self.options.push(option);
    }

    /// In the runtime's terms.
    pub(crate) fn into_cri(self) -> v1::DnsConfig {
        v1::DnsConfig { servers: self.servers, searches: self.searches, options: self.options }
    }
}

/// The cluster's part of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClusterDns<'a> {
    /// The addresses of the cluster's DNS.
    pub(crate) servers: &'a [String],
    /// The cluster's domain.
    pub(crate) domain: &'a str,
    /// The host's configuration.
    pub(crate) host: &'a Resolver,
}

/// What is told where the cluster has no DNS.
pub(crate) const MISSING: &str = "kubelet does not have ClusterDNS IP configured and cannot create Pod using \"ClusterFirst\" policy. Falling back to \"Default\" policy.";

/// Whether a Pod wants the cluster's DNS.
fn wants_cluster(pod: &PodView) -> bool {
    match policy(pod) {
        "ClusterFirstWithHostNet" => true,
        "ClusterFirst" => !pod.is_host_network(),
        _ => false,
    }
}

fn policy(pod: &PodView) -> &str {
    pod.spec.dns_policy.as_deref().unwrap_or("ClusterFirst")
}

/// A Pod's resolver configuration, and texts for `DNSConfigForming` events where something had to be left out. A cluster without DNS
/// leaves its Pods the host's.
pub(crate) fn resolver(pod: &PodView, cluster: ClusterDns<'_>) -> (Resolver, Vec<String>) {
    let mut resolver = if policy(pod) == "None" {
        Resolver::default()
    } else if wants_cluster(pod) && !cluster.servers.is_empty() {
        of_cluster(pod.namespace(), cluster)
    } else {
        cluster.host.clone()
    };
    if let Some(own) = &pod.spec.dns_config {
        resolver.servers.extend(own.nameservers.iter().flatten().cloned());
        resolver.searches.extend(own.searches.iter().flatten().cloned());
        for option in own.options.iter().flatten() {
            let Some(name) = &option.name else { continue };
            resolver.set(match &option.value {
                Some(value) if !value.is_empty() => format!("{name}:{value}"),
                _ => name.clone(),
            });
        }
    }
    unique(&mut resolver.servers);
    unique(&mut resolver.searches);
    let told = fit(&mut resolver);
    (resolver, told)
}

fn of_cluster(namespace: &str, cluster: ClusterDns<'_>) -> Resolver {
    let mut searches = Vec::new();
    if !cluster.domain.is_empty() {
        let domain = cluster.domain;
        searches =
            vec![format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.to_owned()];
    }
    searches.extend(cluster.host.searches.iter().cloned());
    Resolver { servers: cluster.servers.to_vec(), searches, options: vec!["ndots:5".to_owned()] }
}

fn unique(words: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    words.retain(|word| seen.insert(word.clone()));
}

/// Leaves out what a resolver would not take.
fn fit(resolver: &mut Resolver) -> Vec<String> {
    let mut told = Vec::new();
    if resolver.servers.len() > SERVERS_MAX {
        resolver.servers.truncate(SERVERS_MAX);
        told.push(format!(
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {}",
            resolver.servers.join(" ")
        ));
    }
    let mut is_cut = resolver.searches.len() > SEARCHES_MAX;
    resolver.searches.truncate(SEARCHES_MAX);
    while resolver.searches.iter().map(|domain| domain.len() + 1).sum::<usize>()
        > SEARCH_BYTES_MAX + 1
    {
        resolver.searches.pop();
        is_cut = true;
    }
    if is_cut {
        told.push(format!(
            "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: {}",
            resolver.searches.join(" ")
        ));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(spec: Value) -> String {
        let mut spec = spec;
        spec["containers"] = json!([]);
        let pod = json!({"metadata": {"name": "p", "namespace": "n"}, "spec": spec});
        let pod = PodView::new(serde_json::from_value(pod).expect("a Pod"));
        let host =
            Resolver::parse("# host\nnameserver 192.0.2.53\nsearch corp.example.\noptions edns0\n");
        let servers = ["10.43.0.10".to_owned()];
        let cluster = ClusterDns { servers: &servers, domain: "cluster.local", host: &host };
        let (found, told) = resolver(&pod, cluster);
        format!(
            "{} | {} | {} | {}",
            found.servers.join(" "),
            found.searches.join(" "),
            found.options.join(" "),
            told.len()
        )
    }

    #[test]
    fn lines_of_options_are_joined_and_the_root_is_not_searched() {
        let found = Resolver::parse(
            "search old\nsearch . a.example.\noptions ndots:2 edns0\noptions rotate ndots:3\n",
        );
        assert_eq!(found.searches, ["a.example"]);
        assert_eq!(found.options, ["edns0", "rotate", "ndots:3"]);
        assert_eq!(Resolver::parse("search .\n").searches, [""; 0]);
    }

    #[test]
    fn each_policy_asks_whom_it_should() {
        let cluster = "10.43.0.10 | n.svc.cluster.local svc.cluster.local cluster.local corp.example | ndots:5 | 0";
        let host = "192.0.2.53 | corp.example | edns0 | 0";
        assert_eq!(check(json!({"dnsPolicy": "ClusterFirst"})), cluster);
        assert_eq!(check(json!({"dnsPolicy": "ClusterFirst", "hostNetwork": true})), host);
        assert_eq!(
            check(json!({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true})),
            cluster
        );
        assert_eq!(check(json!({"dnsPolicy": "Default"})), host);
        assert_eq!(check(json!({"dnsPolicy": "None"})), " |  |  | 0");
    }

    #[test]
    fn the_pods_own_configuration_is_added_and_its_options_win() {
        let own = json!({"dnsPolicy": "ClusterFirst", "dnsConfig": {
            "nameservers": ["1.1.1.1", "10.43.0.10", "8.8.8.8", "9.9.9.9"], "searches": ["x.example"],
            "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}});
        assert_eq!(
            check(own),
            "10.43.0.10 1.1.1.1 8.8.8.8 | n.svc.cluster.local svc.cluster.local cluster.local corp.example x.example | ndots:2 edns0 | 1"
        );
    }
}
