use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::BoxFuture;
use podo_base::Timestamp;
use tokio::sync::oneshot;

use super::read::Source;
use super::{LogError, LogRequest, LogStream, LogStreams, tail_text};

const LOG: &str = "\
2026-01-01T00:00:01.000000001Z stdout F one
2026-01-01T00:00:02.000000002Z stderr F two
2026-01-01T00:00:03.000000003Z stdout P thr
2026-01-01T00:00:03.000000004Z stdout F ee
2026-01-01T00:00:04.000000005Z stdout F four
";

struct Log {
    dir: tempfile::TempDir,
    path: PathBuf,
}

fn log(text: &str) -> Log {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("pods/p/c/0.log");
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    std::fs::write(&path, text).expect("written");
    Log { dir, path }
}

impl Log {
    fn source(&self, follow: Option<BoxFuture<'static, ()>>) -> Source {
        Source { log_dir: self.dir.path().to_owned(), path: self.path.clone(), follow }
    }

    fn append(&self, text: &str) {
        append(&self.path, text);
    }
}

fn append(path: &Path, text: &str) {
    let mut file =
        std::fs::OpenOptions::new().append(true).create(true).open(path).expect("opened");
    file.write_all(text.as_bytes()).expect("written");
}

async fn all(request: LogRequest) -> String {
    let log = log(LOG);
    let mut stream = LogStream::open(log.source(None), &request).expect("a log");
    let mut text = Vec::new();
    while let Some(piece) = stream.next().await {
        text.extend_from_slice(&piece.expect("readable"));
    }
    String::from_utf8(text).expect("text")
}

#[tokio::test]
async fn the_texts_of_a_log_are_joined_to_lines() {
    assert_eq!(all(LogRequest::default()).await, "one\ntwo\nthree\nfour\n");
}

#[tokio::test]
async fn a_request_chooses_what_it_gets() {
    let request = LogRequest::default;
    let since = Timestamp::parse("2026-01-01T00:00:03Z");
    for (request, expected) in [
        (LogRequest { tail_lines: Some(1), ..request() }, "four\n"),
        (LogRequest { tail_lines: Some(0), ..request() }, ""),
        (LogRequest { tail_lines: Some(100), ..request() }, "one\ntwo\nthree\nfour\n"),
        (LogRequest { since, ..request() }, "three\nfour\n"),
        (LogRequest { limit_bytes: Some(6), ..request() }, "one\ntw"),
        (LogRequest { stream: LogStreams::Stderr, ..request() }, "two\n"),
        (
            LogRequest { timestamps: true, tail_lines: Some(3), ..request() },
            "2026-01-01T00:00:03.000000003Z three\n2026-01-01T00:00:04.000000005Z four\n",
        ),
    ] {
        assert_eq!(all(request.clone()).await, expected, "{request:?}");
    }
}

#[tokio::test]
async fn a_followed_log_goes_on_through_a_rotation_until_its_container_ends() {
    let log = log("2026-01-01T00:00:01Z stdout F one\n");
    let (end, ended) = oneshot::channel::<()>();
    let ended: BoxFuture<'static, ()> = Box::pin(async move {
        let _dropped = ended.await;
    });
    let request = LogRequest { follow: true, ..LogRequest::default() };
    let mut stream = LogStream::open(log.source(Some(ended)), &request).expect("a log");
    let mut next = async || {
        let piece = tokio::time::timeout(Duration::from_secs(10), stream.next());
        let piece = piece.await.expect("in time")?;
        Some(String::from_utf8(piece.expect("readable").to_vec()).expect("text"))
    };
    assert_eq!(next().await.as_deref(), Some("one\n"));
    log.append("2026-01-01T00:00:02Z stdout F two\n");
    assert_eq!(next().await.as_deref(), Some("two\n"));
    std::fs::rename(&log.path, log.path.with_extension("log.1")).expect("renamed");
    log.append("2026-01-01T00:00:03Z stdout F three\n");
    assert_eq!(next().await.as_deref(), Some("three\n"));
    // Twice between two reads: nothing is passed over.
    for (extension, entry) in [("log.2", "four"), ("log.3", "five")] {
        std::fs::rename(&log.path, log.path.with_extension(extension)).expect("renamed");
        log.append(&format!("2026-01-01T00:00:04Z stdout F {entry}\n"));
    }
    assert_eq!(next().await.as_deref(), Some("four\n"));
    assert_eq!(next().await.as_deref(), Some("five\n"));
    log.append("2026-01-01T00:00:04Z stdout F six\n");
    end.send(()).expect("followed");
    assert_eq!(next().await.as_deref(), Some("six\n"));
    assert_eq!(next().await, None);
}

#[test]
fn a_log_is_not_read_through_a_link() {
    let log = log(LOG);
    std::fs::remove_file(&log.path).expect("removed");
    std::os::unix::fs::symlink("/etc/passwd", &log.path).expect("a link");
    let opened = LogStream::open(log.source(None), &LogRequest::default());
    assert!(matches!(opened, Err(LogError::Open { .. })), "{opened:?}");
    let source = Source { path: PathBuf::from("/etc/passwd"), ..log.source(None) };
    let opened = LogStream::open(source, &LogRequest::default());
    assert!(matches!(opened, Err(LogError::Outside(_))), "{opened:?}");
}

#[test]
fn neither_a_log_nor_last_words_are_read_through_a_folder_that_is_a_link() {
    let (log, secret) = (log(LOG), log(LOG));
    let pod = log.dir.path().join("pods/p");
    std::fs::remove_dir_all(&pod).expect("removed");
    std::os::unix::fs::symlink(secret.dir.path().join("pods/p"), &pod).expect("a link");
    assert_eq!(std::fs::read_to_string(&log.path).expect("leads there"), LOG);
    let opened = LogStream::open(log.source(None), &LogRequest::default());
    assert!(matches!(opened, Err(LogError::Open { .. })), "{opened:?}");
    assert!(tail_text(log.dir.path(), &log.path, 3).is_err());
}

#[test]
fn last_words_are_the_ends_lines() {
    let log = log(LOG);
    assert_eq!(tail_text(log.dir.path(), &log.path, 3).expect("readable"), "three\nfour\n");
}
