//! Images of containers: present, pulled or not to be had (Kubernetes v1.36 `pkg/kubelet/images`).
//!
//! Holds always
//! - At most so many pulls run at the same time; the others wait their turn.
//! - After a failed pull the same Pod does not try the same image again before its back-off is over.

pub(crate) mod gc;
pub(crate) mod name;
pub(crate) mod pull_records;
pub(crate) mod pull_secrets;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use podo_api::duration::GoDuration;
use podo_base::{Backoff, Clock};
use podo_cri::{CriError, PullOptions, Reason, v1};
use tokio::sync::Semaphore;

use self::pull_records::PullRecords;
use self::pull_secrets::PullSecret;
use crate::config::IMAGE_BACKOFF;
use crate::container::security::ImageUser;
use crate::events::{Recorder, Subject};
use crate::pod::PodView;
use crate::runtime::{CALL_TIMEOUT, Runtime, bounded};

/// A pull that makes no end in this time is given up.
const PULL_TIMEOUT: Duration = Duration::from_secs(3600);

/// When to pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PullPolicy {
    /// Always ask the registry.
    Always,
    /// If it is not there.
    IfNotPresent,
    /// Never.
    Never,
}

impl PullPolicy {
    /// Reads the name of a policy.
    pub(crate) fn parse(text: Option<&str>) -> Self {
        match text {
            Some("Always") => Self::Always,
            Some("Never") => Self::Never,
            _ => Self::IfNotPresent,
        }
    }
}

/// An image that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PresentImage {
    /// How the runtime names it.
    pub(crate) reference: String,
    /// As whom it wants to run.
    pub(crate) user: ImageUser,
}

/// An image that is not to be had now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageError {
    /// One word, such as `ErrImagePull`.
    pub(crate) reason: &'static str,
    /// A sentence.
    pub(crate) message: String,
    /// After this trying again makes sense.
    pub(crate) retry_in: Duration,
    /// What to tell while waiting for that.
    pub(crate) meanwhile: Option<(&'static str, String)>,
}

/// What an image is wanted for.
#[derive(Debug, Clone)]
pub(crate) struct ImageRequest<'a> {
    /// The Pod.
    pub(crate) pod: &'a PodView,
    /// What events are about.
    pub(crate) subject: Subject,
    /// The image as the Pod names it.
    pub(crate) image: &'a str,
    /// When to pull.
    pub(crate) policy: PullPolicy,
    /// The Pod's credentials.
    pub(crate) secrets: &'a [PullSecret],
}

/// How long a problem that is not a pull's waits for the next look.
const RECHECK: Duration = Duration::from_secs(10);

/// The images of the node.
pub(crate) struct Images {
    runtime: Runtime,
    recorder: Recorder,
    clock: Arc<dyn Clock>,
    permits: Semaphore,
    records: PullRecords,
    failures: Mutex<HashMap<(String, String), Failure>>,
    used: Mutex<HashMap<String, podo_base::Timestamp>>,
}

impl std::fmt::Debug for Images {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Images").field("failures", &self.failures).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Failure {
    backoff: Backoff,
    message: String,
}

impl Images {
    /// Images of a runtime.
    pub(crate) fn new(
        runtime: Runtime,
        recorder: Recorder,
        clock: Arc<dyn Clock>,
        records: PullRecords,
        parallel: usize,
    ) -> Self {
        Self {
            runtime,
            recorder,
            clock,
            records,
            permits: Semaphore::new(parallel.max(1)),
            failures: Mutex::default(),
            used: Mutex::default(),
        }
    }

