//! Carries out what is asked over the control socket.

use std::fs::File;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use podo_base::Chain;
use podo_cri::PodoCri;
use podo_image::ImageService;
use tokio::sync::mpsc::Sender;

use crate::control::{Answer, EndHandle, Handler, Request};
use crate::image;

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
        Request::ImageImport { path } => {
            let images = images.clone();
            let imported = blocking(move || {
                let file =
                    File::open(&path).map_err(|error| format!("cannot read {path}: {error}"))?;
                images.import(file).map_err(|error| Chain(&error).to_string())
            })
            .await?;
            for id in imported {
                show(answers, Answer::Line(format!("imported {id}"))).await;
            }
            Ok(())
        }
        Request::ImageExport { images: names, path } => {
            let images = images.clone();
            blocking(move || {
                let file =
                    File::create(&path).map_err(|error| format!("cannot write {path}: {error}"))?;
                images.export(&names, file).map_err(|error| Chain(&error).to_string())
            })
            .await
        }
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

async fn show(answers: &Sender<Answer>, answer: Answer) {
    // Who asked may have gone; the work goes on all the same.
    let _gone = answers.send(answer).await;
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
}
