//! Carries out what is asked over the control socket.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use podo_base::Chain;
use podo_cri::PodoCri;
use podo_image::ImageService;
use tokio::sync::mpsc::Sender;

use crate::control::{Answer, EndHandle, Handler, Request};
use crate::image;
use crate::progress::{self, Counted, Step};

/// What is behind the control socket of `podo up`.
pub(crate) struct Manager {
    cri: Arc<PodoCri>,
    end: EndHandle,
}

impl Manager {
    /// A manager of a node's runtime that can end the process.
    pub(crate) fn new(cri: Arc<PodoCri>, end: EndHandle) -> Self {
        Self { cri, end }
    }
}

impl Handler for Manager {
    fn handle(
        &self,
        request: Request,
        answers: Sender<Answer>,
    ) -> BoxFuture<'_, Result<(), String>> {
        async move {
            match request {
                Request::Down => {
                    // First nobody may start anything any more, then everything goes: both are the end of the process.
                    self.end.trigger();
                    Ok(())
                }
                other => manage(self.cri.images(), other, &answers).await,
            }
        }
        .boxed()
    }
}

/// Carries out a request about images.
pub(crate) async fn manage(
    images: &ImageService,
    request: Request,
    answers: &Sender<Answer>,
) -> Result<(), String> {
    match request {
        Request::Down => Err("nothing runs".to_owned()),
        Request::ImageList => {
            for line in image::table(images) {
                show(answers, Answer::Line(line)).await;
            }
            Ok(())
        }
        Request::ImagePull { image } => image::pull(images, &image, answers).await,
        Request::ImageImport { path } => import(images, path, answers).await,
        Request::ImageExport { images: names, path } => export(images, names, path, answers).await,
        Request::ImageRemove { image } => {
            let service = images.clone();
            let name = image.clone();
            let removed =
                blocking(move || service.remove(&name).map_err(|error| Chain(&error).to_string()))
                    .await?;
            let id = removed.ok_or_else(|| format!("there is no image {image:?}"))?;
            show(answers, Answer::Line(format!("removed {id}"))).await;
            Ok(())
        }
    }
}

async fn import(
    images: &ImageService,
    path: String,
    answers: &Sender<Answer>,
) -> Result<(), String> {
    let file = File::open(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
    // A pipe's length is not known.
    let total = file.metadata().map_or(0, |metadata| metadata.len());
    let (images, count) = (images.clone(), Arc::new(AtomicU64::new(0)));
    let source = Counted::new(file, &count);
    let work = blocking(move || images.import(source).map_err(|error| Chain(&error).to_string()));
    let imported = progress::told(work, answers, || Some(moved(&path, &count, total))).await?;
    for id in imported {
        show(answers, Answer::Line(format!("imported {id}"))).await;
    }
    Ok(())
}

async fn export(
    images: &ImageService,
    names: Vec<String>,
    path: String,
    answers: &Sender<Answer>,
) -> Result<(), String> {
    let file = File::create(&path).map_err(|error| format!("cannot write {path}: {error}"))?;
    let (images, count) = (images.clone(), Arc::new(AtomicU64::new(0)));
    let sink = Counted::new(file, &count);
    let work =
        blocking(move || images.export(&names, sink).map_err(|error| Chain(&error).to_string()));
    progress::told(work, answers, || Some(moved(&path, &count, 0))).await
}

/// How much of a file has passed.
fn moved(path: &str, count: &AtomicU64, total: u64) -> Step {
    let done = count.load(Ordering::Relaxed);
    let note = if total > 0 && done >= total { "unpacking" } else { "" };
    Step { what: path.to_owned(), done, total, note: note.to_owned() }
}

async fn show(answers: &Sender<Answer>, answer: Answer) {
    // Who asked may have gone; the work goes on all the same.
    let _gone = answers.send(answer).await;
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
}
