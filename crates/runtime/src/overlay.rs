//! Directories joined by overlayfs (the kernel's `Documentation/filesystems/overlayfs.rst`), as a mount that is nowhere yet.
//!
//! Since Linux 6.5 the layers are given one by one. Before that they are one text of a page in mount(2), which mounts at a place: one
//! that only a thread with a mount namespace of its own sees, and of which a copy is left.

use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::LazyLock;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, OpenTreeFlags,
    fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount, mount_change,
    open_tree,
};

use crate::error::{At as _, Fault, FaultKind};
use crate::sys::misc;
use crate::sys::mount_attr::{self, MountChange, NODEV, NOEXEC, NOSUID, RDONLY};

/// mount(2) reads no more of its text, and would leave out what is behind in silence.
const TEXT_MAX: usize = 4095;
/// Where the thread mounts what only it sees. It is there: layers are named by it.
const PLACE: &str = "/proc";
const STEP: &str = "make the overlay";
/// The first kernel that takes layers one by one.
const ONE_BY_ONE: (u32, u32) = (6, 5);
/// Whether this kernel does.
static TAKES_ONE_BY_ONE: LazyLock<bool> = LazyLock::new(|| {
    version(&rustix::system::uname().release().to_string_lossy()) >= Some(ONE_BY_ONE)
});

/// What is joined. All are directories.
#[derive(Debug)]
pub(crate) struct Layers {
    /// What shows through, the topmost first.
    pub(crate) lower: Vec<OwnedFd>,
    /// Where changes go, and a directory beside it for overlayfs itself.
    pub(crate) changes: Option<(OwnedFd, OwnedFd)>,
    /// Whether changes may be lost when the machine stops.
    pub(crate) volatile: bool,
}

/// Whether layers may be copies of mounts that are nowhere, as those are whose ids are mapped: older kernels want them mounted.
pub fn takes_detached_layers() -> bool {
    *TAKES_ONE_BY_ONE
}

/// The joined directories as a detached mount. They must be opened within `open`: overlayfs asks that they are of the mount namespace
/// in which it is mounted.
pub(crate) fn join<F>(open: F) -> Result<OwnedFd, Fault>
where
    F: FnOnce() -> Result<Layers, Fault> + Send,
{
    if *TAKES_ONE_BY_ONE { one_by_one(&open()?).at(FaultKind::Mount, STEP) } else { by_text(open) }
}

/// Directories, the topmost first and at least two, joined for reading alone: a detached mount that nobody can write to, run programs
/// from or use devices of.
///
/// # Errors
/// What the kernel refused; more layers than an older kernel takes (about 230).
pub fn join_as_data(lower: &[&Path]) -> Result<OwnedFd, Fault> {
    let joined = join(|| {
        let lower = lower.iter().map(|path| directory(path)).collect::<Result<_, Fault>>()?;
        Ok(Layers { lower, changes: None, volatile: false })
    })?;
    let set = RDONLY | NOSUID | NODEV | NOEXEC;
    mount_attr::change(joined.as_fd(), &MountChange { set, ..MountChange::default() })
        .at(FaultKind::Mount, "make the overlay read-only")?;
    Ok(joined)
}

/// Opens a directory of the host.
pub(crate) fn directory(path: &Path) -> Result<OwnedFd, Fault> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
        .at(FaultKind::Mount, format!("open {path:?}"))
}

/// `6.1` of `6.1.0-48-cloud-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|byte: char| !byte.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// A name by descriptor is short, and resolved once.
fn name(handle: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", handle.as_raw_fd())
}

fn one_by_one(layers: &Layers) -> rustix::io::Result<OwnedFd> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for handle in &layers.lower {
        fsconfig_set_string(&context, "lowerdir+", name(handle))?;
    }
    if let Some((upper, work)) = &layers.changes {
        fsconfig_set_string(&context, "upperdir", name(upper))?;
        fsconfig_set_string(&context, "workdir", name(work))?;
        if layers.volatile {
            fsconfig_set_flag(&context, "volatile")?;
        }
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

fn by_text<F>(open: F) -> Result<OwnedFd, Fault>
where
    F: FnOnce() -> Result<Layers, Fault> + Send,
{
    let unseen = || {
        misc::unshare(libc::CLONE_NEWNS).at(FaultKind::Kernel, "make a mount namespace")?;
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
            .at(FaultKind::Kernel, "make mounts private")?;
        let layers = open()?;
        let text = text(&layers)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        mount("overlay", PLACE, "overlay", MountFlags::empty(), Some(text.as_c_str()))
            .and_then(|()| open_tree(CWD, PLACE, flags))
            .at(FaultKind::Mount, STEP)
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("overlay".to_owned());
        let thread = thread.spawn_scoped(scope, unseen).at(FaultKind::Kernel, "make a thread")?;
        let panicked = |_payload| Fault::new(FaultKind::Kernel, "the thread that mounts panicked");
        thread.join().map_err(panicked)?
    })
}

