//! Syncs fail, disks fill up, code panics, queues fill: the store says so, and says it everywhere.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::disk::faulty::FaultyDisk;
use crate::queue::QUEUE_TXNS_MAX;
use crate::testing::{
    ManualClock, Text, Wakes, config, drain, key, memory, on, poll, put, watch_all,
};
use crate::*;

#[test]
fn a_failed_sync_poisons_writes_reads_and_watchers() {
    let disk = FaultyDisk::new(1);
    let store = on(&disk).expect("opens");
    put(&store, "pods/a", "1");
    let mut watcher = watch_all(&store, "pods", Revision(0));
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    assert_eq!(drain(&mut watcher).len(), 1);
    assert!(watcher.poll_next(&mut Context::from_waker(&waker)).is_pending());
    let mut reached = store.reached(Revision(100));
    assert!(poll(&mut reached).is_pending());

    disk.fail_syncs(1);
    let refused = store.commit_blocking(Txn::put(key("pods/a"), Expect::Any, Text::new("2")));
    assert!(matches!(refused, Err(CommitError::Poisoned(_))), "{refused:?}");
    let refused = store.commit_blocking(Txn::put(key("pods/b"), Expect::Any, Text::new("3")));
    assert!(matches!(refused, Err(CommitError::Poisoned(_))), "{refused:?}");
    assert!(matches!(store.get(&key("pods/a")), Err(ReadError::Poisoned(_))));
    assert!(matches!(store.range(&Range::all("pods")), Err(ReadError::Poisoned(_))));
    assert!(matches!(
        store.watch("pods", Filter::Prefix("".into()), Revision(1)),
        Err(ReadError::Poisoned(_))
    ));
    assert_eq!(wakes.count(), 1, "the waiting watcher is woken");
    assert!(matches!(watcher.try_next(), Err(WatchError::Poisoned(_))));
    assert!(matches!(poll(&mut reached), Poll::Ready(Err(ReadError::Poisoned(_)))));
    assert!(matches!(&*store.poison().expect("it is"), Poison::Sync { .. }));
}

#[test]
fn what_a_failed_sync_dropped_is_not_believed_after_a_restart() {
    let disk = FaultyDisk::new(1);
    let store = on(&disk).expect("opens");
    put(&store, "pods/a", "1");
    disk.fail_syncs(1);
    let refused = store.commit_blocking(Txn::put(key("pods/a"), Expect::Any, Text::new("2")));
    assert!(matches!(refused, Err(CommitError::Poisoned(_))));
    drop(store);
    // The cache of the machine still shows the second write; the device never got it.
    let store = on(&disk).expect("opens");
    assert_eq!(store.revision(), Revision(1));
    put(&store, "pods/a", "3");
    drop(store);
    disk.power_cut();
    let store = on(&disk).expect("opens");
    assert_eq!(store.get(&key("pods/a")).expect("read").expect("there").value.text, "3");
}

#[test]
fn a_full_disk_refuses_writes_clearly_and_goes_on_once_there_is_room() {
    let disk = FaultyDisk::new(1);
    let store = on(&disk).expect("opens");
    put(&store, "pods/a", "1");
    let mut watcher = watch_all(&store, "pods", Revision(1));
    disk.set_capacity(disk.used());
    let big = |key: &str| Txn::put(self::key(key), Expect::Any, Text::new("z".repeat(3 << 20)));
    let mut commits = [store.commit(big("pods/b")), store.commit(big("pods/c"))];
    assert!(commits.iter_mut().all(|commit| poll(commit).is_pending()));
    store.step();
    for commit in &mut commits {
        let Poll::Ready(Err(error @ CommitError::Full)) = poll(commit) else {
            panic!("all of the group are refused");
        };
        assert!(error.is_transient());
    }
    assert_eq!(store.range(&Range::all("pods")).expect("reads go on").items.len(), 1);
    assert_eq!(put(&store, "pods/d", "a small one has room"), Revision(2));
    disk.set_capacity(usize::MAX);
    let committed = store.commit_blocking(big("pods/b")).expect("there is room again");
    assert_eq!(committed.revision, Revision(3));
    let lines = drain(&mut watcher);
    assert_eq!(lines.len(), 2, "only what was committed is seen");
    drop((watcher, store));
    disk.power_cut();
    assert_eq!(on(&disk).expect("opens").revision(), Revision(3));
}

#[test]
fn a_full_queue_holds_back_and_lets_in_later() {
    let store = memory();
    let txn = |number: usize| {
        Txn::put(Key::new("pods", format!("{number}")), Expect::Absent, Text::new("x"))
    };
    let mut commits: Vec<_> =
        (0..QUEUE_TXNS_MAX + 10).map(|number| store.commit(txn(number))).collect();
    assert!(commits.iter_mut().all(|commit| poll(commit).is_pending()));
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut last = store.commit(txn(1_000_000));
    assert!(
        std::pin::Pin::new(&mut last).poll(&mut Context::from_waker(&waker)).is_pending(),
        "there is no room"
    );
    // One that gives up must not keep the room it was promised.
    drop(commits.pop());
    while store.step() {}
    assert_eq!(wakes.count(), 1, "it is told of room");
    assert!(commits.iter_mut().take(QUEUE_TXNS_MAX).all(|commit| poll(commit).is_ready()));
    assert!(poll(&mut last).is_pending(), "it went in");
    for commit in commits.iter_mut().skip(QUEUE_TXNS_MAX) {
        assert!(poll(commit).is_pending());
    }
    while store.step() {}
    assert!(matches!(poll(&mut last), Poll::Ready(Ok(_))));
    assert_eq!(store.revision().0, QUEUE_TXNS_MAX as u64 + 10);
}

