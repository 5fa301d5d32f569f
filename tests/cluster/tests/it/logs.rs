//! Logs: all of them, followed, of the last run, parts, with times, and rotated (S30).

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::kubectl::of_our_version;
use podo_cluster_tests::pods::{idle, once, pod, restarts, shell};
use podo_cluster_tests::{Cluster, Options, PATIENCE, until, with_cluster};
use serde_json::{Value, json};

use crate::on_cluster;

const MIB: u64 = 1 << 20;

#[test]
fn s30_logs_of_each_container_its_last_run_and_its_end() {
    on_cluster(|it| {
        let counts = shell(
            "counts",
            "for i in 1 2 3 4 5; do echo line $i; done; echo error >&2; sleep 0.3; exit 1",
        );
        it.create_pod(&pod("logs", json!({"containers": [counts, idle("silent")]})));
        it.until("logs", "restarts", |pod| restarts(pod, "counts") > 0);
        let log = |query: &str| it.api.get(&format!("{PODS}/logs/log?container=counts{query}"));
        let all = "line 1\nline 2\nline 3\nline 4\nline 5\nerror\n";
        assert_eq!(log("&previous=true").ok_text(), all);
        assert_eq!(log("&previous=true&tailLines=2").ok_text(), "line 5\nerror\n");
        assert_eq!(log("&previous=true&limitBytes=9").ok_text(), "line 1\nli");
        assert_eq!(log("&previous=true&sinceSeconds=3600").ok_text(), all);
        let times = log("&previous=true&timestamps=true").ok_text();
        for line in times.lines() {
            let (time, rest) = line.split_once(' ').unwrap();
            assert!(time.len() >= 20 && time.contains('T') && !rest.is_empty(), "{line}");
        }
        let (code, _, message) = it.api.get(&format!("{PODS}/logs/log")).failure();
        assert_eq!(
            (code, message.as_str()),
            (
                400,
                "a container name must be specified for pod logs, choose one of: [counts silent]"
            )
        );
        let (code, _, message) = it.api.get(&format!("{PODS}/logs/log?container=none")).failure();
        assert_eq!((code, message.as_str()), (400, "container none is not valid for pod logs"));
        let (code, _, message) =
            it.api.get(&format!("{PODS}/logs/log?container=silent&previous=true")).failure();
        assert_eq!(code, 400, "{message}");
        assert_eq!(message, "previous terminated container \"silent\" in pod \"logs\" not found");
    });
}

/// Reads a successful answer as text.
trait OkText {
    fn ok_text(&self) -> String;
}

impl OkText for podo_cluster_tests::Answer {
    #[track_caller]
    fn ok_text(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text());
        self.text()
    }
}

