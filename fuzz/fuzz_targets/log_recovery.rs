//! A store's directory (first byte: `r` a log as it is, `f` frames with sound checksums, `s` the same as a snapshot): it is refused, or read, and then read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podo_fuzz::MemoryDisk;
use podo_store::{Embedded, Engine, LoggedEntry, LoggedTxn, OpenError, Revision, Sink, frame};

const SEED: u32 = 7;

fuzz_target!(|input: &[u8]| {
    let (kind, input) = podo_fuzz::choice(input);
    let disk = MemoryDisk::default();
    let disk = match kind {
        b'f' => disk.with("log-00000000000000000001", &frames(1, 1, input)),
        b's' => {
            let (snapshot, log) = podo_fuzz::halves(input);
            disk.with("snapshot-00000000000000000005", &frames(5, 0, snapshot))
                .with("log-00000000000000000006", &frames(6, 6, log))
        }
        _ => disk.with("log-00000000000000000001", input),
    };
    if let Some(found) = recover(&disk) {
        assert_eq!(recover(&disk), Some(found));
    }
});

/// A file of frames; each payload has its length before it.
fn frames(first: u64, mut revision: u64, mut input: &[u8]) -> Vec<u8> {
    let mut file = frame::file_header(first, SEED).to_vec();
    while let Some((length, rest)) = input.split_first() {
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        let synced = file.len() as u64;
        frame::append(&mut file, SEED, revision, synced, |out| out.extend(payload));
        (input, revision) = (rest, revision + 1);
    }
    file
}

fn recover(disk: &MemoryDisk) -> Option<Vec<String>> {
    let mut found = Found { last: 0, lines: Vec::new() };
    Embedded::new(disk.clone()).recover(&mut found).ok()?;
    Some(found.lines)
}

struct Found {
    last: u64,
    lines: Vec<String>,
}

impl Sink for Found {
    fn entry(&mut self, entry: &LoggedEntry<'_>) -> Result<(), OpenError> {
        self.lines.push(format!("{entry:?}"));
        Ok(())
    }

    fn base(&mut self, revision: Revision) -> Result<(), OpenError> {
        self.last = revision.0;
        Ok(())
    }

    fn txn(&mut self, txn: &LoggedTxn<'_>) -> Result<(), OpenError> {
        assert_eq!(txn.revision.0, self.last + 1, "revisions have no gap");
        self.last += 1;
        self.lines.push(format!("{txn:?}"));
        Ok(())
    }
}