#[test]
fn room_promised_to_one_who_gave_up_is_passed_on() {
    let store = memory();
    let txn = |number: usize| {
        Txn::put(Key::new("pods", format!("{number}")), Expect::Absent, Text::new("x"))
    };
    let inside: Vec<_> = (0..QUEUE_TXNS_MAX)
        .map(|number| {
            let mut commit = store.commit(txn(number));
            assert!(poll(&mut commit).is_pending());
            commit
        })
        .collect();
    let wakes: Vec<Arc<Wakes>> = (0..QUEUE_TXNS_MAX).map(|_| Arc::default()).collect();
    let mut outside: Vec<_> = wakes
        .iter()
        .enumerate()
        .map(|(number, wakes)| {
            let mut commit = store.commit(txn(QUEUE_TXNS_MAX + number));
            let waker = Waker::from(Arc::clone(wakes));
            let mut cx = Context::from_waker(&waker);
            assert!(std::pin::Pin::new(&mut commit).poll(&mut cx).is_pending());
            commit
        })
        .collect();
    store.step();
    let woken = wakes.iter().filter(|wakes| wakes.count() > 0).count();
    assert!((1..QUEUE_TXNS_MAX).contains(&woken), "as many are told as there is room: {woken}");
    assert_eq!(wakes[woken].count(), 0, "in the order in which they came");
    drop(outside.remove(0));
    assert_eq!(wakes[woken].count(), 1, "the next is told instead");
    drop(inside);
}

#[test]
fn a_closed_store_answers_what_it_took_and_refuses_the_rest() {
    let store = memory();
    let mut watcher = watch_all(&store, "pods", Revision(0));
    let mut taken = store.commit(Txn::put(key("pods/a"), Expect::Any, Text::new("1")));
    assert!(poll(&mut taken).is_pending());
    store.close();
    assert!(matches!(poll(&mut taken), Poll::Ready(Ok(_))));
    let refused = store.commit_blocking(Txn::put(key("pods/a"), Expect::Any, Text::new("2")));
    assert!(matches!(refused, Err(CommitError::Closed)));
    assert_eq!(store.get(&key("pods/a")).expect("reads go on").expect("there").value.text, "1");
    let ended = watcher.poll_next(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(ended, Poll::Ready(None)), "{ended:?}");
}

/// Panics when it is stamped.
#[derive(Debug, Clone)]
struct Bomb;

impl Value for Bomb {
    type EventCache = ();
    fn stamped(self, _revision: Revision) -> Self {
        panic!("this test's value panics");
    }
    fn to_log(&self, _out: &mut Vec<u8>) {}
    fn from_log(_key: &Key, _revision: Revision, _bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }
    fn weight(&self) -> usize {
        0
    }
}

#[test]
fn a_panic_in_the_committer_answers_everybody_and_poisons() {
    let config = Config { driver: Driver::Thread, ..config(&ManualClock::default()) };
    let store = Store::<Bomb>::open(Memory, config).expect("opens");
    for _ in 0..2 {
        let refused = store.commit_blocking(Txn::put(key("pods/a"), Expect::Any, Bomb));
        assert!(matches!(refused, Err(CommitError::Poisoned(_))), "{refused:?}");
    }
    assert!(matches!(store.get(&key("pods/a")), Err(ReadError::Poisoned(_))));
}

#[test]
fn what_cannot_be_written_is_refused_before_it_is_queued() {
    let store = memory();
    let refused = |txn: Txn<Text>| match poll(&mut store.commit(txn)) {
        Poll::Ready(Err(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let put = |at: Key, size: usize| Op {
        key: at,
        expect: Expect::Any,
        change: Write::Put(Text::new("x".repeat(size))),
    };
    let one = |at: Key, size: usize| Txn { ops: vec![put(at, size)] };
    assert_eq!(refused(one(Key::new("pods", ""), 1)), r#"key "pods/" is empty or too long"#);
    let long = Key::new("pods", "x".repeat(REST_BYTES_MAX + 1));
    assert!(refused(one(long, 1)).ends_with("is empty or too long"));
    assert_eq!(
        refused(one(key("pods/a"), VALUE_BYTES_MAX + 1)),
        r#"value of "pods/a" has 4194305 bytes, more than 4194304"#
    );
    let twice = Txn { ops: vec![put(key("pods/a"), 1), put(key("pods/a"), 2)] };
    assert_eq!(refused(twice), r#""pods/a" is named twice in one transaction"#);
    let many = |count: usize, size: usize| Txn {
        ops: (0..count).map(|number| put(Key::new("pods", format!("{number}")), size)).collect(),
    };
    assert!(refused(many(TXN_OPS_MAX + 1, 1)).ends_with("is too large"));
    assert!(refused(many(5, VALUE_BYTES_MAX)).ends_with("is too large"));
}
