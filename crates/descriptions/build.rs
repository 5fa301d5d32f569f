//! Takes the descriptions of types and fields out of the documentation comments of `k8s-openapi`, the values of enumerations out of
//! `enums.tsv`, and packs them.
//!
//! Output: `descriptions.bin`, for each type a deflated block, one after the other; `descriptions.index`, a line for each type:
//! name, offset, length. A block holds `NAME\0TEXT\0` pairs, the type's own text under an empty name; that of an enumeration its
//! values in order.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The values of enumerations. What they mean is in sentences of upstream only, which `k8s-openapi` lacks.
const ENUMS: &str = "enums.tsv";

/// The file whose schema says what is said of `kind` and `apiVersion` everywhere.
const ANY_KIND: &str = "src/v1_36/api/core/v1/pod.rs";

/// The texts of a type by JSON name, the type's own under the empty name; or the values of an enumeration, without texts.
type Texts = BTreeMap<String, String>;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../../Cargo.lock");
    println!("cargo::rerun-if-changed={ENUMS}");
    let sources = sources();
    let mut types = enumerations(&fs::read_to_string(ENUMS).expect("a file of this crate"));
    walk(&sources.join("src/v1_36"), &mut types);
    let any_kind = fs::read_to_string(sources.join(ANY_KIND)).expect("UTF-8");
    types.insert("meta/v1.TypeMeta".to_owned(), type_meta(&any_kind));
    assert!(
        types.len() > 500,
        "only {} types were found in k8s-openapi: its layout has changed",
        types.len()
    );
    let (mut index, mut blocks) = (String::new(), Vec::new());
    for (name, texts) in &types {
        let block = pack(texts);
        index.push_str(&format!("{name}\t{}\t{}\n", blocks.len(), block.len()));
        blocks.extend_from_slice(&block);
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("descriptions.index"), index).expect("OUT_DIR is writable");
    fs::write(out.join("descriptions.bin"), blocks).expect("OUT_DIR is writable");
}

/// The folder of the sources of `k8s-openapi`, as cargo resolved it.
fn sources() -> PathBuf {
    let cargo = std::env::var_os("CARGO").expect("cargo sets CARGO");
    let target = std::env::var("TARGET").expect("cargo sets TARGET");
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &target])
        .current_dir(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("cargo metadata lists packages");
    let package = packages
        .iter()
        .find(|package| package["name"] == "k8s-openapi")
        .expect("k8s-openapi is a dependency");
    let manifest =
        PathBuf::from(package["manifest_path"].as_str().expect("a package has a manifest"));
    manifest.parent().expect("a manifest lies in a folder").to_owned()
}

fn walk(folder: &Path, types: &mut BTreeMap<String, Texts>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.map(|entry| entry.expect("readable").path()) {
        if path.is_dir() {
            walk(&path, types);
        } else if let Some((name, texts)) = read(&fs::read_to_string(&path).expect("UTF-8")) {
            types.insert(name, texts);
        }
    }
}

/// The enumerations of [`ENUMS`].
fn enumerations(table: &str) -> BTreeMap<String, Texts> {
    let mut all = BTreeMap::new();
    let mut texts = &mut Texts::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("E\t") {
            texts = all.entry(name.to_owned()).or_default();
        } else {
            texts.insert(line.to_owned(), String::new());
        }
    }
    all
}

/// What the JSON schema of a kind says of the two fields that are no fields of its struct.
fn type_meta(source: &str) -> Texts {
    let describe = |name: &str| {
        let (_, schema) = source.split_once(&format!("\"{name}\": {{"))?;
        let (_, text) = schema.split_once("\"description\": \"")?;
        Some((name.to_owned(), text.split_once("\",")?.0.to_owned()))
    };
    let texts = ["apiVersion", "kind"].map(describe);
    texts.map(|text| text.expect("the schema of a kind describes its type")).into()
}

/// The type of a generated file and its texts.
fn read(source: &str) -> Option<(String, Texts)> {
    let definition = source.lines().next()?.strip_prefix("// Generated from definition ")?;
    let names = json_names(source);
    let mut texts = Texts::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in source.lines() {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("///") {
            comment.push(text.strip_prefix(' ').unwrap_or(text));
            continue;
        }
        if line.starts_with("#[") {
            continue;
        }
        if line.starts_with("pub struct ") {
            texts.insert(String::new(), text(&comment));
        } else if let Some((field, _)) =
            line.strip_prefix("pub ").and_then(|rest| rest.split_once(':'))
        {
            let field = field.trim_start_matches("r#");
            if let Some(name) = names.get(field) {
                texts.insert(name.clone(), text(&comment));
            }
        }
        if line.starts_with("impl ") {
            break;
        }
        comment.clear();
    }
    Some((short(definition), texts))
}

/// Rust field names to JSON names, from the lines `"clusterIP" => Field::Key_cluster_ip,`.
fn json_names(source: &str) -> HashMap<&str, String> {
    source
        .lines()
        .filter_map(|line| line.trim().split_once(" => Field::Key_"))
        .map(|(json, rust)| (rust.trim_end_matches(','), json.trim_matches('"').to_owned()))
        .collect()
}

/// The description as upstream has it: the comment without the escapes that rustdoc wants.
fn text(comment: &[&str]) -> String {
    comment
        .join("\n")
        .replace("\\[", "[")
        .replace("\\]", "]")
        .replace("\\<", "<")
        .replace("\\>", ">")
        .replace("\\\\", "\\")
}

/// `core/v1.PodSpec` for `io.k8s.api.core.v1.PodSpec`, as the schema table names types.
fn short(definition: &str) -> String {
    let parts: Vec<&str> = definition.split('.').collect();
    match parts.as_slice() {
        [.., group, version, kind] if version.starts_with('v') => {
            format!("{group}/{version}.{kind}")
        }
        [.., kind] => (*kind).to_owned(),
        [] => String::new(),
    }
}

fn pack(texts: &Texts) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    for (name, text) in texts {
        encoder.write_all(format!("{name}\0{text}\0").as_bytes()).expect("a vector takes all");
    }
    encoder.finish().expect("a vector takes all")
}
