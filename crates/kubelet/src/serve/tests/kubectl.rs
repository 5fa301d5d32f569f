//! An unmodified kubectl against the server, over WebSocket and over SPDY.

use std::process::{Output, Stdio};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use super::*;

const KUBECTL: &str = "/usr/bin/kubectl";

/// Both ways that kubectl knows, chosen by its switches.
const WAYS: [&str; 2] = ["true", "false"];

fn is_missing(test: &str) -> bool {
    let is_missing = !std::path::Path::new(KUBECTL).exists();
    if is_missing {
        eprintln!("SKIP {test}: there is no {KUBECTL}");
    }
    is_missing
}

/// kubectl with nothing of the machine's own settings.
fn kubectl(url: &str, way: &str, home: &tempfile::TempDir) -> Command {
    let mut command = Command::new(KUBECTL);
    command
        .env_clear()
        .env("HOME", home.path())
        .env("KUBECONFIG", "/dev/null")
        .env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", way)
        .env("KUBECTL_PORT_FORWARD_WEBSOCKETS", way)
        .args(["--server", url])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

fn texts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn exec_shows_both_outputs_and_ends_with_the_exit_code() {
    if is_missing("exec_shows_both_outputs_and_ends_with_the_exit_code") {
        return;
    }
    let mut fixture = Fixture::start().await;
    let (url, home) = (fixture.front().await, tempfile::tempdir().unwrap());
    for way in WAYS {
        let ended = kubectl(&url, way, &home).args(["exec", "p", "--", "exit", "3"]).output();
        let (code, out, err) = texts(&soon("the end of exec", ended).await.unwrap());
        assert_eq!((code, &*out), (Some(3), "out"), "websockets {way}: {err}");
        assert_eq!(err, "errcommand terminated with exit code 3\n", "websockets {way}");
        let ended = kubectl(&url, way, &home).args(["exec", "p", "--", "missing"]).output();
        let (code, _, err) = texts(&soon("the end of exec", ended).await.unwrap());
        assert!(
            code == Some(1) && err.contains("executable file not found in $PATH"),
            "{way} {code:?} {err}"
        );
        let ended =
            kubectl(&url, way, &home).args(["exec", "p", "-c", "gone", "--", "cat"]).output();
        let (code, _, err) = texts(&soon("the end of exec", ended).await.unwrap());
        assert!(
            code == Some(1) && err.contains("container not found (\"gone\")"),
            "{way} {code:?} {err}"
        );
    }
    fixture.stop().await;
}

#[tokio::test]
async fn what_is_piped_into_exec_comes_back_whole_and_its_end_is_seen() {
    if is_missing("what_is_piped_into_exec_comes_back_whole_and_its_end_is_seen") {
        return;
    }
    let mut fixture = Fixture::start().await;
    let (url, home) = (fixture.front().await, tempfile::tempdir().unwrap());
    let sent: Vec<u8> = (0..3_000_000_u32).map(|index| (index % 251) as u8).collect();
    for way in WAYS {
        for verb in [&["exec", "-i", "p", "--", "cat"][..], &["attach", "-i", "p", "-q"]] {
            let mut child =
                kubectl(&url, way, &home).args(verb).stdin(Stdio::piped()).spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            let write = async {
                stdin.write_all(&sent).await.unwrap();
                drop(stdin);
            };
            let ((), output) =
                soon("the echo", async { tokio::join!(write, child.wait_with_output()) }).await;
            let output = output.unwrap();
            assert!(
                output.stdout == sent,
                "{way} {verb:?} {} bytes: {:?}",
                output.stdout.len(),
                texts(&output).2
            );
            assert_eq!(output.status.code(), Some(0), "{way} {verb:?}");
        }
    }
    fixture.facts.alive(0).await;
    fixture.stop().await;
}

#[tokio::test]
async fn killing_kubectl_ends_what_it_followed() {
    if is_missing("killing_kubectl_ends_what_it_followed") {
        return;
    }
    let mut fixture = Fixture::start().await;
    let (url, home) = (fixture.front().await, tempfile::tempdir().unwrap());
    let rows = [&["logs", "-f", "p"][..], &["exec", "-i", "p", "--", "forever"]];
    for (way, verb) in WAYS.into_iter().flat_map(|way| rows.map(|verb| (way, verb))) {
        let mut child = kubectl(&url, way, &home).args(verb).stdin(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 5];
        soon("output", child.stdout.as_mut().unwrap().read_exact(&mut first)).await.unwrap();
        assert!([b"first", b"ready"].contains(&&first), "{verb:?}");
        fixture.facts.alive(1).await;
        child.kill().await.unwrap();
        fixture.facts.alive(0).await;
    }
    fixture.stop().await;
}

#[tokio::test]
async fn port_forward_carries_many_connections() {
    if is_missing("port_forward_carries_many_connections") {
        return;
    }
    let mut fixture = Fixture::start().await;
    let (url, home) = (fixture.front().await, tempfile::tempdir().unwrap());
    for way in WAYS {
        let mut child = kubectl(&url, way, &home)
            .args(["port-forward", "--address", "127.0.0.1", "p", ":7"])
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = soon("the port", lines.next_line()).await.unwrap().unwrap_or_default();
        let port: u16 = line
            .strip_prefix("Forwarding from 127.0.0.1:")
            .and_then(|rest| rest.split(' ').next()?.parse().ok())
            .unwrap_or_else(|| panic!("{way}: {line:?}"));
        for round in 0..20 {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
            let text = format!("round {round}");
            stream.write_all(text.as_bytes()).await.unwrap();
            // The end of the input goes through as well: the port answers and closes.
            stream.shutdown().await.unwrap();
            let mut echo = String::new();
            soon("the echo", stream.read_to_string(&mut echo)).await.unwrap();
            assert_eq!(echo, text, "{way}");
        }
        let mut parallel: Vec<TcpStream> = Vec::new();
        for _ in 0..20 {
            parallel.push(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap());
        }
        fixture.facts.alive(20).await;
        child.kill().await.unwrap();
        fixture.facts.alive(0).await;
    }
    fixture.stop().await;
}

#[tokio::test]
async fn logs_are_shown_and_a_refusal_is_told() {
    if is_missing("logs_are_shown_and_a_refusal_is_told") {
        return;
    }
    let mut fixture = Fixture::start().await;
    let (url, home) = (fixture.front().await, tempfile::tempdir().unwrap());
    let ended = kubectl(&url, "true", &home).args(["logs", "p"]).output();
    let (code, out, err) = texts(&soon("the log", ended).await.unwrap());
    assert_eq!((code, &*out), (Some(0), "first\nlast\n"), "{err}");
    let ended = kubectl(&url, "true", &home).args(["logs", "p", "-c", "c", "--tail=1"]).output();
    assert_eq!(texts(&soon("the log", ended).await.unwrap()).0, Some(0));
    fixture.stop().await;
}
