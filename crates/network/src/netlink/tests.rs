//! The codec: what is written is read back, and nothing that is read can hurt.

use proptest::prelude::*;

use super::codec::{Attribute, Attributes, Encoder, Message, Messages};

/// An attribute tree, the shape that all requests have.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    Leaf(u16, Vec<u8>),
    Nest(u16, Vec<Node>),
}

fn trees() -> impl Strategy<Value = Vec<Node>> {
    let kind = 0_u16..0x3fff;
    let leaf = (kind.clone(), proptest::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(kind, payload)| Node::Leaf(kind, payload));
    let tree = leaf.prop_recursive(4, 32, 6, move |inner| {
        (kind.clone(), proptest::collection::vec(inner, 0..6))
            .prop_map(|(kind, nodes)| Node::Nest(kind, nodes))
    });
    proptest::collection::vec(tree, 0..6)
}

fn write(encoder: &mut Encoder, nodes: &[Node]) {
    for node in nodes {
        match node {
            Node::Leaf(kind, payload) => encoder.attribute(*kind, payload),
            Node::Nest(kind, inner) => encoder.nested(*kind, |encoder| write(encoder, inner)),
        };
    }
}

fn read(attributes: Attributes<'_>, like: &[Node]) -> Vec<Node> {
    let found: Vec<Attribute<'_>> = attributes.map(|attribute| attribute.unwrap()).collect();
    assert_eq!(found.len(), like.len());
    found
        .iter()
        .zip(like)
        .map(|(attribute, like)| match like {
            Node::Leaf(..) => Node::Leaf(attribute.kind, attribute.payload.to_vec()),
            Node::Nest(_, inner) => Node::Nest(attribute.kind, read(attribute.nested(), inner)),
        })
        .collect()
}

proptest! {
    #[test]
    fn attribute_trees_survive_the_round_trip(nodes in trees()) {
        let mut encoder = Encoder::default();
        write(&mut encoder, &nodes);
        let bytes = encoder.finish().unwrap();
        prop_assert_eq!(bytes.len() % 4, 0);
        prop_assert_eq!(read(Attributes::parse(&bytes), &nodes), nodes);
    }

    #[test]
    fn messages_of_one_datagram_are_read_one_by_one(
        list in proptest::collection::vec((any::<u16>(), any::<u32>(), trees()), 0..5),
    ) {
        let mut datagram = Vec::new();
        for (kind, sequence, nodes) in &list {
            Message::new("test", *kind, 0, &[7; 8], |encoder| write(encoder, nodes))
                .encode(*sequence, &mut datagram)
                .unwrap();
        }
        let found: Vec<_> = Messages::parse(&datagram).map(|message| message.unwrap()).collect();
        prop_assert_eq!(found.len(), list.len());
        for (message, (kind, sequence, nodes)) in found.iter().zip(&list) {
            prop_assert_eq!((message.kind, message.sequence), (*kind, *sequence));
            let (head, rest) = message.body.split_first_chunk::<8>().unwrap();
            prop_assert_eq!(head, &[7_u8; 8]);
            prop_assert_eq!(&read(Attributes::parse(rest), nodes), nodes);
        }
    }

    #[test]
    fn any_bytes_are_parsed_without_panic_and_with_an_end(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        for message in Messages::parse(&bytes).flatten() {
            for attribute in Attributes::parse(message.body).flatten() {
                let _text = (attribute.string(), attribute.u32(), attribute.ipv4());
                prop_assert!(attribute.nested().count() <= attribute.payload.len() / 4 + 1);
            }
        }
        prop_assert!(Messages::parse(&bytes).count() <= bytes.len() / 16 + 1);
        prop_assert!(Attributes::parse(&bytes).count() <= bytes.len() / 4 + 1);
    }

    #[test]
    fn a_truncated_message_is_an_error_and_not_a_shorter_message(cut in 1_usize..24) {
        let mut datagram = Vec::new();
        Message::new("test", 1, 0, &[], |encoder| { encoder.u32(1, 2); })
            .encode(1, &mut datagram)
            .unwrap();
        let short = datagram.get(..datagram.len().saturating_sub(cut)).unwrap();
        prop_assert!(Messages::parse(short).all(|message| message.is_err()));
    }
}

#[test]
fn a_length_of_zero_ends_the_iteration() {
    assert_eq!(Messages::parse(&[0; 64]).count(), 1);
    assert_eq!(Attributes::parse(&[0; 64]).count(), 1);
}

#[test]
fn an_attribute_beyond_its_16_bit_length_is_refused() {
    let mut encoder = Encoder::default();
    encoder.attribute(1, &vec![0; 70_000]);
    assert!(encoder.finish().is_err());
}