    /// Gets an image for a container, by its policy.
    pub(crate) async fn ensure(
        &self,
        request: ImageRequest<'_>,
    ) -> Result<PresentImage, ImageError> {
        let image = request.image;
        let full = name::with_default_tag(image).map_err(|error| {
            let message = format!("Failed to apply default image tag {image:?}: {error}");
            self.recorder.warning(request.subject.clone(), "InspectFailed", message.as_str());
            error_of("InvalidImageName", message)
        })?;
        let present = self.status(&full).await.map_err(|error| {
            let message = format!("Failed to inspect image {image:?}: {error}");
            self.recorder.warning(request.subject.clone(), "InspectFailed", message.as_str());
            match error.reason() {
                Reason::InvalidImageName => error_of("InvalidImageName", message),
                _ => error_of("ImageInspectError", message),
            }
        })?;
        let repository = name::repository(&full);
        let present = present.filter(|present| {
            self.records.allows(&full, &repository, &present.reference, request.secrets)
        });
        match (present, request.policy) {
            (Some(present), PullPolicy::IfNotPresent | PullPolicy::Never) => {
                let message = format!(
                    "Container image {image:?} already present on machine and can be accessed by the pod"
                );
                self.recorder.normal(request.subject, "Pulled", message);
                self.note_use(&present.reference);
                Ok(present)
            }
            (None, PullPolicy::Never) => {
                let message =
                    format!("Container image {image:?} is not present with pull policy of Never");
                self.recorder.warning(request.subject, "ErrImageNeverPull", message.as_str());
                Err(error_of("ErrImageNeverPull", message))
            }
            (_, PullPolicy::Always) | (None, PullPolicy::IfNotPresent) => {
                self.pull(request, &full, &repository).await
            }
        }
    }

    /// An image by its name, if it is there.
    async fn status(&self, full: &str) -> Result<Option<PresentImage>, CriError> {
        Ok(self.image(full).await?.map(present))
    }

    async fn image(&self, full: &str) -> Result<Option<v1::Image>, CriError> {
        let request = v1::ImageStatusRequest { image: Some(spec(full)), verbose: false };
        Ok(bounded(CALL_TIMEOUT, self.runtime.cri().image_status(request)).await?.image)
    }

    async fn pull(
        &self,
        request: ImageRequest<'_>,
        full: &str,
        repository: &str,
    ) -> Result<PresentImage, ImageError> {
        let image = request.image;
        let key = (request.pod.uid().to_owned(), image.to_owned());
        let now = self.clock.monotonic();
        let waiting = self.failures.lock().get(&key).and_then(|failure| {
            let left = failure.backoff.remaining(now);
            (!left.is_zero()).then(|| (left, failure.message.clone()))
        });
        if let Some((left, last)) = waiting {
            let message = format!("Back-off pulling image {image:?}");
            self.recorder.normal(request.subject, "BackOff", message.as_str());
            let message = format!("{message}: {last}");
            return Err(ImageError { retry_in: left, ..error_of("ImagePullBackOff", message) });
        }
        let started = self.clock.monotonic();
        self.recorder.normal(
            request.subject.clone(),
            "Pulling",
            format!("Pulling image {image:?}"),
        );
        match self.pull_now(&request, full, repository).await {
            Ok((present, size, pulled_in)) => {
                let waited = self.clock.monotonic().saturating_duration_since(started);
                let message = format!(
                    "Successfully pulled image {image:?} in {} ({} including waiting). Image size: {size} bytes.",
                    in_millis(pulled_in),
                    in_millis(waited)
                );
                self.recorder.normal(request.subject, "Pulled", message);
                self.failures.lock().remove(&key);
                self.note_use(&present.reference);
                Ok(present)
            }
            Err(error) => {
                let message = format!("Failed to pull image {image:?}: {error}");
                self.recorder.warning(request.subject.clone(), "Failed", message);
                let (reason, message) = pull_problem(&error);
                let last = format!("{reason}: {message}");
                let wait = {
                    let mut failures = self.failures.lock();
                    let failure = failures.entry(key).or_insert_with(|| Failure {
                        backoff: Backoff::new(IMAGE_BACKOFF),
                        message: String::new(),
                    });
                    failure.message.clone_from(&last);
                    failure.backoff.fail(self.clock.monotonic())
                };
                let meanwhile = format!("Back-off pulling image {image:?}: {last}");
                Err(ImageError {
                    reason,
                    message,
                    retry_in: wait,
                    meanwhile: Some(("ImagePullBackOff", meanwhile)),
                })
            }
        }
    }

