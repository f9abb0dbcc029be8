//! Durations and sizes as people write them.

use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

/// A number of bytes, written as `512MiB`, `1.5 GB` or `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// Reads a duration as people write it: `500ms`, `1m`, `1h30m`, `1.5s`. More than zero, and a unit
/// must be there.
///
/// # Errors
/// A sentence that says what is wrong and what would be right.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wanted = "a duration is a number and a unit: 500ms, 1s, 2m, 1h30m";
    if text.trim().parse::<f64>().is_ok() {
        return Err(format!("`{text}` has no unit; {wanted}"));
    }
    let duration = SignedDuration::from_str(text.trim())
        .map_err(|_| format!("`{text}` is not a duration; {wanted}"))?;
    match Duration::try_from(duration) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(format!("`{text}` is not more than zero; {wanted}")),
    }
}

/// Reads a size as people write it: `512MiB`, `1.5GB`, `4096`.
///
/// # Errors
/// A sentence that says what is wrong and what would be right.
pub fn parse_size(text: &str) -> Result<Size, String> {
    bytesize::ByteSize::from_str(text.trim())
        .map(|size| Size(size.as_u64()))
        .map_err(|_| format!("`{text}` is not a size; a size is 4096, 64KiB, 512MiB, 2GB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [
            ("1ms", 1),
            ("500ms", 500),
            ("1s", 1000),
            ("1.5s", 1500),
            ("1m", 60_000),
            ("1h30m", 5_400_000),
            ("2 minutes", 120_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(parse_duration("100us"), Ok(Duration::from_micros(100)));
    }

    #[test]
    fn a_duration_that_is_none_says_what_would_be_right() {
        for (text, part) in [
            ("1", "no unit"),
            ("soon", "not a duration"),
            ("0s", "zero"),
            ("-1s", "zero"),
            ("", "not a"),
        ] {
            let message = parse_duration(text).unwrap_err();
            assert!(message.contains(part) && message.contains("500ms"), "{text}: {message}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [("4096", 4096), ("1KiB", 1024), ("1.5GB", 1_500_000_000)] {
            assert_eq!(parse_size(text), Ok(Size(bytes)), "{text}");
        }
        assert!(parse_size("lots").unwrap_err().contains("512MiB"));
    }
}
