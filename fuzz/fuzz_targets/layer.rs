//! Layers of images, on top of one with links that lead out: nothing is made outside the layer.
#![no_main]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use libfuzzer_sys::fuzz_target;
use podo_image::{Digest, Limits, layer};

fuzz_target!(|input: &[u8]| {
    let limits =
        Limits { unpacked_bytes: 1 << 20, entries: 200, path_depth: 16, ..Limits::default() };
    podo_fuzz::inside(|folder| {
        let parent = folder.join("parent");
        std::fs::create_dir_all(&parent).expect("writable");
        // Links that a layer below may have left in the way.
        for (name, target) in [("up", "../.."), ("out", "../../beside")] {
            std::os::unix::fs::symlink(target, parent.join(name)).expect("writable");
        }
        unpack(input, &folder.join("layer"), &parent, &limits);
    });
});

fn unpack(input: &[u8], root: &Path, parent: &Path, limits: &Limits) {
    let (never, diff) = (AtomicBool::new(false), Digest::sha256(input));
    let _unpacked = layer::unpack(input, &diff, root, &[parent.to_owned()], limits, &never);
}
