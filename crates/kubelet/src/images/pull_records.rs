//! Who may use an image that is on the node: whoever could have pulled it (KEP-2535, Kubernetes v1.36
//! `KubeletEnsureSecretPulledImages` with `NeverVerifyPreloadedImages`).
//!
//! On disk, below one folder: `pulling/HASH` for an image whose pull has begun, `pulled/HASH` for one that came by a pull, with the
//! secrets that opened its registry. An image without either was there before: everybody may use it.
//!
//! Holds always: the note that a pull has begun is on disk before the pull, and goes after the record is there; so no crash makes
//! an image that came by a secret look as if it had always been there.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::pull_secrets::{PullSecret, SecretIdentity};

/// Secrets that are noted for one repository of an image; with more the registry is asked again.
const SECRETS_MAX: usize = 100;

/// Who may use an image, by the repository that it was pulled from.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    image_ref: String,
    by_repository: BTreeMap<String, Access>,
}

/// Who may use an image of a repository.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Access {
    /// It was pulled without credentials.
    is_open: bool,
    secrets: Vec<SecretIdentity>,
}

/// What is known of all images.
#[derive(Debug)]
pub(crate) struct PullRecords {
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By what the runtime calls the image; with the time of the last note by this process.
    records: HashMap<String, (Record, Option<Instant>)>,
    /// Pulls that have begun, by the hash of the image's name. One of an earlier process never ended: nobody knows what became
    /// of it, so it counts until the image is pulled again.
    pulling: HashMap<String, usize>,
}

impl PullRecords {
    /// Reads what is noted below a folder.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let mut state = State::default();
        for sub in ["pulling", "pulled"] {
            fs::create_dir_all(dir.join(sub))?;
        }
        for name in names(&dir.join("pulling"))? {
            state.pulling.insert(name, 1);
        }
        for name in names(&dir.join("pulled"))? {
            let bytes = fs::read(dir.join("pulled").join(name))?;
            // One that was written halfway had its note of the pull still beside it.
            if let Ok(record) = serde_json::from_slice::<Record>(&bytes) {
                state.records.insert(record.image_ref.clone(), (record, None));
            }
        }
        Ok(Self { dir: dir.to_owned(), state: Mutex::new(state) })
    }

    /// Whether a Pod with these secrets may use an image that is on the node without asking the registry.
    pub(crate) fn allows(
        &self,
        image: &str,
        repository: &str,
        image_ref: &str,
        secrets: &[PullSecret],
    ) -> bool {
        let state = self.state.lock();
        let Some((record, _)) = state.records.get(image_ref) else {
            return !state.pulling.contains_key(&hash(image.as_bytes()));
        };
        let Some(access) = record.by_repository.get(repository) else { return false };
        let opens = |known: &SecretIdentity, own: &SecretIdentity| {
            let is_same =
                |id: &SecretIdentity| (id.namespace.clone(), id.name.clone(), id.uid.clone());
            known.credential_hash == own.credential_hash || is_same(known) == is_same(own)
        };
        access.is_open
            || secrets
                .iter()
                .any(|own| access.secrets.iter().any(|known| opens(known, &own.identity)))
    }

    /// Notes that a pull begins.
    pub(crate) fn begin(&self, image: &str) -> io::Result<()> {
        let name = hash(image.as_bytes());
        let mut state = self.state.lock();
        if !state.pulling.contains_key(&name) {
            File::create(self.dir.join("pulling").join(&name))?.sync_all()?;
        }
        *state.pulling.entry(name).or_default() += 1;
        Ok(())
    }

    /// Notes that a pull has failed: nothing came.
    pub(crate) fn fail(&self, image: &str) -> io::Result<()> {
        self.end(&mut self.state.lock(), image)
    }

    /// Notes that an image came, and by which secret; without one everybody may use it.
    pub(crate) fn succeed(
        &self,
        image: &str,
        repository: &str,
        image_ref: &str,
        secret: Option<&PullSecret>,
    ) -> io::Result<()> {
        let mut state = self.state.lock();
        let (record, noted_at) = state.records.entry(image_ref.to_owned()).or_default();
        image_ref.clone_into(&mut record.image_ref);
        let access = record.by_repository.entry(repository.to_owned()).or_default();
        match secret.map(|secret| &secret.identity) {
            None => access.is_open = true,
            Some(id) if access.secrets.len() < SECRETS_MAX && !access.secrets.contains(id) => {
                access.secrets.push(id.clone());
            }
            Some(_) => {}
        }
        *noted_at = Some(Instant::now());
        let bytes = serde_json::to_vec(record)?;
        write_whole(&self.dir.join("pulled"), &hash(image_ref.as_bytes()), &bytes)?;
        self.end(&mut state, image)
    }

    fn end(&self, state: &mut State, image: &str) -> io::Result<()> {
        let name = hash(image.as_bytes());
        match state.pulling.get_mut(&name) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => {
                fs::remove_file(self.dir.join("pulling").join(&name))?;
                state.pulling.remove(&name);
            }
            None => {}
        }
        Ok(())
    }

    /// Forgets images that are not on the node. `since` is when they were listed: what was noted later stays.
    pub(crate) fn retain(&self, is_there: impl Fn(&str) -> bool, since: Instant) -> io::Result<()> {
        let mut state = self.state.lock();
        let is_gone = |image_ref: &String, (_, noted_at): &mut (Record, Option<Instant>)| {
            !is_there(image_ref) && noted_at.is_none_or(|at| at < since)
        };
        let gone: Vec<String> =
            state.records.extract_if(is_gone).map(|(image_ref, _)| image_ref).collect();
        gone.iter().try_for_each(|image_ref| {
            fs::remove_file(self.dir.join("pulled").join(hash(image_ref.as_bytes())))
        })
    }
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(dir)?;
    let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
    let names = names.collect::<io::Result<Vec<_>>>()?;
    Ok(names.into_iter().flatten().filter(|name| !name.starts_with('.')).collect())
}