fn text(layers: &Layers) -> Result<CString, Fault> {
    let lower: Vec<String> = layers.lower.iter().map(name).collect();
    let mut text = format!("lowerdir={}", lower.join(":"));
    if let Some((upper, work)) = &layers.changes {
        text += &format!(",upperdir={},workdir={}", name(upper), name(work));
        text += if layers.volatile { ",volatile" } else { "" };
    }
    if text.len() > TEXT_MAX {
        let why = format!("{} layers are too many for Linux before 6.5", lower.len());
        return Err(Fault::new(FaultKind::Mount, why));
    }
    CString::new(text).map_err(|_zero| Fault::new(FaultKind::Mount, "a zero byte in a path"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// Layers that each hold a file of their own and one of all.
    fn fill(folder: &Path, count: usize) -> Vec<PathBuf> {
        let made = (0..count).map(|index| {
            let path = folder.join(format!("layer{index}"));
            fs::create_dir_all(&path).expect("a directory");
            for name in [format!("file{index}"), "same".to_owned()] {
                fs::write(path.join(name), index.to_string()).expect("a file");
            }
            path
        });
        made.collect()
    }

    fn open(lower: &[PathBuf], changes: Option<(&Path, &Path)>) -> Result<Layers, Fault> {
        let lower = lower.iter().map(|path| directory(path)).collect::<Result<_, _>>()?;
        let changes = match changes {
            Some((upper, work)) => Some((directory(upper)?, directory(work)?)),
            None => None,
        };
        Ok(Layers { lower, changes, volatile: true })
    }

    /// As many layers as images have in practice: Docker makes no more either.
    #[test]
    fn every_way_joins_127_layers() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIP every_way_joins_127_layers: needs root");
            return;
        }
        // The folder of temporary files may be an overlay, on which none can have its changes.
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
        let lower = fill(folder.path(), 127);
        let ways: &[bool] = if *TAKES_ONE_BY_ONE { &[true, false] } else { &[true] };
        for &is_text in ways {
            let (upper, work) = (folder.path().join("upper"), folder.path().join("work"));
            fs::create_dir(&upper).and_then(|()| fs::create_dir(&work)).expect("directories");
            let open = || open(&lower, Some((&upper, &work)));
            let joined = if is_text {
                by_text(open)
            } else {
                open().and_then(|layers| one_by_one(&layers).at(FaultKind::Mount, STEP))
            };
            let joined = joined.expect("a mount");
            let seen = Path::new("/proc/self/fd").join(joined.as_raw_fd().to_string());
            let read = |name: &str| fs::read_to_string(seen.join(name)).expect("a file");
            assert_eq!([read("file0"), read("file126"), read("same")], ["0", "126", "0"]);
            fs::write(seen.join("same"), "changed").expect("written");
            assert_eq!(fs::read_to_string(upper.join("same")).expect("a file"), "changed");
            drop(joined);
            fs::remove_dir_all(&upper).and_then(|()| fs::remove_dir_all(&work)).expect("removed");
        }
    }

    #[test]
    fn layers_that_a_text_cannot_hold_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let layers = open(&fill(folder.path(), 300), None).expect("layers");
        let refused = text(&layers).expect_err("it is too much");
        assert_eq!(refused.message, "300 layers are too many for Linux before 6.5");
    }

    #[test]
    fn releases_are_compared_by_number() {
        assert_eq!(version("6.1.0-48-cloud-amd64"), Some((6, 1)));
        assert!(version("5.15.0-generic") < Some(ONE_BY_ONE));
        assert!(version("6.10") > Some(ONE_BY_ONE));
        assert_eq!(version("strange"), None);
    }
}
