//! Content of `/etc/resolv.conf`.

use crate::v1::DnsConfig;

/// As resolv.conf(5) has it: searches, servers, options.
pub(in crate::podo) fn content(dns: &DnsConfig) -> String {
    let line = |word: &str, entries: &[String]| {
        (!entries.is_empty()).then(|| format!("{word} {}\n", entries.join(" ")))
    };
    let servers = dns.servers.iter().map(|server| format!("nameserver {server}\n"));
    line("search", &dns.searches)
        .into_iter()
        .chain(servers)
        .chain(line("options", &dns.options))
        .collect()
}

/// Whether an entry could say more than it should: a line of its own.
pub(in crate::podo) fn is_sane(dns: &DnsConfig) -> bool {
    let entries = dns.servers.iter().chain(&dns.searches).chain(&dns.options);
    entries.into_iter().all(|entry| !entry.contains(['\n', '\r', '\0']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_a_kubelet_asks_for_it() {
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let dns = DnsConfig {
            servers: list("10.43.0.10 10.43.0.11"),
            searches: list("default.svc.cluster.local svc.cluster.local cluster.local"),
            options: list("ndots:5"),
        };
        assert!(is_sane(&dns));
        assert_eq!(
            content(&dns),
            "search default.svc.cluster.local svc.cluster.local cluster.local\n\
             nameserver 10.43.0.10\nnameserver 10.43.0.11\noptions ndots:5\n"
        );
        assert_eq!(content(&DnsConfig::default()), "");
    }

    #[test]
    fn an_entry_with_a_line_break_is_refused() {
        let dns = DnsConfig {
            servers: vec!["1.1.1.1\nnameserver 6.6.6.6".into()],
            ..DnsConfig::default()
        };
        assert!(!is_sane(&dns));
    }
}
