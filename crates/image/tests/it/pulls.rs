//! Pulls that succeed: what is kept, what is asked for, and how trouble on the way is got over.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::sync::Arc;

use base64::Engine as _;
use parking_lot::Mutex;
use podo_image::manifest::media_type;
use podo_image::registry::Mirror;
use podo_image::{Credential, ImageService, Progress, ProgressSink, Reference};

use crate::fake_registry::FakeRegistry;
use crate::support::{Node, quick, service_config, silent, small_image};

#[tokio::test]
async fn a_short_name_is_pulled_through_a_mirror_and_known_by_all_its_names() {
    let registry = FakeRegistry::start().await;
    let image = small_image();
    registry.serve("library/nginx", "latest", &image);
    let node = Node::new(Some(&registry.url()));
    let id = node.pull("nginx").await.expect("pull");
    assert_eq!(id, image.id);

    let repo_digest = format!("docker.io/library/nginx@{}", image.digest);
    for name in [
        "nginx",
        "docker.io/library/nginx:latest",
        &repo_digest,
        &id.to_string(),
        id.hex(),
        &id.hex()[..12],
    ] {
        let status = node.images.status(name).unwrap_or_else(|| panic!("{name} is unknown"));
        assert_eq!(status.repo_tags, ["docker.io/library/nginx:latest"]);
        assert_eq!(status.repo_digests.first(), Some(&repo_digest));
        assert_eq!((status.uid, status.username.as_str()), (Some(101), ""));
        assert_eq!(status.config.entrypoint, ["/bin/tool"]);
    }
    assert!(node.images.status("nginx:other").is_none());
    assert!(registry.seen().iter().all(|seen| seen.query == "ns=docker.io"));
    node.assert_nothing_half_done();

    let before = registry.blob_gets();
    assert_eq!(node.pull("nginx").await.expect("again"), id);
    assert_eq!(registry.blob_gets(), before, "a second pull transfers nothing");
}

#[tokio::test]
async fn layers_keep_modes_and_take_implied_directories_from_below() {
    let registry = FakeRegistry::start().await;
    registry.serve("library/x", "1", &small_image());
    let node = Node::new(Some(&registry.url()));
    node.pull("x:1").await.expect("pull");
    let rootfs = node.images.prepare_rootfs("x:1", "c1").expect("prepare");
    assert_eq!(rootfs.lower.len(), 2);
    let (top, base) = (&rootfs.lower[0], &rootfs.lower[1]);
    let mode =
        |path: std::path::PathBuf| std::fs::symlink_metadata(path).expect("stat").mode() & 0o7777;
    assert_eq!(mode(base.join("bin/tool")), 0o4755);
    assert_eq!(mode(top.join("tmp")), 0o1777, "the layer itself does not list /tmp");
    let whiteout = std::fs::symlink_metadata(top.join("etc/motd")).expect("whiteout");
    assert!(whiteout.file_type().is_char_device() && whiteout.rdev() == 0);
    assert_eq!(mode(rootfs.upper.clone()), 0o755);
    assert!(rootfs.lower_relative().iter().all(|path| path.as_os_str().len() < 8));
}

#[tokio::test]
async fn what_the_test_kit_pushes_can_be_pulled() {
    let registry = FakeRegistry::start().await;
    let image = small_image();
    image.push(&registry.url(), "team/app", "1", None).await.expect("push");
    let node = Node::new(None);
    let name = format!("{}/team/app:1", registry.address);
    assert_eq!(node.pull(&name).await.expect("pull"), image.id);
    assert_eq!(
        node.pull(&format!("{}/team/app@{}", registry.address, image.digest))
            .await
            .expect("by digest"),
        image.id
    );
}

#[tokio::test]
async fn an_index_leads_to_the_image_of_this_machine_and_names_it() {
    let registry = FakeRegistry::start().await;
    let image = small_image();
    registry.serve("library/multi", "unused", &image);
    let platform = podo_image::manifest::Platform::host();
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [
        { "mediaType": media_type::OCI_MANIFEST, "digest": podo_image::Digest::sha256(b"other"), "size": 9,
          "platform": { "os": "linux", "architecture": "s390x" } },
        { "mediaType": media_type::OCI_MANIFEST, "digest": image.digest, "size": image.manifest.len(),
          "platform": platform },
    ]});
    let bytes = bytes::Bytes::from(index.to_string());
    registry.serve_manifest("library/multi", "1", media_type::OCI_INDEX, bytes.clone());
    registry.behave(|it| it.has_no_head = true);
    let node = Node::new(Some(&registry.url()));
    node.pull("multi:1").await.expect("pull");
    let digest = podo_image::Digest::sha256(&bytes);
    let status = node.images.status("multi:1").expect("known");
    assert_eq!(status.repo_digests, [format!("docker.io/library/multi@{digest}")]);
}

