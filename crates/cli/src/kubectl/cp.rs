//! `cp`: files to and from containers, as tar over exec.
//!
//! Holds     nothing is written outside of the local target: names with `..` and links in an archive are passed over.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use bytes::{Buf, Bytes};
use clap::Args;
use podo_client::websocket::Channel;
use serde_json::Value;
use tokio::sync::mpsc;

use super::call::Call;
use super::context::Ctx;
use super::fault::{Fault, Outcome};
use super::pods;
use super::remote::{self, Input};
use super::value::Look;

/// How many pieces of an archive wait on the way.
const PIECES_MAX: usize = 8;

/// Copy files to and from containers
#[derive(Debug, Args)]
pub(crate) struct Cp {
    /// FILE or [NAMESPACE/]POD:FILE, twice
    words: Vec<String>,
    /// The container
    #[arg(short, long)]
    container: Option<String>,
    /// Do not keep owner and permissions
    #[arg(long)]
    no_preserve: bool,
    /// How often to go on after a broken connection; taken for compatibility
    #[arg(long, default_value_t = 0, hide = true, allow_hyphen_values = true)]
    retries: i32,
}

/// A file, here or in a Pod.
struct Place {
    pod: Option<(Option<String>, String)>,
    path: String,
}

impl Place {
    fn parse(text: &str) -> Result<Self, Fault> {
        let Some((pod, path)) =
            text.split_once(':').filter(|(pod, _)| !pod.starts_with(['.', '/']))
        else {
            return Ok(Self { pod: None, path: text.to_owned() });
        };
        let wrong = || {
            Fault::refused("filespec must match the canonical format: [[namespace/]pod:]file/path")
        };
        let parts: Vec<&str> = pod.split('/').collect();
        let pod = match parts.as_slice() {
            [name] if !name.is_empty() => (None, (*name).to_owned()),
            [namespace, name] if !namespace.is_empty() && !name.is_empty() => {
                (Some((*namespace).to_owned()), (*name).to_owned())
            }
            _ => return Err(wrong()),
        };
        Ok(Self { pod: Some(pod), path: path.to_owned() })
    }
}

pub(crate) async fn run(ctx: &Ctx, args: Cp) -> Outcome {
    let [source, target] = args.words.as_slice() else {
        return Err(Fault::refused("source and destination are required"));
    };
    let (source, target) = (Place::parse(source)?, Place::parse(target)?);
    if source.path.is_empty() || target.path.is_empty() {
        return Err(Fault::refused("filepath can not be empty"));
    }
    match (&source.pod, &target.pod) {
        (Some(_), Some(_)) => {
            Err(Fault::refused("one of src or dest must be a local file specification"))
        }
        (None, None) => {
            Err(Fault::refused("one of src or dest must be a remote file specification"))
        }
        (Some(pod), None) => from_pod(ctx, &args, pod, &source.path, &target.path).await,
        (None, Some(pod)) => to_pod(ctx, &args, pod, &source.path, &target.path).await,
    }
}

async fn find(ctx: &Ctx, (namespace, name): &(Option<String>, String)) -> Result<Value, Fault> {
    let namespace = match namespace {
        Some(namespace) => namespace.clone(),
        None => ctx.namespace()?,
    };
    let kind = pods::pod_kind(ctx).await?;
    let pod = ctx.call(Call::get(kind.object(Some(&namespace), name))).await?;
    pods::refuse_completed(&pod, "exec into")?;
    Ok(pod)
}

fn call(
    ctx: &Ctx,
    args: &Cp,
    pod: &Value,
    has_input: bool,
    words: &[&str],
) -> Result<String, Fault> {
    // Which container is meant was said before.
    let container = pods::container(ctx, pod, args.container.as_deref(), true)?;
    let path = format!("/api/v1/namespaces/{}/pods/{}/exec", pod.namespace(), pod.name());
    let mut call = Call::get(path)
        .query("container", container.s("/name"))
        .query("stdin", if has_input { "true" } else { "" })
        .query("stdout", "true")
        .query("stderr", "true");
    for word in words {
        call = call.query_even_empty("command", *word);
    }
    Ok(call.target())
}

