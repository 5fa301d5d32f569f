//! Randomness from the kernel: object UIDs and the ends of generated names.

use std::fmt::Write as _;

/// The letters of a generated name's end: no vowels and no look-alikes, so that no word forms
/// (Kubernetes v1.36 `k8s.io/apimachinery/pkg/util/rand`).
const NAME_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// `N` bytes of the kernel's random source.
///
/// # Panics
/// If the kernel has no random source, which no supported kernel lacks.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel's random source answers");
    bytes
}

/// A random UID: a version 4 UUID in lower case.
pub fn uid() -> String {
    let mut bytes = random_bytes::<16>();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

/// A random end of `length` letters for a generated name.
pub fn name_suffix(length: usize) -> String {
    (0..length)
        .map(|_| {
            let [byte] = random_bytes::<1>();
            char::from(NAME_ALPHABET[usize::from(byte) % NAME_ALPHABET.len()])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_a_version_4_uuid() {
        let uid = uid();
        assert_eq!(uid.len(), 36);
        assert_eq!(&uid[14..15], "4");
        assert!("89ab".contains(&uid[19..20]), "{uid}");
        assert_ne!(uid, super::uid());
    }

    #[test]
    fn a_name_end_uses_only_the_safe_alphabet() {
        let end = name_suffix(200);
        assert!(end.bytes().all(|letter| NAME_ALPHABET.contains(&letter)), "{end}");
    }
}
