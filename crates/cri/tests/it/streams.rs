//! Exec, attach, logs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use podo_cri::v1::*;
use podo_cri::{Code, Cri, ExecStreams, Reason, TerminalSize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::Test;
use crate::harness::*;

pub(crate) const TESTS: &[Test] = &[
    ("exec_sync_gives_output_and_exit_code", exec_sync_gives_output_and_exit_code),
    ("exec_sync_kills_at_its_timeout", exec_sync_kills_at_its_timeout),
    ("exec_carries_input_and_both_outputs", exec_carries_input_and_both_outputs),
    ("clients_that_leave_give_their_places_back", clients_that_leave_give_their_places_back),
    ("exec_with_a_terminal_has_a_size", exec_with_a_terminal_has_a_size),
    ("attach_joins_the_containers_streams", attach_joins_the_containers_streams),
    ("attach_to_a_terminal_resizes_it", attach_to_a_terminal_resizes_it),
    ("a_log_goes_on_after_it_was_renamed", a_log_goes_on_after_it_was_renamed),
];

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn exec_sync_gives_output_and_exit_code() {
    with_world(async |world| {
        let pod = world.plain_pod("exec").await;
        let id = world.launch(&pod, shell("c", "sleep 100")).await;
        assert_eq!(
            world.exec(&id, "echo out; echo err >&2; exit 42").await,
            ("out\nerr\n".into(), 42)
        );
        assert_eq!(world.exec(&id, "kill -9 $$").await.1, 137);
        let (many, code) = world.exec(&id, "seq 1 100000").await;
        assert_eq!((many.lines().count(), code), (100_000, 0));
        // A child that keeps the output open does not hold the answer up for ever.
        assert_eq!(world.exec(&id, "echo $FROM_IMAGE; exit 0").await, ("yes\n".into(), 0));
        let request =
            ExecSyncRequest { container_id: id.clone(), cmd: words("no-such-program"), timeout: 5 };
        let error = world.cri.exec_sync(request).await.unwrap_err();
        assert_eq!(error.reason(), Reason::StartError { exit_code: 127 });
        assert!(error.message().contains("executable file not found in $PATH"), "{error}");
        world.stop(&id, 0).await;
        let request = ExecSyncRequest { container_id: id, cmd: words("true"), timeout: 5 };
        let error = world.cri.exec_sync(request).await.unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition);
    });
}

fn exec_sync_kills_at_its_timeout() {
    with_world(async |world| {
        let pod = world.plain_pod("slow").await;
        let id = world.launch(&pod, shell("c", "sleep 100")).await;
        let request =
            ExecSyncRequest { container_id: id.clone(), cmd: words("sleep 4713"), timeout: 1 };
        let error = world.cri.exec_sync(request).await.unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
        let look = async || world.exec(&id, "ps").await.0;
        eventually("it is killed", look, |processes| !processes.contains("4713")).await;
        // The same if who asked does not wait for it.
        let request =
            ExecSyncRequest { container_id: id.clone(), cmd: words("sleep 4714"), timeout: 0 };
        let asked = tokio::time::timeout(Duration::from_millis(500), world.cri.exec_sync(request));
        asked.await.unwrap_err();
        eventually("it is killed", look, |processes| !processes.contains("4714")).await;
    });
}

async fn exec(world: &World, id: &str, cmd: &str, tty: bool) -> ExecStreams {
    let request = ExecRequest {
        container_id: id.into(),
        cmd: ["sh", "-c", cmd].map(str::to_owned).to_vec(),
        tty,
        stdin: true,
        stdout: true,
        stderr: !tty,
    };
    world.cri.exec(request).await.unwrap()
}

/// CVE-2022-23471: more clients than a sandbox has places for start something that does not end, and leave.
fn clients_that_leave_give_their_places_back() {
    const CLIENTS: usize = 260;
    with_world(async |world| {
        let pod = world.plain_pod("left").await;
        let id = world.launch(&pod, shell("c", "sleep 1000")).await;
        for number in 0..CLIENTS {
            let request = ExecRequest {
                container_id: id.clone(),
                cmd: words("sleep 997"),
                stdout: true,
                ..Default::default()
            };
            // One left a moment ago may not be noticed yet.
            let look = async || world.cri.exec(request.clone()).await.map(drop);
            eventually(&format!("client {number}"), look, Result::is_ok).await.unwrap();
        }
        let count = world.exec(&id, "ps | grep -c '[s]leep 997'").await.0;
        assert_eq!(count.trim(), CLIENTS.to_string(), "what they have started goes on");
    });
}

fn exec_carries_input_and_both_outputs() {
    with_world(async |world| {
        let pod = world.plain_pod("io").await;
        let id = world.launch(&pod, shell("c", "sleep 100")).await;
        let mut streams = exec(world, &id, "wc -c; echo err >&2; exit 5", false).await;
        let (mut stdin, mut stdout) =
            (streams.stdin.take().unwrap(), streams.stdout.take().unwrap());
        stdin.write_all(&vec![b'x'; 300_000]).await.unwrap();
        stdin.shutdown().await.unwrap();
        let mut text = String::new();
        stdout.read_to_string(&mut text).await.unwrap();
        assert_eq!(text.trim(), "300000");
        let mut text = String::new();
        streams.stderr.unwrap().read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "err\n");
        assert!(streams.resize.is_none());
        assert_eq!(tokio::time::timeout(LIMIT, streams.exit).await.unwrap(), Ok(5));
    });
}

