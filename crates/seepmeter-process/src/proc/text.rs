//! What the parsers have in common.

use memchr::memchr;

/// The number that a text begins with, and the text behind it; none if there is none, or it is too
/// large.
pub(crate) fn leading_decimal(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    let mut at = 0;
    // By index, which is twice as fast as by iterators: statm is read at every tick.
    while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|d| *d <= 9) {
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
        at += 1;
    }
    (at > 0).then(|| (value, &text[at..]))
}

/// The value of decimal digits; none if there are none, or other bytes, or too many.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    leading_decimal(digits).filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value)
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