#[tokio::test]
async fn a_transfer_that_breaks_goes_on_where_it_broke() {
    for has_no_ranges in [false, true] {
        let registry = FakeRegistry::start().await;
        let image = crate::support::large_image(3, 200_000);
        registry.serve("library/x", "1", &image);
        registry.behave(|it| {
            it.cut = (250_000, 2);
            it.has_no_ranges = has_no_ranges;
        });
        let node = Node::new(Some(&registry.url()));
        node.pull("x:1").await.unwrap_or_else(|error| panic!("{}", error.message()));
        let resumed = registry.seen().iter().filter(|seen| seen.range.is_some()).count();
        assert!(resumed >= 1, "it was resumed by range");
    }
}

#[tokio::test]
async fn a_registry_that_is_busy_for_a_moment_is_asked_again() {
    let registry = FakeRegistry::start().await;
    registry.serve("library/x", "1", &small_image());
    registry.behave(|it| it.failures = (503, 2));
    let node = Node::new(Some(&registry.url()));
    node.pull("x:1").await.expect("pull");
}

#[tokio::test]
async fn a_password_is_exchanged_for_a_token_and_an_identity_token_too() {
    let plain = Credential::basic("user", "pass");
    let identity =
        Credential { identity_token: Some("refresh-me".into()), ..Credential::default() };
    let basic = base64::engine::general_purpose::STANDARD.encode("user:pass");
    for (credential, wants) in [(plain, basic.as_str()), (identity, "refresh_token=refresh-me")] {
        let registry = FakeRegistry::start().await;
        registry.serve("team/app", "1", &small_image());
        let realm = format!(
            "Bearer realm=\"{}/token\",service=\"svc\",scope=\"repository:team/app:pull\"",
            registry.url()
        );
        registry.behave(|it| {
            it.wanted = Some("Bearer T0ken".into());
            it.challenge = realm;
            it.token = "T0ken".into();
            it.token_wants = wants.to_owned();
        });
        let node = Node::new(Some(&registry.url()));
        node.pull_as("reg.test/team/app:1", &[credential])
            .await
            .unwrap_or_else(|error| panic!("{}", error.message()));
        let tokens: Vec<_> =
            registry.seen().into_iter().filter(|seen| seen.path == "/token").collect();
        assert_eq!(tokens.len(), 1, "one token serves all layers");
        let asked = format!("{} {:?}", tokens[0].query, tokens[0].body);
        assert!(
            asked.contains("scope=repository%3Ateam%2Fapp%3Apull") && asked.contains("service=svc"),
            "{asked}"
        );
    }
}

