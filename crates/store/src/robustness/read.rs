//! Reading: one state at a time, never an old one, and old ones only when asked for.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use super::model::{Model, random_txn};
use crate::testing::{
    ManualClock, Random, Text, config, delete, drain, key, memory, poll, put, watch_all, words,
};
use crate::*;

#[test]
fn every_retained_revision_can_be_read_and_watched_from() {
    for seed in 0..30 {
        let store = memory();
        let mut random = Random(seed);
        let mut model = Model::new();
        for _ in 0..80 {
            let txn = random_txn(&mut random, &model);
            let is_allowed = model.commit(&txn);
            match store.commit_blocking(txn) {
                Ok(committed) => {
                    assert!(is_allowed);
                    assert_eq!(committed.revision.0, model.revision());
                }
                Err(CommitError::Conflict { .. }) => assert!(!is_allowed),
                Err(error) => panic!("{error}"),
            }
        }
        model.check(&store);
    }
}

#[test]
fn a_list_read_page_by_page_is_one_snapshot() {
    let store = memory();
    for number in 0..100 {
        put(&store, &format!("pods/ns/p{number:02}"), "old");
    }
    put(&store, "pods/other/p", "old");
    let mut start_after: Option<String> = None;
    let mut at = None;
    let mut items = Vec::new();
    let mut sizes = Vec::new();
    loop {
        let range = Range {
            bucket: "pods",
            prefix: "ns/",
            start_after: start_after.as_deref(),
            limit: Some(7),
            at,
        };
        let page = store.range(&range).expect("retained");
        assert_eq!(page.revision, Revision(101), "every page shows the revision of the first");
        sizes.push((page.items.len(), page.remaining));
        items.extend(page.items.iter().map(|entry| {
            assert_eq!(entry.value.text, "old");
            entry.key.rest().to_owned()
        }));
        // Between the pages everything changes.
        put(&store, "pods/ns/p50", "new");
        put(&store, &format!("pods/ns/new{}", sizes.len()), "new");
        let gone = key(&format!("pods/ns/p{:02}", 99 - sizes.len()));
        store.commit_blocking(Txn::delete(gone, Expect::Any)).expect("deleted");
        if !page.more {
            break;
        }
        start_after = items.last().cloned();
        at = Some(page.revision);
    }
    assert_eq!(items, (0..100).map(|number| format!("ns/p{number:02}")).collect::<Vec<_>>());
    let expected: Vec<_> =
        (0..15).map(|page| (7.min(100 - page * 7), (93_usize).saturating_sub(page * 7))).collect();
    assert_eq!(sizes, expected);
}

#[test]
fn pages_of_more_lists_than_are_kept_are_put_together_from_events() {
    let store = memory();
    for number in 0..20 {
        put(&store, &format!("pods/{number:02}"), "0");
    }
    let mut lists = Vec::new();
    for round in 1..10 {
        let range = Range { limit: Some(10), ..Range::all("pods") };
        let first = store.range(&range).expect("retained");
        assert_eq!(first.remaining, 10 + (round - 1) - (round - 1));
        lists.push((first.revision, round - 1));
        put(&store, "pods/15", &round.to_string());
        put(&store, &format!("pods/new{round}"), "1");
        delete(&store, &format!("pods/{:02}", 19 - if round > 4 { round } else { round - 1 }));
    }
    for (revision, round) in lists {
        let range = Range {
            start_after: Some("09"),
            limit: Some(100),
            at: Some(revision),
            ..Range::all("pods")
        };
        let page = store.range(&range).expect("retained");
        assert_eq!(page.items.len(), 10, "at {revision}: {}", words(&page));
        assert!(words(&page).contains(&format!("15={round}")) || round > 4);
    }
}

