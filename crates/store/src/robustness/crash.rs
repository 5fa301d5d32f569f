//! The power goes, at every point at which it can.

use std::collections::BTreeMap;
use std::task::Poll;

use super::model::{Model, random_txn};
use crate::disk::faulty::FaultyDisk;
use crate::testing::{ManualClock, Random, Text, config, delete, key, on, poll, put};
use crate::*;

/// What a run of a store until its end acknowledged, and what it may have written beyond.
struct Run {
    model: Model,
    acknowledged: u64,
}

/// Random transactions, several at a time, until `steps` are done or the disk fails.
fn work(store: &Store<Text>, random: &mut Random, mut model: Model, steps: u64) -> Run {
    let mut acknowledged = model.revision();
    for _ in 0..steps {
        let mut commits = Vec::new();
        for _ in 0..=random.below(4) {
            let txn = random_txn(random, &model);
            let is_allowed = model.commit(&txn);
            commits.push((store.commit(txn), is_allowed, model.revision()));
        }
        for (commit, ..) in &mut commits {
            match poll(commit) {
                Poll::Pending => {}
                Poll::Ready(Err(CommitError::Poisoned(_))) => return Run { model, acknowledged },
                other @ Poll::Ready(_) => panic!("answered before it is durable: {other:?}"),
            }
        }
        store.step();
        for (commit, is_allowed, revision) in &mut commits {
            match poll(commit) {
                Poll::Ready(Ok(committed)) => {
                    assert!(*is_allowed);
                    assert_eq!(committed.revision.0, *revision);
                    acknowledged = acknowledged.max(*revision);
                }
                Poll::Ready(Err(CommitError::Conflict { .. })) => assert!(!*is_allowed),
                Poll::Ready(Err(CommitError::Poisoned(_))) => return Run { model, acknowledged },
                other => panic!("unexpected answer {other:?}"),
            }
        }
    }
    Run { model, acknowledged }
}

/// Opens what is left and checks that it is the model at one revision that nothing acknowledged is behind.
#[track_caller]
fn check_left(disk: &FaultyDisk, mut run: Run) -> (Store<Text>, Model) {
    let store = on(disk).expect("what a crash leaves can be opened");
    let revision = store.revision();
    assert!(revision.0 >= run.acknowledged, "lost: {} of {}", revision, run.acknowledged);
    assert!(revision.0 <= run.model.revision(), "nothing from nowhere");
    run.model.cut(revision);
    run.model.check(&store);
    (store, run.model)
}

#[test]
fn no_acknowledged_write_is_lost_whenever_the_power_goes() {
    let mut cuts = 0;
    for seed in 0..6 {
        for operation in 0.. {
            let disk = FaultyDisk::new(seed * 10_000 + operation);
            let mut random = Random(seed);
            disk.power_off_at(operation);
            let run = match on(&disk) {
                Ok(store) => work(&store, &mut random, Model::new(), 40),
                Err(_) => Run { model: Model::new(), acknowledged: 0 },
            };
            let is_through = disk.operations() <= operation;
            disk.power_cut();
            let (store, model) = check_left(&disk, run);
            // And it works on: what is written next does not meet what was left.
            let run = work(&store, &mut random, model, 3);
            drop(store);
            disk.power_cut();
            check_left(&disk, run);
            cuts += 1;
            if is_through {
                break;
            }
        }
    }
    assert!(cuts > 500, "the power went at {cuts} points");
}

#[test]
fn many_power_cuts_in_a_row_lose_nothing_and_reuse_no_revision() {
    for seed in 0..25 {
        let disk = FaultyDisk::new(seed);
        let mut random = Random(seed ^ 0xABCD);
        let mut model = Model::new();
        for _ in 0..12 {
            let acknowledged = model.revision();
            disk.power_off_at(disk.operations() + random.below(120));
            let run = match on(&disk) {
                Ok(store) => work(&store, &mut random, model, 30),
                Err(_) => Run { model, acknowledged },
            };
            disk.power_cut();
            model = check_left(&disk, run).1;
        }
    }
}

#[test]
fn a_killed_process_loses_nothing_that_its_cache_still_holds() {
    for seed in 0..40 {
        let disk = FaultyDisk::new(seed);
        let mut random = Random(seed);
        let run = work(&on(&disk).expect("opens"), &mut random, Model::new(), 30);
        let (store, model) = check_left(&disk, run);
        let revision = store.revision();
        assert_eq!(revision.0, model.revision());
        drop(store);
        // What a start has shown stays, though nothing was written since.
        disk.power_cut();
        assert_eq!(on(&disk).expect("opens").revision(), revision);
    }
}

#[test]
fn a_revision_never_decreases_when_the_last_writes_were_deletions() {
    let disk = FaultyDisk::new(1);
    let store = on(&disk).expect("opens");
    for number in 0..200 {
        put(&store, &format!("pods/{number}"), &"x".repeat(100));
    }
    for number in 0..200 {
        delete(&store, &format!("pods/{number}"));
    }
    assert!(store.stats().checkpoints > 2, "checkpoints took place");
    drop(store);
    let store = on(&disk).expect("opens");
    assert_eq!((store.revision(), store.stats().keys), (Revision(400), 0));
    assert_eq!(put(&store, "pods/new", "x"), Revision(401));
}

