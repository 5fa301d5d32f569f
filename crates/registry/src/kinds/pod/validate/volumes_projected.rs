//! Projected volumes: files out of several sources in one folder, no two at the same path.

use std::collections::HashSet;

use podo_api::Value;
use podo_api::field::{Errors, Path};

use super::super::view::{at, get, has, int, list, text};
use super::paths;
use super::volumes::{downward_file, key_to_path};

/// A token lives no shorter.
const TOKEN_SECONDS_MIN: i64 = 10 * 60;

/// A token lives no longer.
const TOKEN_SECONDS_MAX: i64 = 1 << 32;

/// The sources of a projected volume.
pub(super) fn sources(volume: &Value, path: &Path, errors: &mut Errors) {
    let mut taken = Taken { path, seen: HashSet::new() };
    for (index, source) in list(volume, "sources").iter().enumerate() {
        let path = path.child("sources").index(index);
        for kind in ["secret", "configMap"] {
            if let Some(content) = get(source, kind) {
                keys(content, &path.child(kind), &mut taken, errors);
            }
        }
        for file in list(at(source, "downwardAPI"), "items") {
            downward_file(file, &path.child("downwardAPI"), errors);
            taken.take(text(file, "path"), text(file, "path"), errors);
        }
        if let Some(token) = get(source, "serviceAccountToken") {
            service_account_token(token, &path.child("serviceAccountToken"), taken.path, errors);
        }
        let kinds = ["secret", "configMap", "downwardAPI", "serviceAccountToken"];
        if kinds.iter().filter(|kind| has(source, kind)).count() > 1 {
            errors.forbidden(&path, "may not specify more than 1 volume type per source");
        }
    }
}

/// The files that there are already.
struct Taken<'a> {
    /// The volume's path, where collisions are found.
    path: &'a Path,
    seen: HashSet<String>,
}

impl Taken<'_> {
    /// Takes a file's path, or finds that it is taken; `shown` is the value in the finding.
    fn take(&mut self, file: &str, shown: &str, errors: &mut Errors) {
        if !file.is_empty() && !self.seen.insert(file.to_owned()) {
            errors.invalid(self.path, shown, "conflicting duplicate paths");
        }
    }
}

fn keys(content: &Value, path: &Path, taken: &mut Taken<'_>, errors: &mut Errors) {
    let name = text(content, "name");
    if name.is_empty() {
        errors.required(&path.child("name"), "");
    }
    for (index, item) in list(content, "items").iter().enumerate() {
        key_to_path(item, &path.child("items").index(index), errors);
        taken.take(text(item, "path"), name, errors);
    }
}

/// Findings about the token's path are at the volume; that is upstream's.
fn service_account_token(token: &Value, path: &Path, volume: &Path, errors: &mut Errors) {
    let seconds = int(token, "expirationSeconds").unwrap_or(0);
    let seconds_path = path.child("expirationSeconds");
    if seconds < TOKEN_SECONDS_MIN {
        errors.invalid_value(
            &seconds_path,
            seconds,
            "may not specify a duration less than 10 minutes",
        );
    }
    if seconds > TOKEN_SECONDS_MAX {
        errors.invalid_value(
            &seconds_path,
            seconds,
            "may not specify a duration larger than 2^32 seconds",
        );
    }
    match text(token, "path") {
        "" => errors.required(&volume.child("path"), ""),
        file => paths::descending_unreserved(file, &volume.child("path"), errors),
    }
}