#[test]
fn reading_outside_of_history_says_so() {
    let clock = ManualClock::default();
    let store = Store::<Text>::open(Memory, config(&clock)).expect("opens");
    for number in 0..10 {
        put(&store, "pods/a", &number.to_string());
    }
    let at = |revision: u64| store.get_at(&key("pods/a"), Revision(revision));
    assert_eq!(at(4).expect("retained").expect("there").value.text, "3");
    assert!(at(0).expect("retained").is_none());
    assert!(matches!(at(11), Err(ReadError::Future { at: Revision(11), current: Revision(10) })));
    store.tick(clock.advance(HISTORY_AGE + Duration::from_millis(1)));
    assert_eq!(store.compacted(), Revision(9), "an idle store forgets as well");
    assert!(matches!(at(4), Err(ReadError::Compacted { at: Revision(4), compacted: Revision(9) })));
    assert_eq!(at(9).expect("the oldest").expect("there").value.text, "8");
}

#[test]
fn a_clock_that_jumps_back_keeps_history() {
    let clock = ManualClock::default();
    clock.advance(HISTORY_AGE * 2);
    let store = Store::<Text>::open(Memory, config(&clock)).expect("opens");
    put(&store, "pods/a", "1");
    put(&store, "pods/a", "2");
    store.tick(0);
    assert_eq!(store.compacted(), Revision(0));
    assert_eq!(drain(&mut watch_all(&store, "pods", Revision(0))).len(), 2);
}

