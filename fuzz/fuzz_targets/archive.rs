//! Archives of images, as `podo image import` takes them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podo_image::{ImageService, ImageServiceConfig, Limits};

fuzz_target!(|input: &[u8]| {
    podo_fuzz::inside(|folder| {
        let mut config = ImageServiceConfig::new(folder);
        config.limits = Limits { unpacked_bytes: 1 << 20, entries: 200, ..Limits::default() };
        let service = ImageService::open(config).expect("a new store");
        let _images = service.import(input);
    });
});
