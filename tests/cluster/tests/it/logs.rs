//! Logs: all of them, followed, of the last run, parts, with times, and rotated (S30).

use std::io::{BufRead as _, BufReader};

use podo_cluster_tests::cluster::PODS;
use podo_cluster_tests::pods::{idle, once, pod, restarts, shell};
use serde_json::json;

use crate::on_cluster;

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

#[test]
fn s30_logs_are_rotated_at_ten_mebibytes() {
    on_cluster(|it| {
        // 26 MB in lines of 64 bytes; the disk keeps at most five files of ten.
        let script = "yes 0123456789012345678901234567890123456789012345678901234567890 | head -n 420000; echo last";
        let seen = it.ended(&once("rotated", script));
        let uid = seen["metadata"]["uid"].as_str().unwrap();
        let folder = it.data_dir().join(format!("log/pods/default_rotated_{uid}/main"));
        let mut sizes = Vec::new();
        for entry in std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        {
            let entry = entry.unwrap();
            sizes.push((entry.file_name(), entry.metadata().unwrap().len()));
        }
        assert!(sizes.len() > 1 && sizes.len() <= 5, "{sizes:?}");
        assert!(sizes.iter().all(|(_, size)| *size < 12 * 1024 * 1024), "{sizes:?}");
        let tail = it.api.get(&format!("{PODS}/rotated/log?tailLines=1"));
        assert_eq!(tail.text(), "last\n");
    });
}