#[test]
fn a_visitor_stops_where_it_wants_and_may_call_the_store() {
    let store = memory();
    for number in 0..10 {
        put(&store, &format!("pods/{number}"), if number % 2 == 0 { "even" } else { "odd" });
    }
    let mut found = Vec::new();
    let (revision, flow) = store
        .visit(&Range::all("pods"), |entry| {
            put(&store, "pods/5", "even");
            if entry.value.text == "odd" {
                found.push(entry.key.rest().to_owned());
            }
            if found.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .expect("read");
    assert_eq!((revision, flow), (Revision(10), ControlFlow::Break(())));
    assert_eq!(found, ["1", "3", "5"], "what the visitor wrote is not in its snapshot");
}

#[test]
fn a_transaction_is_all_or_nothing_and_tells_what_is_in_its_way() {
    let store = memory();
    put(&store, "pods/a", "1");
    let op = |at: &str, expect| Op { key: key(at), expect, change: Write::Put(Text::new("2")) };
    let txn = |ops| store.commit_blocking(Txn { ops });
    match txn(vec![op("pods/b", Expect::Absent), op("pods/a", Expect::Revision(Revision(7)))]) {
        Err(CommitError::Conflict { key: at, current: Some(current) }) => {
            assert_eq!((at, current.revision), (key("pods/a"), Revision(1)));
        }
        other => panic!("{other:?}"),
    }
    assert!(store.get(&key("pods/b")).expect("read").is_none());
    assert_eq!(store.revision(), Revision(1));
    let done = txn(vec![op("pods/a", Expect::Exists), op("nodes/a", Expect::Absent)]);
    assert_eq!(done.expect("as expected").revision, Revision(2));
    let nothing = store.commit_blocking(Txn::delete(key("pods/z"), Expect::Any)).expect("nothing");
    assert_eq!((nothing.revision, nothing.entries.len()), (Revision(2), 1));
    assert!(nothing.entries[0].is_none());
}

#[test]
fn of_many_who_write_against_one_revision_one_wins() {
    let store = memory();
    put(&store, "pods/a", "0");
    let txn = |number: u64| {
        Txn::put(key("pods/a"), Expect::Revision(Revision(1)), Text::new(number.to_string()))
    };
    let mut commits: Vec<_> = (0..5).map(|number| store.commit(txn(number))).collect();
    assert!(commits.iter_mut().all(|commit| poll(commit).is_pending()));
    assert!(store.get(&key("pods/a")).expect("read").is_some_and(|entry| entry.value.text == "0"));
    store.step();
    let answers: Vec<_> = commits.iter_mut().map(poll).collect();
    assert!(matches!(answers[0], Poll::Ready(Ok(_))));
    for answer in &answers[1..] {
        let Poll::Ready(Err(CommitError::Conflict { current: Some(current), .. })) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(current.value.text, "0");
        assert_eq!(current.revision, Revision(2));
    }
}

#[test]
fn waiting_for_a_revision_ends_when_it_is_there() {
    let store = memory();
    put(&store, "pods/a", "0");
    assert!(matches!(poll(&mut store.reached(Revision(1))), Poll::Ready(Ok(Revision(1)))));
    let mut later = store.reached(Revision(3));
    assert!(poll(&mut later).is_pending());
    put(&store, "pods/a", "1");
    assert!(poll(&mut later).is_pending());
    put(&store, "pods/a", "2");
    assert!(matches!(poll(&mut later), Poll::Ready(Ok(Revision(3)))));
    let mut never = store.reached(Revision(9));
    assert!(poll(&mut never).is_pending());
    store.close();
    assert!(matches!(poll(&mut never), Poll::Ready(Err(ReadError::Closed))));
}

/// Writers keep two keys equal by transactions and one counter rising; readers and watchers never see otherwise.
#[test]
fn readers_on_other_threads_see_no_half_transaction_and_no_stale_state() {
    const WRITES: u64 = 3000;
    let config = Config { driver: Driver::Thread, ..config(&ManualClock::default()) };
    let store = Store::<Text>::open(Memory, config).expect("opens");
    let is_over = AtomicBool::new(false);
    let acknowledged = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..WRITES {
                let put = |at: &str| Op {
                    key: key(at),
                    expect: Expect::Any,
                    change: Write::Put(Text::new(number.to_string())),
                };
                let ops = vec![put("pods/left"), put("pods/right"), put("nodes/n")];
                let committed = store.commit_blocking(Txn { ops }).expect("committed");
                acknowledged.store(committed.revision.0, Ordering::SeqCst);
            }
            is_over.store(true, Ordering::SeqCst);
        });
        scope.spawn(|| {
            let mut last = Revision(0);
            while !is_over.load(Ordering::SeqCst) {
                let floor = acknowledged.load(Ordering::SeqCst);
                let page = store.range(&Range::all("pods")).expect("read");
                assert!(page.revision.0 >= floor, "an acknowledged write is seen");
                assert!(page.revision >= last, "a later read is not older");
                last = page.revision;
                let texts: Vec<&str> =
                    page.items.iter().map(|entry| entry.value.text.as_str()).collect();
                assert!(matches!(texts[..], [] | [_, _]), "both or none");
                assert!(texts.windows(2).all(|two| two[0] == two[1]), "{texts:?}");
                assert!(page.items.iter().all(|entry| entry.revision == page.revision));
                // A watch from the list's revision begins right behind it.
                let next = watch_all(&store, "pods", page.revision).try_next().expect("goes on");
                assert!(next.is_none_or(|event| event.revision() == page.revision.next()));
            }
        });
        scope.spawn(|| {
            let mut watcher = watch_all(&store, "pods", Revision(0));
            let mut events = 0;
            while events < 2 * WRITES {
                let bookmark = watcher.revision();
                assert!(bookmark.0 <= events / 2 + 1, "no bookmark ahead of its events");
                if let Some(event) = watcher.try_next().expect("goes on") {
                    assert_eq!(event.revision().0, events / 2 + 1, "no gap, no repetition");
                    let current = store.get(event.key()).expect("read").expect("there");
                    assert!(current.revision >= event.revision(), "reads are not behind events");
                    events += 1;
                } else {
                    let waiting = store.reached(Revision(events / 2 + 1));
                    block_on(waiting).expect("it goes on");
                }
            }
        });
    });
}

fn block_on<F: Future + Unpin>(mut future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    loop {
        let mut cx = std::task::Context::from_waker(&waker);
        if let Poll::Ready(output) = std::pin::Pin::new(&mut future).poll(&mut cx) {
            return output;
        }
        thread::park();
    }
}
