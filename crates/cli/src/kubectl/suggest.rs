//! Commands that a user may have meant.

/// The commands of kubectl v1.36 in the order in which it looks at them.
const COMMANDS: [&str; 44] = [
    "create",
    "expose",
    "run",
    "set",
    "explain",
    "get",
    "edit",
    "delete",
    "rollout",
    "scale",
    "autoscale",
    "certificate",
    "cluster-info",
    "top",
    "cordon",
    "uncordon",
    "drain",
    "taint",
    "describe",
    "logs",
    "attach",
    "exec",
    "port-forward",
    "proxy",
    "cp",
    "auth",
    "debug",
    "events",
    "diff",
    "apply",
    "patch",
    "replace",
    "wait",
    "kustomize",
    "label",
    "annotate",
    "completion",
    "api-resources",
    "api-versions",
    "config",
    "kuberc",
    "plugin",
    "version",
    "options",
];
/// Words that stand for a command elsewhere.
const OTHERS: [(&str, &str); 6] = [
    ("rm", "delete"),
    ("remove", "delete"),
    ("list", "get"),
    ("ls", "get"),
    ("inspect", "describe"),
    ("stats", "top"),
];
/// How many letters may be wrong.
const DISTANCE_MAX: usize = 2;

/// The lines that name commands like a word; none if there are none.
pub(super) fn suggestions(word: &str) -> String {
    // A command of kubectl's that is not here is not suggested to whoever asks for it.
    if COMMANDS.contains(&word) {
        return String::new();
    }
    let word = word.to_lowercase();
    let is_like = |command: &&&str| {
        distance(&word, command) <= DISTANCE_MAX
            || command.starts_with(&word)
            || OTHERS.contains(&(word.as_str(), command))
    };
    let lines: String =
        COMMANDS.iter().filter(is_like).map(|command| format!("\t{command}\n")).collect();
    if lines.is_empty() { lines } else { format!("\nDid you mean this?\n{lines}") }
}

/// How many letters must be put in, taken out or changed to make one word another (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, left) in from.iter().enumerate() {
        let mut corner = row[0];
        row[0] = at + 1;
        for (column, right) in to.iter().enumerate() {
            let changed = corner + usize::from(left != right);
            corner = row[column + 1];
            row[column + 1] = changed.min(corner + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_meant_is_near() {
        let cases = [
            ("gett", "\nDid you mean this?\n\tset\n\tget\n"),
            ("foo", "\nDid you mean this?\n\ttop\n"),
            ("Create", "\nDid you mean this?\n\tcreate\n"),
            ("rm", "\nDid you mean this?\n\trun\n\tdelete\n\tcp\n"),
            ("getpods", ""),
            ("proxy", ""),
        ];
        for (word, expected) in cases {
            assert_eq!(super::suggestions(word), expected, "{word}");
        }
    }
}
