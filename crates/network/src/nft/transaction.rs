//! One atomic batch: messages between "begin" and "end", committed by the kernel as a whole.

use super::expression::plain;
use super::object::{Chain, ChainKind, Data, Element, Field, Set, SetData, Table};
use super::rule::Rule;
use crate::netlink::{Encoder, Message, NetlinkError, Socket, flags};

const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
/// Number of nf_tables among the netfilter subsystems.
pub(super) const SUBSYSTEM: u16 = 10;
pub(super) const FAMILY_INET: u8 = 1;

const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const DELETE_RULE: u16 = 8;
const NEW_SET: u16 = 9;
pub(super) const NEW_ELEMENT: u16 = 12;
const DELETE_ELEMENT: u16 = 14;

const SET_IS_MAP: u32 = 0x8;
const VERDICT_TYPE: u32 = 0xffff_ff00;
const POLICY_ACCEPT: u32 = 1;
/// `nft` packs the types of a concatenation six bits each.
const TYPE_BITS: u32 = 6;
const LIST_ITEM: u16 = 1;
/// Elements of one message: its list is one attribute of at most 65535 bytes, and an element has
/// at most 2 × 64 bytes of values and 20 of headers.
const ELEMENTS_PER_MESSAGE: usize = 400;

/// Changes to one table, to be made at once.
#[derive(Debug)]
pub struct Transaction<'a> {
    table: &'a Table,
    messages: Vec<Message>,
    set_count: u32,
}

impl<'a> Transaction<'a> {
    /// An empty transaction on `table`.
    pub fn new(table: &'a Table) -> Self {
        Self { table, messages: vec![edge("begin batch", BATCH_BEGIN)], set_count: 0 }
    }

    /// Creates the table unless it exists.
    pub fn add_table(&mut self) {
        self.push("add table", NEW_TABLE, flags::CREATE, |_| {});
    }

    /// Deletes the table with all that is in it; it must exist (also through [`Self::add_table`]).
    pub fn delete_table(&mut self) {
        self.push("delete table", DELETE_TABLE, 0, |_| {});
    }

    /// Creates the chain unless it exists.
    pub fn add_chain(&mut self, chain: &Chain) {
        self.push("add chain", NEW_CHAIN, flags::CREATE, |message| {
            message.string(3, &chain.name);
            let Some(base) = chain.base else { return };
            let kind = match base.kind {
                ChainKind::Filter => "filter",
                ChainKind::Nat => "nat",
            };
            message.string(7, kind).u32_be(5, POLICY_ACCEPT).nested(4, |message| {
                message.u32_be(1, base.hook as u32).attribute(2, &base.priority.to_be_bytes());
            });
        });
    }

    /// Removes all rules of the chain.
    pub fn flush_chain(&mut self, chain: &str) {
        self.push("flush chain", DELETE_RULE, 0, |message| {
            message.string(2, chain);
        });
    }

    /// Adds a rule at the end of the chain.
    pub fn add_rule(&mut self, chain: &str, rule: &Rule) {
        self.push("add rule", NEW_RULE, flags::CREATE | flags::APPEND, |message| {
            message.string(2, chain).nested(4, |message| {
                for expression in rule.expressions() {
                    message.nested(LIST_ITEM, |message| expression.encode(message));
                }
            });
        });
    }

    /// Creates the set or map unless it exists in the same form.
    pub fn add_set(&mut self, set: &Set) {
        self.set_count = self.set_count.saturating_add(1);
        let number = self.set_count;
        self.push("add set", NEW_SET, flags::CREATE, |message| {
            let is_map = set.data != SetData::None;
            message
                .string(2, set.name)
                .u32_be(3, if is_map { SET_IS_MAP } else { 0 })
                .u32_be(4, packed_type(set.key))
                .u32_be(5, packed_bytes(set.key))
                .u32_be(10, number);
            match set.data {
                SetData::None => {}
                SetData::Fields(fields) => {
                    message.u32_be(6, packed_type(fields)).u32_be(7, packed_bytes(fields));
                }
                SetData::Verdict => {
                    message.u32_be(6, VERDICT_TYPE);
                }
            }
        });
    }

