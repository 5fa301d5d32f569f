//! Which event is new, which is an old one come again, which is one too many (Kubernetes v1.36 `events_cache.go`).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use podo_base::Timestamp;

use super::{BURST, Note, REFILL, Severity, Subject};

/// So many events that differ in their message alone are told as one.
const SIMILAR_MAX: usize = 10;
/// … if they come within this time.
const SIMILAR_WITHIN: Duration = Duration::from_secs(600);
/// How many different events are remembered.
const KNOWN_MAX: usize = 4096;

/// What becomes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// One too many.
    Drop,
    /// A new one.
    Create { name: String, message: String },
    /// An old one come again.
    Count { name: String, message: String, count: i32, first_at: Timestamp },
}

/// What makes two events similar.
type Class = (Subject, Severity, String);

#[derive(Debug)]
struct Similar {
    messages: HashSet<String>,
    last_at: Timestamp,
}

#[derive(Debug)]
struct Known {
    name: String,
    count: i32,
    first_at: Timestamp,
    last_at: Timestamp,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Timestamp,
}

/// What was told so far.
#[derive(Debug, Default)]
pub(super) struct Correlator {
    similar: HashMap<Class, Similar>,
    known: HashMap<(Class, String), Known>,
    buckets: HashMap<String, Bucket>,
}

impl Correlator {
    /// Decides over an event.
    pub(super) fn decide(&mut self, note: &Note) -> Decision {
        self.shrink(note.at);
        if !self.may_tell(note) {
            return Decision::Drop;
        }
        // Versions of the object do not make events differ.
        let subject = Subject { resource_version: String::new(), ..note.subject.clone() };
        let class: Class = (subject, note.severity, note.reason.clone());
        let similar = self
            .similar
            .entry(class.clone())
            .or_insert_with(|| Similar { messages: HashSet::new(), last_at: note.at });
        if note.at.since(similar.last_at) > SIMILAR_WITHIN {
            similar.messages.clear();
        }
        similar.last_at = note.at;
        similar.messages.insert(note.message.clone());
        let is_combined = similar.messages.len() > SIMILAR_MAX;
        let (key, message) = if is_combined {
            // Keeps the set at its bound.
            similar.messages.remove(&note.message);
            (String::new(), format!("(combined from similar events): {}", note.message))
        } else {
            (note.message.clone(), note.message.clone())
        };
        if let Some(known) = self.known.get_mut(&(class.clone(), key.clone())) {
            known.count = known.count.saturating_add(1);
            known.last_at = note.at;
            let Known { name, count, first_at, .. } = known;
            return Decision::Count {
                name: name.clone(),
                message,
                count: *count,
                first_at: *first_at,
            };
        }
        let name = event_name(&note.subject.name, note.at);
        let known = Known { name: name.clone(), count: 1, first_at: note.at, last_at: note.at };
        self.known.insert((class, key), known);
        Decision::Create { name, message }
    }

    /// Takes a token of the object's bucket.
    fn may_tell(&mut self, note: &Note) -> bool {
        let burst = f64::from(BURST);
        let bucket = self
            .buckets
            .entry(note.subject.uid.clone())
            .or_insert(Bucket { tokens: burst, at: note.at });
        let refilled = note.at.since(bucket.at).as_secs_f64() / REFILL.as_secs_f64();
        bucket.tokens = (bucket.tokens + refilled).min(burst);
        bucket.at = note.at;
        let may = bucket.tokens >= 1.0;
        if may {
            bucket.tokens -= 1.0;
        }
        may
    }

    /// Forgets the oldest when there is too much.
    fn shrink(&mut self, now: Timestamp) {
        if self.known.len() < KNOWN_MAX {
            return;
        }
        let is_recent = |at: Timestamp| now.since(at) < SIMILAR_WITHIN;
        self.known.retain(|_, known| is_recent(known.last_at));
        self.similar.retain(|_, similar| is_recent(similar.last_at));
        self.buckets.retain(|_, bucket| is_recent(bucket.at));
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
    }
}

/// The object's name and the time, as upstream makes it; and a bit of chance, since two events can come at the same time.
fn event_name(object: &str, at: Timestamp) -> String {
    let nanos = at.as_micros().wrapping_mul(1000);
    let chance = i64::from(u16::from_be_bytes(podo_base::random_bytes::<2>()) % 1000);
    // Names of objects may be longer than an event's may be.
    let object = object.get(..200.min(object.len())).unwrap_or(object);
    format!("{object}.{:x}", nanos + chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(uid: &str, message: &str, seconds: i64) -> Note {
        Note {
            subject: Subject {
                kind: "Pod",
                name: "p".to_owned(),
                uid: uid.to_owned(),
                ..Subject::default()
            },
            severity: Severity::Normal,
            reason: "Pulled".to_owned(),
            message: message.to_owned(),
            at: Timestamp::from_seconds(1_000_000 + seconds),
        }
    }

    #[test]
    fn the_same_event_is_counted() {
        let mut correlator = Correlator::default();
        let Decision::Create { name, .. } = correlator.decide(&note("u", "m", 0)) else {
            panic!("a new event");
        };
        let Decision::Count { name: again, count, .. } = correlator.decide(&note("u", "m", 5))
        else {
            panic!("an old event");
        };
        assert_eq!((again, count), (name, 2));
        assert!(matches!(correlator.decide(&note("v", "m", 5)), Decision::Create { .. }));
    }

    #[test]
    fn many_events_that_differ_in_their_message_become_one() {
        let mut correlator = Correlator::default();
        for index in 0..10 {
            correlator.decide(&note("u", &format!("m{index}"), 0));
        }
        let combined = |decision| match decision {
            Decision::Create { message, .. } | Decision::Count { message, .. } => message,
            Decision::Drop => String::new(),
        };
        let message = combined(correlator.decide(&note("u", "m10", 0)));
        assert_eq!(message, "(combined from similar events): m10");
        assert!(matches!(
            correlator.decide(&note("u", "m11", 0)),
            Decision::Count { count: 2, .. }
        ));
    }

    #[test]
    fn one_object_cannot_flood() {
        let mut correlator = Correlator::default();
        let told = (0..100).filter(|_| correlator.decide(&note("u", "m", 0)) != Decision::Drop);
        assert_eq!(told.count(), 25);
        assert_ne!(correlator.decide(&note("u", "m", 301)), Decision::Drop);
    }
}