#[tokio::test]
async fn the_second_credential_is_tried_if_the_first_is_refused() {
    let registry = FakeRegistry::start().await;
    registry.serve("team/app", "1", &small_image());
    let good = base64::engine::general_purpose::STANDARD.encode("b:2");
    registry.behave(|it| {
        it.wanted = Some(format!("Basic {good}"));
        it.challenge = "Basic realm=\"r\"".into();
    });
    let node = Node::new(Some(&registry.url()));
    let credentials = [Credential::basic("a", "1"), Credential::basic("b", "2")];
    node.pull_as("reg.test/team/app:1", &credentials).await.expect("pull");
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_host() {
    let (registry, elsewhere) = (FakeRegistry::start().await, FakeRegistry::start().await);
    let image = small_image();
    registry.serve("team/app", "1", &image);
    elsewhere.serve("team/app", "1", &image);
    let good = base64::engine::general_purpose::STANDARD.encode("a:1");
    registry.behave(|it| {
        it.wanted = Some(format!("Basic {good}"));
        it.challenge = "Basic realm=\"r\"".into();
        it.redirect = Some(elsewhere.url());
    });
    let node = Node::new(Some(&registry.url()));
    node.pull_as("reg.test/team/app:1", &[Credential::basic("a", "1")]).await.expect("pull");
    let there = elsewhere.seen();
    assert!(
        !there.is_empty() && there.iter().all(|seen| seen.authorization.is_none()),
        "{there:?}"
    );
    assert!(registry.seen().iter().any(|seen| seen.authorization.is_some()));
}

#[tokio::test]
async fn what_a_mirror_lacks_comes_from_the_origin() {
    let (mirror, origin) = (FakeRegistry::start().await, FakeRegistry::start().await);
    origin.serve("app", "1", &small_image());
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut config = service_config(dir.path(), None);
    config.registry.mirrors = vec![Mirror::new("*", &mirror.url()).expect("mirror")];
    let images = ImageService::open(config).expect("open");
    let reference = Reference::parse(&format!("{}/app:1", origin.address)).expect("name");
    images.pull(&reference, &[], &silent()).await.expect("pull");
    assert!(!mirror.seen().is_empty() && origin.blob_gets() == 3);
}

#[tokio::test]
async fn pulls_of_the_same_image_share_the_work() {
    let registry = FakeRegistry::start().await;
    let image = small_image();
    registry.serve("library/x", "1", &image);
    let node = Node::new(Some(&registry.url()));
    let results = tokio::join!(
        node.pull("x:1"),
        node.pull("x:1"),
        node.pull("docker.io/library/x:1"),
        node.pull("x:1")
    );
    for result in [results.0, results.1, results.2, results.3] {
        result.expect("pull");
    }
    // The configuration is small and may be asked for by each.
    for layer in image.blobs.keys().filter(|digest| **digest != image.id) {
        let path = format!("/v2/library/x/blobs/{layer}");
        assert_eq!(registry.seen().iter().filter(|seen| seen.path == path).count(), 1, "{path}");
    }
    assert_eq!(crate::support::names(&node.root().join("layers")).len(), 2);
}

#[tokio::test]
async fn a_dropped_pull_leaves_nothing_half_done_and_the_next_one_succeeds() {
    let registry = FakeRegistry::start().await;
    registry.serve("library/x", "1", &crate::support::large_image(4, 100_000));
    registry.behave(|it| it.hang_after = Some(150_000));
    let node = Node::new(Some(&registry.url()));
    let started = Arc::new(tokio::sync::Notify::new());
    let wake = Arc::clone(&started);
    let sink: ProgressSink = Arc::new(move |progress| {
        if matches!(progress, Progress::Downloading { done_bytes, .. } if done_bytes > 0) {
            wake.notify_one();
        }
    });
    let reference = Reference::parse("x:1").expect("name");
    tokio::select! {
        result = node.images.pull(&reference, &[], &sink) => panic!("ended: {result:?}"),
        () = started.notified() => {}
    }
    registry.behave(|it| it.hang_after = None);
    node.pull("x:1").await.expect("pull");
    node.assert_nothing_half_done();
}

#[tokio::test]
async fn progress_tells_sizes_and_rises_to_them() {
    let registry = FakeRegistry::start().await;
    registry.serve("library/x", "1", &small_image());
    let node = Node::new(Some(&registry.url()));
    let events = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&events);
    let sink: ProgressSink = Arc::new(move |progress| kept.lock().push(progress));
    let reference = Reference::parse("x:1").expect("name");
    node.images.pull(&reference, &[], &sink).await.expect("pull");
    let events = events.lock();
    let sizes = events.iter().find_map(|event| match event {
        Progress::Layers(sizes) => Some(sizes.clone()),
        _ => None,
    });
    for (layer, total) in sizes.expect("sizes are told") {
        let last = events.iter().rev().find_map(|event| match event {
            Progress::Downloading { layer: of, done_bytes, .. } if *of == layer => {
                Some(*done_bytes)
            }
            _ => None,
        });
        assert_eq!(last, Some(total));
        assert!(events.contains(&Progress::Unpacked(layer)));
    }
}

#[tokio::test]
async fn tls_is_spoken_with_a_registrys_own_authority_and_with_no_other() {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).expect("certificate");
    let key =
        rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("server");
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let registry = FakeRegistry::start_with(Some(Arc::new(server))).await;
    registry.serve("app", "1", &small_image());
    let dir = tempfile::tempdir().expect("temporary directory");
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).expect("write");
    let mut named = rcgen::CertificateParams::new(vec!["127.0.0.1".into()]).expect("parameters");
    named.distinguished_name.push(rcgen::DnType::CommonName, "another authority");
    let other_key = rcgen::KeyPair::generate().expect("key");
    let other = named.self_signed(&other_key).expect("certificate");
    let other_ca = dir.path().join("other.pem");
    std::fs::write(&other_ca, other.pem()).expect("write");
    let reference = Reference::parse(&format!("{}/app:1", registry.address)).expect("name");
    for (file, is_trusted) in [(other_ca, false), (ca, true)] {
        let mut config = service_config(dir.path(), None);
        config.registry = quick();
        config.registry.registry_ca_files.insert(registry.address.to_string(), vec![file]);
        let images = ImageService::open(config).expect("open");
        let result = images.pull(&reference, &[], &silent()).await;
        match result {
            Ok(_) => assert!(is_trusted),
            Err(error) => assert!(
                !is_trusted
                    && error.message().contains("x509: certificate signed by unknown authority"),
                "{}",
                error.message()
            ),
        }
    }
}
