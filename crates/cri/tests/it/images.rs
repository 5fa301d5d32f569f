//! Images: pulled with errors told apart, listed, removed.

use podo_cri::v1::*;
use podo_cri::{Code, Credential, Cri, CriError, Keyring, PullOptions, Reason};
use podo_image::RunConfig;
use podo_image::build::{Compression, ImageBuilder, LayerBuilder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Test;
use crate::harness::*;

pub(crate) const TESTS: &[Test] = &[
    ("images_are_listed_looked_up_and_removed", images_are_listed_looked_up_and_removed),
    (
        "an_image_is_pulled_with_the_credentials_that_fit",
        an_image_is_pulled_with_the_credentials_that_fit,
    ),
    ("pull_errors_are_told_apart", pull_errors_are_told_apart),
    ("the_runtime_says_who_it_is", the_runtime_says_who_it_is),
];

fn spec(image: &str) -> ImageSpec {
    ImageSpec { image: image.into(), ..Default::default() }
}

fn images_are_listed_looked_up_and_removed() {
    with_world(async |world| {
        let listed = world.cri.list_images(ListImagesRequest::default()).await.unwrap().images;
        let mut names: Vec<String> =
            listed.iter().flat_map(|image| image.repo_tags.clone()).collect();
        names.sort();
        assert_eq!(names, [IMAGE, "podo.local/hello:1.2.3", "podo.local/hello:latest"]);
        let status = async |name: &str| {
            let request = ImageStatusRequest { image: Some(spec(name)), verbose: false };
            world.cri.image_status(request).await
        };
        let image = status("box:1").await.unwrap().image.unwrap();
        assert_eq!(status(&image.id).await.unwrap().image, Some(image.clone()));
        assert!(!image.pinned && image.size > 0);
        assert!(status("podo.local/hello:1.2.3").await.unwrap().image.unwrap().pinned);
        assert_eq!(status("nothing:1").await.unwrap().image, None);
        let error = status("Not A Name").await.unwrap_err();
        assert_eq!(error.reason(), Reason::InvalidImageName);
        let usage = world.cri.image_fs_info(ImageFsInfoRequest {}).await.unwrap();
        assert!(usage.image_filesystems[0].used_bytes.as_ref().unwrap().value > 0);
        for _ in 0..2 {
            let request = RemoveImageRequest { image: Some(spec("box:1")) };
            world.cri.remove_image(request).await.unwrap();
        }
        assert_eq!(status("box:1").await.unwrap().image, None);
    });
}

/// What a registry answers: status line with headers, and body.
type Answer = (String, Vec<u8>);

/// A registry that answers by the head of a request.
async fn registry(
    tasks: &mut JoinSet<()>,
    answer: impl Fn(&str) -> Answer + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 16 << 10];
            let count = stream.read(&mut head).await.unwrap_or(0);
            let (status, body) = answer(&String::from_utf8_lossy(&head[..count]));
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&body).await;
        }
    });
    address.to_string()
}

fn always(status: &'static str) -> impl Fn(&str) -> Answer {
    move |_| (status.to_owned(), Vec::new())
}

