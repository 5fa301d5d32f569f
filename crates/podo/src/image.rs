//! `podo image`: the node's images, through the process that runs the instance or, if none runs, directly.

use std::path::Path;
use std::sync::Arc;

use podo_base::Chain;
use podo_image::{ImageService, ImageServiceConfig, ProgressSink, Reference};
use tokio::sync::mpsc;

use crate::config::{ImageCommand, ImageOptions};
use crate::control::{self, Answer, Request};
use crate::exit::{Class, Failure};
use crate::instance::{Instance, require_root};
use crate::progress::{self, bytes};
use crate::screen::Screen;
use crate::{manager, node_config};

/// The descriptors that `-` stands for.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;

/// Runs the command.
pub(crate) async fn run(options: &ImageOptions) -> Result<(), Failure> {
    require_root("podo image")?;
    let instance = Instance::of(&options.common.data_dir)?;
    for request in requests(&options.command)? {
        let mut screen = Screen::new();
        let show = |answer| show(&mut screen, answer);
        let answered = match control::ask(&instance.control_socket(), &request, show).await {
            Some(result) => result,
            None => alone(&instance, options, request).await?,
        };
        drop(screen);
        answered.map_err(|error| Failure::new(Class::Unavailable, error))?;
    }
    Ok(())
}

fn requests(command: &ImageCommand) -> Result<Vec<Request>, Failure> {
    Ok(match command {
        ImageCommand::Ls => vec![Request::ImageList],
        ImageCommand::Pull { images } => images
            .iter()
            .map(|image| match Reference::parse(image) {
                Ok(_) => Ok(Request::ImagePull { image: image.clone() }),
                Err(error) => Err(Failure::of(Class::Usage, &error)),
            })
            .collect::<Result<_, Failure>>()?,
        ImageCommand::Import { archives } => archives
            .iter()
            .map(|path| Ok(Request::ImageImport { path: absolute(path, STDIN)? }))
            .collect::<Result<_, Failure>>()?,
        ImageCommand::Export { images, output } => {
            vec![Request::ImageExport { images: images.clone(), path: absolute(output, STDOUT)? }]
        }
        ImageCommand::Rm { images } => {
            images.iter().map(|image| Request::ImageRemove { image: image.clone() }).collect()
        }
    })
}

/// The path as another process can open it; `-` is a stream of this process.
fn absolute(path: &Path, stream: u8) -> Result<String, Failure> {
    let path = match path.to_str() {
        Some("-") => return Ok(format!("/proc/{}/fd/{stream}", std::process::id())),
        _ => std::path::absolute(path).map_err(|error| Failure::of(Class::Usage, &error))?,
    };
    path.into_os_string()
        .into_string()
        .map_err(|_| Failure::new(Class::Usage, "the path is not UTF-8"))
}

fn show(screen: &mut Screen, answer: Answer) {
    match answer {
        Answer::Line(line) => crate::say(&line),
        Answer::Progress(step) => screen.show(&[step]),
        Answer::Working | Answer::Done | Answer::Failed(_) => {}
    }
}

/// Opens the images of an instance that nobody runs.
async fn alone(
    instance: &Instance,
    options: &ImageOptions,
    request: Request,
) -> Result<Result<(), String>, Failure> {
    let lock = instance.lock().await?;
    let mut config = ImageServiceConfig::new(instance.data_dir.join("runtime/image"));
    config.registry = node_config::registry(&options.registry_mirror)?;
    let images =
        ImageService::open(config).map_err(|error| Failure::of(Class::Unavailable, &error))?;
    let (sender, mut answers) = mpsc::channel(64);
    let work = async {
        let result = manager::manage(&images, request, &sender).await;
        drop(sender);
        result
    };
    let print = async {
        let mut screen = Screen::new();
        while let Some(answer) = answers.recv().await {
            show(&mut screen, answer);
        }
    };
    let (result, ()) = tokio::join!(work, print);
    drop(lock);
    Ok(result)
}

/// Pulls an image, telling how far it has got.
pub(crate) async fn pull(
    images: &ImageService,
    name: &str,
    answers: &mpsc::Sender<Answer>,
) -> Result<(), String> {
    let reference = Reference::parse(name).map_err(|error| Chain(&error).to_string())?;
    let image = reference.canonical();
    let sink: ProgressSink = Arc::new(|_| {});
    let pull = images.pull(&reference, &[], &sink);
    let step = || progress::pulls(images).into_iter().find(|step| step.what == image);
    let id = progress::told(pull, answers, step).await.map_err(|error| error.message())?;
    // Who asked may have gone; the image is there all the same.
    let _gone = answers.send(Answer::Line(format!("{reference} {id}"))).await;
    Ok(())
}

/// The images as lines of a table.
pub(crate) fn table(images: &ImageService) -> Vec<String> {
    let mut lines = vec![format!("{:<60} {:<14} {:>10}", "IMAGE", "ID", "SIZE")];
    for image in images.list() {
        let id: String =
            image.id.to_string().trim_start_matches("sha256:").chars().take(12).collect();
        let names = if image.repo_tags.is_empty() {
            vec!["<none>".to_owned()]
        } else {
            image.repo_tags.clone()
        };
        for name in names {
            lines.push(format!("{name:<60} {id:<14} {:>10}", bytes(image.size_bytes)));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_none_is_refused_before_anybody_is_asked() {
        let pull = |image: &str| requests(&ImageCommand::Pull { images: vec![image.to_owned()] });
        assert!(pull("busybox:1.35").is_ok());
        let failure = pull("bad name").expect_err("refused");
        let text = "couldn't parse image name \"bad name\": invalid reference format";
        assert_eq!(failure.message(), text);
    }

    #[test]
    fn a_dash_is_the_stream_in_its_direction() {
        let stream = |number: u8| format!("/proc/{}/fd/{number}", std::process::id());
        let import = ImageCommand::Import { archives: vec!["-".into()] };
        let images = vec!["a".to_owned()];
        let export = ImageCommand::Export { images: images.clone(), output: "-".into() };
        let import = requests(&import).expect("good");
        assert_eq!(import, [Request::ImageImport { path: stream(0) }]);
        let export = requests(&export).expect("good");
        assert_eq!(export, [Request::ImageExport { images, path: stream(1) }]);
    }
}
