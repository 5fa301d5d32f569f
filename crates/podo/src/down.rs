//! `podo down`: ends the process of an instance and removes everything that it put into the kernel.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use podo_cri::PodoCri;
use podo_runtime::mountinfo;

use crate::config::DownOptions;
use crate::control::{self, Request};
use crate::exit::{Class, Failure};
use crate::instance::{Instance, LOCK_PAUSE, require_root};
use crate::node_config::{self, CriParts};
use crate::progress::Step;
use crate::screen;

/// How long the process may take until it can be asked: it may just be starting.
const START: Duration = Duration::from_secs(10);
/// How long it may take to remove everything: each of its parts has a bound of its own.
const REMOVAL: Duration = Duration::from_secs(100);
/// How long the process may take to do that, to end its tasks before and after, and to give the instance up.
const END: Duration = Duration::from_secs(150);

/// Runs the command.
pub(crate) async fn run(options: &DownOptions) -> Result<(), Failure> {
    require_root("podo down")?;
    // What runs may outlive its data directory, which is then made for the lock alone.
    let is_only_for_lock = !options.common.data_dir.exists();
    let instance = Instance::of(&options.common.data_dir)?;
    let sandboxes = instance.data_dir.join("runtime/cri/sandboxes");
    let steps = move || vec![Step::note("podo down", left(&sandboxes))];
    let end = async {
        let lock = end_process(&instance).await?;
        // Pods of a process that was killed are still there, and its directories.
        remove_leftovers(&instance).await?;
        Ok(lock)
    };
    let lock = screen::during(end, steps).await?;
    unmount_beneath(&instance.data_dir)?;
    if options.purge || is_only_for_lock {
        match std::fs::remove_dir_all(&instance.data_dir) {
            // A disk that is mounted there stays, with nothing on it.
            Err(error) if error.kind() != ErrorKind::ResourceBusy => {
                return Err(Failure::of_file("remove", &instance.data_dir, &error));
            }
            _ => {}
        }
    }
    drop(lock);
    Ok(())
}

/// How many Pods are still to be removed, in words.
fn left(sandboxes: &Path) -> String {
    match std::fs::read_dir(sandboxes).map_or(0, Iterator::count) {
        0 => "ending the instance".to_owned(),
        1 => "1 Pod is still to be removed".to_owned(),
        count => format!("{count} Pods are still to be removed"),
    }
}

/// Volumes in memory are mounts that outlive the process.
pub(crate) fn unmount_beneath(directory: &Path) -> Result<(), Failure> {
    let failed = |what: &str, error: std::io::Error| {
        Failure::new(Class::Unavailable, format!("cannot unmount {what}: {error}"))
    };
    let table = std::fs::read_to_string("/proc/self/mountinfo")
        .map_err(|error| failed("volumes", error))?;
    // What was mounted last may stand on what was mounted before.
    let is_beneath = |path: &PathBuf| path.starts_with(directory) && path != directory;
    let targets = mountinfo::entries(&table).map(|entry| entry.point).filter(is_beneath);
    for target in targets.rev() {
        rustix::mount::unmount(&target, rustix::mount::UnmountFlags::NOFOLLOW)
            .map_err(|error| failed(&target.display().to_string(), error.into()))?;
    }
    Ok(())
}

/// Asks the process of the instance to end, if there is one; returns its lock, which it gives up when it has ended.
async fn end_process(instance: &Instance) -> Result<std::fs::File, Failure> {
    let mut deadline = tokio::time::Instant::now() + START;
    let mut is_asked = false;
    loop {
        if !is_asked
            && let Some(result) =
                control::ask(&instance.control_socket(), &Request::Down, |_| {}).await
        {
            result.map_err(|error| Failure::new(Class::Unavailable, error))?;
            is_asked = true;
            deadline = tokio::time::Instant::now() + END;
        }
        match instance.try_lock() {
            Ok(lock) => return Ok(lock),
            Err(_) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            Err(_) if is_asked => return Err(still_ending(instance)),
            Err(failure) => return Err(failure),
        }
    }
}

/// Removes everything that a node put into the kernel.
pub(crate) async fn tear_down(cri: &PodoCri) -> Result<(), Failure> {
    match tokio::time::timeout(REMOVAL, cri.teardown()).await {
        Ok(removed) => removed.map_err(|error| Failure::of(Class::Unavailable, &error)),
        Err(_elapsed) => Err(Failure::new(
            Class::Unavailable,
            format!("removing everything took longer than {} s", REMOVAL.as_secs()),
        )
        .with_hint("podo down goes on where this ended")),
    }
}

/// It was asked to end and has not.
fn still_ending(instance: &Instance) -> Failure {
    let (folder, seconds) = (instance.data_dir.display(), END.as_secs());
    let what = format!("the podo of {folder} was asked to end and has not within {seconds} s");
    Failure::new(Class::Unavailable, what)
        .with_hint("look at what it says, and end it with a signal if it does not go on")
}

async fn remove_leftovers(instance: &Instance) -> Result<(), Failure> {
    if !instance.data_dir.join("runtime").exists() {
        return Ok(());
    }
    let executable =
        std::env::current_exe().map_err(|error| Failure::of(Class::Unavailable, &error))?;
    // Which addresses the instance had does not matter for taking it away.
    let addresses = (Ipv4Addr::new(10, 42, 0, 0), 16);
    let config = node_config::cri(&CriParts {
        instance,
        executable,
        mirrors: &[],
        pause_image: None,
        log_hours_max: None,
        pod_cidr: addresses,
        cluster_cidr: addresses,
        address: Ipv4Addr::LOCALHOST,
    })?;
    let cri = PodoCri::open_to_remove(config)
        .await
        .map_err(|error| Failure::of(Class::Unavailable, &error))?;
    tear_down(&cri).await?;
    cri.shutdown().await;
    match std::fs::remove_dir_all(&instance.run_dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Failure::of_file("remove", &instance.run_dir, &error))
        }
        _ => Ok(()),
    }
}
