//! The images of the tests: the distribution's own programs under the names that the documents use.
//!
//! They are pushed once for all tests of a build into a folder that each test's own registry serves from.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use podo_image::RunConfig;
use podo_image::build::{BuiltImage, Compression, ImageBuilder, LayerBuilder};

use crate::binary::{lock, shared_folder};
use crate::host::Host;
use crate::program;
use crate::registry::{Registry, Settings};

/// Changes with what is in the images.
const EDITION: u32 = 5;

/// What answers like the documents' `kubia`.
const KUBIA: &str = "#!/bin/sh
mkdir -p /www
echo \"You've hit $(hostname)\" > /www/index.html
echo 'Kubia server starting...'
trap 'exit 0' TERM
httpd -f -p 8080 -h /www &
wait
";

/// Prints what it was started with.
const SHOW: &str = "#!/bin/sh\necho \"$@\"\n";

const NGINX: &str = "user root;
worker_processes 1;
daemon off;
pid /run/nginx.pid;
error_log /dev/stderr notice;
events { worker_connections 64; }
http {
  access_log off;
  default_type text/html;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  server { listen 80; root /usr/share/nginx/html; }
}
";

/// An image and the names it is pushed under, without registry.
struct Named {
    image: BuiltImage,
    names: &'static [(&'static str, &'static str)],
}

/// What the images lack on this machine, if anything.
pub fn missing() -> Option<&'static str> {
    if !Registry::is_installed() {
        Some("docker-registry is not installed")
    } else if program("busybox").is_none() {
        Some("busybox-static is not installed")
    } else {
        None
    }
}

/// Whether there is an image `nginx`.
pub fn has_nginx() -> bool {
    program("nginx").is_some()
}

/// The folder of a registry with all images; made if this build has none yet.
///
/// # Panics
/// If an image cannot be made or pushed.
pub fn storage() -> PathBuf {
    let folder = shared_folder().join(format!("podo-images-{EDITION}-{}", u8::from(has_nginx())));
    let _lock = lock(&folder.with_extension("lock"));
    if folder.join("complete").exists() {
        return folder;
    }
    // What an interrupted run left is of no use; there may be nothing.
    let _none = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the folder of binaries can be written");
    let host = Host::new();
    host.run(|| {
        let settings =
            Settings { storage: &folder, folder: &folder, port: 5000, is_private: false };
        let registry = Registry::start(&settings);
        for named in all().expect("images can be made") {
            for (repository, tag) in named.names {
                push(&registry, &named.image, repository, tag);
            }
        }
    });
    fs::write(folder.join("complete"), "").expect("the folder can be written");
    folder
}

/// Pushes one image.
///
/// # Panics
/// If the registry refuses.
pub fn push(registry: &Registry, image: &BuiltImage, repository: &str, tag: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    runtime
        .block_on(image.push(&registry.url(), repository, tag, None))
        .unwrap_or_else(|error| panic!("{repository}:{tag} cannot be pushed: {error:?}"));
}

fn all() -> io::Result<Vec<Named>> {
    let base = busybox_layer()?;
    let mut images = vec![
        Named {
            image: with(&base, None, config(&[], &["sh"]))?,
            names: &[("library/busybox", "latest"), ("library/busybox", "1.35")],
        },
        Named {
            image: with(&base, Some(script(KUBIA)?), config(&["/start.sh"], &[]))?,
            names: &[
                ("luksa/kubia", "latest"),
                ("khk9346/kubia", "latest"),
                ("arisu1000/simple-container-app", "latest"),
                ("library/kube-example", "1.0"),
            ],
        },
        Named {
            image: with(
                &base,
                Some(script(SHOW)?),
                config(&["/start.sh", "image-entry"], &["image-arg"]),
            )?,
            names: &[("library/show", "1")],
        },
        Named {
            // Serves what there is and writes nothing: it can hold a Pod's namespaces on a read-only root.
            image: with(&base, None, config(&["httpd", "-f", "-p", "8080", "-h", "/etc"], &[]))?,
            names: &[("library/pause-web", "1")],
        },
        Named {
            image: with(
                &base,
                None,
                RunConfig { user: "1000:1000".into(), ..config(&[], &["id"]) },
            )?,
            names: &[("library/user", "1")],
        },
    ];
    if let Some(nginx) = nginx_layer()? {
        images.push(Named {
            image: with(
                &base,
                Some(nginx),
                config(&[], &["nginx", "-c", "/etc/nginx/nginx.conf"]),
            )?,
            names: &[("library/nginx", "latest"), ("library/nginx", "1.22")],
        });
    }
    Ok(images)
}

/// How to run an image, with the usual search path.
pub fn config(entrypoint: &[&str], cmd: &[&str]) -> RunConfig {
    let texts = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
    RunConfig {
        entrypoint: texts(entrypoint),
        cmd: texts(cmd),
        env: vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()],
        ..RunConfig::default()
    }
}

fn with(base: &[u8], top: Option<Vec<u8>>, config: RunConfig) -> io::Result<BuiltImage> {
    let mut builder = ImageBuilder::new().layer(base.to_vec(), Compression::Gzip);
    if let Some(top) = top {
        builder = builder.layer(top, Compression::Gzip);
    }
    builder.config(config).build()
}

fn script(text: &str) -> io::Result<Vec<u8>> {
    LayerBuilder::new().file("start.sh", 0o755, text.as_bytes())?.finish()
}

/// The distribution's static busybox as a root file system.
///
/// # Errors
/// If the program cannot be read.
pub fn busybox_layer() -> io::Result<Vec<u8>> {
    let busybox = program("busybox").ok_or(io::ErrorKind::NotFound)?;
    let applets = Command::new(&busybox).arg("--list").output()?.stdout;
    let mut layer = LayerBuilder::new()
        .directory("bin", 0o755)?
        .directory("etc", 0o755)?
        .directory("root", 0o700)?
        .directory("tmp", 0o1777)?
        .directory("run", 0o755)?
        .directory("var", 0o755)?
        .file(
            "etc/passwd",
            0o644,
            b"root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000:web:/tmp:/bin/sh\n",
        )?
        .file("etc/group", 0o644, b"root:x:0:\nweb:x:1000:\nextra:x:2000:web\n")?
        .host_file("bin/busybox", 0o755, &busybox)?;
    for applet in String::from_utf8_lossy(&applets).lines().filter(|applet| *applet != "busybox") {
        layer = layer.symlink(&format!("bin/{applet}"), "busybox")?;
    }
    layer.finish()
}

/// The distribution's nginx with the libraries it is linked to.
fn nginx_layer() -> io::Result<Option<Vec<u8>>> {
    let Some(nginx) = program("nginx") else { return Ok(None) };
    let linked = Command::new("ldd").arg(&nginx).output()?.stdout;
    let libraries: BTreeSet<String> = String::from_utf8_lossy(&linked)
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(str::to_owned)
        .collect();
    let mut layer = LayerBuilder::new()
        .directory("usr/sbin", 0o755)?
        .directory("var/log/nginx", 0o755)?
        .directory("var/lib/nginx", 0o755)?
        .host_file("usr/sbin/nginx", 0o755, &nginx)?
        .file("etc/nginx/nginx.conf", 0o644, NGINX.as_bytes())?
        .file("usr/share/nginx/html/index.html", 0o644, b"Welcome to nginx!\n")?;
    for library in &libraries {
        let inside = library.trim_start_matches('/');
        layer = layer.host_file(inside, 0o755, Path::new(library))?;
    }
    layer.finish().map(Some)
}