/// Reads until what was read contains `wanted`.
async fn read_until(stream: &mut podo_cri::ReadStream, wanted: &str) -> String {
    let mut seen = Vec::new();
    let reading = async {
        let mut chunk = [0; 4096];
        loop {
            let count = stream.read(&mut chunk).await.unwrap();
            seen.extend_from_slice(&chunk[..count]);
            let text = String::from_utf8_lossy(&seen).into_owned();
            if text.contains(wanted) {
                return text;
            }
            assert!(count > 0, "ended with {text:?}");
        }
    };
    tokio::time::timeout(LIMIT, reading).await.expect("the output comes")
}

fn exec_with_a_terminal_has_a_size() {
    with_world(async |world| {
        let pod = world.plain_pod("tty").await;
        let id = world.launch(&pod, shell("c", "sleep 100")).await;
        let script =
            "echo $TERM; tty; while read line; do [ $line = end ] && exit 6; stty size; done";
        let mut streams = exec(world, &id, script, true).await;
        let resize = streams.resize.take().unwrap();
        let (mut stdin, mut stdout) =
            (streams.stdin.take().unwrap(), streams.stdout.take().unwrap());
        assert!(streams.stderr.is_none());
        let text = read_until(&mut stdout, "/dev/pts/").await;
        assert!(text.contains("xterm\r\n"), "{text:?}");
        resize.send_replace(TerminalSize { width: 101, height: 43 });
        let sizing = async || {
            stdin.write_all(b"size\n").await.unwrap();
            read_until(&mut stdout, "\r\n").await
        };
        eventually("the size", sizing, |text| text.contains("43 101")).await;
        stdin.write_all(b"end\n").await.unwrap();
        assert_eq!(tokio::time::timeout(LIMIT, streams.exit).await.unwrap(), Ok(6));
        let mut rest = Vec::new();
        stdout.read_to_end(&mut rest).await.unwrap();
    });
}

fn attach_joins_the_containers_streams() {
    with_world(async |world| {
        let pod = world.plain_pod("attach").await;
        let mut config = shell("c", "while read line; do echo got $line; done; exit 4");
        (config.stdin, config.stdin_once) = (true, true);
        let id = world.launch(&pod, config).await;
        let request = AttachRequest {
            container_id: id.clone(),
            stdin: true,
            stdout: true,
            stderr: true,
            tty: false,
        };
        let mut streams = world.cri.attach(request.clone()).await.unwrap();
        let mut stdin = streams.stdin.take().unwrap();
        let mut stdout = streams.stdout.take().unwrap();
        stdin.write_all(b"one\n").await.unwrap();
        assert_eq!(read_until(&mut stdout, "\n").await, "got one\n");
        stdin.shutdown().await.unwrap();
        drop(stdin);
        assert_eq!(tokio::time::timeout(LIMIT, streams.exit).await.unwrap(), Ok(4));
        let status = world.ended(&id).await;
        assert_eq!(log_content(Path::new(&status.log_path)), "got one\n");
        let error = world.cri.attach(request).await.unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition);
    });
}

fn attach_to_a_terminal_resizes_it() {
    with_world(async |world| {
        let pod = world.plain_pod("screen").await;
        let mut config = shell("c", "while read line; do stty size; done");
        (config.stdin, config.tty) = (true, true);
        let id = world.launch(&pod, config).await;
        let request =
            AttachRequest { container_id: id, stdin: true, stdout: true, stderr: false, tty: true };
        let mut streams = world.cri.attach(request).await.unwrap();
        let (mut stdin, mut stdout) =
            (streams.stdin.take().unwrap(), streams.stdout.take().unwrap());
        streams.resize.unwrap().send_replace(TerminalSize { width: 77, height: 22 });
        let sizing = async || {
            stdin.write_all(b"?\n").await.unwrap();
            read_until(&mut stdout, "\n").await
        };
        eventually("the size", sizing, |text| text.contains("22 77")).await;
    });
}

fn a_log_goes_on_after_it_was_renamed() {
    with_world(async |world| {
        let pod = world.plain_pod("rotate").await;
        let script = "echo one; until [ -e /tmp/go ]; do usleep 2000; done; echo two; sleep 100";
        let id = world.launch(&pod, shell("c", script)).await;
        let log = world.status(&id).await.log_path;
        let log = Path::new(&log);
        eventually("one", async || log_content(log), |text| text == "one\n").await;
        let old = log.with_extension("old");
        fs::rename(log, &old).unwrap();
        let request = ReopenContainerLogRequest { container_id: id.clone() };
        world.cri.reopen_container_log(request.clone()).await.unwrap();
        world.exec(&id, "touch /tmp/go").await;
        eventually("two", async || log_content(log), |text| text == "two\n").await;
        assert_eq!(log_content(&old), "one\n");
        world.stop(&id, 0).await;
        let error = world.cri.reopen_container_log(request).await.unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition);
    });
}
