//! A control plane alone: at which addresses it is reached, and how it ends.

use std::fs;
use std::path::Path;
use std::process::Command;

use podo_cluster_tests::host::HOST;
use podo_cluster_tests::{Api, Host, PATIENCE, Ran, leaks, skip, until};
use serde_json::json;

use crate::instances::Server;

const ENDPOINTS: &str = "/api/v1/namespaces/default/endpoints/kubernetes";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes";

fn server(data: &Path, args: &[&str]) -> Server {
    let mut command = Command::new(podo_cluster_tests::binary::podo());
    command.arg("server").arg("--data-dir").arg(data).args(args);
    Server::start(&mut command)
}

#[test]
fn a_server_that_listens_everywhere_tells_addresses_that_lead_to_it() {
    if !rustix::process::geteuid().is_root() {
        return skip("listening everywhere", "needs root");
    }
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let data = folder.path().join("data");
    Host::new().run(|| {
        for (args, local, advertised) in [
            (vec!["--listen=127.0.0.1:6443"], "https://127.0.0.1:6443", "127.0.0.1"),
            (vec!["--listen=0.0.0.0:6443"], "https://127.0.0.1:6443", "192.0.2.1"),
            (vec!["--listen=[::]:6443"], "https://[::1]:6443", "192.0.2.1"),
            (
                vec!["--listen=0.0.0.0:6443", "--advertise-address=192.0.2.77"],
                "https://127.0.0.1:6443",
                "192.0.2.77",
            ),
        ] {
            let mut server = server(&data, &args);
            let said = server.until_says("API server");
            assert!(said.trim_end().ends_with(local), "{said}");
            server.until_ready();
            let kubeconfig = data.join("kubeconfig.yaml");
            let api = Api::of(&kubeconfig);
            let endpoints = api.get(ENDPOINTS).ok();
            assert_eq!(endpoints["subsets"][0]["addresses"], json!([{"ip": advertised}]));
            let slice = api.get(SLICES).ok();
            assert_eq!(slice["endpoints"][0]["addresses"], json!([advertised]));
            if advertised == HOST.to_string() {
                // The certificate is for the address that others are told, also where it was made for others before.
                let text = fs::read_to_string(&kubeconfig).unwrap();
                let outside = folder.path().join("outside.yaml");
                fs::write(&outside, text.replace(local, &format!("https://{HOST}:6443"))).unwrap();
                assert_eq!(Api::of(&outside).get("/readyz").status, 200);
            }
            server.stop();
        }
    });
}

#[test]
fn a_server_that_is_asked_to_end_the_moment_it_is_there_ends_in_order() {
    if !rustix::process::geteuid().is_root() {
        return skip("ending at once", "needs root");
    }
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let data = folder.path().join("data");
    Host::new().run(|| {
        for _ in 0..20 {
            let mut server = server(&data, &["--listen=127.0.0.1:6443"]);
            server.until_says("API server");
            server.stop();
        }
    });
}

#[test]
fn up_that_is_asked_to_end_while_it_starts_ends_and_down_takes_away_what_was_begun() {
    if !rustix::process::geteuid().is_root() {
        return skip("ending while it starts", "needs root");
    }
    let folder = podo_cluster_tests::cluster::folder();
    let data = folder.join("data");
    let podo = podo_cluster_tests::binary::podo();
    Host::new().run(|| {
        for sign in ["lock", "pki/ca.crt", "kubeconfig.yaml", "runtime/cri/sandboxes", "kubelet"] {
            let mut up = Command::new(podo);
            up.arg("up").arg("--data-dir").arg(&data).arg("--node-ip=192.0.2.1");
            let mut up = Server::start(&mut up);
            until(sign, PATIENCE, || {
                if data.join(sign).exists() { Ok(()) } else { Err("not yet".to_owned()) }
            });
            up.stop();
            let mut down = Command::new(podo);
            down.args(["down", "--purge", "--data-dir"]).arg(&data);
            Ran::from(down.output().unwrap()).ok();
            assert!(!data.exists(), "after {sign}");
        }
    });
    let left = leaks::of(&leaks::instance_name(&data), &folder);
    assert_eq!(left, Vec::<String>::new());
    fs::remove_dir_all(&folder).unwrap();
}