#[test]
fn s30_a_followed_log_ends_with_its_container() {
    on_cluster(|it| {
        it.ready(&pod("follow", json!({"restartPolicy": "Never", "containers": [
            shell("main", "echo begin; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo end; exit 0")]})));
        let mut child = it.start_kubectl(&it.own(), &["logs", "-f", "follow"]);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "begin");
        it.exec("follow", "main", "touch /tmp/go");
        assert_eq!(lines.next().unwrap().unwrap(), "end");
        assert!(lines.next().is_none());
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn s30_long_lines_and_bytes_that_are_no_text_come_back_as_they_were_written() {
    on_cluster(|it| {
        let script = "head -c 100000 /dev/zero | tr '\\0' x; echo; printf '\\377\\001end'; echo; echo -n unfinished";
        it.ended(&once("odd", script));
        let answer = it.api.get(&format!("{PODS}/odd/log"));
        assert_eq!(answer.status, 200);
        let mut wanted = vec![b'x'; 100_000];
        // As in Kubernetes, the last line is ended even if its writer did not.
        wanted.extend_from_slice(b"\n\xff\x01end\nunfinished\n");
        assert!(answer.body == wanted, "{} bytes, of {}", answer.body.len(), wanted.len());
    });
}

/// The files of a container's log, the oldest first: `0.log` is the newest.
fn log_files(it: &Cluster, pod: &Value) -> Vec<PathBuf> {
    let text = |key: &str| pod["metadata"][key].as_str().unwrap().to_owned();
    let folder = format!("log/pods/default_{}_{}/main", text("name"), text("uid"));
    let folder = it.data_dir().join(folder);
    let entries = std::fs::read_dir(&folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.rotate_left(1);
    files
}

#[test]
fn s30_of_a_log_the_last_five_files_of_ten_mebibytes_are_kept() {
    on_cluster(|it| {
        // 64 MiB in numbered lines of 4 KiB; ten MiB hold about 2500.
        let script = "awk 'BEGIN { pad = sprintf(\"%4088s\", \"\"); for (i = 1; i <= 16384; i++) printf \"%07d%s\\n\", i, pad }'; echo last";
        let files = log_files(it, &it.ended(&once("rotated", script)));
        let sizes: Vec<u64> = files.iter().map(|file| file.metadata().unwrap().len()).collect();
        assert_eq!(files.len(), 5, "{files:?} {sizes:?}");
        assert!(sizes[..4].iter().all(|size| (9 * MIB..=10 * MIB).contains(size)), "{sizes:?}");
        assert!(files[4].ends_with("0.log") && sizes[4] <= 10 * MIB, "{files:?} {sizes:?}");
        // What is kept is the end, without a gap.
        let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
        let all = texts.collect::<String>();
        let words = all.lines().map(|line| line.split(' ').nth(3).unwrap());
        let numbers: Vec<u32> = words.filter_map(|word| word.parse().ok()).collect();
        assert!(numbers[0] > 1, "the first lines are gone");
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "a gap");
        assert_eq!(numbers.last(), Some(&16384));
        let tail = it.api.get(&format!("{PODS}/rotated/log?tailLines=1"));
        assert_eq!(tail.text(), "last\n");
    });
}

#[test]
fn s30_a_log_is_put_aside_by_its_age_on_request() {
    // Nobody waits for an hour here: after none, each entry finds a file that is old enough.
    let args = vec!["--container-log-max-hours=0".to_owned()];
    with_cluster(Options { args, ..Options::default() }, |it| {
        let script = "for i in 1 2 3; do echo line $i; sleep 0.3; done";
        let files = log_files(it, &it.ended(&once("aged", script)));
        let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
        let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
        let ends: Vec<String> =
            lines.map(|line| line.rsplit("F ").next().unwrap().to_owned()).collect();
        assert_eq!(ends, ["line 1", "line 2", "line 3"], "{files:?}");
        // On a machine that lags two entries may come as one.
        assert!(files.len() > 1, "{files:?}");
    });
}

#[test]
fn s30_since_leaves_older_lines_out() {
    on_cluster(|it| {
        let script = "echo old; sleep 3; while :; do echo new; sleep 0.1; done";
        it.ready(&pod("since", json!({"containers": [shell("main", script)]})));
        until("the second line is there", PATIENCE, || {
            let log = it.kubectl(&["logs", "since"]).ok();
            if log.starts_with("old\nnew\n") { Ok(()) } else { Err(log) }
        });
        let times = it.kubectl(&["logs", "since", "--timestamps", "--tail=1"]).ok();
        let since_time = format!("--since-time={}", times.split_once(' ').unwrap().0);
        for kubectl in [Some(it.own()), of_our_version()].into_iter().flatten() {
            for flag in ["--since=2s", &since_time] {
                let log = it.run(&kubectl, &["logs", "since", flag], "").ok();
                let is_new = !log.is_empty() && log.lines().all(|line| line == "new");
                assert!(is_new, "{kubectl:?} {flag}: {log}");
            }
            let all = it.run(&kubectl, &["logs", "since", "--since=1h"], "").ok();
            assert!(all.starts_with("old\nnew\n"), "{kubectl:?}: {all}");
        }
    });
}

#[test]
fn s30_logs_and_watches_come_as_messages_of_a_websocket() {
    on_cluster(|it| {
        it.ready(&pod("says", json!({"containers": [shell("main", "echo one; exec sleep 3600")]})));
        it.log_with("says", "main", "one\n");
        let path = format!("{PODS}/says/log?follow=true");
        for (protocol, text) in [("binary.k8s.io", "one\n"), ("base64.binary.k8s.io", "b25lCg==")] {
            let mut log = it.api.websocket(&path, &[protocol]);
            assert_eq!(log.protocol, protocol);
            assert_eq!(it.api.message(&mut log), "", "the log is open");
            assert_eq!(it.api.message(&mut log), text);
        }
        let version = it.version();
        let maps = "/api/v1/namespaces/default/configmaps";
        let mut watch =
            it.api.websocket(&format!("{maps}?watch=1&resourceVersion={version}"), &["any"]);
        for name in ["first", "second"] {
            it.create(maps, &json!({"metadata": {"name": name}}));
            let event: Value = serde_json::from_str(&it.api.message(&mut watch)).unwrap();
            assert_eq!(event["type"], "ADDED");
            assert_eq!(event["object"]["metadata"]["name"], name);
        }
    });
}