    /// Pulls when it is this pull's turn: the image, its size, and how long it took.
    async fn pull_now(
        &self,
        request: &ImageRequest<'_>,
        full: &str,
        repository: &str,
    ) -> Result<(PresentImage, u64, Duration), CriError> {
        let Ok(_permit) = self.permits.acquire().await else {
            return Err(CriError::new(podo_cri::Code::Cancelled, "the node agent is stopping"));
        };
        let started = self.clock.monotonic();
        self.records.begin(full).map_err(|error| CriError::internal(&error))?;
        let pulled = self.pull_by_any(request.secrets, full, repository).await;
        let (reference, secret) = match pulled {
            Ok(pulled) => pulled,
            Err(error) => {
                self.records.fail(full).map_err(|error| CriError::internal(&error))?;
                return Err(error);
            }
        };
        let took = self.clock.monotonic().saturating_duration_since(started);
        let image = match self.image(&reference).await? {
            Some(image) => image,
            None => self.image(full).await?.ok_or_else(|| CriError::not_found("image", full))?,
        };
        self.records
            .succeed(full, repository, &image.id, secret)
            .map_err(|error| CriError::internal(&error))?;
        let size = image.size;
        Ok((present(image), size, took))
    }

    /// Pulls by the first secret that opens the registry, or without any if none is for it.
    async fn pull_by_any<'a>(
        &self,
        secrets: &'a [PullSecret],
        full: &str,
        repository: &str,
    ) -> Result<(String, Option<&'a PullSecret>), CriError> {
        let fits = |secret: &&PullSecret| !secret.keyring.lookup(repository).is_empty();
        let mut attempts: Vec<Option<&PullSecret>> =
            secrets.iter().filter(fits).map(Some).collect();
        if attempts.is_empty() {
            attempts.push(None);
        }
        let mut last = None;
        for secret in attempts {
            let message =
                v1::PullImageRequest { image: Some(spec(full)), ..v1::PullImageRequest::default() };
            let keyring = secret.map(|secret| secret.keyring.clone()).unwrap_or_default();
            let options = PullOptions { keyring, progress: None };
            let pull = self.runtime.cri().pull_image(message, options);
            match bounded(PULL_TIMEOUT, pull).await {
                Ok(pulled) => return Ok((pulled.image_ref, secret)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| CriError::not_found("image", full)))
    }

    /// Forgets a Pod's back-offs.
    pub(crate) fn forget(&self, pod_uid: &str) {
        self.failures.lock().retain(|(uid, _), _| uid != pod_uid);
    }

    /// Notes that an image is used now, so that it is not removed next.
    fn note_use(&self, reference: &str) {
        self.used.lock().insert(reference.to_owned(), self.clock.now());
    }
}

fn spec(image: &str) -> v1::ImageSpec {
    v1::ImageSpec { image: image.to_owned(), ..v1::ImageSpec::default() }
}

fn present(image: v1::Image) -> PresentImage {
    let user = ImageUser { uid: image.uid.map(|uid| uid.value), name: image.username };
    PresentImage { reference: image.id, user }
}

fn error_of(reason: &'static str, message: String) -> ImageError {
    ImageError { reason, message, retry_in: RECHECK, meanwhile: None }
}

/// A pull's failure as containers show it.
fn pull_problem(error: &CriError) -> (&'static str, String) {
    match error.reason() {
        Reason::InvalidImageName => ("InvalidImageName", error.to_string()),
        _ => ("ErrImagePull", error.to_string()),
    }
}

fn in_millis(length: Duration) -> GoDuration {
    let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    GoDuration::from(Duration::from_millis(millis))
}
