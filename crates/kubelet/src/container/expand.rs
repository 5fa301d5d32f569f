//! `$(VAR)` in commands, arguments, environment and `subPathExpr` (Kubernetes v1.36 `third_party/forked/golang/expansion`).

/// Replaces each `$(NAME)` by what `lookup` knows of it. `$$` stands for `$`; names that `lookup` does not know stay as they are.
pub(crate) fn expand(input: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut output = String::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = rest.find('$') {
        output.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            output.push('$');
            rest = after;
        } else if let Some((name, after)) =
            rest.strip_prefix('(').and_then(|inner| inner.split_once(')'))
        {
            if let Some(value) = lookup(name) {
                output.push_str(&value);
            } else {
                output.push_str("$(");
                output.push_str(name);
                output.push(')');
            }
            rest = after;
        } else {
            output.push('$');
        }
    }
    output.push_str(rest);
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
