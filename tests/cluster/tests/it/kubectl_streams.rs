//! kubectl on streams: logs, exec, attach, port-forward, run -i, by ours and by real ones (S63, S65, S68).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use podo_cluster_tests::kubectl::{Kubectl, real};
use podo_cluster_tests::pods::{container, idle, pod, restarts, shell};
use podo_cluster_tests::{Cluster, PATIENCE, Terminal, until};
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
        let script = "[ -e /dev/shm/seen ] && { echo second run; exec sleep 3600; }; touch /dev/shm/seen; echo first run; echo its end; exit 1";
        it.create_pod(&pod("again", json!({"containers": [shell("main", script)]})));
        it.until("again", "runs again", |pod| {
            restarts(pod, "main") == 1 && container(pod, "main")["ready"] == true
        });
        assert_eq!(same(it, &["logs", "again", "--previous"]), "first run\nits end\n");
        assert_eq!(same(it, &["logs", "again", "-p", "--tail=1"]), "its end\n");
        assert_eq!(it.log_with("again", "main", "\n"), "second run\n");
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

/// Runs a shell on a terminal; a real kubectl is told by a variable whether to speak WebSocket or SPDY.
fn on_terminal(it: &Cluster, kubectl: &Kubectl, websockets: &str) {
    let script = "until [ \"$(stty size)\" = '40 100' ]; do sleep 0.05; done; echo begun
        until [ \"$(stty size)\" = '50 132' ]; do sleep 0.05; done; echo resized
        read line; echo got $line; exit 7";
    let (mut terminal, near) = Terminal::open();
    let mut child = kubectl
        .command(&it.kubeconfig(), &it.folder)
        .args(["exec", "-it", "box", "--", "sh", "-c", script])
        .env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websockets)
        .stdin(near.try_clone().unwrap())
        .stdout(near.try_clone().unwrap())
        .stderr(near)
        .spawn()
        .unwrap();
    terminal.until_seen("begun\r\n");
    terminal.resize(50, 132, child.id());
    terminal.until_seen("resized\r\n");
    terminal.type_in("hello\r");
    terminal.until_seen("got hello\r\n");
    assert_eq!(child.wait().unwrap().code(), Some(7), "{kubectl:?} {websockets}");
    let seen = terminal.seen();
    assert!(seen.contains("hello\r\ngot hello\r\n"), "what is typed is echoed: {seen:?}");
    assert!(seen.contains("command terminated with exit code 7"), "{seen:?}");
}

#[test]
fn s68_exec_on_a_terminal_follows_its_size_by_websocket_and_by_spdy() {
    on_cluster(|it| {
        it.ready(&pod("box", json!({"containers": [idle("main")]})));
        on_terminal(it, &it.own(), "true");
        for (_, kubectl) in real() {
            on_terminal(it, &kubectl, "true");
            on_terminal(it, &kubectl, "false");
        }
    });
}

/// Starts a forwarding to port 8080 and returns it with its local port, once it listens, and the lines that follow.
fn forward(it: &Cluster, kubectl: &Kubectl, ports: &str) -> (Child, u16, Receiver<String>) {
    let mut child = it.start_kubectl(kubectl, &["port-forward", "kubia", ports]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let seen: Vec<String> = lines.by_ref().take(2).collect();
    let first = seen.first().and_then(|line| line.strip_prefix("Forwarding from 127.0.0.1:"));
    let port = first.and_then(|rest| rest.strip_suffix(" -> 8080")?.parse().ok());
    let Some(port): Option<u16> = port else {
        panic!("{kubectl:?}: {seen:?} {:?}", child.stderr.take().map(read_all))
    };
    assert_eq!(seen[1..], [format!("Forwarding from [::1]:{port} -> 8080")], "{kubectl:?}");
    // Somebody must take the lines that follow, whether they are looked at or not.
    let (told, rest) = channel();
    std::thread::spawn(move || lines.for_each(|line| drop(told.send(line))));
    (child, port, rest)
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
            let (mut child, port, lines) = forward(it, &kubectl, "8888:8080");
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
            let told: Vec<String> = lines.iter().collect();
            assert!(told.len() >= 10, "{kubectl:?}: each connection is told: {told:?}");
            assert!(told.iter().all(|line| line == "Handling connection for 8888"), "{told:?}");
        }
        let (mut child, port, _) = forward(it, &it.own(), ":http");
        ask(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    });
}
