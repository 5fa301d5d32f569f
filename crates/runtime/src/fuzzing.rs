//! Doors for fuzz targets to what is private; compiled for them only.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use crate::cgroup::Layout;
use crate::log_format::{CONTENT_BYTES_MAX, LineCutter};
use crate::spec::UserSpec;
use crate::wire::{FrameReader, Message, RequestFrame};
use crate::{seccomp as filters, users};

/// A text of a container or the kernel, by `kind`.
pub fn text(kind: u8, input: &[u8]) {
    match kind {
        b'm' => {
            let layout = Layout::parse(&String::from_utf8_lossy(input));
            let _mount = layout.mount_of("memory");
        }
        b'o' => output(input),
        _ => {
            let text = String::from_utf8_lossy(input);
            let mut parts = text.splitn(3, '\0');
            let mut part = || parts.next().unwrap_or_default();
            let (user, passwd, group) = (part().to_owned(), part(), part());
            let spec = UserSpec { user, merge_image_groups: true, ..UserSpec::default() };
            if let Ok(identity) = users::resolve_in(passwd, group, &spec) {
                assert!(identity.groups.is_sorted());
            }
        }
    }
}

/// Output of a process in pieces: each byte of it is in the log, in order.
fn output(input: &[u8]) {
    let (mut cutter, mut log) = (LineCutter::new("stdout"), Vec::new());
    let size = input.first().map_or(1, |first| usize::from(*first) * 97 + 1);
    for chunk in input.chunks(size) {
        cutter.push(chunk, 0, &mut log);
    }
    cutter.finish(0, &mut log);
    let mut again = Vec::new();
    for entry in log.split(|byte| *byte == b'\n') {
        let mut parts = entry.splitn(4, |byte| *byte == b' ');
        let (Some(tag), Some(content)) = (parts.nth(2), parts.next()) else { continue };
        assert!(content.len() <= CONTENT_BYTES_MAX);
        again.extend_from_slice(content);
        if tag == b"F" {
            again.push(b'\n');
        }
    }
    // What ends without an end of line gets one.
    assert_eq!(
        again.strip_suffix(b"\n").unwrap_or(&again),
        input.strip_suffix(b"\n").unwrap_or(input)
    );
}

/// What a peer sends, `size` bytes at once.
pub fn wire(size: u8, input: &[u8]) {
    let Ok((ours, mut theirs)) = UnixStream::pair() else { return };
    let mut reader = FrameReader::default();
    for chunk in input.chunks(usize::from(size) * 16 + 1) {
        theirs.write_all(chunk).expect("the socket takes it");
        while matches!(reader.fill(ours.as_fd()), Ok(true)) {}
        loop {
            match reader.next() {
                Ok(Some((body, _descriptors))) => messages(&body),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

fn messages(body: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<RequestFrame>(body) {
        let again = serde_json::to_vec(&request).expect("writable");
        assert_eq!(serde_json::from_slice::<RequestFrame>(&again).expect("ours"), request);
    }
    if let Ok(message) = serde_json::from_slice::<Message>(body) {
        let again = serde_json::to_vec(&message).expect("writable");
        assert_eq!(serde_json::from_slice::<Message>(&again).expect("ours"), message);
    }
}

/// A seccomp profile. The kernel takes programs whose jumps stay inside and that end with a return.
pub fn seccomp(json: &[u8]) {
    const JUMP: u64 = 5;
    const RETURN: u64 = 6;
    for capabilities in [0, u64::MAX] {
        let Ok(program) = filters::from_profile(json, capabilities) else { continue };
        let code = &program.0;
        assert!(!code.is_empty() && code.len() <= 4096, "{} instructions", code.len());
        for (at, instruction) in code.iter().enumerate() {
            let bytes = instruction.to_ne_bytes();
            let (yes, no) = (usize::from(bytes[2]), usize::from(bytes[3]));
            if u64::from(bytes[0]) & 7 == JUMP {
                // An unconditional jump has its length in the operand.
                let far = u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
                let length = if bytes[0] & 0xf0 == 0 { far } else { yes.max(no) };
                assert!(at + 1 + length < code.len(), "a jump from {at} leads outside");
            }
        }
        let last = code.last().map_or(0, |last| u64::from(last.to_ne_bytes()[0]));
        assert_eq!(last & 7, RETURN, "the program ends without an answer");
    }
}
