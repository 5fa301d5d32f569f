//! Watching: every event once, in order, whatever happens to history, readers and connections.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use super::model::{BUCKETS, Model, random_txn};
use crate::testing::{
    ManualClock, Random, Text, Wakes, config, delete, drain, key, line, memory, put, watch_all,
};
use crate::*;

#[test]
fn a_watch_that_reconnects_anywhere_gets_every_event_once() {
    for seed in 0..20 {
        let store = memory();
        let mut random = Random(seed);
        let mut model = Model::new();
        let mut seen: Vec<(Revision, Vec<String>)> = vec![(Revision(0), Vec::new()); 2];
        for _ in 0..60 {
            let txn = random_txn(&mut random, &model);
            let is_allowed = model.commit(&txn);
            assert_eq!(store.commit_blocking(txn).is_ok(), is_allowed);
            if random.below(3) == 0 {
                for (bucket, (revision, lines)) in BUCKETS.iter().zip(&mut seen) {
                    let mut watcher = watch_all(&store, bucket, *revision);
                    // Broken off in the middle, but where it may be: after all events of a revision.
                    lines.extend(drain(&mut watcher));
                    *revision = watcher.revision();
                }
            }
        }
        model.check(&store);
        for (bucket, (revision, mut lines)) in BUCKETS.iter().zip(seen) {
            lines.extend(drain(&mut watch_all(&store, bucket, revision)));
            assert_eq!(lines, model.lines(bucket, 0));
        }
    }
}

#[test]
fn a_deletion_carries_the_last_state_with_the_revision_of_the_deletion() {
    let store = memory();
    put(&store, "pods/a", "1");
    let put_at = put(&store, "pods/a", "2");
    let deleted_at = delete(&store, "pods/a");
    let event = watch_all(&store, "pods", put_at).try_next().expect("goes on").expect("there");
    assert_eq!(event.change, Change::Deleted);
    assert_eq!(event.entry.value, Text { text: "2".to_owned(), stamp: deleted_at });
    assert_eq!(event.entry.create_revision, Revision(1));
    let previous = event.previous.as_ref().expect("it existed");
    assert_eq!((previous.revision, previous.value.stamp), (put_at, put_at));
}

