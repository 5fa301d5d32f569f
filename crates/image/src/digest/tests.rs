use super::*;

const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn the_digest_of_nothing_is_the_known_one() {
    assert_eq!(Digest::sha256(b"").to_string(), EMPTY);
    assert_eq!(Digest::of(Algorithm::Sha512, b"").hex().len(), 128);
}

#[test]
fn only_well_formed_digests_are_accepted() {
    assert_eq!(EMPTY.parse::<Digest>().map(|digest| digest.to_string()), Ok(EMPTY.to_owned()));
    for (text, error) in [
        ("", DigestError::Format),
        ("sha256", DigestError::Format),
        ("md5:d41d8cd98f00b204e9800998ecf8427e", DigestError::Algorithm),
        ("sha256:../../../../etc/passwd", DigestError::Length),
        ("sha256:abc", DigestError::Length),
    ] {
        assert_eq!(text.parse::<Digest>(), Err(error), "{text}");
    }
    let upper = EMPTY.to_uppercase().replace("SHA256", "sha256");
    assert_eq!(upper.parse::<Digest>(), Err(DigestError::Format));
}

#[test]
fn the_chain_of_one_layer_is_its_diff_id_and_grows_from_there() {
    let one = Digest::sha256(b"1");
    let two = Digest::sha256(b"2");
    let chain = chain_ids(&[one.clone(), two.clone()]);
    assert_eq!(chain.first(), Some(&one));
    assert_eq!(chain.get(1), Some(&Digest::sha256(format!("{one} {two}").as_bytes())));
}
