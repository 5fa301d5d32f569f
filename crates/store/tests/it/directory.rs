//! Real directories.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use podo_store::{Directory, Embedded, Expect, Key, OpenError, Revision, Store, Txn};

use crate::plain::{Number, config};

fn open(path: &std::path::Path) -> Result<Store<Number>, OpenError> {
    let directory = Directory::new(path).expect("the directory can be made");
    Store::open(Embedded::new(directory).with_checkpoint_log_bytes_min(20_000), config())
}

fn put(store: &Store<Number>, rest: &str, number: u64) -> Revision {
    let txn = Txn::put(Key::new("pods", rest), Expect::Any, Number(number));
    store.commit_blocking(txn).expect("committed").revision
}

#[test]
fn a_store_survives_closing_with_its_checkpoints() {
    let parent = tempfile::tempdir().expect("a directory");
    let path = parent.path().join("store");
    for round in 0..5 {
        let store = open(&path).expect("opens");
        assert_eq!(store.revision(), Revision(round * 100));
        for number in 0..100 {
            put(&store, &format!("{}", number % 10), round * 100 + number);
        }
        let entry = store.get(&Key::new("pods", "9")).expect("read").expect("there");
        assert_eq!((entry.value.0, entry.version), (round * 100 + 99, (round + 1) * 10));
    }
    let names: Vec<String> = fs::read_dir(&path)
        .expect("listed")
        .map(|entry| entry.expect("listed").file_name().into_string().expect("ours are ASCII"))
        .collect();
    let count = |kind: &str| names.iter().filter(|name| name.starts_with(kind)).count();
    assert_eq!((count("snapshot-"), count("log-")), (1, 1), "{names:?}");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o700);
    for name in &names {
        let mode = fs::metadata(path.join(name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_directory_in_use_is_refused_until_it_is_not() {
    let parent = tempfile::tempdir().expect("a directory");
    let path = parent.path().join("store");
    let first = open(&path).expect("opens");
    let error = open(&path).expect_err("it is in use");
    assert!(
        matches!(&error, OpenError::Locked { path: named } if *named == path.display().to_string())
    );
    first.close();
    open(&path).expect("opens once the first is closed");
}

#[test]
fn a_lock_that_a_killed_process_left_to_one_it_was_starting_is_waited_for() {
    let parent = tempfile::tempdir().expect("a directory");
    let path = parent.path().join("store");
    open(&path).expect("opens").close();
    // A lock belongs to the open file, which a process that is forked has as well.
    let left = fs::File::open(path.join("LOCK")).expect("there");
    left.try_lock().expect("locked");
    let runs_its_program = std::thread::spawn({
        let left = left.try_clone().expect("forked");
        move || {
            let (_never, wait) = std::sync::mpsc::channel::<()>();
            let _elapsed = wait.recv_timeout(std::time::Duration::from_millis(100));
            drop(left);
        }
    });
    drop(left);
    open(&path).expect("opens when nobody holds the lock any more");
    runs_its_program.join().expect("ended");
}

#[test]
fn a_file_of_a_newer_format_is_refused_by_name() {
    let parent = tempfile::tempdir().expect("a directory");
    let path = parent.path().join("store");
    put(&open(&path).expect("opens"), "a", 1);
    let file = path.join(format!("log-{:020}", 1));
    let mut bytes = fs::read(&file).expect("read");
    bytes[8] = 2;
    fs::write(&file, bytes).expect("written");
    let error = open(&path).expect_err("it is of a format not known yet");
    assert!(matches!(error, OpenError::Version { found: 2, supported: 1, .. }), "{error}");
}
