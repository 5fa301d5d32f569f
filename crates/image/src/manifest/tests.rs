use super::*;

const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn read(text: &str, content_type: &str) -> Result<Document, String> {
    let text = text.replace("DD", &format!(r#""digest":"{D}","size":3"#));
    parse(text.as_bytes(), content_type, &Limits::default()).map_err(|error| error.to_string())
}

#[test]
fn all_four_forms_are_read() {
    let manifest = r#"{"schemaVersion":2,"config":{DD},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip",DD}]}"#;
    for content_type in
        [media_type::OCI_MANIFEST, media_type::DOCKER_MANIFEST, "application/json", ""]
    {
        assert!(
            matches!(read(manifest, content_type), Ok(Document::Manifest(it)) if it.layers.len() == 1)
        );
    }
    let index = r#"{"schemaVersion":2,"manifests":[{DD,"platform":{"os":"linux","architecture":"amd64"}}]}"#;
    for content_type in [media_type::OCI_INDEX, media_type::DOCKER_LIST, "text/plain"] {
        assert!(matches!(read(index, content_type), Ok(Document::Index(it)) if it.len() == 1));
    }
}

#[test]
fn a_document_that_is_two_things_is_refused() {
    for (text, content_type) in [
        (r#"{"schemaVersion":2,"manifests":[],"config":{DD},"layers":[]}"#, ""),
        (r#"{"schemaVersion":2,"manifests":[]}"#, media_type::OCI_MANIFEST),
        (r#"{"schemaVersion":2,"config":{DD},"layers":[]}"#, media_type::OCI_INDEX),
        (
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#,
            media_type::DOCKER_LIST,
        ),
        (r#"{"schemaVersion":2}"#, ""),
    ] {
        assert!(read(text, content_type).is_err_and(|error| error.contains("ambiguous")), "{text}");
    }
}

#[test]
fn schema_1_is_refused_in_words() {
    let error = read(r#"{"schemaVersion":1,"fsLayers":[{"blobSum":"x"}]}"#, "").expect_err("old");
    assert!(error.starts_with("schema 1 image manifests are no longer supported"));
}

#[test]
fn foreign_kinds_and_bounds_are_refused() {
    let helm = r#"{"schemaVersion":2,"config":{DD},"layers":[{"mediaType":"application/vnd.cncf.helm.chart.content.v1+json",DD}]}"#;
    assert!(read(helm, "").is_err_and(|error| error.contains("unsupported layer media type")));
    let encrypted = helm.replace(
        "application/vnd.cncf.helm.chart.content.v1+json",
        "application/vnd.oci.image.layer.v1.tar+encrypted",
    );
    assert!(read(&encrypted, "").is_err());
    let many = format!(
        r#"{{"schemaVersion":2,"config":{{DD}},"layers":[{}]}}"#,
        vec!["{DD}"; 501].join(",")
    );
    assert!(read(&many, "").is_err_and(|error| error.contains("501 layers")));
    let huge =
        r#"{"schemaVersion":2,"config":{DD},"layers":[{"digest":"DG","size":99999999999999}]}"#
            .replace("DG", D);
    assert!(read(&huge, "").is_err_and(|error| error.contains("more than")));
    assert!(
        read(r#"{"schemaVersion":2,"config":{"digest":"sha256:../..","size":1}}"#, "").is_err()
    );
    assert!(read(r#"{"schemaVersion":2,"config":{"digest":"DG","size":-1}}"#, "").is_err());
}

fn entry(os: &str, architecture: &str, variant: &str) -> Descriptor {
    Descriptor {
        media_type: String::new(),
        digest: Digest::sha256(format!("{os}{architecture}{variant}").as_bytes()),
        size: 1,
        platform: Some(Platform {
            os: os.into(),
            architecture: architecture.into(),
            variant: variant.into(),
        }),
        annotations: BTreeMap::new(),
    }
}

#[track_caller]
fn chosen(wanted: (&str, &str), offered: &[(&str, &str)], expected: Option<&str>) {
    let entries: Vec<Descriptor> =
        offered.iter().map(|(arch, variant)| entry("linux", arch, variant)).collect();
    let platform =
        Platform { os: "linux".into(), architecture: wanted.0.into(), variant: wanted.1.into() };
    let index = Digest::sha256(b"index");
    let got = select(&entries, &platform, &index)
        .ok()
        .and_then(|it| it.platform.as_ref())
        .map(ToString::to_string);
    assert_eq!(got.as_deref(), expected);
}

#[test]
fn the_best_variant_for_the_machine_is_chosen() {
    chosen(("amd64", ""), &[("arm64", "v8"), ("amd64", "")], Some("linux/amd64"));
    chosen(("arm64", "v8"), &[("arm64", ""), ("arm64", "v8")], Some("linux/arm64/v8"));
    chosen(("arm64", "v8"), &[("arm64", "")], Some("linux/arm64"));
    chosen(("arm", "v7"), &[("arm", "v5"), ("arm", "v6")], Some("linux/arm/v6"));
    chosen(("amd64", ""), &[("s390x", ""), ("unknown", "")], None);
}

#[test]
fn an_index_without_platforms_is_used_only_if_it_leaves_no_choice() {
    let mut bare = entry("", "", "");
    bare.platform = None;
    let index = Digest::sha256(b"index");
    assert!(select(std::slice::from_ref(&bare), &Platform::host(), &index).is_ok());
    assert!(select(&[bare.clone(), bare], &Platform::host(), &index).is_err());
}
