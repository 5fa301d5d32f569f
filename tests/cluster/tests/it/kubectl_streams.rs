//! kubectl on streams: logs, exec, attach, port-forward, run -i, by ours and by real ones (S63, S65, S68).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use podo_cluster_tests::kubectl::{Kubectl, real};
use podo_cluster_tests::pods::{container, idle, pod, shell};
use podo_cluster_tests::{Cluster, PATIENCE, until};
use serde_json::json;

use crate::kubectl::same;
use crate::on_cluster;

fn all(it: &Cluster) -> Vec<Kubectl> {
    let mut all = vec![it.own()];
    all.extend(real().into_iter().map(|(_, kubectl)| kubectl));
    all
}

#[test]
fn s63_logs_of_a_container() {
    on_cluster(|it| {
        let talks = shell("talks", "echo one; echo two; exec sleep 3600");
        it.ready(&pod("two", json!({"containers": [talks, idle("silent")]})));
        until("the log is there", PATIENCE, || {
            let log = it.log("two", "talks");
            if log.contains("two") { Ok(()) } else { Err(log) }
        });
        assert_eq!(same(it, &["logs", "two", "-c", "talks"]), "one\ntwo\n");
        for args in [
            vec!["logs", "two"],
            vec!["logs", "two", "-c", "none"],
            vec!["logs", "two", "--all-containers"],
            vec!["logs", "two", "--all-containers", "--prefix"],
            vec!["logs", "two", "-c", "talks", "--tail=1"],
            vec!["logs", "two", "-c", "talks", "--previous"],
            vec!["logs", "none"],
            vec!["logs", "-l", "app=none"],
        ] {
            same(it, &args);
        }
    });
}

#[test]
fn s68_exec_into_a_container_that_does_not_run_says_so() {
    on_cluster(|it| {
        let containers = [idle("main"), shell("over", "exit 0")];
        it.create_pod(&pod("half", json!({"containers": containers, "restartPolicy": "Never"})));
        it.until("half", "one container is over", |pod| {
            !container(pod, "over")["state"]["terminated"].is_null()
        });
        for kubectl in all(it) {
            let ran = it.run(&kubectl, &["exec", "half", "-c", "over", "--", "ls"], "");
            let told = "unable to upgrade connection: container not found (\"over\")\n";
            // Before v1.30 it speaks SPDY and gets the node's text, then WebSocket and gets a status.
            let in_words =
                [format!("error: {told}"), format!("error: Internal error occurred: {told}")];
            assert!(ran.code == 1 && in_words.contains(&ran.err), "{kubectl:?} {ran:?}");
        }
        same(it, &["exec", "half", "-c", "over", "--", "ls"]);
    });
}

#[test]
fn s68_exec_passes_streams_and_the_exit_code() {
    on_cluster(|it| {
        it.ready(&pod("box", json!({"containers": [idle("main")]})));
        for kubectl in all(it) {
            let run = |args: &[&str], input: &str| it.run(&kubectl, args, input);
            let ran = run(&["exec", "box", "--", "sh", "-c", "echo out; echo err >&2; exit 3"], "");
            assert_eq!((ran.code, ran.out.as_str()), (3, "out\n"), "{kubectl:?} {ran:?}");
            assert!(
                ran.err.contains("err\n")
                    && ran.err.contains("command terminated with exit code 3"),
                "{ran:?}"
            );
            assert_eq!(
                run(&["exec", "-i", "box", "--", "cat"], "a\nb").ok(),
                "a\nb",
                "{kubectl:?}"
            );
            let large = "0123456789abcdef".repeat(40_000);
            assert_eq!(
                run(&["exec", "-i", "box", "--", "wc", "-c"], &large).ok(),
                "640000\n",
                "{kubectl:?}"
            );
            assert_eq!(
                run(&["exec", "box", "--", "head", "-c", "3000000", "/dev/zero"], "").ok().len(),
                3_000_000
            );
            let missing = run(&["exec", "box", "--", "/none"], "");
            assert_ne!(missing.code, 0);
        }
        same(it, &["exec", "box", "--", "/none"]);
        same(it, &["exec", "none", "--", "true"]);
        same(it, &["exec", "box", "-c", "none", "--", "true"]);
    });
}

