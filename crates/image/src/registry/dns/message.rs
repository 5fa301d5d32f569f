//! The two DNS messages of a stub: a question for one name, and its answer (RFC 1035, section 4).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordType {
    A = 1,
    Aaaa = 28,
}

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Not an answer to this question.
    NotOurs,
    /// Cut: ask again over TCP.
    Truncated,
    /// The server cannot say.
    Failed,
    /// All addresses; none if the name does not exist or has no such record.
    Addresses(Vec<IpAddr>),
}

const CLASS_IN: u16 = 1;
const HEADER_BYTES: usize = 12;
const NAME_BYTES_MAX: usize = 253;
const RCODE_OK: u8 = 0;
const RCODE_NO_NAME: u8 = 3;

/// Builds a question with recursion desired; none if the name cannot be one.
pub(crate) fn question(number: u16, name: &str, kind: RecordType) -> Option<Vec<u8>> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return None;
    }
    let mut message = number.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        message.push(length);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend((kind as u16).to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    Some(message)
}

/// Reads an answer to `question`.
pub(crate) fn answer(message: &[u8], question: &[u8], kind: RecordType) -> Answer {
    parse(message, question, kind).unwrap_or(Answer::Failed)
}

fn parse(message: &[u8], question: &[u8], kind: RecordType) -> Option<Answer> {
    let is_reply = message.get(2).is_some_and(|flags| flags & 0x80 != 0);
    let has_number = message.get(..2) == question.get(..2);
    if !is_reply || !has_number {
        return Some(Answer::NotOurs);
    }
    let asked = question.get(HEADER_BYTES..)?;
    let echoed = message.get(HEADER_BYTES..HEADER_BYTES + asked.len()).unwrap_or_default();
    let code = message.get(3)? & 0x0f;
    if !echoed.eq_ignore_ascii_case(asked) {
        // A server that fails may leave the question out.
        let is_failure = !matches!(code, RCODE_OK | RCODE_NO_NAME);
        return Some(if is_failure { Answer::Failed } else { Answer::NotOurs });
    }
    if message.get(2)? & 0x02 != 0 {
        return Some(Answer::Truncated);
    }
    match code {
        RCODE_OK => {}
        RCODE_NO_NAME => return Some(Answer::Addresses(Vec::new())),
        _ => return Some(Answer::Failed),
    }
    let mut addresses = Vec::new();
    let mut at = HEADER_BYTES + asked.len();
    for _ in 0..u16_at(message, 6)? {
        at = skip_name(message, at)?;
        let (record, class) = (u16_at(message, at)?, u16_at(message, at + 2)?);
        let length = usize::from(u16_at(message, at + 8)?);
        let data = message.get(at + 10..at + 10 + length)?;
        if record == kind as u16 && class == CLASS_IN {
            addresses.push(address(data)?);
        }
        at += 10 + length;
    }
    Some(Answer::Addresses(addresses))
}

fn u16_at(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?))
}

/// The position behind a name, which ends with an empty label or a pointer.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length if length & 0xc0 == 0 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

fn address(data: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(data) {
        return Some(Ipv4Addr::from(four).into());
    }
    <[u8; 16]>::try_from(data).ok().map(|sixteen| Ipv6Addr::from(sixteen).into())
}
