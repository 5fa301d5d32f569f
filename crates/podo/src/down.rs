//! `podo down`: ends the process of an instance and removes everything that it put into the kernel.

use std::time::Duration;

use podo_cri::PodoCri;

use crate::config::DownOptions;
use crate::control::{self, Request};
use crate::exit::{Class, Failure};
use crate::instance::{Instance, require_root};
use crate::node_config::{self, CriParts};

/// How long the process may take to give the instance up after everything is removed.
const END: Duration = Duration::from_secs(30);

/// Runs the command.
pub async fn run(options: &DownOptions) -> Result<(), Failure> {
    require_root("podo down")?;
    let instance = Instance::of(&options.common.data_dir)?;
    if let Some(result) = control::ask(&instance.control_socket(), &Request::Down, |_| {}).await {
        result.map_err(|error| Failure::new(Class::Unavailable, error))?;
    }
    let lock = wait_for_lock(&instance).await?;
    // Pods of a process that was killed are still there, and its directories.
    remove_leftovers(&instance).await?;
    if options.purge {
        std::fs::remove_dir_all(&instance.data_dir).map_err(|error| {
            Failure::new(
                Class::Unavailable,
                format!("cannot remove {}: {error}", instance.data_dir.display()),
            )
        })?;
    }
    drop(lock);
    Ok(())
}

/// The process gives its lock up when it has ended.
async fn wait_for_lock(instance: &Instance) -> Result<std::fs::File, Failure> {
    let deadline = tokio::time::Instant::now() + END;
    loop {
        match instance.lock() {
            Ok(lock) => return Ok(lock),
            Err(failure) if tokio::time::Instant::now() >= deadline => return Err(failure),
            // The kernel tells nobody that a lock was given up but who waits for it in a call of its own.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn remove_leftovers(instance: &Instance) -> Result<(), Failure> {
    if !instance.data_dir.join("runtime").exists() {
        return Ok(());
    }
    let executable =
        std::env::current_exe().map_err(|error| Failure::of(Class::Unavailable, &error))?;
    let address = std::net::Ipv4Addr::LOCALHOST;
    let config = node_config::cri(&CriParts {
        instance,
        executable,
        mirrors: &[],
        pause_image: None,
        pod_cidr: (std::net::Ipv4Addr::new(10, 42, 0, 0), 24),
        cluster_cidr: (std::net::Ipv4Addr::new(10, 42, 0, 0), 16),
        address,
    })?;
    let cri =
        PodoCri::open(config).await.map_err(|error| Failure::of(Class::Unavailable, &error))?;
    cri.teardown().await.map_err(|error| Failure::of(Class::Unavailable, &error))?;
    cri.shutdown().await;
    match std::fs::remove_dir_all(&instance.run_dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::new(
            Class::Unavailable,
            format!("cannot remove {}: {error}", instance.run_dir.display()),
        )),
        _ => Ok(()),
    }
}