fn an_image_is_pulled_with_the_credentials_that_fit() {
    with_world(async |world| {
        let layer = LayerBuilder::new().file("pulled", 0o644, &vec![7; 100_000]).unwrap();
        let built = ImageBuilder::new()
            .layer(layer.finish().unwrap(), Compression::None)
            .config(RunConfig { cmd: vec!["/pulled".into()], ..RunConfig::default() })
            .build()
            .unwrap();
        let (id, digest) = (built.id.to_string(), built.digest.to_string());
        let mut tasks = JoinSet::new();
        let manifest_digest = digest.clone();
        let host = registry(&mut tasks, move |head| {
            // "me:secret"
            if !head.to_ascii_lowercase().contains("authorization: basic bwu6c2vjcmv0") {
                let challenge = "401 Unauthorized\r\nwww-authenticate: Basic realm=\"x\"";
                return (challenge.to_owned(), Vec::new());
            }
            let path = head.split(' ').nth(1).unwrap_or_default();
            if path.contains("/manifests/") {
                let head = format!(
                    "200 OK\r\ncontent-type: {}\r\ndocker-content-digest: {manifest_digest}",
                    podo_image::manifest::media_type::OCI_MANIFEST
                );
                return (head, built.manifest.to_vec());
            }
            let blob = built.blobs.iter().find(|(digest, _)| path.ends_with(&digest.to_string()));
            match blob {
                Some((_, bytes)) => ("200 OK".to_owned(), bytes.to_vec()),
                None => ("404 Not Found".to_owned(), Vec::new()),
            }
        })
        .await;
        let name = format!("{host}/team/app:1");
        let pull = async |keyring, progress| {
            let request = PullImageRequest { image: Some(spec(&name)), ..Default::default() };
            world.cri.pull_image(request, PullOptions { keyring, progress }).await
        };
        let error = pull(Keyring::new(), None).await.unwrap_err();
        assert_eq!(error.reason(), Reason::ImagePullDenied, "{error}");
        let mut keyring = Keyring::new();
        keyring.add("other.test", Credential::basic("not", "this"));
        keyring.add(&format!("{host}/team"), Credential::basic("me", "secret"));
        let (sender, progress) = watch::channel(podo_cri::PullSum::default());
        let pulled = pull(keyring, Some(sender)).await.unwrap();
        assert_eq!(pulled.image_ref, id);
        let last = *progress.borrow();
        assert_eq!((last.layer_count, last.unpacked_count), (1, 1));
        assert!(last.total_bytes > 100_000 && last.done_bytes == last.total_bytes, "{last:?}");
        let request = ImageStatusRequest { image: Some(spec(&name)), verbose: false };
        let image = world.cri.image_status(request).await.unwrap().image.unwrap();
        assert_eq!(image.repo_tags, [name.as_str()]);
        assert_eq!(image.repo_digests, [format!("{host}/team/app@{digest}")]);
    });
}

fn pull_errors_are_told_apart() {
    with_world(async |world| {
        let mut tasks = JoinSet::new();
        let pull = async |image: &str| -> CriError {
            let request = PullImageRequest { image: Some(spec(image)), ..Default::default() };
            world.cri.pull_image(request, PullOptions::default()).await.unwrap_err()
        };
        let error = pull("Not A Name").await;
        assert_eq!(
            (error.code(), error.reason()),
            (Code::InvalidArgument, Reason::InvalidImageName)
        );
        let host = registry(&mut tasks, always("404 Not Found")).await;
        let error = pull(&format!("{host}/a/b:1")).await;
        assert_eq!((error.code(), error.reason()), (Code::NotFound, Reason::ImagePull), "{error}");
        assert!(error.message().contains("not found"), "{error}");
        let host =
            registry(&mut tasks, always("401 Unauthorized\r\nwww-authenticate: Basic realm=\"x\""))
                .await;
        let error = pull(&format!("{host}/a/b:1")).await;
        assert_eq!(error.reason(), Reason::ImagePullDenied, "{error}");
        let host = registry(&mut tasks, always("503 Service Unavailable")).await;
        let error = pull(&format!("{host}/a/b:1")).await;
        assert_eq!((error.code(), error.reason()), (Code::Unavailable, Reason::ImagePull));
        let error = pull("127.0.0.1:1/a/b:1").await;
        assert_eq!((error.code(), error.reason()), (Code::Unavailable, Reason::ImagePull));
        assert_eq!(error.reason().as_str(), Some("ErrImagePull"));
    });
}

fn the_runtime_says_who_it_is() {
    with_world(async |world| {
        let version = world.cri.version(VersionRequest::default()).await.unwrap();
        assert_eq!(
            (version.runtime_name.as_str(), version.runtime_version.as_str()),
            ("podo", "1.2.3")
        );
        let status = world.cri.status(StatusRequest::default()).await.unwrap();
        let conditions = status.status.unwrap().conditions;
        let shown: Vec<_> = conditions.iter().map(|c| (c.r#type.as_str(), c.status)).collect();
        assert_eq!(shown, [("RuntimeReady", true), ("NetworkReady", true)]);
        let config = world.cri.runtime_config(RuntimeConfigRequest {}).await.unwrap();
        assert_eq!(config.linux.unwrap().cgroup_driver, CgroupDriver::Cgroupfs as i32);
    });
}
