//! Networks: text, bounds, membership.

use super::Ipv4Cidr;

#[test]
fn text_is_read_and_written_alike_and_nonsense_is_refused() {
    for good in ["10.42.0.0/24", "0.0.0.0/0", "10.0.0.1/32", "10.42.0.0/16"] {
        assert_eq!(good.parse::<Ipv4Cidr>().unwrap().to_string(), good);
    }
    for bad in ["10.42.0.1/24", "10.42.0.0", "10.42.0.0/33", "10.42.0.0/-1", "::/0", "", "/"] {
        assert!(bad.parse::<Ipv4Cidr>().is_err(), "{bad:?} was taken");
    }
}

#[test]
fn membership_follows_the_mask() {
    let check = |network: &str, address: &str, expected: bool| {
        let network: Ipv4Cidr = network.parse().unwrap();
        assert_eq!(network.contains(address.parse().unwrap()), expected, "{network} {address}");
    };
    check("10.42.0.0/24", "10.42.0.255", true);
    check("10.42.0.0/24", "10.42.1.0", false);
    check("0.0.0.0/0", "255.255.255.255", true);
    check("10.0.0.1/32", "10.0.0.1", true);
    check("10.0.0.1/32", "10.0.0.2", false);
    let wide: Ipv4Cidr = "10.42.0.0/16".parse().unwrap();
    assert!(wide.contains_network("10.42.7.0/24".parse().unwrap()));
    assert!(!wide.contains_network("10.0.0.0/8".parse().unwrap()));
    assert_eq!(wide.broadcast().to_string(), "10.42.255.255");
    assert_eq!(wide.mask().to_string(), "255.255.0.0");
}