#[test]
fn s68_attach_and_run_with_input() {
    on_cluster(|it| {
        let spec = json!({"containers": [{"name": "main", "image": "busybox:1.35", "stdin": true,
            "command": ["sh", "-c", "while read line; do echo got $line; done"]}]});
        it.ready(&pod("echo", spec));
        for kubectl in all(it) {
            let mut child = kubectl
                .command(&it.kubeconfig(), &it.folder)
                .args(["attach", "-i", "echo"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut input = child.stdin.take().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            writeln!(input, "hello").unwrap();
            assert_eq!(lines.next().unwrap().unwrap(), "got hello", "{kubectl:?}");
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let args = [
            "run",
            "once",
            "--image=busybox:1.35",
            "--restart=Never",
            "-i",
            "--rm",
            "--quiet",
            "--",
            "sh",
            "-c",
            "read a; echo $a-$a",
        ];
        let out = it.run(&it.own(), &args, "x\n").ok();
        assert!(out.contains("x-x"), "{out}");
        it.until("once", "is gone", serde_json::Value::is_null);
    });
}

/// Starts a forwarding and returns it with its local port once it listens.
fn forward(it: &Cluster, kubectl: &Kubectl, ports: &str) -> (Child, u16) {
    let mut child = it.start_kubectl(kubectl, &["port-forward", "kubia", ports]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = Vec::new();
    for line in lines.by_ref().map_while(Result::ok).take(2) {
        seen.push(line);
    }
    assert_eq!(
        seen.len(),
        2,
        "{kubectl:?} listens on both loopbacks: {seen:?} {:?}",
        child.stderr.take().map(read_all)
    );
    assert!(
        seen[0].starts_with("Forwarding from 127.0.0.1:")
            && seen[1].starts_with("Forwarding from [::1]:"),
        "{seen:?}"
    );
    let port = seen[0]
        .trim_start_matches("Forwarding from 127.0.0.1:")
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    // The lines that follow are of no interest, but somebody must take them.
    std::thread::spawn(move || lines.for_each(drop));
    (child, port)
}

fn read_all(mut stream: impl std::io::Read) -> String {
    let mut text = String::new();
    // What cannot be read cannot be shown.
    let _partial = stream.read_to_string(&mut text);
    text
}

fn ask(address: SocketAddr) -> Result<String, String> {
    let mut stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").map_err(|error| error.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
    if answer.contains("You've hit") { Ok(answer) } else { Err(answer) }
}

#[test]
fn s65_port_forward_on_both_loopbacks() {
    on_cluster(|it| {
        it.ready(&pod("kubia", json!({"containers": [{"name": "k", "image": "luksa/kubia", "ports": [{"name": "http", "containerPort": 8080}]}]})));
        for kubectl in all(it) {
            let (mut child, port) = forward(it, &kubectl, "8888:8080");
            assert_eq!(port, 8888);
            for host in ["127.0.0.1", "[::1]"] {
                let address = format!("{host}:8888").parse().unwrap();
                let answer = until("the Pod answers", Duration::from_secs(20), || ask(address));
                assert!(answer.contains("You've hit kubia"), "{kubectl:?} {host}: {answer}");
            }
            // Several connections at a time through one forwarding.
            let address: SocketAddr = "127.0.0.1:8888".parse().unwrap();
            std::thread::scope(|scope| {
                let all: Vec<_> = (0..8).map(|_| scope.spawn(move || ask(address))).collect();
                for one in all {
                    assert!(one.join().unwrap().is_ok());
                }
            });
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let (mut child, port) = forward(it, &it.own(), ":http");
        ask(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    });
}
