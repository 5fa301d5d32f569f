//! Derived names are legal, distinct and stable.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::Instance;

#[test]
fn names_of_links_and_tables_are_stable() {
    let instance = Instance::new("a1b2c3d4").unwrap();
    let name = instance.link_name(Ipv4Addr::new(10, 42, 0, 5));
    assert_eq!(name.len(), 15);
    assert!(name.starts_with(&instance.link_prefix()));
    assert!(name.ends_with("afcuaaf"), "{name}");
    assert_eq!(instance.table_name(), "podo-a1b2c3d4");
    assert_eq!(Instance::of_table("podo-a1b2c3d4"), Some(instance));
    assert_eq!(Instance::of_table("filter"), None);
}

#[test]
fn names_with_other_characters_are_refused() {
    for bad in ["", "A", "a/b", "a b", "ä", &"x".repeat(64)] {
        assert!(Instance::new(bad).is_err(), "{bad:?} was taken");
    }
}

proptest! {
    #[test]
    fn two_addresses_never_share_a_link_name(a: u32, b: u32) {
        let instance = Instance::new("x").unwrap();
        let names = [a, b].map(|bits| instance.link_name(Ipv4Addr::from(bits)));
        prop_assert_eq!(names.first() == names.last(), a == b);
    }
}
