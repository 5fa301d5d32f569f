//! The forms of frames and records, on any bytes.
#![expect(clippy::cast_possible_truncation, reason = "the numbers of these tests are small")]

use proptest::prelude::*;

use super::frame::{self, FILE_HEADER_BYTES, FileHeader, Tail};
use super::record::{self, Record};
use crate::engine::{LoggedEntry, LoggedOp, LoggedTxn};
use crate::key::Revision;

const SEED: u32 = 77;

fn framed(revision: u64, synced: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::append(&mut bytes, SEED, revision, synced, |out| out.extend(payload));
    bytes
}

proptest! {
    #[test]
    fn a_frame_reads_back_and_any_flipped_bit_is_seen(
        revision in any::<u64>(),
        payload in prop::collection::vec(any::<u8>(), 0..300),
        flip in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let mut bytes = framed(revision, 5, &payload);
        let frame = frame::parse(&bytes, SEED).expect("sound");
        prop_assert_eq!((frame.revision, frame.payload, frame.size), (revision, &*payload, bytes.len()));
        prop_assert!(frame::parse(&bytes, SEED + 1).is_err(), "frames of another file are not taken");
        let at = flip.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(frame::parse(&bytes, SEED).is_err());
        prop_assert!(frame::parse(&bytes[..at], SEED).is_err());
    }

    #[test]
    fn no_bytes_make_the_parsers_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        tag in 0..5_u8,
        offset in any::<u32>(),
    ) {
        let _any = frame::parse(&bytes, SEED);
        let _any = frame::parse_file_header(&bytes);
        let _any = frame::judge_tail(&bytes, SEED, u64::from(offset));
        let mut tagged = vec![tag];
        tagged.extend(&bytes);
        if let Some(Record::Txn(txn)) = record::parse(1, &tagged) {
            let mut again = Vec::new();
            record::push_txn(&mut again, &txn);
            prop_assert_eq!(again, tagged);
        }
    }

    #[test]
    fn records_read_back(
        items in prop::collection::vec(("[a-z.]{1,9}", "\\PC{1,20}", prop::option::of(".{0,40}")), 0..6),
        at_ms in any::<u64>(),
    ) {
        let ops = items.iter().map(|(bucket, rest, value)| {
            LoggedOp { bucket, rest, value: value.as_ref().map(String::as_bytes) }
        });
        let txn = LoggedTxn { revision: Revision(9), at_ms, ops: ops.collect() };
        let mut bytes = Vec::new();
        record::push_txn(&mut bytes, &txn);
        prop_assert_eq!(record::parse(9, &bytes), Some(Record::Txn(txn)));

        let entries: Vec<_> = items.iter().map(|(bucket, rest, value)| LoggedEntry {
            bucket,
            rest,
            revision: Revision(at_ms),
            create_revision: Revision(3),
            version: 4,
            value: value.as_deref().unwrap_or_default().as_bytes(),
        }).collect();
        let (mut block, mut bytes) = (Vec::new(), Vec::new());
        for entry in &entries {
            record::push_entry(&mut block, entry);
        }
        record::push_block(&mut bytes, entries.len() as u32, &block);
        prop_assert_eq!(record::parse(0, &bytes), Some(Record::Block(entries)));
    }
}

#[test]
fn a_file_header_says_what_it_is() {
    let header = frame::file_header(42, SEED);
    assert_eq!(frame::parse_file_header(&header), FileHeader::Sound { first: 42, seed: SEED });
    let mut newer = header;
    newer[8] = 9;
    assert_eq!(frame::parse_file_header(&newer), FileHeader::OtherFormat(9));
    for at in (0..8).chain(12..FILE_HEADER_BYTES) {
        let mut damaged = header;
        damaged[at] ^= 1;
        assert_eq!(frame::parse_file_header(&damaged), FileHeader::Damaged, "byte {at}");
    }
    assert_eq!(frame::parse_file_header(&header[..31]), FileHeader::Damaged);
}

#[test]
fn a_tail_is_judged_by_whether_a_crash_can_have_made_it() {
    let group = [framed(5, 1000, &[7; 900]), framed(6, 1000, &[8; 900])].concat();
    let later = framed(7, 1000 + group.len() as u64, &[9; 100]);
    let judge = |bytes: &[u8]| frame::judge_tail(bytes, SEED, 1000);
    assert_eq!(judge(&[]), Tail::Empty);
    assert_eq!(judge(&[0; 700]), Tail::Empty);
    // The write stopped somewhere.
    for end in [1, 10, 31, 32, 33, 500, 900] {
        assert_eq!(judge(&group[..end]), Tail::Torn, "cut at {end}");
    }
    // A sector of it never came: those of the file lie at 1024, 1536, …
    for sector in [0..24, 24..536, 536..1048] {
        let mut torn = group.clone();
        torn[sector.clone()].fill(0);
        assert_eq!(judge(&torn), Tail::Torn, "{sector:?} missing");
        let mut then = torn;
        then.extend(&later);
        assert!(
            matches!(judge(&then), Tail::Corrupt(_)),
            "{sector:?} missing from what was synced"
        );
    }
    for flipped in [3, 20, 100, 700] {
        let mut damaged = group.clone();
        damaged[flipped] ^= 4;
        assert!(matches!(judge(&damaged), Tail::Corrupt(_)), "byte {flipped} flipped");
    }
}
