//! A real registry (Debian's `docker-registry`) on the loopback of the host that it is started on.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use podo_image::Digest;

use crate::patience::{PATIENCE, until};
use crate::program;

/// The user of a registry that wants credentials.
pub const USER: &str = "puller";
/// That user's password.
pub const PASSWORD: &str = "secret";
/// `PASSWORD` by crypt(3), the only form that the registry reads.
const PASSWORD_HASH: &str = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

/// A registry that runs until this value is dropped.
pub struct Registry {
    child: Child,
    port: u16,
    storage: PathBuf,
}

/// How a registry is started.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// Where its content is.
    pub storage: &'a Path,
    /// Where its settings and log are written.
    pub folder: &'a Path,
    /// Its port.
    pub port: u16,
    /// Whether [`USER`] and [`PASSWORD`] are asked for.
    pub is_private: bool,
}

impl Registry {
    /// Whether the distribution's registry is installed.
    pub fn is_installed() -> bool {
        program("docker-registry").is_some()
    }

    /// Starts one and waits until it listens.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start(settings: &Settings<'_>) -> Self {
        let file = |kind: &str| settings.folder.join(format!("registry-{}.{kind}", settings.port));
        let passwords = file("htpasswd");
        fs::write(&passwords, format!("{USER}:{PASSWORD_HASH}\n")).expect("a file of passwords");
        fs::write(file("yml"), configuration(settings, &passwords)).expect("a file of settings");
        let log = File::create(file("log")).expect("a log");
        let child = Command::new(program("docker-registry").expect("is_installed was asked"))
            .arg("serve")
            .arg(file("yml"))
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second descriptor"))
            .stderr(log)
            .spawn()
            .expect("the registry can be run");
        let mut registry =
            Self { child, port: settings.port, storage: settings.storage.to_owned() };
        until("registry listens", PATIENCE, || registry.listens());
        registry
    }

    fn listens(&mut self) -> Result<(), String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            panic!("the registry ended: {:?} {:?}", status.code(), status.signal());
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        TcpStream::connect(address).map(|_| ()).map_err(|error| error.to_string())
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.host())
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The file in which the registry keeps a blob.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        let text = digest.to_string();
        let hex = text.trim_start_matches("sha256:");
        let start = hex.get(..2).expect("a digest is long");
        self.storage.join("docker/registry/v2/blobs/sha256").join(start).join(hex).join("data")
    }

    /// Ends it and waits for its end.
    pub fn stop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

fn configuration(settings: &Settings<'_>, passwords: &Path) -> String {
    let auth = if settings.is_private {
        format!("auth:\n  htpasswd:\n    realm: tests\n    path: {}\n", passwords.display())
    } else {
        String::new()
    };
    format!(
        "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{}\n{auth}",
        settings.storage.display(),
        settings.port
    )
}
