//! Events about Pods and the node: told once, counted when they come again.
//!
//! Holds always
//! - Telling never waits: the queue is bounded, and what does not fit is dropped and counted.
//! - One object causes at most [`BURST`] events at once and one more every [`REFILL`].
//!
//! Source of the rules: Kubernetes v1.36 `client-go/tools/record`.

mod correlate;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use podo_api::k8s_openapi::api::core::v1 as k8s;
use podo_api::k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use podo_base::{Clock, Stop, Timestamp};
use podo_client::Client;
use podo_client::transport::PatchKind;
use serde_json::json;
use tokio::sync::mpsc;

use crate::pod::{PodView, Role};
use crate::status::time;
use correlate::{Correlator, Decision};

/// How many events wait to be written.
const QUEUE_MAX: usize = 1000;
/// How many events of one object may come at once.
const BURST: u32 = 25;
/// How often an object may cause one more.
const REFILL: Duration = Duration::from_secs(300);
/// How often writing one event is tried.
const ATTEMPTS: u32 = 3;
/// What events are said to come from.
const COMPONENT: &str = "kubelet";

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Severity {
    /// Worth knowing.
    Normal,
    /// Worth looking at.
    Warning,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Subject {
    kind: &'static str,
    namespace: String,
    name: String,
    uid: String,
    resource_version: String,
    field_path: String,
}

impl Subject {
    /// A Pod.
    pub(crate) fn pod(pod: &PodView) -> Self {
        Self {
            kind: "Pod",
            namespace: pod.namespace().to_owned(),
            name: pod.name().to_owned(),
            uid: pod.uid().to_owned(),
            resource_version: pod.pod.metadata.resource_version.clone().unwrap_or_default(),
            field_path: String::new(),
        }
    }

    /// A container of a Pod.
    pub(crate) fn container(pod: &PodView, role: Role, name: &str) -> Self {
        Self { field_path: format!("{}{{{name}}}", role.field()), ..Self::pod(pod) }
    }

    /// The node. Its UID is its name, as upstream has it.
    pub(crate) fn node(name: &str) -> Self {
        Self { kind: "Node", name: name.to_owned(), uid: name.to_owned(), ..Self::default() }
    }

    fn reference(&self) -> k8s::ObjectReference {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        k8s::ObjectReference {
            api_version: (self.kind == "Pod").then(|| "v1".to_owned()),
            kind: Some(self.kind.to_owned()),
            namespace: text(&self.namespace),
            name: text(&self.name),
            uid: text(&self.uid),
            resource_version: text(&self.resource_version),
            field_path: text(&self.field_path),
        }
    }
}

/// One event to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    subject: Subject,
    severity: Severity,
    reason: String,
    message: String,
    at: Timestamp,
}

/// Takes events to tell.
#[derive(Clone)]
pub(crate) struct Recorder {
    queue: mpsc::Sender<Note>,
    clock: Arc<dyn Clock>,
    dropped: Arc<AtomicU64>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("dropped", &self.dropped).finish_non_exhaustive()
    }
}

impl Recorder {
    /// A recorder and what writes its events.
    pub(crate) fn new(clock: Arc<dyn Clock>, client: Client, host: &str) -> (Self, Writer) {
        let (queue, notes) = mpsc::channel(QUEUE_MAX);
        let recorder = Self { queue, clock, dropped: Arc::default() };
        let writer =
            Writer { notes, client, host: host.to_owned(), correlator: Correlator::default() };
        (recorder, writer)
    }

    /// Tells an event.
    pub(crate) fn event(
        &self,
        subject: Subject,
        severity: Severity,
        reason: &str,
        message: impl Into<String>,
    ) {
        let (reason, message) = (reason.to_owned(), message.into());
        let note = Note { subject, severity, reason, message, at: self.clock.now() };
        if self.queue.try_send(note).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tells something that is as it should be.
    pub(crate) fn normal(&self, subject: Subject, reason: &str, message: impl Into<String>) {
        self.event(subject, Severity::Normal, reason, message);
    }

    /// Tells something that is not.
    pub(crate) fn warning(&self, subject: Subject, reason: &str, message: impl Into<String>) {
        self.event(subject, Severity::Warning, reason, message);
    }
}

/// Writes events.
#[derive(Debug)]
pub(crate) struct Writer {
    notes: mpsc::Receiver<Note>,
    client: Client,
    host: String,
    correlator: Correlator,
}

impl Writer {
    /// Writes until `stop`, and what is waiting then.
    pub(crate) async fn run(mut self, stop: Stop) {
        while let Some(Some(note)) = stop.or(self.notes.recv()).await {
            self.write(note).await;
        }
        while let Ok(note) = self.notes.try_recv() {
            self.write(note).await;
        }
    }

    async fn write(&mut self, note: Note) {
        let decision = self.correlator.decide(&note);
        for _ in 0..ATTEMPTS {
            let written = match &decision {
                Decision::Drop => return,
                Decision::Create { name, message } => {
                    self.create(&note, name, message, 1, note.at).await
                }
                Decision::Count { name, message, count, first_at } => {
                    match self.count(&note, name, message, *count).await {
                        // It was removed meanwhile: tell it anew.
                        Err(status) if status.is_not_found() => {
                            self.create(&note, name, message, *count, *first_at).await
                        }
                        written => written,
                    }
                }
            };
            match written {
                Ok(()) => return,
                // The namespace is gone or the event makes no sense: no attempt will help.
                Err(status) if (400..500).contains(&status.code) && status.code != 429 => {
                    tracing::debug!(reason = note.reason, error = %status, "event refused");
                    return;
                }
                Err(status) => {
                    tracing::debug!(reason = note.reason, error = %status, "event not written");
                }
            }
        }
    }

    async fn create(
        &self,
        note: &Note,
        name: &str,
        message: &str,
        count: i32,
        first_at: Timestamp,
    ) -> Result<(), podo_api::Status> {
        let namespace = match note.subject.namespace.as_str() {
            "" => "default",
            namespace => namespace,
        };
        let event = k8s::Event {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            involved_object: note.subject.reference(),
            reason: Some(note.reason.clone()),
            message: Some(message.to_owned()),
            type_: Some(note.severity.as_str().to_owned()),
            count: Some(count),
            first_timestamp: Some(time(first_at)),
            last_timestamp: Some(time(note.at)),
            source: Some(k8s::EventSource {
                component: Some(COMPONENT.to_owned()),
                host: Some(self.host.clone()),
            }),
            reporting_component: Some(COMPONENT.to_owned()),
            reporting_instance: Some(self.host.clone()),
            ..k8s::Event::default()
        };
        match self.client.create::<k8s::Event>(namespace, &event).await {
            Ok(_) => Ok(()),
            // An earlier attempt was written though it seemed to fail.
            Err(status) if status.is_already_exists() => Ok(()),
            Err(status) => Err(status),
        }
    }

    async fn count(
        &self,
        note: &Note,
        name: &str,
        message: &str,
        count: i32,
    ) -> Result<(), podo_api::Status> {
        let namespace = match note.subject.namespace.as_str() {
            "" => "default",
            namespace => namespace,
        };
        let patch = json!({"count": count, "message": message,
            "lastTimestamp": note.at.to_rfc3339()});
        self.client
            .patch::<k8s::Event>(namespace, name, "", PatchKind::Strategic, patch)
            .await
            .map(|_| ())
    }
}
