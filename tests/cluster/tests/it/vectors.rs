//! The recorded answers of Kubernetes v1.36.2, replayed against a fresh `podo server`, twice.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use podo_cluster_tests::{Host, binary, program, skip};

use crate::instances::Server;

/// The controllers that the recorded cluster ran.
const CONTROLLERS: &str = "serviceaccount-controller,serviceaccount-token-controller,root-ca-certificate-publisher-controller,namespace-controller,clusterrole-aggregation-controller";
/// Where the recorded server listened: the Service `kubernetes` tells its clients.
const LISTEN: &str = "127.0.0.1:16443";
/// The list of scenarios that came with the recordings: the core kinds without apply and protobuf.
const FIRST: &str = "first.txt";
/// Further scenarios about nothing but what is served, `area/name` a line.
const FURTHER: &str = include_str!("vectors.txt");

fn vectors() -> Option<PathBuf> {
    let folder = binary::workspace().join("../shared/vectors");
    folder.join("replay.py").exists().then_some(folder)
}

fn replay(round: u32) {
    let (Some(folder), Some(python)) = (vectors(), program("python3")) else {
        return skip(
            &format!("replay of the vectors, round {round}"),
            "the vectors or python3 are not here",
        );
    };
    if !rustix::process::geteuid().is_root() {
        return skip(
            &format!("replay of the vectors, round {round}"),
            "needs root for a network of its own",
        );
    }
    let data = tempfile::tempdir_in("/var/tmp").unwrap();
    let mut scenarios = tempfile::NamedTempFile::new().unwrap();
    let all = format!("{}\n{FURTHER}", std::fs::read_to_string(folder.join(FIRST)).unwrap());
    scenarios.write_all(all.as_bytes()).unwrap();
    let count = all.lines().filter(|line| !line.is_empty()).count();
    Host::new().run(|| {
        let mut command = Command::new(binary::podo());
        command.arg("server").arg("--data-dir").arg(data.path()).args(["--listen", LISTEN]);
        command.args([
            "--controllers",
            CONTROLLERS,
            "--no-scheduler",
            "--static-token",
            "T=admin,system:masters",
        ]);
        let mut server = Server::start(&mut command);
        server.until_ready();
        let output = Command::new(&python)
            .current_dir(&folder)
            .args(["replay.py", "--server", &format!("https://{LISTEN}"), "--token", "T"])
            .arg("--only")
            .args([scenarios.path(), Path::new("public")])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let last = said.lines().last().unwrap_or_default();
        assert_eq!(last, format!("{count} passed, 0 failed"), "round {round}:\n{said}");
        server.stop();
    });
}

#[test]
fn all_recorded_scenarios_pass_on_a_fresh_server() {
    replay(1);
}

#[test]
fn all_recorded_scenarios_pass_on_another_fresh_server() {
    replay(2);
}
