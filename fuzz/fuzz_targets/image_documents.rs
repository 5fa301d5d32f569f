//! Texts about images, by the first byte: manifests, configurations, names, credentials.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podo_image::config::ImageConfig;
use podo_image::{Keyring, Limits, Reference, manifest};

fuzz_target!(|input: &[u8]| {
    let (kind, input) = podo_fuzz::choice(input);
    match kind {
        b'm' => {
            let (content_type, input) = podo_fuzz::halves(input);
            let content_type = podo_fuzz::text(content_type);
            let _manifest = manifest::parse(input, &content_type, &Limits::default());
        }
        b'c' => {
            let Ok(config) = ImageConfig::parse(input) else { return };
            let _user = config.config.user_identity();
        }
        b'k' => {
            let (config, image) = podo_fuzz::halves(input);
            let mut keyring = Keyring::new();
            let _added = (keyring.add_config_json(config), keyring.add_dockercfg(config));
            let _credentials = keyring.lookup(&podo_fuzz::text(image));
        }
        _ => {
            let Ok(name) = Reference::parse(&podo_fuzz::text(input)) else { return };
            let again = Reference::parse(&name.canonical()).expect("written by us");
            assert_eq!(again.canonical(), name.canonical());
        }
    }
});
