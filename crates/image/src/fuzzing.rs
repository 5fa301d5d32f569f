//! Doors for fuzz targets to what is private; compiled for them only.

use http::Uri;

use crate::registry::dns::{self, message};
use crate::registry::{challenge, url};

/// What a registry or a name server says, by `kind`.
pub fn answer(kind: u8, input: &[u8]) {
    let text = &*String::from_utf8_lossy(input);
    match kind {
        b'c' => {
            let _challenges = challenge::parse(text);
        }
        b'u' => {
            let from = Uri::from_static("https://registry.example:5000/v2/a/blobs/b?c=d");
            if let Some(to) = url::redirect(&from, text) {
                let _same = url::is_same_origin(&from, &to);
            }
            let _local = (url::host_of(text), url::is_loopback(text), url::encode(text));
        }
        b'r' => {
            let settings = dns::parse_resolv_conf(text);
            let _names = dns::candidates(&settings, "registry.example", false);
        }
        b'h' => {
            let _addresses = dns::in_hosts_file(text, "registry.example");
        }
        _ => dns_answer(input),
    }
}

/// The input follows a header that answers the question, so that its records are read.
fn dns_answer(input: &[u8]) {
    let kind = message::RecordType::A;
    let Some(question) = message::question(7, "registry.example", kind) else { return };
    let _raw = message::answer(input, &question, kind);
    let mut answer = question.clone();
    answer[2] |= 0x80;
    if let Some((count, records)) = input.split_first() {
        answer[7] = *count;
        answer.extend(records);
    }
    let _built = message::answer(&answer, &question, kind);
}
