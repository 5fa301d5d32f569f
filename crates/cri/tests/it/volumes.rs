//! Mounts of the host, volumes of images, image volumes, devices.

use std::fs;

use podo_cri::Reason;
use podo_cri::v1::*;
use podo_image::RunConfig;
use podo_image::build::LayerBuilder;

use crate::Test;
use crate::harness::*;

pub(crate) const TESTS: &[Test] = &[
    ("host_directories_are_mounted_as_asked", host_directories_are_mounted_as_asked),
    ("volumes_of_an_image_begin_with_its_files", volumes_of_an_image_begin_with_its_files),
    ("an_image_volume_shows_an_images_files", an_image_volume_shows_an_images_files),
    ("a_device_is_given_with_its_access", a_device_is_given_with_its_access),
];

fn bind(host: &std::path::Path, inside: &str) -> Mount {
    Mount {
        host_path: host.to_string_lossy().into_owned(),
        container_path: inside.into(),
        ..Default::default()
    }
}

fn host_directories_are_mounted_as_asked() {
    with_world(async |world| {
        let pod = world.plain_pod("mounts").await;
        let host = world.base.path().join("host");
        fs::create_dir_all(host.join("trusted/sub")).unwrap();
        fs::write(host.join("file"), "one").unwrap();
        fs::write(host.join("trusted/sub/file"), "below").unwrap();
        let script = "exec 2>&1; cat /rw/file; echo two > /rw/out; touch /ro/x; cat /new/none; ls -d /new; \
                      cat /sub/file; cat /etc/hosts";
        let mut config = shell("c", script);
        fs::write(host.join("hosts"), "10.0.0.1 me\n").unwrap();
        config.mounts = vec![
            bind(&host, "/rw"),
            Mount { readonly: true, ..bind(&host, "/ro") },
            bind(&host.join("made/by/runtime"), "/new"),
            bind(&host.join("trusted").join(".").join("sub"), "/sub"),
            bind(&host.join("hosts"), "/etc/hosts"),
        ];
        config.mounts[3].host_path = format!("{}/trusted/./sub", host.display());
        let (status, log) = world.run(&pod, config).await;
        assert!(log.starts_with("one"), "{log}");
        assert!(log.contains("touch: /ro/x: Read-only file system"), "{log}");
        assert!(log.contains("/new\nbelow") && log.ends_with("10.0.0.1 me\n"), "{log}");
        assert_eq!(fs::read_to_string(host.join("out")).unwrap(), "two\n");
        assert!(host.join("made/by/runtime").is_dir());
        assert_eq!(status.mounts.len(), 5);

        std::os::unix::fs::symlink("/etc", host.join("trusted/escape")).unwrap();
        let mut config = shell("escape", "true");
        config.mounts = vec![bind(&host, "/sub")];
        config.mounts[0].host_path = format!("{}/trusted/./escape", host.display());
        let id = world.create(&pod, config).await;
        let is_refused = match id {
            Ok(id) => world.start(&id).await.is_err(),
            Err(_) => true,
        };
        assert!(is_refused, "a link led out of the trusted directory");
    });
}

fn volumes_of_an_image_begin_with_its_files() {
    with_world(async |world| {
        let run = RunConfig {
            env: vec!["PATH=/bin".into()],
            volumes: ["/var/lib/data", "/fresh/volume", "/covered"].map(str::to_owned).into(),
            ..RunConfig::default()
        };
        world.add_image("volumes:1", &[], &run);
        let pod = world.plain_pod("volumes").await;
        let script = "cat /var/lib/data/seed; stat -c ' %u:%g %a' /var/lib/data/seed; \
                      echo x > /var/lib/data/new && echo y > /fresh/volume/new && echo wrote; \
                      ls /covered";
        let host = world.base.path().join("covered");
        fs::create_dir(&host).unwrap();
        fs::write(host.join("mine"), "").unwrap();
        for (name, is_read_only) in [("plain", false), ("read-only", true)] {
            let mut config = shell(name, script);
            config.image = Some(ImageSpec { image: "volumes:1".into(), ..Default::default() });
            config.mounts = vec![bind(&host, "/covered")];
            security(&mut config).readonly_rootfs = is_read_only;
            let (_, log) = world.run(&pod, config).await;
            assert_eq!(log, "seed 33:34 640\nwrote\nmine\n", "{name}");
        }
    });
}

fn an_image_volume_shows_an_images_files() {
    with_world(async |world| {
        let file = |path: &str, content: &[u8]| {
            let layer = LayerBuilder::new().directory("models", 0o755).unwrap();
            layer.file(path, 0o755, content).unwrap().finish().unwrap()
        };
        let layers = [file("models/a", b"#!/bin/sh\necho ran\n"), file("models/b", b"b")];
        world.add_image("docker.io/library/models:1", &layers, &RunConfig::default());
        let pod = world.plain_pod("image-volume").await;
        let mount = |path: &str, sub: &str| Mount {
            container_path: path.into(),
            image: Some(ImageSpec { image: "models:1".into(), ..Default::default() }),
            image_sub_path: sub.into(),
            ..Default::default()
        };
        let script = "exec 2>&1; ls /whole/models /part; /part/a; touch /part/x; echo end";
        let mut config = shell("c", script);
        config.mounts = vec![mount("/whole", ""), mount("/part", "models")];
        let (_, log) = world.run(&pod, config).await;
        assert!(log.starts_with("/part:\na\nb\n\n/whole/models:\na\nb\n"), "{log}");
        assert!(
            log.contains("Permission denied") && log.contains("Read-only file system"),
            "{log}"
        );
        let mut config = shell("bad", "true");
        config.mounts = vec![mount("/part", "no/such/path")];
        let error = world.create(&pod, config).await.unwrap_err();
        assert_eq!(error.reason(), Reason::ImageVolumeMount, "{error}");
    });
}

fn a_device_is_given_with_its_access() {
    with_world(async |world| {
        let pod = world.plain_pod("device").await;
        let mut config = shell("c", "head -c 3 /dev/nothing | wc -c; stat -c %F /dev/nothing");
        config.devices = vec![Device {
            host_path: "/dev/zero".into(),
            container_path: "/dev/nothing".into(),
            permissions: "r".into(),
        }];
        let (_, log) = world.run(&pod, config).await;
        assert_eq!(log, "3\ncharacter special file\n");
    });
}