#[test]
fn a_slow_watcher_is_expired_and_never_skips() {
    let clock = ManualClock::default();
    let store = Store::<Text>::open(Memory, config(&clock)).expect("opens");
    put(&store, "pods/a", "1");
    let mut slow = watch_all(&store, "pods", Revision(0));
    let mut started = watch_all(&store, "pods", Revision(0));
    assert_eq!(started.try_next().expect("goes on").expect("there").revision(), Revision(1));
    for number in 2..10 {
        put(&store, "pods/a", &number.to_string());
    }
    store.tick(clock.advance(HISTORY_AGE + Duration::from_millis(1)));
    put(&store, "pods/a", "10");
    assert!(store.compacted() >= Revision(9));
    for (watcher, after) in [(&mut slow, Revision(0)), (&mut started, Revision(1))] {
        for _ in 0..2 {
            match watcher.try_next() {
                Err(WatchError::Expired { after: found, .. }) => assert_eq!(found, after),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(watcher.revision(), after);
    }
    let late = store.watch("pods", Filter::Prefix("".into()), Revision(3));
    assert!(matches!(late, Err(ReadError::Compacted { at: Revision(3), .. })), "{late:?}");
}

#[test]
fn a_watcher_that_has_seen_all_outlives_any_compaction() {
    let clock = ManualClock::default();
    let store = Store::<Text>::open(Memory, config(&clock)).expect("opens");
    put(&store, "pods/mine", "1");
    let mut all = watch_all(&store, "pods", Revision(1));
    let mine = Filter::Exact("mine".into());
    let mut mine = store.watch("pods", mine, Revision(1)).expect("retained");
    let mut other = watch_all(&store, "nodes", Revision(1));
    for round in 0..5 {
        for number in 0..100 {
            put(&store, "pods/others", &number.to_string());
        }
        assert_eq!(drain(&mut all).len(), 100);
        store.tick(clock.advance(HISTORY_AGE + Duration::from_millis(1)));
        assert_eq!(mine.revision(), store.revision(), "it has seen all that concerns it");
        assert!(mine.try_next().expect("never expired").is_none());
        assert!(other.try_next().expect("never expired").is_none());
        assert!(store.compacted().0 >= 100 * (round + 1), "history was forgotten");
    }
    put(&store, "pods/mine", "2");
    assert_eq!(drain(&mut mine), ["502 updated mine=2 (was 1)"]);
}

#[test]
fn history_is_bounded_by_bytes() {
    let config = Config { history_bytes: 100_000, ..config(&ManualClock::default()) };
    let store = Store::<Text>::open(Memory, config).expect("opens");
    for number in 0..1000 {
        put(&store, "pods/a", &format!("{number}{}", "x".repeat(1000)));
        assert!(store.stats().history_bytes <= 100_000);
    }
    assert!(store.stats().history_events > 30, "{:?}", store.stats());
    // One change beyond the bound is still kept for those who wait for it.
    let mut watcher = watch_all(&store, "pods", store.revision());
    put(&store, "pods/a", &"y".repeat(1 << 20));
    assert_eq!(drain(&mut watcher).len(), 1);
    store.tick(0);
    assert_eq!(store.stats().history_events, 1);
}

#[test]
fn a_bookmark_is_never_ahead_of_what_was_delivered_and_never_goes_back() {
    for seed in 0..20 {
        let store = memory();
        let mut random = Random(seed);
        let mut model = Model::new();
        let mut watcher = watch_all(&store, "pods", Revision(0));
        let mut delivered = Vec::new();
        let mut last = Revision(0);
        for _ in 0..200 {
            if random.below(2) == 0 {
                let txn = random_txn(&mut random, &model);
                model.commit(&txn);
                let _may_conflict = store.commit_blocking(txn);
            } else {
                delivered.extend(watcher.try_next().expect("goes on").map(|event| line(&event)));
            }
            let bookmark = watcher.revision();
            assert!(bookmark >= last, "never back");
            last = bookmark;
            let mut complete = delivered.clone();
            complete.extend(drain(&mut watch_all(&store, "pods", bookmark)));
            // What a reader who reconnects at the bookmark gets repeats at most events of the next revision's transaction.
            complete.dedup();
            let expected = model.lines("pods", 0);
            assert!(expected.iter().all(|line| complete.contains(line)), "nothing is missed");
        }
        drain(&mut watcher);
        assert_eq!(watcher.revision(), store.revision());
    }
}

#[test]
fn a_bookmark_rises_while_the_bucket_is_idle() {
    let store = memory();
    let watcher = watch_all(&store, "nodes", Revision(0));
    for number in 1..=3 {
        put(&store, "pods/a", "x");
        assert_eq!(watcher.revision(), Revision(number));
    }
}

#[test]
fn a_watch_from_the_future_waits_for_what_comes_after_it() {
    let store = memory();
    let mut watcher = watch_all(&store, "pods", Revision(3));
    for number in 1..=5 {
        put(&store, "pods/a", &number.to_string());
    }
    assert_eq!(drain(&mut watcher), ["4 updated a=4 (was 3)", "5 updated a=5 (was 4)"]);
}

#[test]
fn filters_let_through_what_they_name() {
    let store = memory();
    let watch = |filter| store.watch("pods", filter, Revision(0)).expect("retained");
    let mut watchers = [
        watch(Filter::Prefix("a/".into())),
        watch(Filter::Exact("a/x".into())),
        watch(Filter::Topic("n1".into())),
        watch(Filter::Topic("n2".into())),
    ];
    put(&store, "pods/a/x", "n1:1");
    put(&store, "pods/a/xy", "n1:2");
    put(&store, "pods/b/x", "n1:3");
    put(&store, "pods/a/x", "n2:4");
    delete(&store, "pods/a/x");
    let revisions = watchers.each_mut().map(|watcher| {
        let lines = drain(watcher);
        lines.iter().map(|line| &line[..1]).collect::<String>()
    });
    assert_eq!(revisions, ["1245", "145", "1234", "45"]);
}

#[test]
fn nobody_is_woken_for_what_does_not_concern_him() {
    let store = memory();
    let filters = [
        Filter::Prefix("".into()),
        Filter::Prefix("a/".into()),
        Filter::Prefix("ab/".into()),
        Filter::Exact("a/x".into()),
        Filter::Topic("n1".into()),
    ];
    let mut watchers: Vec<_> = filters
        .into_iter()
        .map(|filter| store.watch("pods", filter, Revision(0)).expect("retained"))
        .collect();
    watchers.push(watch_all(&store, "nodes", Revision(0)));
    let wakes: Vec<Arc<Wakes>> = watchers.iter().map(|_| Arc::default()).collect();
    let mut woken_by = |at: &str, text: &str| {
        let before: Vec<u64> = wakes.iter().map(|wakes| wakes.count()).collect();
        for (watcher, wakes) in watchers.iter_mut().zip(&wakes) {
            let waker = Waker::from(Arc::clone(wakes));
            while watcher.poll_next(&mut Context::from_waker(&waker)).is_ready() {}
        }
        put(&store, at, text);
        let woken = wakes.iter().zip(before).map(|(wakes, before)| wakes.count() - before);
        woken.map(|count| count.to_string()).collect::<String>()
    };
    assert_eq!(woken_by("pods/a/x", "1"), "110100");
    assert_eq!(woken_by("pods/a/y", "1"), "110000");
    assert_eq!(woken_by("pods/ab/x", "1"), "101000");
    assert_eq!(woken_by("pods/é/x", "n1:1"), "100010");
    assert_eq!(woken_by("pods/é/x", "n2:1"), "100010");
    assert_eq!(woken_by("pods/é/x", "n2:2"), "100000");
    assert_eq!(woken_by("nodes/a", "1"), "000001");
}

#[test]
fn an_unseen_bucket_and_its_watchers_leave_nothing_behind() {
    let store = memory();
    for number in 0..100 {
        drop(watch_all(&store, &format!("b{number}"), Revision(0)));
    }
    store.tick(0);
    assert!(store.get(&key("b1/x")).expect("read").is_none());
    let mut watcher = watch_all(&store, "b1", Revision(0));
    store.tick(0);
    put(&store, "b1/x", "1");
    assert_eq!(drain(&mut watcher), ["1 created x=1"]);
}

#[test]
fn an_events_cache_is_shared_by_all_its_receivers() {
    let store = memory();
    put(&store, "pods/a", "1");
    let next = || watch_all(&store, "pods", Revision(0)).try_next().expect("on").expect("there");
    next().cache.get_or_init(|| "encoded once".to_owned());
    assert_eq!(next().cache.get().map(String::as_str), Some("encoded once"));
}

/// Owns a watcher, as the waker of a task does that is kept alive by nothing else.
struct Owner(#[expect(dead_code, reason = "it is there to be dropped")] Watcher<Text>);

impl std::task::Wake for Owner {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_may_own_a_watcher_of_the_same_bucket() {
    let store = memory();
    let mut watcher = watch_all(&store, "pods", Revision(0));
    for _ in 0..3 {
        let waker = Waker::from(Arc::new(Owner(watch_all(&store, "pods", Revision(0)))));
        // Replaces the one before, which drops the watcher that it owns.
        assert!(watcher.poll_next(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(watcher);
    put(&store, "pods/a", "1");
}
