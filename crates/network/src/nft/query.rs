//! Reading nf_tables back: tables, elements, counters.

use super::object::{Data, Element, Set, Table};
use super::transaction::{FAMILY_INET, NEW_ELEMENT, SUBSYSTEM};
use crate::netlink::{Attribute, Malformed, Message, NetlinkError, Socket, header};

const GET_TABLE: u16 = 1;
const GET_RULE: u16 = 7;
const GET_ELEMENT: u16 = 13;
const LIST_ITEM: u16 = 1;

/// Names of all `inet` tables, of whomever.
pub fn list_tables(socket: &mut Socket) -> Result<Vec<String>, NetlinkError> {
    let mut names = Vec::new();
    for reply in socket.dump(&request("list tables", GET_TABLE, &[]))? {
        for attribute in header::<4>(&reply.body)?.1 {
            let attribute = attribute?;
            if attribute.kind == 1 {
                names.push(attribute.string()?.to_owned());
            }
        }
    }
    Ok(names)
}

/// All elements of a set whose data, if any, are values.
pub fn list_elements(
    socket: &mut Socket,
    table: &Table,
    set: &Set,
) -> Result<Vec<Element>, NetlinkError> {
    let request = request("list elements", GET_ELEMENT, &[&table.name, set.name]);
    let mut elements = Vec::new();
    for reply in socket.dump(&request)? {
        if reply.kind == (SUBSYSTEM << 8) | NEW_ELEMENT {
            parse_elements(&reply.body, &mut elements)?;
        }
    }
    Ok(elements)
}

/// Reads the elements of one message. Pure.
pub(super) fn parse_elements(body: &[u8], elements: &mut Vec<Element>) -> Result<(), Malformed> {
    for list in header::<4>(body)?.1 {
        let list = list?;
        if list.kind != 3 {
            continue;
        }
        for item in list.nested() {
            let item = item?;
            if item.kind == LIST_ITEM {
                elements.push(parse_element(&item)?);
            }
        }
    }
    Ok(())
}

fn parse_element(item: &Attribute<'_>) -> Result<Element, Malformed> {
    let mut element = Element { key: Vec::new(), data: None };
    for part in item.nested() {
        let part = part?;
        match part.kind {
            1 => element.key = value(&part)?,
            2 => element.data = Some(Data::Value(value(&part)?)),
            _ => {}
        }
    }
    Ok(element)
}

fn value(data: &Attribute<'_>) -> Result<Vec<u8>, Malformed> {
    for part in data.nested() {
        let part = part?;
        if part.kind == 1 {
            return Ok(part.payload.to_vec());
        }
    }
    Ok(Vec::new())
}

/// Packets counted by each rule of the chain that has a counter, in the order of the rules.
pub fn rule_counters(
    socket: &mut Socket,
    table: &Table,
    chain: &str,
) -> Result<Vec<u64>, NetlinkError> {
    let mut counters = Vec::new();
    for reply in socket.dump(&request("list rules", GET_RULE, &[&table.name, chain]))? {
        for attribute in header::<4>(&reply.body)?.1 {
            let attribute = attribute?;
            if attribute.kind == 4 {
                for expression in attribute.nested() {
                    counters.extend(parse_counter(&expression?)?);
                }
            }
        }
    }
    Ok(counters)
}

fn parse_counter(expression: &Attribute<'_>) -> Result<Option<u64>, Malformed> {
    let mut is_counter = false;
    for part in expression.nested() {
        let part = part?;
        match part.kind {
            1 => is_counter = part.string()? == "counter",
            2 if is_counter => {
                for field in part.nested() {
                    let field = field?;
                    if let (2, Some(packets)) = (field.kind, field.payload.first_chunk::<8>()) {
                        return Ok(Some(u64::from_be_bytes(*packets)));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(None)
}

fn request(operation: &'static str, kind: u16, names: &[&str]) -> Message {
    let header = [FAMILY_INET, 0, 0, 0];
    Message::new(operation, (SUBSYSTEM << 8) | kind, 0, &header, |message| {
        for (kind, name) in (1..).zip(names) {
            message.string(kind, name);
        }
    })
}
