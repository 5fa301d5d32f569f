//! The pieces that Services are made of, loaded into the kernel: one virtual address, two
//! backends, chosen in turn, replaced by elements alone.
//!
//! A map leads from (address, protocol, port) to the chain that draws among as many backends as
//! the service has; a second map leads from the same key and the number drawn to a backend. So the
//! chains are as many as there are different counts, whatever the number of services.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use podo_network::netlink::{Protocol, Socket};
use podo_network::nft::{
    BaseChain, Chain, ChainKind, Comparison, CtKey, Element, Expression, Field, FieldWriter,
    Generator, Hook, Nat, Register, Rule, Set, Table, Transaction, Verdict, matching, priority,
};

use crate::world::{NODE, OUTSIDE, World, is_refused, listen, pod, source_seen, try_connect};

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 43, 0, 10);
/// Mark of connections whose source is rewritten too.
const MASQUERADE_MARK: u32 = 0x4000;
const TCP: u8 = 6;

static SERVICES: Set = Set::verdict_map("services", &[Field::Ipv4, Field::Protocol, Field::Port]);
static BACKENDS: Set = Set::map(
    "backends",
    &[Field::Ipv4, Field::Protocol, Field::Port, Field::Number],
    &[Field::Ipv4, Field::Port],
);

fn chain(name: &'static str, hook: Hook, priority: i32) -> Chain {
    let base = BaseChain { kind: ChainKind::Nat, hook, priority };
    Chain { name: Cow::Borrowed(name), base: Some(base) }
}

fn register(number: u32) -> Register {
    Register::new(number).unwrap()
}

fn key() -> FieldWriter {
    FieldWriter::default().ipv4(SERVICE).protocol(TCP).port(80)
}

fn service(chain: &str) -> Element {
    key().to_verdict(Verdict::Goto(chain.to_owned()))
}

fn backend(number: u32, address: Ipv4Addr, port: u16) -> Element {
    key().number(number).to(FieldWriter::default().ipv4(address).port(port))
}

/// Loads the key (registers do not outlive a rule), draws a number below `count` behind it, and rewrites to the backend of that number.
fn draw(generator: Generator, count: u32, mark: Option<u32>) -> Rule {
    let mut rule = Rule::new().with(matching::ipv4()).with(matching::load_destination());
    if let Some(mark) = mark {
        let from = register(15);
        let value = mark.to_ne_bytes().to_vec();
        rule = rule.with([
            Expression::Immediate { value, to: from },
            Expression::SetCt { key: CtKey::Mark, from },
        ]);
    }
    let number = Expression::Number { generator, modulus: count, offset: 0, to: register(3) };
    let map = BACKENDS.name.to_owned();
    rule.with([
        number,
        Expression::Map { map, from: Register::FIRST, to: Register::RESULT },
        Expression::NatIpv4 {
            nat: Nat::Destination,
            address: Register::RESULT,
            port: Register::RESULT.after(1),
        },
    ])
}

/// A table with both maps, the way in from links and from the host, and chains for two backends.
fn contents(table: &Table) -> Transaction<'_> {
    let mut transaction = Transaction::new(table);
    transaction.add_table();
    for chain in ["in-turn", "at-random", "marked"] {
        transaction.add_chain(&Chain { name: Cow::Borrowed(chain), base: None });
    }
    transaction.add_set(&SERVICES);
    transaction.add_set(&BACKENDS);
    transaction.add_rule("in-turn", &draw(Generator::Incremental, 2, None));
    transaction.add_rule("at-random", &draw(Generator::Random, 2, None));
    transaction.add_rule("marked", &draw(Generator::Incremental, 2, Some(MASQUERADE_MARK)));
    let lookup = Expression::VerdictMap { map: SERVICES.name.to_owned(), from: Register::FIRST };
    let enter =
        Rule::new().with(matching::ipv4()).with(matching::load_destination()).with([lookup]);
    let nat = priority::DESTINATION_NAT - 1; // Before host ports.
    for chain in [chain("in", Hook::Prerouting, nat), chain("own", Hook::Output, nat)] {
        transaction.add_chain(&chain);
        transaction.add_rule(&chain.name, &enter);
    }
    let marked = Rule::new().with(matching::ipv4()).with([
        Expression::Ct { key: CtKey::Mark, to: Register::FIRST },
        Expression::Compare {
            from: Register::FIRST,
            comparison: Comparison::Equal,
            value: MASQUERADE_MARK.to_ne_bytes().to_vec(),
        },
    ]);
    let out = chain("out", Hook::Postrouting, priority::SOURCE_NAT);
    transaction.add_chain(&out);
    transaction.add_rule(&out.name, &marked.masquerade());
    transaction
}

