//! Pods that claim to be somebody else on the network.

use podo_cluster_tests::host::{HOST, OUTSIDE};
use podo_cluster_tests::pods::{also, idle, pod};
use podo_cluster_tests::{Cluster, PATIENCE, until};
use serde_json::{Value, json};

use crate::on_cluster;

/// How many echo requests have come in.
fn pings_seen(it: &Cluster, pod: &str) -> u64 {
    let script = "awk '/^Icmp:/ {if (n) print $n; for (i = 1; i <= NF; i++) if ($i == \"InEchos\") n = i}' /proc/net/snmp";
    it.exec(pod, "main", script).trim().parse().unwrap()
}

fn address(pod: &Value) -> String {
    pod["status"]["podIP"].as_str().unwrap().to_owned()
}

/// A Pod that may change its own network sends from the addresses of another Pod, the node, a machine outside and the world; none of
/// it arrives, neither at another Pod nor at the node.
#[test]
fn a_pod_cannot_send_from_an_address_that_is_not_its_own() {
    on_cluster(|it| {
        let victim = address(&it.ready(&pod("victim", json!({"containers": [idle("main")]}))));
        let owner = address(&it.ready(&pod("owner", json!({"containers": [idle("main")]}))));
        let mighty = json!({"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}});
        it.ready(&pod("thief", json!({"containers": [also(idle("main"), mighty)]})));
        // One that shares the node's network sees what reaches the node.
        it.ready(&pod("node", json!({"hostNetwork": true, "containers": [idle("main")]})));
        let targets = [("victim", victim.clone()), ("node", HOST.to_string())];
        let before = targets.each_ref().map(|(name, _)| pings_seen(it, name));
        let stolen = [owner, victim, HOST.to_string(), OUTSIDE.to_string(), "8.8.8.8".to_owned()];
        for (_, target) in &targets {
            for address in stolen.iter().filter(|address| *address != target) {
                let script = format!(
                    "ip addr add {address}/32 dev eth0 && (ping -I {address} -c 1 -W 1 {target} >/dev/null; ip addr del {address}/32 dev eth0)"
                );
                it.exec("thief", "main", &script);
            }
            assert!(
                it.exec("thief", "main", &format!("ping -c 1 -W 5 {target}"))
                    .contains("1 packets received")
            );
        }
        // What was forged took the same way and would have come before.
        for ((name, _), before) in targets.iter().zip(before) {
            until("the honest packet has come", PATIENCE, || match pings_seen(it, name) - before {
                0 => Err("nothing came".to_owned()),
                count => Ok(count),
            });
            assert_eq!(pings_seen(it, name) - before, 1, "{name}");
        }
    });
}
