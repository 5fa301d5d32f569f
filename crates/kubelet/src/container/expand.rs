//! `$(VAR)` in commands, arguments, environment and `subPathExpr` (Kubernetes v1.36 `third_party/forked/golang/expansion`).

/// Replaces each `$(NAME)` by what `lookup` knows of it. `$$` stands for `$`; names that `lookup` does not know stay as they are.
pub(crate) fn expand(input: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let output = expand_bytes(input, |name| lookup(name).map(String::into_bytes));
    String::from_utf8_lossy(&output).into_owned() // Texts that were put together are one.
}

/// As [`expand`], with values that may be any bytes.
pub(crate) fn expand_bytes(input: &str, lookup: impl Fn(&str) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut output = Vec::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = rest.find('$') {
        output.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            output.push(b'$');
            rest = after;
        } else if let Some((name, after)) =
            rest.strip_prefix('(').and_then(|inner| inner.split_once(')'))
        {
            if let Some(value) = lookup(name) {
                output.extend(value);
            } else {
                output.extend_from_slice(format!("$({name})").as_bytes());
            }
            rest = after;
        } else {
            output.push(b'$');
        }
    }
    output.extend_from_slice(rest.as_bytes());
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_replaced_and_everything_else_stays() {
        let cases = [
            ("$(VAR_A)", "A"),
            ("___$(VAR_B)___", "___B___"),
            ("$(VAR_A)_$(VAR_B)", "A_B"),
            ("$(EMPTY)x", "x"),
            ("$$(VAR_A)", "$(VAR_A)"),
            ("$$$(VAR_A)", "$A"),
            ("$$$$(VAR_A)", "$$(VAR_A)"),
            ("$(NOT_KNOWN)", "$(NOT_KNOWN)"),
            ("$VAR_A", "$VAR_A"),
            ("$(VAR_A", "$(VAR_A"),
            ("$(VAR_A$(VAR_B)", "$(VAR_A$(VAR_B)"),
            ("$", "$"),
            ("f000-$()-A", "f000-$()-A"),
            ("foo\\$(VAR_A)bar", "foo\\Abar"),
            ("grüße $(VAR_A)", "grüße A"),
        ];
        for (input, expected) in cases {
            let found = expand(input, |name| match name {
                "VAR_A" => Some("A".to_owned()),
                "VAR_B" => Some("B".to_owned()),
                "EMPTY" => Some(String::new()),
                _ => None,
            });
            assert_eq!(found, expected, "{input}");
        }
    }
}