#[test]
fn a_write_without_room_never_comes_back() {
    for seed in 0..50 {
        let disk = FaultyDisk::new(seed);
        let store = on(&disk).expect("opens");
        put(&store, "pods/a", "1");
        disk.set_capacity(disk.used());
        let refused = Txn::put(key("pods/a"), Expect::Any, Text::new("z".repeat(5 << 20 >> 1)));
        let mut big = store.commit(refused.clone());
        assert!(poll(&mut big).is_pending());
        // Its bytes beyond the space taken ahead do not fit.
        let mut more = store.commit(refused);
        assert!(poll(&mut more).is_pending());
        store.step();
        assert!(matches!(poll(&mut big), Poll::Ready(Err(CommitError::Full))));
        assert!(matches!(poll(&mut more), Poll::Ready(Err(CommitError::Full))));
        drop(store);
        disk.power_cut();
        disk.set_capacity(usize::MAX);
        let store = on(&disk).expect("opens");
        assert_eq!(store.revision(), Revision(1));
        assert_eq!(put(&store, "pods/a", "2"), Revision(2));
    }
}

#[test]
fn a_write_that_was_cut_short_by_a_full_disk_never_comes_back() {
    for seed in 0..100 {
        let disk = FaultyDisk::new(seed);
        disk.forbid_allocating();
        let store = on(&disk).expect("opens");
        put(&store, "pods/a", "1");
        disk.set_capacity(disk.used() + 3000);
        // Half of the group is written, whole frames among it.
        let mut commits: Vec<_> = (0..4)
            .map(|number| {
                let text = Text::new("z".repeat(2000));
                store.commit(Txn::put(Key::new("pods", number.to_string()), Expect::Any, text))
            })
            .collect();
        assert!(commits.iter_mut().all(|commit| poll(commit).is_pending()));
        store.step();
        for commit in &mut commits {
            assert!(matches!(poll(commit), Poll::Ready(Err(CommitError::Full))));
        }
        if seed % 2 == 0 {
            assert_eq!(put(&store, "pods/b", "2"), Revision(2));
        }
        drop(store);
        disk.power_cut();
        let store = on(&disk).expect("opens");
        assert_eq!(store.revision().0, 2 - seed % 2);
        assert_eq!(store.stats().keys as u64, 2 - seed % 2);
    }
}

#[test]
fn what_an_unfinished_write_left_never_follows_a_later_one() {
    let mut followed = 0;
    for seed in 0..400 {
        let disk = FaultyDisk::new(seed);
        let store = on(&disk).expect("opens");
        put(&store, "pods/a", "1");
        let commit = |store: &Store<Text>, at: &str, text: &str| {
            let text = Text::new(text.repeat(1500));
            let mut commit = store.commit(Txn::put(key(at), Expect::Any, text));
            assert!(poll(&mut commit).is_pending());
            commit
        };
        let unanswered = [commit(&store, "pods/b", "x"), commit(&store, "pods/c", "y")];
        disk.power_off_at(disk.operations() + 1);
        store.step();
        drop((unanswered, store));
        disk.power_cut();
        // The first of the two may be torn and the second sound. Now another as long as the first is written, and torn or not.
        let store = on(&disk).expect("opens");
        let first = store.revision();
        let unanswered = commit(&store, "pods/d", "z");
        disk.power_off_at(disk.operations() + 1);
        store.step();
        drop((unanswered, store));
        disk.power_cut();
        let store = on(&disk).expect("opens");
        assert!((first..=first.next()).contains(&store.revision()), "{first}, {store:?}");
        if store.revision() > first {
            followed += 1;
            assert!(store.get(&key("pods/d")).expect("read").is_some());
        }
        assert!(first > Revision(2) || store.get(&key("pods/c")).expect("read").is_none());
    }
    assert!(followed > 50);
}

#[test]
fn what_is_written_after_a_process_was_killed_anywhere_stays() {
    for operation in 0.. {
        let disk = FaultyDisk::new(operation);
        let mut random = Random(5);
        disk.power_off_at(operation);
        let run = match on(&disk) {
            Ok(store) => work(&store, &mut random, Model::new(), 25),
            Err(_) => Run { model: Model::new(), acknowledged: 0 },
        };
        let is_through = disk.operations() <= operation;
        disk.power_stays();
        let (store, model) = check_left(&disk, run);
        let run = work(&store, &mut random, model, 1);
        drop(store);
        disk.power_cut();
        let revision = run.model.revision();
        let (_, model) = check_left(&disk, run);
        assert_eq!(model.revision(), revision);
        if is_through {
            break;
        }
    }
}

