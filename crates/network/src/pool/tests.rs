//! The pool: who gets what, and what a crash may take.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::Path;

use proptest::prelude::*;

use super::journal::{Record, parse};
use super::{Pool, PoolError};

fn open(directory: &Path, network: &str) -> Pool {
    Pool::open(directory, network.parse().unwrap()).unwrap()
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

#[test]
fn network_node_and_broadcast_addresses_are_never_handed_out() {
    let directory = tempfile::tempdir().unwrap();
    let mut pool = open(directory.path(), "10.42.0.0/29");
    let all: Vec<Ipv4Addr> =
        (0..5).map(|number| pool.allocate(&format!("pod{number}")).unwrap()).collect();
    let expected: Vec<Ipv4Addr> = (2..=6).map(|host| Ipv4Addr::new(10, 42, 0, host)).collect();
    assert_eq!(all, expected);
}

#[test]
fn exhaustion_names_network_and_count_and_ends_with_a_release() {
    let directory = tempfile::tempdir().unwrap();
    let mut pool = open(directory.path(), "10.42.0.0/30");
    pool.allocate("a").unwrap();
    let error = pool.allocate("b").unwrap_err();
    assert_eq!(error.to_string(), "all 1 addresses of 10.42.0.0/30 are in use");
    assert_eq!(pool.release("a").unwrap(), Some(ip("10.42.0.2")));
    assert_eq!(pool.allocate("b").unwrap(), ip("10.42.0.2"));
}

#[test]
fn on_a_full_disk_addresses_are_given_back_and_none_is_handed_out() {
    let directory = tempfile::tempdir().unwrap();
    let mut pool = open(directory.path(), "10.42.0.0/24");
    pool.allocate("a").unwrap();
    pool.allocate("b").unwrap();
    drop(pool);
    // What is written there finds no room.
    let full = directory.path().join("addresses.new");
    std::os::unix::fs::symlink("/dev/full", &full).unwrap();
    let mut pool = open(directory.path(), "10.42.0.0/24");
    assert_eq!(pool.release("a").unwrap(), Some(ip("10.42.0.2")));
    assert!(matches!(pool.allocate("c"), Err(PoolError::Storage { .. })));
    std::fs::remove_file(&full).unwrap();
    assert_eq!(pool.allocate("c").unwrap(), ip("10.42.0.4"));
    drop(pool);
    let pool = open(directory.path(), "10.42.0.0/24");
    let owners: Vec<&str> = pool.owners().map(|(owner, _)| owner).collect();
    assert_eq!(owners, ["b", "c"]);
}

#[test]
fn a_network_without_room_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let error = Pool::open(directory.path(), "10.42.0.0/31".parse().unwrap()).unwrap_err();
    assert!(matches!(error, PoolError::TooSmall { .. }));
}

#[test]
fn an_owner_keeps_its_address_and_a_new_one_gets_another_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut pool = open(directory.path(), "10.42.0.0/24");
    assert_eq!(pool.allocate("a").unwrap(), ip("10.42.0.2"));
    assert_eq!(pool.allocate("a").unwrap(), ip("10.42.0.2"));
    assert_eq!(pool.allocate("b").unwrap(), ip("10.42.0.3"));
    pool.release("b").unwrap();
    drop(pool);
    let mut pool = open(directory.path(), "10.42.0.0/24");
    assert_eq!(pool.allocate("c").unwrap(), ip("10.42.0.4"));
    assert_eq!(pool.address_of("a"), Some(ip("10.42.0.2")));
    assert_eq!(pool.address_of("b"), None);
}

#[test]
fn addresses_go_round_before_one_is_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut pool = open(directory.path(), "10.42.0.0/24");
    let mut seen = BTreeSet::new();
    for number in 0..253 {
        let owner = format!("pod{number}");
        assert!(seen.insert(pool.allocate(&owner).unwrap()), "used again: {owner}");
        pool.release(&owner).unwrap();
    }
    assert_eq!(pool.allocate("next").unwrap(), ip("10.42.0.2"));
}

#[test]
fn reconcile_frees_what_no_live_owner_has_and_counts_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut pool = open(directory.path(), "10.42.0.0/24");
    for owner in ["a", "b", "c"] {
        pool.allocate(owner).unwrap();
    }
    assert_eq!(pool.reconcile(&BTreeSet::from(["b".to_owned(), "unknown".to_owned()])).unwrap(), 2);
    assert_eq!(pool.owners().collect::<Vec<_>>(), [("b", ip("10.42.0.3"))]);
}

#[test]
fn names_that_could_leave_their_line_or_folder_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut pool = open(directory.path(), "10.42.0.0/24");
    for bad in ["", "a b", "a\n+ 10.42.0.9 x", "../x", ".", "a/b", &"x".repeat(254)] {
        assert!(matches!(pool.allocate(bad), Err(PoolError::Owner { .. })), "{bad:?} was taken");
    }
}

#[test]
fn one_process_at_a_time_has_the_pool() {
    let directory = tempfile::tempdir().unwrap();
    let _first = open(directory.path(), "10.42.0.0/24");
    let second = Pool::open(directory.path(), "10.42.0.0/24".parse().unwrap());
    assert!(matches!(second, Err(PoolError::Locked { .. })));
}

#[test]
fn a_line_that_a_crash_cut_off_is_dropped_but_damage_before_it_is_reported() {
    let whole = Record::Allocated { address: ip("10.42.0.2"), owner: "a".to_owned() };
    let cut = "+ 10.42.0.3 b 12";
    let text = format!("{}{cut}", whole.line());
    assert_eq!(parse(text.as_bytes()), Ok(vec![whole.clone()]));
    let text = format!("{}{cut}\n{}", whole.line(), whole.line());
    assert_eq!(parse(text.as_bytes()), Err(2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The journal is cut after any byte, as a crash between two writes of it would leave it.
    #[test]
    fn whatever_a_crash_cuts_off_no_earlier_address_is_lost_or_doubled(
        steps in proptest::collection::vec((0_u8..12, any::<bool>()), 1..60),
        cut in any::<proptest::sample::Index>(),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut pool = open(directory.path(), "10.42.0.0/28");
        let file = directory.path().join("addresses");
        let mut states = vec![(std::fs::metadata(&file).unwrap().len(), BTreeMap::new())];
        for (owner, is_release) in steps {
            let owner = format!("pod{owner}");
            if is_release { pool.release(&owner).unwrap(); } else { pool.allocate(&owner).unwrap(); }
            let owners = pool.owners().map(|(owner, ip)| (owner.to_owned(), ip)).collect();
            states.push((std::fs::metadata(&file).unwrap().len(), owners));
        }
        drop(pool);
        let bytes = std::fs::read(&file).unwrap();
        let kept = cut.index(bytes.len() + 1);
        std::fs::write(&file, bytes.get(..kept).unwrap()).unwrap();
        let pool = open(directory.path(), "10.42.0.0/28");
        let found: BTreeMap<String, Ipv4Addr> =
            pool.owners().map(|(owner, ip)| (owner.to_owned(), ip)).collect();
        let expected = states.iter().rev().find(|(length, _)| *length <= kept as u64);
        if let Some((_, expected)) = expected {
            prop_assert_eq!(&found, expected);
        }
    }

    #[test]
    fn any_bytes_are_read_as_a_journal_without_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let _records = parse(&bytes);
    }
}
