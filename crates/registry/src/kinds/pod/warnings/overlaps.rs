//! Files of one volume that would lie at, above or below each other.

use podo_api::Value;
use podo_api::field::quoted;

use super::super::view::{at, get, has, list, text};
use super::PAIRS_MAX;

/// A file and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    path: String,
    source: String,
}

impl File {
    fn new(path: &str, source: &str) -> Self {
        Self { path: path.trim_end_matches('/').to_owned(), source: source.to_owned() }
    }

    fn shown(&self) -> String {
        let path = quoted(&self.path);
        if self.source.is_empty() { path } else { format!("{path} ({})", self.source) }
    }

    /// Whether the two are the same file, or one is where the other needs a folder.
    fn overlaps(&self, other: &Self) -> bool {
        let (mine, theirs) = (format!("{}/", self.path), format!("{}/", other.path));
        let is_named = !self.path.is_empty() && !other.path.is_empty();
        is_named && (mine.starts_with(&theirs) || theirs.starts_with(&mine))
    }
}

/// Warnings about the volumes of a Pod's spec.
pub(super) fn warnings(spec: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    for volume in list(spec, "volumes") {
        for (source, name_field) in
            [("configMap", "name"), ("secret", "secretName"), ("downwardAPI", "")]
        {
            if let Some(content) = get(volume, source).filter(|content| has(content, "items")) {
                let title = title(source, text(content, name_field));
                overlapping(volume, &title, files(content, ""), &mut warnings);
            }
        }
        projected(volume, &mut warnings);
    }
    warnings
}

fn projected(volume: &Value, warnings: &mut Vec<String>) {
    const SOURCES: [&str; 6] = [
        "configMap",
        "secret",
        "downwardAPI",
        "serviceAccountToken",
        "clusterTrustBundle",
        "podCertificate",
    ];
    let mut all = Vec::new();
    for source in list(at(volume, "projected"), "sources") {
        let Some(kind) = SOURCES.into_iter().find(|kind| has(source, kind)) else {
            let name = quoted(text(volume, "name"));
            warnings.push(format!("volume {name} (Projected) has no sources provided"));
            continue;
        };
        all.extend(of_source(at(source, kind), kind));
    }
    overlapping(volume, "Projected", all, warnings);
}

fn of_source(content: &Value, kind: &str) -> Vec<File> {
    match kind {
        "serviceAccountToken" => vec![File::new(text(content, "path"), "ServiceAccountToken")],
        "clusterTrustBundle" => {
            let name = match text(content, "name") {
                "" => text(content, "signerName"),
                name => name,
            };
            vec![File::new(text(content, "path"), &format!("ClusterTrustBundle {}", quoted(name)))]
        }
        "podCertificate" => ["credentialBundlePath", "keyPath", "certificateChainPath"]
            .into_iter()
            .map(|name| text(content, name))
            .filter(|path| !path.is_empty())
            .map(|path| File::new(path, "PodCertificate"))
            .collect(),
        kind => files(content, &title(kind, text(content, "name"))),
    }
}

fn files(content: &Value, source: &str) -> Vec<File> {
    list(content, "items").iter().map(|item| File::new(text(item, "path"), source)).collect()
}

fn title(source: &str, name: &str) -> String {
    match source {
        "configMap" => format!("ConfigMap {}", quoted(name)),
        "secret" => format!("Secret {}", quoted(name)),
        _ => "DownwardAPI".to_owned(),
    }
}

fn overlapping(volume: &Value, title: &str, files: Vec<File>, warnings: &mut Vec<String>) {
    let name = quoted(text(volume, "name"));
    let mut pairs = 0;
    for (index, file) in files.iter().enumerate() {
        pairs += index;
        if pairs > PAIRS_MAX {
            return;
        }
        for earlier in files[..index].iter().filter(|earlier| file.overlaps(earlier)) {
            warnings.push(format!(
                "volume {name} ({title}): overlapping paths: {} with {}",
                file.shown(),
                earlier.shown()
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_file_where_another_needs_a_folder_is_an_overlap() {
        let spec = json!({"volumes": [
            {"name": "a", "configMap": {"name": "m", "items": [{"path": "x"}, {"path": "x/y"}, {"path": "xy"}]}},
            {"name": "b", "projected": {"sources": [
                {"serviceAccountToken": {"path": "t"}},
                {"secret": {"name": "s", "items": [{"path": "t"}]}},
            ]}},
        ]});
        assert_eq!(
            warnings(&spec),
            [
                r#"volume "a" (ConfigMap "m"): overlapping paths: "x/y" with "x""#,
                r#"volume "b" (Projected): overlapping paths: "t" (Secret "s") with "t" (ServiceAccountToken)"#,
            ]
        );
    }
}