/// Writes a file so that it is there whole or not at all.
fn write_whole(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = dir.join(format!(".{name}"));
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(unfinished, dir.join(name))
}

/// SHA-256 in hexadecimal.
pub(super) fn hash(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use podo_cri::Keyring;

    use super::*;

    const IMAGE: &str = "registry.test/team/app:1";
    const REPOSITORY: &str = "registry.test/team/app";

    fn secret(name: &str, password: &str) -> PullSecret {
        let identity = SecretIdentity {
            namespace: "n".into(),
            name: name.into(),
            uid: format!("uid-of-{name}"),
            credential_hash: hash(password.as_bytes()),
        };
        PullSecret { identity, keyring: Keyring::new() }
    }

    fn records() -> (tempfile::TempDir, PullRecords) {
        let dir = tempfile::tempdir().expect("a folder");
        let records = PullRecords::open(dir.path()).expect("opened");
        (dir, records)
    }

    #[track_caller]
    fn check(records: &PullRecords, secrets: &[PullSecret], expected: bool) {
        assert_eq!(records.allows(IMAGE, REPOSITORY, "id", secrets), expected);
    }

    #[test]
    fn what_was_there_before_is_for_everybody() {
        let (_dir, records) = records();
        check(&records, &[], true);
    }

    #[test]
    fn what_came_by_a_secret_is_for_those_who_have_it_or_its_like() {
        let (dir, records) = records();
        records.begin(IMAGE).expect("noted");
        check(&records, &[secret("a", "right")], false);
        records.succeed(IMAGE, REPOSITORY, "id", Some(&secret("a", "right"))).expect("noted");
        let records = PullRecords::open(dir.path()).expect("opened again");
        check(&records, &[], false);
        check(&records, &[secret("b", "wrong")], false);
        check(&records, &[secret("b", "right")], true);
        check(&records, &[secret("a", "changed")], true);
        assert!(!records.allows(
            "other.test/app:1",
            "other.test/app",
            "id",
            &[secret("a", "right")]
        ));
    }

    #[test]
    fn what_came_without_a_secret_is_for_everybody() {
        let (_dir, records) = records();
        records.begin(IMAGE).expect("noted");
        records.succeed(IMAGE, REPOSITORY, "id", None).expect("noted");
        check(&records, &[], true);
    }

    #[test]
    fn a_pull_that_no_record_ended_leaves_the_image_to_be_asked_for() {
        let (dir, records) = records();
        records.begin(IMAGE).expect("noted");
        drop(records);
        let records = PullRecords::open(dir.path()).expect("opened again");
        check(&records, &[], false);
        records.begin(IMAGE).expect("noted");
        records.fail(IMAGE).expect("noted");
        check(&records, &[], false);
    }

    #[test]
    fn images_that_are_gone_are_forgotten_unless_they_came_meanwhile() {
        let (_dir, records) = records();
        let listed_at = Instant::now();
        records.succeed(IMAGE, REPOSITORY, "id", Some(&secret("a", "right"))).expect("noted");
        records.retain(|_| false, listed_at).expect("written");
        check(&records, &[], false);
        records.retain(|_| false, Instant::now()).expect("written");
        check(&records, &[], true);
    }
}
