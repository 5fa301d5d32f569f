//! What is written to the kernel is what is meant; what is read from it cannot hurt.

use proptest::prelude::*;

use super::query::parse_elements;
use super::transaction::Transaction;
use super::{Element, Expression, Field, FieldWriter, Register, Set, Table, Verdict};
use crate::netlink::{Attributes, Encoder};

fn data_of(expression: &Expression) -> (String, Vec<(u16, Vec<u8>)>) {
    let mut encoder = Encoder::default();
    expression.encode(&mut encoder);
    let bytes = encoder.finish().unwrap();
    let parts: Vec<_> = Attributes::parse(&bytes).map(|part| part.unwrap()).collect();
    let [name, data] = parts.as_slice() else { panic!("{parts:?}") };
    let fields = data.nested().map(|field| field.unwrap());
    let fields = fields.map(|field| (field.kind, field.payload.to_vec())).collect();
    (name.string().unwrap().to_owned(), fields)
}

#[test]
fn a_verdict_is_an_immediate_into_the_verdict_register() {
    let (name, fields) = data_of(&Expression::Verdict(Verdict::Jump("next".to_owned())));
    assert_eq!(name, "immediate");
    let [(1, register), (2, data)] = fields.as_slice() else { panic!("{fields:?}") };
    assert_eq!(register, &[0, 0, 0, 0]);
    let verdict = Attributes::parse(data).next().unwrap().unwrap();
    let parts: Vec<_> = verdict.nested().map(|part| part.unwrap()).collect();
    let [code, chain] = parts.as_slice() else { panic!("{parts:?}") };
    assert_eq!(code.u32_be().unwrap().cast_signed(), -3);
    assert_eq!(chain.string().unwrap(), "next");
}

#[test]
fn registers_are_the_sixteen_of_four_bytes() {
    let (_, fields) =
        data_of(&Expression::Immediate { value: vec![1], to: Register::RESULT.after(7).unwrap() });
    assert_eq!(fields.first().unwrap(), &(1, 23_u32.to_be_bytes().to_vec()));
    assert_eq!(Register::RESULT.after(8), None);
}

#[test]
fn each_field_of_a_key_starts_a_register() {
    let writer = FieldWriter::default();
    let element = writer.interface("eth0").protocol(6).port(0x1234).number(7).element();
    let mut expected = b"eth0".to_vec();
    expected.resize(16, 0);
    expected.extend([6, 0, 0, 0, 0x12, 0x34, 0, 0]);
    expected.extend(7_u32.to_ne_bytes());
    assert_eq!(element.key, expected);
}

proptest! {
    #[test]
    fn any_bytes_are_read_as_elements_without_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut elements = Vec::new();
        let _outcome = parse_elements(&bytes, &mut elements);
        prop_assert!(elements.len() <= bytes.len());
    }

    #[test]
    fn elements_written_are_the_elements_read(
        keys in proptest::collection::vec((any::<u32>(), any::<u16>()), 0..1000),
    ) {
        static MAP: Set = Set::map("m", &[Field::Ipv4, Field::Port], &[Field::Ipv4]);
        let elements: Vec<Element> = keys
            .iter()
            .map(|(bits, port)| {
                let key = FieldWriter::default().ipv4((*bits).into()).port(*port);
                key.to(FieldWriter::default().ipv4((!*bits).into()))
            })
            .collect();
        let table = Table { name: "t".to_owned() };
        let mut transaction = Transaction::new(&table);
        transaction.add_elements(&MAP, &elements);
        let mut found = Vec::new();
        for body in transaction.bodies() {
            parse_elements(&body, &mut found).unwrap();
        }
        prop_assert_eq!(found, elements);
    }
}
