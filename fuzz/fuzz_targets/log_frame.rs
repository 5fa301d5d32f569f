//! Frames and records of the store's log: a frame that is taken is, byte for byte, the one that would be written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podo_store::{frame, record};

const SEED: u32 = 7;

fuzz_target!(|input: &[u8]| {
    let _header = frame::parse_file_header(input);
    let _tail = frame::judge_tail(input, SEED, 1000);
    if let Ok(found) = frame::parse(input, SEED) {
        let mut again = Vec::new();
        let write = |out: &mut Vec<u8>| out.extend(found.payload);
        frame::append(&mut again, SEED, found.revision, found.synced, write);
        assert_eq!(again, input[..found.size]);
    }
    if let Some(record::Record::Txn(txn)) = record::parse(1, input) {
        let mut again = Vec::new();
        record::push_txn(&mut again, &txn);
        assert_eq!(again, input);
    }
});