async fn to_pod(
    ctx: &Ctx,
    args: &Cp,
    pod: &(Option<String>, String),
    source: &str,
    target: &str,
) -> Outcome {
    let source = PathBuf::from(source);
    if fs::symlink_metadata(&source).is_err() {
        return Err(Fault::refused(format!(
            "{} doesn't exist in local filesystem",
            source.display()
        )));
    }
    let pod = find(ctx, pod).await?;
    let name = source
        .canonicalize()
        .ok()
        .and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
        .unwrap_or_default();
    pods::container(ctx, &pod, args.container.as_deref(), false)?;
    let test = call(ctx, args, &pod, false, &["test", "-d", target])?;
    let is_folder = remote::run(ctx, &test, Input::None, false, async |_, _| Ok(())).await;
    let target = match is_folder {
        Ok(()) => format!("{}/{name}", target.trim_end_matches('/')),
        Err(Fault::Exit { .. } | Fault::Refused(_)) => target.trim_end_matches('/').to_owned(),
        Err(fault) => return Err(fault),
    };
    let (folder, base) = target.rsplit_once('/').unwrap_or((".", target.as_str()));
    let folder = if folder.is_empty() { "/" } else { folder };
    let base = base.to_owned();
    let mut words = vec!["tar"];
    if args.no_preserve {
        words.extend(["--no-same-permissions", "--no-same-owner"]);
    }
    words.extend(["-xmf", "-", "-C", folder]);
    let path = call(ctx, args, &pod, true, &words)?;

    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    let packed = tokio::task::spawn_blocking(move || pack(&source, &base, Sender(sender)));
    let sink = async |channel, bytes: &[u8]| {
        if channel == Channel::Stderr {
            ctx.note_raw(bytes);
        } else {
            ctx.out(bytes)?;
        }
        Ok(())
    };
    let sent = remote::run(ctx, &path, Input::Pieces(pieces), false, sink).await;
    let packed = packed.await.unwrap_or_else(|_panic| Err(io::Error::other("packing stopped")));
    sent?;
    packed.map_err(Fault::io("unable to pack the files"))
}

fn pack(source: &Path, name: &str, sender: Sender) -> io::Result<()> {
    let mut archive = tar::Builder::new(sender);
    archive.follow_symlinks(false);
    if fs::symlink_metadata(source)?.is_dir() {
        archive.append_dir_all(name, source)?;
    } else {
        archive.append_path_with_name(source, name)?;
    }
    archive.finish()
}

async fn from_pod(
    ctx: &Ctx,
    args: &Cp,
    pod: &(Option<String>, String),
    source: &str,
    target: &str,
) -> Outcome {
    let pod = find(ctx, pod).await?;
    // Like kubectl's, this way of copying says everything on standard output.
    pods::container(ctx, &pod, args.container.as_deref(), true)?;
    if let Some(note) = pods::defaulted(&pod, args.container.as_deref()) {
        ctx.line(note)?;
    }
    let path = call(ctx, args, &pod, false, &["tar", "cf", "-", source])?;
    let (sender, pieces) = mpsc::channel::<Bytes>(PIECES_MAX);
    let prefix: PathBuf = normal(Path::new(source));
    let mut target = PathBuf::from(target);
    if target.is_dir() {
        target = target.join(prefix.file_name().unwrap_or_default());
    }
    let unpacked =
        tokio::task::spawn_blocking(move || unpack(&prefix, &target, Receiver::new(pieces)));
    let sink = async |channel, bytes: &[u8]| {
        if channel == Channel::Stderr {
            return ctx.out(bytes);
        }
        // Whoever unpacks may have stopped early, and says why.
        let _stopped = sender.send(Bytes::copy_from_slice(bytes)).await;
        Ok(())
    };
    let received = remote::run(ctx, &path, Input::None, false, sink).await;
    drop(sender);
    let unpacked =
        unpacked.await.unwrap_or_else(|_panic| Err(io::Error::other("unpacking stopped")));
    received?;
    for skipped in unpacked.map_err(Fault::io("unable to unpack the files"))? {
        ctx.note(skipped);
    }
    Ok(())
}

