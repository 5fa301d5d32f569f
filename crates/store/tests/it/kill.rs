//! A process that writes is killed at random moments, many times, and started again on what it left.
//!
//! The writer is this test binary itself, started again for the one test `writer`. It tells each acknowledged write through a
//! pipe; the test kills it after some of them, opens the store and compares.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use podo_store::{
    Change, Directory, Embedded, Expect, Filter, Key, Op, Range, Revision, Store, Txn,
    Write as Does,
};

use crate::plain::{Number, config};

const PATH_VARIABLE: &str = "PODO_STORE_TEST_WRITER";
const ROUNDS: u64 = 120;
const WRITERS: usize = 4;

fn open(path: &Path) -> Store<Number> {
    let directory = Directory::new(path).expect("the directory is there");
    let engine = Embedded::new(directory).with_checkpoint_log_bytes_min(60_000);
    Store::open(engine, config()).expect("what a killed process leaves can be opened")
}

/// Each writer counts up in its own keys, two at once, and now and then deletes and starts a key again.
#[test]
#[ignore = "it writes until it is killed; the test below starts it"]
fn writer() {
    let Some(path) = std::env::var_os(PATH_VARIABLE) else { return };
    let store = open(Path::new(&path));
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || write_for_ever(store, writer));
        }
    });
}

fn write_for_ever(store: &Store<Number>, writer: usize) {
    let left = Key::new("pods", format!("{writer}/left"));
    let right = Key::new("nodes", format!("{writer}/right"));
    let start = store.get(&right).expect("read").map_or(0, |entry| entry.value.0);
    for number in start + 1.. {
        let op = |key: &Key, change| Op { key: key.clone(), expect: Expect::Any, change };
        let first = if number % 7 == 0 { Does::Delete } else { Does::Put(Number(number)) };
        let ops = vec![op(&left, first), op(&right, Does::Put(Number(number)))];
        let committed = store.commit_blocking(Txn { ops }).expect("committed");
        let line = format!("ack {} {writer} {number}\n", committed.revision);
        // One write is one line: pipes keep up to 4 KiB together (pipe(7)).
        std::io::stdout().lock().write_all(line.as_bytes()).expect("the test listens");
    }
}

fn start(path: &Path) -> Child {
    let binary = std::env::current_exe().expect("the test's own file");
    Command::new(binary)
        .args(["kill::writer", "--exact", "--ignored", "--nocapture"])
        .env(PATH_VARIABLE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the writer starts")
}

/// What was acknowledged, by revision.
type Acknowledged = BTreeMap<u64, (u64, u64)>;

fn note(line: &str, acknowledged: &mut Acknowledged) -> bool {
    let mut words = line.split(' ').skip_while(|word| *word != "ack").skip(1);
    let mut number = || words.next()?.trim().parse::<u64>().ok();
    let (Some(revision), Some(writer), Some(count)) = (number(), number(), number()) else {
        return false;
    };
    let before = acknowledged.insert(revision, (writer, count));
    assert_eq!(before, None, "revision {revision} is used once");
    true
}

/// Kills the writer after `acks` acknowledgements and hears what it had still said.
fn run(path: &Path, acks: u64, acknowledged: &mut Acknowledged) {
    let mut child = start(path);
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    let (mut line, mut heard) = (String::new(), 0);
    while heard < acks {
        line.clear();
        assert!(lines.read_line(&mut line).expect("read") > 0, "the writer goes on");
        heard += u64::from(note(&line, acknowledged));
    }
    child.kill().expect("it is killed");
    loop {
        line.clear();
        if lines.read_line(&mut line).expect("read") == 0 {
            break;
        }
        if line.ends_with('\n') {
            note(&line, acknowledged);
        }
    }
    child.wait().expect("it is gone");
}

/// What an earlier start found, and must go on being there: the revision, and each writer's number.
#[derive(Default)]
struct Found {
    revision: Revision,
    numbers: [u64; WRITERS],
}

fn check(store: &Store<Number>, acknowledged: &Acknowledged, found: &mut Found) {
    let revision = store.revision();
    let last = acknowledged.keys().next_back().copied().unwrap_or(0);
    assert!(revision.0 >= last, "acknowledged {last}, found {revision}");
    assert!(revision >= found.revision, "what an earlier start showed is still there");
    found.revision = revision;

    for (writer, number) in found.numbers.iter_mut().enumerate() {
        let mine = acknowledged.values().filter(|(other, _)| *other == writer as u64);
        // A writer that was killed before its first acknowledgement goes on from what was found, not from what was acknowledged.
        let highest = mine.map(|(_, number)| *number).max().unwrap_or(0).max(*number);
        let get = |bucket: &str, side: &str| {
            let key = Key::new(bucket, format!("{writer}/{side}"));
            store.get(&key).expect("read").map(|entry| (entry.value.0, entry.revision))
        };
        let Some((right, right_at)) = get("nodes", "right") else {
            assert_eq!(highest, 0);
            continue;
        };
        assert!((highest..=highest + 1).contains(&right), "{right}: not {highest} or the next");
        *number = right;
        match get("pods", "left") {
            Some((left, left_at)) => assert_eq!((left, left_at), (right, right_at), "both or none"),
            None => assert_eq!(right % 7, 0, "deleted together"),
        }
    }
    check_watch(store, acknowledged);
}

/// Watching from anywhere tells exactly what was acknowledged, in order, and leads to what can be listed.
fn check_watch(store: &Store<Number>, acknowledged: &Acknowledged) {
    let compacted = store.compacted();
    let middle = Revision(u64::midpoint(compacted.0, store.revision().0));
    for after in [compacted, middle, store.revision()] {
        let filter = Filter::Prefix("".into());
        let mut watcher = store.watch("nodes", filter, after).expect("retained");
        let range = Range { at: Some(after), ..Range::all("nodes") };
        let mut state: BTreeMap<String, u64> = store
            .range(&range)
            .expect("retained")
            .items
            .iter()
            .map(|entry| (entry.key.rest().to_owned(), entry.value.0))
            .collect();
        let mut revision = after;
        while let Some(event) = watcher.try_next().expect("goes on") {
            revision = revision.next();
            assert_eq!(event.revision(), revision, "every transaction writes one node");
            assert_ne!(event.change, Change::Deleted);
            if let Some((writer, number)) = acknowledged.get(&revision.0) {
                assert_eq!(event.key().rest(), format!("{writer}/right"));
                assert_eq!(event.entry.value.0, *number);
            }
            state.insert(event.key().rest().to_owned(), event.entry.value.0);
        }
        assert_eq!(revision, store.revision());
        let page = store.range(&Range::all("nodes")).expect("read");
        let now = page.items.iter().map(|entry| (entry.key.rest().to_owned(), entry.value.0));
        assert_eq!(state, now.collect());
    }
}

#[test]
fn no_acknowledged_write_is_lost_when_the_process_is_killed_at_any_moment() {
    let parent = tempfile::tempdir().expect("a directory");
    let path = parent.path().join("store");
    let mut acknowledged = Acknowledged::new();
    let mut found = Found::default();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let mut random = u64::from(since.subsec_nanos()) | 1;
    eprintln!("random: {random}");
    for _ in 0..ROUNDS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        run(&path, random % 150, &mut acknowledged);
        let store = open(&path);
        check(&store, &acknowledged, &mut found);
    }
    let (acknowledged, revision) = (acknowledged.len(), found.revision);
    eprintln!("{ROUNDS} kills, {acknowledged} acknowledged, {revision} found");
}
