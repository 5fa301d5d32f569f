use super::*;

fn store() -> (tempfile::TempDir, ContentStore) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = ContentStore::open(dir.path()).expect("open");
    (dir, store)
}

fn ingest_count(store: &ContentStore) -> usize {
    fs::read_dir(store.root.join("ingest")).expect("list").count()
}

#[test]
fn content_is_visible_only_after_its_digest_and_size_were_right() {
    let (_dir, store) = store();
    let digest = Digest::sha256(b"good");
    for (bytes, size) in [(b"evil".as_slice(), 4), (b"good", 5), (b"goo", 4), (b"goodness", 4)] {
        let mut ingest = store.ingest(Algorithm::Sha256).expect("ingest");
        ingest.write(bytes).expect("write");
        assert!(ingest.commit(Some((&digest, size))).is_err_and(|error| error.is_integrity()));
        assert_eq!((store.size(&digest), ingest_count(&store)), (None, 0));
    }
    let mut ingest = store.ingest(Algorithm::Sha256).expect("ingest");
    ingest.write(b"good").expect("write");
    ingest.commit(Some((&digest, 4))).expect("commit");
    assert_eq!(store.read(&digest, 4).expect("read"), b"good");
    assert!(matches!(store.read(&digest, 3), Err(StoreError::TooLarge { .. })));
}

#[test]
fn dropped_and_left_over_content_is_gone() {
    let (dir, store) = store();
    let mut ingest = store.ingest(Algorithm::Sha512).expect("ingest");
    ingest.write(b"x").expect("write");
    drop(ingest);
    assert_eq!(ingest_count(&store), 0);
    fs::write(dir.path().join("ingest/7"), "left by a crash").expect("write");
    let again = ContentStore::open(dir.path()).expect("reopen");
    assert_eq!(ingest_count(&again), 0);
}

#[test]
fn rotten_blobs_are_noticed_when_read() {
    let (_dir, store) = store();
    let digest = store.put(b"content").expect("put");
    fs::write(store.path(&digest), "cOntent").expect("rot");
    assert!(matches!(store.read(&digest, 100), Err(StoreError::Digest { .. })));
}

#[test]
fn leases_count() {
    let (_dir, store) = store();
    let digest = store.put(b"content").expect("put");
    let (mut one, mut two) = (store.lease(), store.lease());
    one.hold([digest.clone(), digest.clone()]);
    two.hold([digest.clone()]);
    drop(one);
    assert!(store.with_leases(|leased| leased.contains(&digest)));
    drop(two);
    assert!(store.with_leases(HashSet::is_empty));
}

#[test]
fn a_small_file_is_replaced_as_a_whole() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("x.json");
    write_atomic(&path, b"one").expect("write");
    write_atomic(&path, b"two").expect("write");
    assert_eq!(fs::read(&path).expect("read"), b"two");
    assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 1);
}
