//! Booleans as text, as Go's `strconv.ParseBool` reads them.

/// What the text means; `None` if it is no boolean.
pub fn parse(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_gos_spellings_are_booleans() {
        assert_eq!(["1", "t", "True"].map(parse), [Some(true); 3]);
        assert_eq!(["0", "F", "false"].map(parse), [Some(false); 3]);
        assert_eq!(["", "tRUE", "yes", "2"].map(parse), [None; 4]);
    }
}
