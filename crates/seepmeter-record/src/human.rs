//! Numbers, sizes, rates and durations as people read and write them.
//!
//! Everything that Seepmeter prints or parses of this kind goes through here, so that one number
//! looks the same in every line: three significant figures, no trailing zeros.

use std::str::FromStr;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

use crate::Unit;

/// A number of bytes, written as `512MiB`, `1.5 GB` or `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// Units from the largest to the smallest: how many base units each has, and its name.
type Scales = &'static [(f64, &'static str)];

const KIB: f64 = 1024.0;
const BYTES: Scales = &[
    (KIB * KIB * KIB * KIB, " TiB"),
    (KIB * KIB * KIB, " GiB"),
    (KIB * KIB, " MiB"),
    (KIB, " KiB"),
    (1.0, " B"),
];
const COUNTS: Scales = &[(1.0, "")];
const NANOSECONDS: Scales = &[(1e9, " s"), (1e6, " ms"), (1e3, " µs"), (1.0, " ns")];

/// The times that a rate may be given for, in seconds.
const RATE_TIMES: [(f64, &str); 4] = [(1.0, "s"), (60.0, "min"), (3_600.0, "h"), (86_400.0, "d")];

/// A number with three significant figures: `1.42`, `10.4`, `512`, `-3`.
#[must_use]
pub fn figures(number: f64) -> String {
    let text = match number.abs() {
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    };
    let text = without_trailing_zeros(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn without_trailing_zeros(number: &str) -> &str {
    match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    }
}

/// An amount in a metric's unit: `1.42 MiB`, `-3 KiB`, `17`, `20 ms`.
#[must_use]
pub fn amount(value: f64, unit: Unit) -> String {
    let (scale, name) = scale_of(value.abs(), unit);
    format!("{}{name}", figures(value / scale))
}

/// An amount with as many figures as it takes to show a difference of `step`: `29.97 GiB`.
#[must_use]
pub fn amount_by_step(value: f64, step: f64, unit: Unit) -> String {
    let (scale, name) = scale_of(value.abs(), unit);
    let decimals = (scale / step).log10().ceil().max(0.0) as usize;
    let number = format!("{:.decimals$}", value / scale);
    format!("{}{name}", without_trailing_zeros(&number))
}

/// A number of bytes: `10.4 MiB`.
#[must_use]
pub fn bytes(bytes: i64) -> String {
    amount(bytes as f64, Unit::Bytes)
}

/// A difference with its sign: `+2.1 MiB`, `-512 KiB`, `0 B`.
#[must_use]
pub fn change(value: f64, unit: Unit) -> String {
    let sign = if value > 0.0 { "+" } else { "" };
    format!("{sign}{}", amount(value, unit))
}

/// A rate with its sign, in the time in which it is at least one KiB or one: `+1.42 MiB/min`.
/// `rate` is in base units a second.
#[must_use]
pub fn rate(rate: f64, unit: Unit) -> String {
    let (seconds, time) = rate_time(rate.abs(), unit);
    format!("{}/{time}", change(rate * seconds, unit))
}

/// A rate with its 95 % confidence interval: `+1.42 MiB/min (95 % CI 1.38–1.47)`. All three are in base
/// units a second.
#[must_use]
pub fn rate_with_interval(estimate: f64, low: f64, high: f64, unit: Unit) -> String {
    let widest = estimate.abs().max(low.abs()).max(high.abs());
    let (seconds, time) = rate_time(widest, unit);
    let (scale, name) = scale_of(widest * seconds, unit);
    let [middle, low, high] = [estimate, low, high].map(|r| figures(r * seconds / scale));
    let sign = if estimate > 0.0 { "+" } else { "" };
    format!("{sign}{middle}{name}/{time} (95 % CI {})", range(&low, &high))
}

/// An amount for each unit of work with its 95 % confidence interval, all three in the unit of the estimate:
/// `41.3 B per unit (95 % CI 40.9–41.8)`.
#[must_use]
pub fn per_unit_with_interval(estimate: f64, low: f64, high: f64, unit: Unit) -> String {
    let (scale, name) = scale_of(estimate.abs(), unit);
    let [middle, low, high] = [estimate, low, high].map(|amount| figures(amount / scale));
    format!("{middle}{name} per unit (95 % CI {})", range(&low, &high))
}

/// `1.38–1.47`, or `-3 to -1`.
fn range(low: &str, high: &str) -> String {
    let to = if low.starts_with('-') || high.starts_with('-') { " to " } else { "–" };
    format!("{low}{to}{high}")
}

/// A duration, from a minute on in its two largest units: `850 µs`, `12.3 ms`, `41 s`, `9 m 12 s`,
/// `3 h 20 m`, `2 d`.
#[must_use]
pub fn duration(nanos: u64) -> String {
    if nanos == 0 {
        return "0 s".to_owned();
    }
    let seconds = nanos as f64 / 1e9;
    // What would be rounded to 60 s is a minute.
    if seconds < 59.95 {
        return amount(nanos as f64, Unit::Nanoseconds);
    }
    let seconds = seconds.round() as u64;
    let (whole, large, part, small) = match seconds {
        0..3_600 => (seconds / 60, "m", seconds % 60, "s"),
        3_600..86_400 => (seconds / 3_600, "h", seconds % 3_600 / 60, "m"),
        _ => (seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    };
    if part == 0 { format!("{whole} {large}") } else { format!("{whole} {large} {part} {small}") }
}

/// A number of things: `1 sample`, `2 samples`.
#[must_use]
pub fn count(number: u64, thing: &str) -> String {
    match (number, thing.ends_with('s')) {
        (1, _) => format!("1 {thing}"),
        (_, true) => format!("{number} {thing}es"),
        (_, false) => format!("{number} {thing}s"),
    }
}

/// A share of 1 as a percentage: `95 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// Reads a duration as people write it: `500ms`, `1m`, `1h30m`, `7d`, `1.5s`. It must be more than zero and
/// have a unit.
///
/// # Errors
/// A sentence that says what is wrong and what would be right.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wanted = "a duration is a number and a unit: 500ms, 1s, 2m, 1h30m, 7d";
    if text.trim().parse::<f64>().is_ok() {
        return Err(format!("`{text}` has no unit; {wanted}"));
    }
    let span = |text: &str| Span::from_str(text)?.to_duration(SpanRelativeTo::days_are_24_hours());
    let duration =
        span(text.trim()).map_err(|_| format!("`{text}` is not a duration; {wanted}"))?;
    match Duration::try_from(duration) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(format!("`{text}` is not greater than zero; {wanted}")),
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

/// A rate reads best in a time in which it is at least one KiB, or one of what it counts.
fn rate_time(rate: f64, unit: Unit) -> (f64, &'static str) {
    let least = if unit == Unit::Bytes { KIB } else { 1.0 };
    let fits = RATE_TIMES.into_iter().find(|(seconds, _)| rate * seconds >= least);
    match fits {
        Some(fits) => fits,
        None if rate == 0.0 => RATE_TIMES[0],
        None => RATE_TIMES[3],
    }
}

fn scale_of(size: f64, unit: Unit) -> (f64, &'static str) {
    let scales = match unit {
        Unit::Bytes => BYTES,
        Unit::Count | Unit::Stack => COUNTS,
        Unit::Nanoseconds => NANOSECONDS,
    };
    let smallest = scales[scales.len() - 1];
    scales.iter().copied().find(|(scale, _)| size >= *scale).unwrap_or(smallest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_three_figures_and_no_trailing_zeros() {
        assert_eq!(amount(1_488_978.0, Unit::Bytes), "1.42 MiB");
        assert_eq!(amount(17.0, Unit::Count), "17");
        assert_eq!([bytes(0), bytes(10 << 20), bytes(3 << 40)], ["0 B", "10 MiB", "3 TiB"]);
        assert_eq!(change(-1536.0, Unit::Bytes), "-1.5 KiB");
        assert_eq!(change(4096.0, Unit::Bytes), "+4 KiB");
        assert_eq!(amount(-0.001, Unit::Count), "0");
    }

    #[test]
    fn durations_have_their_two_largest_units() {
        let s = 1_000_000_000;
        for (nanos, text) in [
            (0, "0 s"),
            (850_000, "850 µs"),
            (12_300_000, "12.3 ms"),
            (4_200_000_000, "4.2 s"),
            (41 * s, "41 s"),
            (59_960_000_000, "1 m"),
            (552 * s, "9 m 12 s"),
            (12_000 * s, "3 h 20 m"),
            (187_200 * s, "2 d 4 h"),
            (172_800 * s, "2 d"),
        ] {
            assert_eq!(duration(nanos), text);
        }
    }

    #[test]
    fn a_rate_is_given_in_the_time_that_carries_a_unit() {
        let mib_a_minute = KIB * KIB / 60.0;
        let rate_of = |low: f64, estimate: f64, high: f64| {
            rate_with_interval(estimate, low, high, Unit::Bytes)
        };
        let text = rate_of(0.0, 0.01 * mib_a_minute, 0.02 * mib_a_minute);
        assert_eq!(text, "+10.2 KiB/min (95 % CI 0–20.5)");
        assert_eq!(rate_of(-3072.0, -2048.0, -1024.0), "-2 KiB/s (95 % CI -3 to -1)");
        assert_eq!(rate(44_237.0, Unit::Bytes), "+43.2 KiB/s");
        assert_eq!(rate(-0.5, Unit::Count), "-30/min");
    }

    #[test]
    fn a_wide_interval_chooses_the_unit_and_no_growth_is_given_a_second() {
        assert_eq!(
            rate_with_interval(0.0, -20.0 * KIB, 0.0, Unit::Bytes),
            "0 KiB/s (95 % CI -20 to 0)"
        );
        assert_eq!(rate_with_interval(0.0, 0.0, 0.0, Unit::Bytes), "0 B/s (95 % CI 0–0)");
        assert_eq!(rate(0.0, Unit::Bytes), "0 B/s");
    }

    #[test]
    fn one_thing_is_singular() {
        assert_eq!([count(1, "sample"), count(0, "sample")], ["1 sample", "0 samples"]);
        assert_eq!(percent(0.954), "95 %");
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [
            ("1ms", 1),
            ("500ms", 500),
            ("1s", 1000),
            ("1.5s", 1500),
            ("1m", 60_000),
            ("1h30m", 5_400_000),
            ("7d", 7 * 86_400_000),
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