/// A store with a snapshot and a log behind it, closed.
fn closed_store() -> BTreeMap<String, Vec<u8>> {
    let disk = FaultyDisk::new(7);
    let store = on(&disk).expect("opens");
    for number in 0..60 {
        put(&store, &format!("pods/{}", number % 7), &format!("{number}-{}", "y".repeat(60)));
    }
    assert!(store.stats().checkpoints > 0);
    drop(store);
    let mut files = disk.files();
    for (name, bytes) in &mut files {
        if name.starts_with("log-") {
            // Without the space taken ahead, in which nothing can be lost.
            let end = bytes.iter().rposition(|byte| *byte != 0).expect("it is not empty");
            bytes.truncate((end + 1).next_multiple_of(8));
        }
    }
    files
}

#[test]
fn every_flipped_bit_is_refused_naming_the_file() {
    let files = closed_store();
    assert_eq!(on(&FaultyDisk::of_files(&files)).expect("opens").revision(), Revision(60));
    for (name, bytes) in files.iter().filter(|(name, _)| *name != "LOCK") {
        for at in 0..bytes.len() {
            let mut files = files.clone();
            files.get_mut(name).expect("it is there")[at] ^= 1 << (at % 8);
            match on(&FaultyDisk::of_files(&files)) {
                Err(OpenError::Corrupt { file, offset, .. }) => {
                    assert_eq!(file, *name);
                    assert!(offset <= at as u64, "{name} byte {at} reported at {offset}");
                }
                Err(OpenError::Version { file, .. }) => assert_eq!(file, *name),
                other => panic!("{name} byte {at}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_missing_file_is_refused() {
    let files = closed_store();
    for name in files.keys().filter(|name| *name != "LOCK") {
        let mut files = files.clone();
        files.remove(name);
        let error = on(&FaultyDisk::of_files(&files)).expect_err("something is missing");
        assert!(matches!(error, OpenError::Corrupt { .. }), "{name}: {error}");
    }
}

#[test]
fn a_zeroed_sector_in_front_of_the_last_group_is_refused() {
    let files = closed_store();
    let name = files.keys().find(|name| name.starts_with("log-")).expect("a log").clone();
    let bytes = &files[&name];
    for sector in 0..bytes.len() / 512 - 1 {
        let mut files = files.clone();
        files.get_mut(&name).expect("it is there")[sector * 512..(sector + 1) * 512].fill(0);
        let error = on(&FaultyDisk::of_files(&files)).expect_err("durable bytes are gone");
        assert!(matches!(error, OpenError::Corrupt { .. }), "sector {sector}: {error}");
    }
}

#[test]
fn a_store_open_twice_is_refused() {
    let disk = FaultyDisk::new(0);
    let first = on(&disk).expect("opens");
    assert!(matches!(on(&disk), Err(OpenError::Locked { .. })));
    drop(first);
    on(&disk).expect("opens once the first is closed");
}

#[test]
fn a_checkpoint_that_cannot_be_written_loses_nothing() {
    let disk = FaultyDisk::new(3);
    let engine = Embedded::new(disk.attach()).with_checkpoint_log_bytes_min(4000);
    let store = Store::open(engine, config(&ManualClock::default())).expect("opens");
    put(&store, "pods/a", "1");
    let big = "w".repeat(100_000);
    disk.set_capacity(disk.used() + 20); // Less than the header of a segment.
    let text = |number: u64| format!("{number}{big}");
    for number in 0..10 {
        put(&store, "pods/b", &text(number));
    }
    assert!(store.stats().checkpoints_failed > 0);
    assert_eq!(store.stats().checkpoints, 0);
    drop(store);
    disk.set_capacity(usize::MAX);
    disk.power_cut();
    let store = on(&disk).expect("opens");
    assert_eq!(store.revision(), Revision(11));
    let at = Some(Revision(5));
    let page = store.range(&Range { at, ..Range::all("pods") }).expect("history is in the log");
    assert_eq!(page.items[1].value.text, text(3));
}

#[test]
fn history_bounds_hold_for_what_is_read_from_the_log() {
    let disk = FaultyDisk::new(3);
    let store = Store::<Text>::open(Embedded::new(disk.attach()), config(&ManualClock::default()));
    let store = store.expect("opens");
    for number in 0..100 {
        put(&store, "pods/a", &format!("{number}{}", "x".repeat(1000)));
    }
    drop(store);
    let config = Config { history_bytes: 20_000, ..config(&ManualClock::default()) };
    let store = Store::<Text>::open(Embedded::new(disk.attach()), config).expect("opens");
    assert!(store.compacted() > Revision(85), "{:?}", store.stats());
    assert!(store.stats().history_bytes <= 20_000);
}

#[test]
fn a_snapshot_behind_which_no_revision_is_left_is_refused() {
    let mut bytes = frame::file_header(u64::MAX, 7).to_vec();
    let synced = bytes.len() as u64;
    frame::append(&mut bytes, 7, 0, synced, |out| record::push_end(out, 0));
    let name = format!("snapshot-{}", u64::MAX);
    let error = on(&FaultyDisk::of_files(&BTreeMap::from([(name.clone(), bytes)])))
        .expect_err("it is out of range");
    assert!(matches!(error, OpenError::Corrupt { file, .. } if file == name));
}