#[test]
fn connections_to_a_service_go_to_its_backends_in_turn_and_change_with_its_elements() {
    let world = World::new();
    let network = world.network("services", "10.42.0.0/24");
    let (client, a, b) = (pod(&network, "client"), pod(&network, "a"), pod(&network, "b"));
    let servers = [listen(&a.netns, ANY, 8080), listen(&b.netns, ANY, 8080)];
    for server in &servers {
        server.set_nonblocking(true).unwrap();
    }
    let table = Table { name: "podotest-services".to_owned() };
    let mut socket = world.node.run(|| Socket::open(Protocol::Netfilter).unwrap()).unwrap();
    let mut transaction = contents(&table);
    transaction.add_elements(&SERVICES, &[service("in-turn")]);
    let backends = [backend(0, a.at.ip, 8080), backend(1, b.at.ip, 8080)];
    transaction.add_elements(&BACKENDS, &backends);
    transaction.commit(&mut socket).unwrap();

    // Which server took each of four connections, and whom it saw.
    let four = |from| {
        let taken = |_| {
            let _stream =
                try_connect(from, SERVICE, 80, std::time::Duration::from_secs(5)).unwrap();
            let accepts = servers.iter().map(|server| server.accept().ok());
            let seen: Vec<Option<IpAddr>> =
                accepts.map(|accepted| accepted.map(|(_, peer)| peer.ip())).collect();
            seen
        };
        (0..4).map(taken).collect::<Vec<_>>()
    };
    for (from, source) in [(&client.netns, client.at.ip), (&world.node, NODE)] {
        let (first, second) = (vec![Some(source.into()), None], vec![None, Some(source.into())]);
        assert_eq!(four(from), [first.clone(), second.clone(), first, second]);
    }

    // One backend leaves: elements change, chains do not.
    let mut transaction = Transaction::new(&table);
    transaction.delete_elements(&BACKENDS, &backends);
    transaction.add_elements(&BACKENDS, &[backend(0, b.at.ip, 8080), backend(1, b.at.ip, 8080)]);
    transaction.commit(&mut socket).unwrap();
    let only_second = vec![None, Some(IpAddr::from(client.at.ip))];
    assert_eq!(four(&client.netns), vec![only_second; 4]);
    network.teardown().unwrap();
}

#[test]
fn a_marked_connection_is_answered_through_the_node() {
    let world = World::new();
    let network = world.network("marked", "10.42.0.0/24");
    let a = pod(&network, "a");
    let table = Table { name: "podotest-services".to_owned() };
    let mut socket = world.node.run(|| Socket::open(Protocol::Netfilter).unwrap()).unwrap();
    let mut transaction = contents(&table);
    let key = || FieldWriter::default().ipv4(NODE).protocol(TCP).port(30080);
    let target = || FieldWriter::default().ipv4(a.at.ip).port(80);
    transaction.add_elements(&SERVICES, &[key().to_verdict(Verdict::Goto("marked".to_owned()))]);
    transaction
        .add_elements(&BACKENDS, &[key().number(0).to(target()), key().number(1).to(target())]);
    transaction.commit(&mut socket).unwrap();
    let server = listen(&a.netns, ANY, 80);
    assert_eq!(source_seen(&server, &world.outside, NODE, 30080), NODE);
    // The same without the mark shows the client.
    let mut transaction = Transaction::new(&table);
    transaction.flush_set(&SERVICES);
    transaction.add_elements(&SERVICES, &[key().to_verdict(Verdict::Goto("at-random".to_owned()))]);
    transaction.commit(&mut socket).unwrap();
    assert_eq!(source_seen(&server, &world.outside, NODE, 30080), OUTSIDE);
    network.teardown().unwrap();
}

#[test]
fn a_refused_change_changes_nothing() {
    let world = World::new();
    let network = world.network("atomic", "10.42.0.0/24");
    let a = pod(&network, "a");
    let _server = listen(&a.netns, ANY, 80);
    let table = Table { name: "podotest-services".to_owned() };
    let mut socket = world.node.run(|| Socket::open(Protocol::Netfilter).unwrap()).unwrap();
    contents(&table).commit(&mut socket).unwrap();
    let mut transaction = Transaction::new(&table);
    transaction.add_elements(&SERVICES, &[service("in-turn")]);
    transaction.add_elements(&BACKENDS, &[backend(0, a.at.ip, 80), backend(1, a.at.ip, 80)]);
    transaction.add_elements(&SERVICES, &[service("no such chain")]);
    let error = transaction.commit(&mut socket).unwrap_err();
    assert_eq!(error.code(), Some(rustix::io::Errno::NOENT), "{error:?}");
    let elements = podo_network::nft::list_elements(&mut socket, &table, &BACKENDS).unwrap();
    assert_eq!(elements, []);
    assert!(is_refused(&a.netns, SERVICE, 80));
    network.teardown().unwrap();
}

#[test]
fn ten_thousand_services_are_replaced_at_once() {
    let world = World::new();
    let table = Table { name: "podotest-services".to_owned() };
    let mut socket = world.node.run(|| Socket::open(Protocol::Netfilter).unwrap()).unwrap();
    contents(&table).commit(&mut socket).unwrap();
    let key = |number: u32| {
        let address = Ipv4Addr::from(u32::from(SERVICE) + number);
        FieldWriter::default().ipv4(address).protocol(TCP).port(80)
    };
    let services: Vec<Element> = (0..10_000)
        .map(|number| key(number).to_verdict(Verdict::Goto("in-turn".to_owned())))
        .collect();
    let backends: Vec<Element> = (0..20_000)
        .map(|number| {
            let target = FieldWriter::default().ipv4(Ipv4Addr::from(number)).port(80);
            key(number / 2).number(number % 2).to(target)
        })
        .collect();
    for round in 0..2 {
        let started = std::time::Instant::now();
        let mut transaction = Transaction::new(&table);
        transaction.flush_set(&SERVICES);
        transaction.flush_set(&BACKENDS);
        transaction.add_elements(&SERVICES, &services);
        transaction.add_elements(&BACKENDS, &backends);
        transaction.commit(&mut socket).unwrap();
        println!("round {round}: 10,000 services with 20,000 backends in {:?}", started.elapsed());
    }
    let elements = podo_network::nft::list_elements(&mut socket, &table, &BACKENDS).unwrap();
    assert_eq!(elements.len(), 20_000);
}
