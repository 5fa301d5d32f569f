//! Pulls that must fail: the right kind and words each, and nothing half done.

use bytes::Bytes;
use podo_image::build::{Compression, ImageBuilder, LayerBuilder};
use podo_image::manifest::media_type;
use podo_image::{Credential, PullErrorKind};

use crate::fake_registry::{Behaviour, FakeRegistry};
use crate::support::{Node, large_image, names, small_image};

/// Pulls `x:1` from a registry that behaves like this, and expects this kind and these words.
async fn refuses(change: impl FnOnce(&mut Behaviour), kind: PullErrorKind, words: &[&str]) {
    let registry = FakeRegistry::start().await;
    registry.serve("library/x", "1", &large_image(2, 100_000));
    registry.behave(change);
    refuses_from(&registry, kind, words).await;
}

async fn refuses_from(registry: &FakeRegistry, kind: PullErrorKind, words: &[&str]) {
    let node = Node::new(Some(&registry.url()));
    let error = node.pull("x:1").await.expect_err("must fail");
    let message = error.message();
    assert_eq!(error.kind(), kind, "{message}");
    assert!(
        message.starts_with("failed to pull and unpack image \"docker.io/library/x:1\": "),
        "{message}"
    );
    for word in words {
        assert!(message.contains(word), "{message:?} lacks {word:?}");
    }
    assert!(node.images.list().is_empty());
    assert_eq!(names(&node.root().join("layers")), Vec::<String>::new());
    node.assert_nothing_half_done();
}

#[tokio::test]
async fn a_layer_with_another_digest() {
    let words = ["unexpected commit digest sha256:", ", expected sha256:", "failed precondition"];
    refuses(|it| it.is_corrupt = true, PullErrorKind::Integrity, &words).await;
}

#[tokio::test]
async fn a_layer_that_always_ends_early() {
    refuses(|it| it.cut = (0, 1000), PullErrorKind::Unavailable, &["failed to copy sha256:"]).await;
}

#[tokio::test]
async fn a_layer_of_another_length_than_described() {
    let words = ["failed size validation: ", "failed precondition"];
    refuses(|it| it.is_short = true, PullErrorKind::Integrity, &words).await;
}

#[tokio::test]
async fn a_transfer_that_stands_still() {
    refuses(|it| it.hang_after = Some(0), PullErrorKind::Unavailable, &["i/o timeout"]).await;
}

#[tokio::test]
async fn a_missing_tag() {
    let registry = FakeRegistry::start().await;
    let words =
        ["failed to resolve reference \"docker.io/library/x:1\": docker.io/library/x:1: not found"];
    refuses_from(&registry, PullErrorKind::NotFound, &words).await;
}

#[tokio::test]
async fn a_registry_in_trouble() {
    let words = ["unexpected status from HEAD request to http://", "503 Service Unavailable"];
    refuses(|it| it.failures = (503, 1000), PullErrorKind::Unavailable, &words).await;
}

#[tokio::test]
async fn credentials_that_are_missing_or_wrong() {
    let basic = |it: &mut Behaviour| {
        it.wanted = Some("Basic never".into());
        it.challenge = "Basic realm=\"r\"".into();
    };
    refuses(
        basic,
        PullErrorKind::Unauthorized,
        &["pull access denied", "no basic auth credentials"],
    )
    .await;

    let registry = FakeRegistry::start().await;
    registry.serve("library/x", "1", &small_image());
    registry.behave(basic);
    let node = Node::new(Some(&registry.url()));
    let error =
        node.pull_as("x:1", &[Credential::basic("u", "sesame")]).await.expect_err("refused");
    assert_eq!(error.kind(), PullErrorKind::Unauthorized);
    assert!(
        error.message().contains("401 Unauthorized") && !error.message().contains("sesame"),
        "{}",
        error.message()
    );
}

#[tokio::test]
async fn a_token_service_that_refuses() {
    let registry = FakeRegistry::start().await;
    registry.serve("library/x", "1", &small_image());
    let realm = format!("Bearer realm=\"{}/token\"", registry.url());
    registry.behave(|it| {
        it.wanted = Some("Bearer never".into());
        it.challenge = realm;
        it.token_wants = "what nobody sends".into();
    });
    let words = ["failed to authorize: failed to fetch anonymous token: ", "401 Unauthorized"];
    refuses_from(&registry, PullErrorKind::Unauthorized, &words).await;
}

#[tokio::test]
async fn a_dead_registry() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    drop(listener);
    let node = Node::new(Some(&url));
    let error = node.pull("x:1").await.expect_err("nobody there");
    assert_eq!(error.kind(), PullErrorKind::Unavailable);
    assert!(
        error.message().contains("failed to do request: Head \"http://127.0.0.1:"),
        "{}",
        error.message()
    );
    assert!(error.message().ends_with("connect: connection refused"), "{}", error.message());
}

#[tokio::test]
async fn an_unknown_host() {
    let node = Node::new(None);
    let error = node.pull("no-such-registry.test/x:1").await.expect_err("no such host");
    assert_eq!(error.kind(), PullErrorKind::Unavailable);
    assert!(
        error.message().contains("dial tcp: lookup no-such-registry.test"),
        "{}",
        error.message()
    );
}

#[tokio::test]
async fn documents_that_are_huge_old_ambiguous_or_for_other_machines() {
    let huge = format!("{{\"schemaVersion\":2,\"x\":\"{}\"}}", "y".repeat(5 << 20));
    let old = r#"{"schemaVersion":1,"name":"x","fsLayers":[]}"#.to_owned();
    let both = r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#.to_owned();
    let none = r#"{"schemaVersion":2,"manifests":[]}"#.to_owned();
    for (text, kind, word) in [
        (huge, PullErrorKind::BadImage, "larger than 4194304 bytes"),
        (old, PullErrorKind::BadImage, "schema 1 image manifests are no longer supported"),
        (both, PullErrorKind::BadImage, "ambiguous"),
        (none, PullErrorKind::NotFound, "no match for platform"),
    ] {
        let registry = FakeRegistry::start().await;
        let media_type =
            if text.contains("manifests") { media_type::OCI_INDEX } else { "application/json" };
        registry.serve_manifest("library/x", "1", media_type, Bytes::from(text));
        refuses_from(&registry, kind, &[word]).await;
    }
}

#[tokio::test]
async fn layers_that_reach_out_or_lie_about_themselves() {
    type Attack = fn(LayerBuilder) -> std::io::Result<LayerBuilder>;
    let attacks: [(&str, Attack); 4] = [
        ("leads outside the layer", |layer| {
            layer.file("a/../../../etc/podotest-escape", 0o644, b"x")
        }),
        ("leads outside the layer", |layer| layer.hard_link("a", "../../../../../../etc/passwd")),
        ("which the layer does not have", |layer| layer.hard_link("a", "/etc/passwd")),
        ("not a valid whiteout", |layer| layer.file("a/.wh...", 0o644, b"")),
    ];
    for (word, attack) in attacks {
        let layer = LayerBuilder::new()
            .file("first", 0o644, b"1")
            .and_then(attack)
            .and_then(LayerBuilder::finish);
        let image = ImageBuilder::new()
            .layer(layer.expect("layer"), Compression::Gzip)
            .build()
            .expect("image");
        let registry = FakeRegistry::start().await;
        registry.serve("library/x", "1", &image);
        refuses_from(
            &registry,
            PullErrorKind::BadImage,
            &["failed to extract layer sha256:", word],
        )
        .await;
    }
}
