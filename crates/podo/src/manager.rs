//! Carries out what is asked over the control socket.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use podo_base::Chain;
use podo_cri::PodoCri;
use podo_image::{Digest, ImageService};
use tokio::sync::mpsc::Sender;

use crate::control::{Answer, EndHandle, Handler, Request};
use crate::image;
use crate::progress::{self, Counted, Step};

/// Letters by which a person knows a container's id.
const SHORT_ID: usize = 12;

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
            let id = blocking(move || remove(&service, &image)).await?;
            show(answers, Answer::Line(format!("removed {id}"))).await;
            Ok(())
        }
    }
}

/// Removes an image, unless it is Podo's own or a container's: by hand nothing is taken that the node needs. The CRI's verb goes
/// further, as containerd's does: the node agent knows what it does not need.
fn remove(images: &ImageService, name: &str) -> Result<Digest, String> {
    let missing = || format!("there is no image {name:?}");
    let image = images.status(name).ok_or_else(missing)?;
    if image.is_pinned {
        return Err(format!("image {name:?} is a part of podo and stays"));
    }
    let users = images.users_of(&image.id).map_err(|error| Chain(&error).to_string())?;
    if let Some(user) = users.first() {
        let user = user.chars().take(SHORT_ID).collect::<String>();
        return Err(format!(
            "image {name:?} is used by the container {user}: remove its Pod first"
        ));
    }
    let removed = images.remove(name).map_err(|error| Chain(&error).to_string())?;
    removed.ok_or_else(missing)
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
    let (images, count) = (images.clone(), Arc::new(AtomicU64::new(0)));
    let (target, counted) = (PathBuf::from(&path), Arc::clone(&count));
    let work = blocking(move || {
        written(&target, |file| {
            let exported = images.export(&names, Counted::new(file, &counted));
            exported.map_err(|error| Chain(&error).to_string())
        })
    });
    progress::told(work, answers, || Some(moved(&path, &count, 0))).await
}

/// Writes a file beside the one that it replaces when it is whole. What is no regular file, a pipe say, is written to as it is.
fn written(path: &Path, write: impl FnOnce(File) -> Result<(), String>) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot write {}: {error}", path.display());
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return write(File::options().write(true).open(path).map_err(failed)?);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let file = File::create(&part).map_err(failed)?;
    let done = write(file).and_then(|()| fs::rename(&part, path).map_err(failed));
    if done.is_err() {
        let _gone = fs::remove_file(&part); // The failure itself is what is told.
    }
    done
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use podo_image::ImageServiceConfig;
    use podo_image::builtin::Builtin;

    use super::*;

    #[test]
    fn a_file_is_replaced_when_the_new_one_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.tar");
        fs::write(&path, "old").expect("written");
        let refused = written(&path, |mut file| {
            file.write_all(b"half").expect("written");
            Err("no such image".to_owned())
        });
        assert_eq!(refused, Err("no such image".to_owned()));
        assert_eq!(fs::read_to_string(&path).expect("there"), "old");
        let whole = written(&path, |mut file| file.write_all(b"new").map_err(|_| "full".into()));
        assert_eq!(whole, Ok(()));
        assert_eq!(fs::read_to_string(&path).expect("there"), "new");
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 1, "nothing is left");
        assert_eq!(written(Path::new("/dev/null"), |_| Ok(())), Ok(()));
        assert!(!fs::metadata("/dev/null").expect("there").is_file());
    }

    #[tokio::test]
    async fn what_the_node_needs_is_not_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let images = ImageService::open(ImageServiceConfig::new(folder.path().join("images")))
            .expect("opened");
        let executable = std::env::current_exe().expect("one");
        let builtin = Builtin { version: "1".into(), executable };
        images.register_builtin(&builtin).expect("registered");
        let text = "image \"podo.local/hello\" is a part of podo and stays";
        assert_eq!(remove(&images, "podo.local/hello"), Err(text.to_owned()));
        assert_eq!(remove(&images, "none"), Err("there is no image \"none\"".to_owned()));
        images.set_pinned("podo.local/hello", false).expect("there");
        images.prepare_rootfs("podo.local/hello", "0123456789abcdef").expect("prepared");
        let text = "image \"podo.local/hello\" is used by the container 0123456789ab: remove its Pod first";
        assert_eq!(remove(&images, "podo.local/hello"), Err(text.to_owned()));
        images.remove_rootfs("0123456789abcdef").expect("removed");
        assert!(remove(&images, "podo.local/hello").is_ok());
    }
}