/// A path of plain names only.
fn normal(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

/// Unpacks an archive; warnings for what was passed over.
pub(crate) fn unpack(prefix: &Path, target: &Path, input: Receiver) -> io::Result<Vec<String>> {
    let mut skipped = Vec::new();
    for entry in tar::Archive::new(input).entries()? {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        if name.components().any(|part| matches!(part, Component::ParentDir)) {
            skipped.push(format!("warning: file {name:?} is outside target destination, skipping"));
            continue;
        }
        let own = normal(&name);
        let Ok(rest) = own.strip_prefix(prefix) else {
            skipped.push(format!("warning: file {name:?} is outside target destination, skipping"));
            continue;
        };
        let path = if rest.as_os_str().is_empty() { target.to_owned() } else { target.join(rest) };
        match entry.header().entry_type() {
            kind if kind.is_dir() => fs::create_dir_all(&path)?,
            kind if kind.is_symlink() || kind.is_hard_link() => {
                let link = entry.link_name()?.unwrap_or_default().into_owned();
                skipped.push(format!("warning: skipping symlink: {name:?} -> {link:?}"));
            }
            kind if kind.is_file() => {
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder)?;
                }
                io::copy(&mut entry, &mut fs::File::create(&path)?)?;
            }
            _ => skipped.push(format!("warning: skipping special file: {name:?}")),
        }
    }
    Ok(skipped)
}

/// Writes pieces into a queue.
struct Sender(mpsc::Sender<Bytes>);

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        self.0.blocking_send(piece).map_err(|_gone| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads pieces from a queue.
pub(crate) struct Receiver {
    pieces: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Receiver {
    pub(crate) fn new(pieces: mpsc::Receiver<Bytes>) -> Self {
        Self { pieces, current: Bytes::new() }
    }
}

impl Read for Receiver {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use tar::EntryType;

    use super::*;

    /// An archive of entries as a container that lies would send it: name, type, and where it links to or what it holds.
    fn archive(entries: &[(&str, EntryType, &str)]) -> Receiver {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, text) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            let data = if kind.is_file() { text.as_bytes() } else { &[] };
            header.set_size(data.len() as u64);
            if !kind.is_file() {
                header.set_link_name(text).unwrap();
            }
            header.set_cksum();
            builder.append(&header, data).unwrap();
        }
        let (sender, pieces) = mpsc::channel(1);
        sender.blocking_send(builder.into_inner().unwrap().into()).unwrap();
        Receiver::new(pieces)
    }

    /// CVE-2018-1002100, CVE-2019-1002101, CVE-2019-11246, CVE-2019-11251.
    #[test]
    fn an_archive_reaches_nothing_outside_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (target, outside) = (folder.path().join("target"), folder.path().join("outside"));
        fs::create_dir_all(&target).unwrap();
        fs::write(&outside, "mine").unwrap();
        let link = outside.to_string_lossy().into_owned();
        let entries = [
            ("src/good", EntryType::Regular, "good"),
            ("src/../../outside", EntryType::Regular, "owned"),
            ("../outside", EntryType::Regular, "owned"),
            ("elsewhere/x", EntryType::Regular, "owned"),
            ("src/link", EntryType::Symlink, link.as_str()),
            ("src/hard", EntryType::Link, link.as_str()),
            ("src/up", EntryType::Symlink, ".."),
            ("src/up/outside", EntryType::Regular, "in a folder of that name"),
            ("src/pipe", EntryType::Fifo, "x"),
        ];
        let skipped = unpack(Path::new("src"), &target, archive(&entries)).unwrap();
        assert_eq!(skipped.len(), 7, "{skipped:#?}");
        assert_eq!(fs::read_to_string(&outside).unwrap(), "mine");
        let mut names: Vec<_> =
            fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["good", "up"]);
        assert!(target.join("up").is_dir() && !target.join("up").is_symlink());
    }
}
