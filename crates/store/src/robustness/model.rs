//! What a store should hold, in the simplest way: every state and every event, kept for ever.
#![expect(clippy::cast_possible_truncation, reason = "the numbers of these tests are small")]

use std::collections::BTreeMap;

use crate::testing::{Random, Text, line};
use crate::*;

/// The value, and the revisions and count that the entry should show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    text: String,
    revision: u64,
    create_revision: u64,
    version: u64,
}

pub(super) type State = BTreeMap<Key, Held>;

/// A store's whole life.
#[derive(Debug, Clone)]
pub(super) struct Model {
    /// The state at every revision, 0 first.
    pub(super) states: Vec<State>,
    /// The events of every revision, as lines, by bucket.
    pub(super) events: Vec<Vec<(String, String)>>,
}

impl Model {
    pub(super) fn new() -> Self {
        Self { states: vec![State::new()], events: vec![Vec::new()] }
    }

    pub(super) fn revision(&self) -> u64 {
        self.states.len() as u64 - 1
    }

    /// Forgets what happened after a revision: a crash has undone it.
    pub(super) fn cut(&mut self, revision: Revision) {
        self.states.truncate(revision.0 as usize + 1);
        self.events.truncate(revision.0 as usize + 1);
    }

    /// Does the transaction; whether it was allowed.
    pub(super) fn commit(&mut self, txn: &Txn<Text>) -> bool {
        let mut state = self.states.last().expect("there is the empty state").clone();
        let revision = self.revision() + 1;
        let holds = |op: &Op<Text>| match (op.expect, state.get(&op.key)) {
            (Expect::Any, _) | (Expect::Absent, None) | (Expect::Exists, Some(_)) => true,
            (Expect::Revision(Revision(revision)), Some(held)) => held.revision == revision,
            _ => false,
        };
        if !txn.ops.iter().all(holds) {
            return false;
        }
        let mut events = Vec::new();
        for op in &txn.ops {
            let before = state.get(&op.key).cloned();
            let was = before.as_ref().map(|held| format!(" (was {})", held.text));
            let (change, text) = match (&op.change, &before) {
                (Write::Put(value), None) => ("created", value.text.clone()),
                (Write::Put(value), Some(_)) => ("updated", value.text.clone()),
                (Write::Delete, Some(held)) => ("deleted", held.text.clone()),
                (Write::Delete, None) => continue,
            };
            let line =
                format!("{revision} {change} {}={text}{}", op.key.rest(), was.unwrap_or_default());
            events.push((op.key.bucket().to_owned(), line));
            if matches!(op.change, Write::Delete) {
                state.remove(&op.key);
                continue;
            }
            let create_revision = before.as_ref().map_or(revision, |held| held.create_revision);
            let version = before.map_or(1, |held| held.version + 1);
            state.insert(op.key.clone(), Held { text, revision, create_revision, version });
        }
        if !events.is_empty() {
            self.states.push(state);
            self.events.push(events);
        }
        true
    }

    /// Compares everything that can be read: now, at retained revisions, and watched from them.
    #[track_caller]
    pub(super) fn check(&self, store: &Store<Text>) {
        assert_eq!(store.revision().0, self.revision(), "revision");
        let step = usize::try_from(self.revision() / 40 + 1).unwrap_or(usize::MAX);
        let ats = (store.compacted().0..=self.revision()).step_by(step);
        for at in ats.chain([self.revision()]) {
            let state = &self.states[at as usize];
            for bucket in BUCKETS {
                let at = Some(Revision(at));
                let page = store.range(&Range { at, ..Range::all(bucket) }).expect("retained");
                let found: State =
                    page.items.iter().map(|entry| (entry.key.clone(), held(entry))).collect();
                let expected: State = state
                    .iter()
                    .filter(|(key, _)| key.bucket() == bucket)
                    .map(|(key, held)| (key.clone(), held.clone()))
                    .collect();
                assert_eq!(found, expected, "{bucket} at {at:?}");
            }
        }
        // From the oldest, the newest, and a dozen in between.
        let step = usize::try_from(self.revision() / 12 + 1).unwrap_or(usize::MAX);
        let afters = (store.compacted().0..=self.revision()).step_by(step);
        for after in afters.chain([self.revision()]) {
            for bucket in BUCKETS {
                self.check_watch(store, bucket, after);
            }
        }
    }

    #[track_caller]
    fn check_watch(&self, store: &Store<Text>, bucket: &str, after: u64) {
        let filter = Filter::Prefix("".into());
        let mut watcher = store.watch(bucket, filter, Revision(after)).expect("retained");
        let expected = self.lines(bucket, after);
        for expected in &expected {
            let event = watcher.try_next().expect("goes on").expect("there is one more");
            assert_eq!(line(&event), *expected);
        }
        assert!(watcher.try_next().expect("goes on").is_none(), "no event too many");
        assert_eq!(watcher.revision().0, self.revision(), "the watcher has seen everything");
    }

    /// A bucket's events after a revision.
    pub(super) fn lines(&self, bucket: &str, after: u64) -> Vec<String> {
        let events = self.events.iter().skip(after as usize + 1).flatten();
        events.filter(|(at, _)| at == bucket).map(|(_, line)| line.clone()).collect()
    }
}

fn held(entry: &Entry<Text>) -> Held {
    assert_eq!(entry.value.stamp, entry.revision, "a value carries its revision");
    Held {
        text: entry.value.text.clone(),
        revision: entry.revision.0,
        create_revision: entry.create_revision.0,
        version: entry.version,
    }
}

pub(super) const BUCKETS: [&str; 2] = ["configmaps", "pods"];

/// A transaction that often conflicts and often touches what another has touched.
pub(super) fn random_txn(random: &mut Random, model: &Model) -> Txn<Text> {
    let mut ops: Vec<Op<Text>> = Vec::new();
    for _ in 0..=random.below(3) {
        let bucket = BUCKETS[random.below(2) as usize];
        let key = Key::new(bucket, format!("ns{}/o{}", random.below(2), random.below(6)));
        if ops.iter().any(|op| op.key == key) {
            continue;
        }
        let current = model.states.last().and_then(|state| state.get(&key));
        let expect = match (random.below(6), current) {
            (0, _) => Expect::Absent,
            (1, _) => Expect::Exists,
            (2, Some(held)) => Expect::Revision(Revision(held.revision)),
            (3, _) if random.below(4) == 0 => Expect::Revision(Revision(random.below(50))),
            _ => Expect::Any,
        };
        let change = if random.below(3) == 0 {
            Write::Delete
        } else {
            let length = if random.below(10) == 0 { 2500 } else { random.below(80) as usize };
            Write::Put(Text::new(format!("v{}{}", random.below(1000), "x".repeat(length))))
        };
        ops.push(Op { key, expect, change });
    }
    Txn { ops }
}
