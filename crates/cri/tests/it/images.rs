//! Images: pulled with errors told apart, listed, removed.

use podo_cri::v1::*;
use podo_cri::{Code, Cri, CriError, PullOptions, Reason};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::Test;
use crate::harness::*;

pub(crate) const TESTS: &[Test] = &[
    ("images_are_listed_looked_up_and_removed", images_are_listed_looked_up_and_removed),
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
        assert_eq!(names, [IMAGE, "podo.local/hello:1.2.3"]);
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

/// A registry that gives every request the same answer.
async fn registry(tasks: &mut JoinSet<()>, status: &'static str, headers: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = format!(
                "HTTP/1.1 {status}\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address.to_string()
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
        let host = registry(&mut tasks, "404 Not Found", "").await;
        let error = pull(&format!("{host}/a/b:1")).await;
        assert_eq!((error.code(), error.reason()), (Code::NotFound, Reason::ImagePull), "{error}");
        assert!(error.message().contains("not found"), "{error}");
        let host =
            registry(&mut tasks, "401 Unauthorized", "www-authenticate: Basic realm=\"x\"\r\n")
                .await;
        let error = pull(&format!("{host}/a/b:1")).await;
        assert_eq!(error.reason(), Reason::ImagePullDenied, "{error}");
        let host = registry(&mut tasks, "503 Service Unavailable", "").await;
        let error = pull(&format!("{host}/a/b:1")).await;
        assert_eq!(
            (error.code(), error.reason()),
            (Code::Unavailable, Reason::RegistryUnavailable)
        );
        let error = pull("127.0.0.1:1/a/b:1").await;
        assert_eq!(error.reason(), Reason::RegistryUnavailable, "{error}");
        assert_eq!(error.reason().as_str(), Some("RegistryUnavailable"));
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
