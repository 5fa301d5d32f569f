//! ConfigMaps and Secrets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::value::{Look, shown};
use super::Subject;
use super::page::Page;

fn decoded(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap_or_default()
}

pub(super) fn config_map(subject: &Subject<'_>) -> Page {
    let object = subject.object;
    let mut page = subject.page();
    page.pair(0, "Namespace", object.namespace());
    page.labels(object);
    page.annotations(object);
    page.raw("\nData\n====\n");
    for (key, value) in object.entries("/data") {
        page.raw(&format!("{key}:\n----\n{}\n\n", shown(value)));
    }
    page.raw("\nBinaryData\n====\n");
    for (key, value) in object.entries("/binaryData") {
        page.raw(&format!("{key}: {} bytes\n", decoded(&shown(value)).len()));
    }
    page.raw("\n");
    subject.events(&mut page);
    page
}

pub(super) fn secret(subject: &Subject<'_>) -> Page {
    let object = subject.object;
    let kind = object.s("/type");
    let mut page = subject.page();
    page.pair(0, "Namespace", object.namespace());
    page.labels(object);
    page.annotations(object);
    page.raw(&format!("\nType:\t{kind}\n\nData\n====\n"));
    for (key, value) in object.entries("/data") {
        let bytes = decoded(&shown(value));
        if key == "token" && kind == "kubernetes.io/service-account-token" {
            page.pair(0, key, String::from_utf8_lossy(&bytes));
        } else {
            page.pair(0, key, format!("{} bytes", bytes.len()));
        }
    }
    page
}
