//! The order of keys: numbers inside of keys count as numbers, letters come after everything else (goyaml.v2).

use serde_json::{Map, Value};

/// The entries of a map in the order in which they are written.
pub(super) fn sorted(map: &Map<String, Value>) -> Vec<(&str, &Value)> {
    let mut entries: Vec<_> = map.iter().map(|(key, value)| (key.as_str(), value)).collect();
    merge_sort(&mut entries);
    entries
}

/// The order is not transitive for every set of keys, so the standard library's sort may not be asked to use it.
fn merge_sort(entries: &mut Vec<(&str, &Value)>) {
    if entries.len() < 2 {
        return;
    }
    let mut right = entries.split_off(entries.len() / 2);
    merge_sort(entries);
    merge_sort(&mut right);
    let mut merged = Vec::with_capacity(entries.len() + right.len());
    let mut left = entries.drain(..).peekable();
    let mut right = right.into_iter().peekable();
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = if is_less(b.0, a.0) { right.next() } else { left.next() };
        merged.extend(next);
    }
    merged.extend(left);
    merged.extend(right);
    *entries = merged;
}

fn is_less(a: &str, b: &str) -> bool {
    // The common case: keys of plain letters.
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b && a.is_ascii()).count();
    let letter_at = |text: &str| text.as_bytes().get(same).copied().filter(u8::is_ascii_alphabetic);
    if let (Some(a), Some(b)) = (letter_at(a), letter_at(b)) {
        return a < b;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(a, b)| a != b) else { return a.len() < b.len() };
    match (a[at].is_alphabetic(), b[at].is_alphabetic()) {
        (true, true) => return a[at] < b[at],
        (true, false) => return false,
        (false, true) => return true,
        (false, false) => {}
    }
    // Zeros within a number count as its digits.
    let is_inner = (a[at] == '0' || b[at] == '0') && {
        let digits = a[..at].iter().rev().take_while(|letter| letter.is_ascii_digit());
        digits.into_iter().any(|&digit| digit != '0')
    };
    let (a_number, a_end) = number(&a, at, is_inner);
    let (b_number, b_end) = number(&b, at, is_inner);
    if a_number != b_number {
        return a_number < b_number;
    }
    if a_end != b_end {
        return a_end < b_end;
    }
    a[at] < b[at]
}

/// The number that starts at a place, and where it ends. It wraps around as Go's does.
fn number(letters: &[char], start: usize, is_inner: bool) -> (i64, usize) {
    let mut number = i64::from(is_inner);
    let mut end = start;
    while let Some(digit) = letters.get(end).and_then(|letter| letter.to_digit(10)) {
        number = number.wrapping_mul(10).wrapping_add(i64::from(digit));
        end += 1;
    }
    (number, end)
}
