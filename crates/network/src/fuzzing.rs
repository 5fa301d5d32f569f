//! Doors for fuzz targets to what is private; compiled for them only.

use crate::netlink::{Attributes, Malformed, Messages};
use crate::pool::journal;
use crate::{conntrack, link, route};

/// What the kernel answers, or the journal of addresses, by `kind`.
pub fn parse(kind: u8, input: &[u8]) {
    match kind {
        b'c' => {
            let _flow = conntrack::parse(input);
        }
        b'l' => {
            let _link = link::parse(input);
        }
        b'r' => {
            let _route = route::parse(input);
        }
        b'a' => {
            let _malformed = attributes(Attributes::parse(input), 0);
        }
        b'j' => {
            let Ok(records) = journal::parse(input) else { return };
            let text: String = records.iter().map(journal::Record::line).collect();
            assert_eq!(journal::parse(text.as_bytes()), Ok(records));
        }
        _ => {
            for message in Messages::parse(input) {
                let Ok(message) = message else { break };
                let _malformed = attributes(Attributes::parse(message.body), 0);
            }
        }
    }
}

fn attributes(list: Attributes<'_>, depth: usize) -> Result<(), Malformed> {
    for attribute in list {
        let attribute = attribute?;
        let _read = (attribute.u32(), attribute.u32_be(), attribute.string(), attribute.ipv4());
        if depth < 8 {
            let _malformed = attributes(attribute.nested(), depth + 1);
        }
    }
    Ok(())
}
