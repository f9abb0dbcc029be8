//! What the parsers have in common.

use memchr::memchr;

/// The value of decimal digits; none if there are none, or other bytes, or too many.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The value of `   12 kB` in bytes.
pub(crate) fn kibibytes(text: &[u8]) -> Option<u64> {
    decimal(text.trim_ascii().strip_suffix(b"kB")?.trim_ascii_end())?.checked_mul(1024)
}

/// The lines of the form `KEY:VALUE`, with their numbers from 1 on.
pub(crate) fn keyed_lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8], &[u8])> {
    text.split(|byte| *byte == b'\n').zip(1..).filter_map(|(line, number)| {
        let colon = memchr(b':', line)?;
        Some((number, &line[..colon], &line[colon + 1..]))
    })
}