    /// Adds elements; one that is there with the same data is left, with other data is an error
    /// (`EBUSY` or `EEXIST`).
    pub fn add_elements(&mut self, set: &Set, elements: &[Element]) {
        self.elements("add elements", NEW_ELEMENT, flags::CREATE, set, elements);
    }

    /// Deletes elements, all of which must exist.
    pub fn delete_elements(&mut self, set: &Set, elements: &[Element]) {
        self.elements("delete elements", DELETE_ELEMENT, 0, set, elements);
    }

    /// Deletes all elements of the set.
    pub fn flush_set(&mut self, set: &Set) {
        self.push("flush set", DELETE_ELEMENT, 0, |message| {
            message.string(2, set.name);
        });
    }

    fn elements(
        &mut self,
        operation: &'static str,
        kind: u16,
        flags: u16,
        set: &Set,
        elements: &[Element],
    ) {
        for chunk in elements.chunks(ELEMENTS_PER_MESSAGE) {
            self.push(operation, kind, flags, |message| {
                message.string(2, set.name).nested(3, |message| {
                    for element in chunk {
                        message.nested(LIST_ITEM, |message| encode_element(message, element));
                    }
                });
            });
        }
    }

    /// Appends one message; attribute 1 of every kind is the table's name.
    fn push(
        &mut self,
        operation: &'static str,
        kind: u16,
        flags: u16,
        fill: impl FnOnce(&mut Encoder),
    ) {
        let header = [FAMILY_INET, 0, 0, 0];
        let kind = (SUBSYSTEM << 8) | kind;
        self.messages.push(Message::new(operation, kind, flags, &header, |message| {
            message.string(1, &self.table.name);
            fill(message);
        }));
    }

    /// The bodies of the messages, as the kernel sees them.
    #[cfg(test)]
    pub(super) fn bodies(&self) -> Vec<Vec<u8>> {
        let mut bytes = Vec::new();
        for message in &self.messages {
            message.encode(0, &mut bytes).unwrap();
        }
        let messages = crate::netlink::Messages::parse(&bytes).map(|message| message.unwrap());
        messages.map(|message| message.body.to_vec()).collect()
    }

    /// Makes the changes, all or none.
    pub fn commit(mut self, socket: &mut Socket) -> Result<(), NetlinkError> {
        // One acknowledgement, of the last change, comes after the commit; a refusal of any
        // change comes unasked. So the answers of a large batch fit the socket.
        match self.messages.pop() {
            Some(last) if !self.messages.is_empty() => {
                self.messages.push(last.with_flags(flags::ACKNOWLEDGE));
            }
            _ => return Ok(()), // Nothing to change.
        }
        self.messages.push(edge("commit batch", BATCH_END));
        socket.execute(&self.messages).map(drop)
    }
}

fn edge(operation: &'static str, kind: u16) -> Message {
    let [high, low] = SUBSYSTEM.to_be_bytes();
    Message::new(operation, kind, 0, &[0, 0, high, low], |_| {})
}

fn encode_element(message: &mut Encoder, element: &Element) {
    plain(message, 1, &element.key);
    match &element.data {
        None => {}
        Some(Data::Value(value)) => {
            plain(message, 2, value);
        }
        Some(Data::Verdict(verdict)) => verdict.encode(2, message),
    }
}

fn packed_type(fields: &[Field]) -> u32 {
    fields.iter().fold(0, |packed, field| (packed << TYPE_BITS) | field.type_number())
}

/// In a concatenation each field takes whole registers; a single field keeps its length.
fn packed_bytes(fields: &[Field]) -> u32 {
    match fields {
        [single] => single.bytes(),
        many => many.iter().map(|field| field.bytes().next_multiple_of(4)).sum(),
    }
}
