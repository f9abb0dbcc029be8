//! Numbers in words: sizes, rates and durations as a person would write them.

use crate::interval::Interval;

/// How a metric's values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NumberFormat {
    /// As bytes, in binary units.
    #[default]
    Bytes,
    /// As a plain number.
    Plain,
}

/// A duration of `ns`, in its two largest units: "41 s", "9 m 12 s", "3 h 20 m", "2 d 4 h".
pub fn duration(ns: u64) -> String {
    let s = ns as f64 / 1e9;
    if s < 1.0 {
        return format!("{:.0} ms", s * 1e3);
    }
    if s < 10.0 {
        return format!("{s:.1} s");
    }
    let s = s.round() as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3_600 => format!("{} m {} s", s / 60, s % 60),
        3_600..86_400 => format!("{} h {} m", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

/// An amount: "1.42 MiB", "-3 KiB", "17".
pub fn amount(value: f64, format: NumberFormat) -> String {
    let (scale, name) = scale_of(value.abs(), format);
    format!("{}{name}", number(value / scale))
}

/// A rate with its interval: "+1.42 MiB/min (95 % CI 1.38–1.47)". `rate` is base units a second.
pub fn rate_interval(rate: Interval, format: NumberFormat) -> String {
    // A rate reads best where a unit of time carries at least one unit of size.
    let widest = rate.estimate.abs().max(rate.low.abs()).max(rate.high.abs());
    if widest == 0.0 {
        return format!("{}/min (95 % CI 0–0)", amount(0.0, format));
    }
    let least = if format == NumberFormat::Bytes { 1024.0 } else { 1.0 };
    let times = [(1.0, "s"), (60.0, "min"), (3_600.0, "h"), (86_400.0, "d")];
    let (seconds, time) =
        times.into_iter().find(|t| widest * t.0 >= least).unwrap_or((86_400.0, "d"));
    let (scale, name) = scale_of(widest * seconds, format);
    let [e, low, high] = [rate.estimate, rate.low, rate.high].map(|r| number(r * seconds / scale));
    let sign = if rate.estimate > 0.0 { "+" } else { "" };
    let to = if low.starts_with('-') || high.starts_with('-') { " to " } else { "–" };
    format!("{sign}{e}{name}/{time} (95 % CI {low}{to}{high})")
}

fn scale_of(size: f64, format: NumberFormat) -> (f64, &'static str) {
    if format == NumberFormat::Plain {
        return (1.0, "");
    }
    let scales = [(1024f64.powi(3), " GiB"), (1024f64.powi(2), " MiB"), (1024.0, " KiB")];
    scales.into_iter().find(|s| size >= s.0).unwrap_or((1.0, " B"))
}

/// Three figures, no more.
fn number(x: f64) -> String {
    let text = match x.abs() {
        a if a >= 100.0 => format!("{x:.0}"),
        a if a >= 10.0 => format!("{x:.1}"),
        _ => format!("{x:.2}"),
    };
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    };
    if text == "-0" { "0".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_in_their_two_largest_units() {
        let s = 1_000_000_000;
        let words = [41 * s, 552 * s, 12_000 * s, 187_200 * s].map(duration);
        assert_eq!(words, ["41 s", "9 m 12 s", "3 h 20 m", "2 d 4 h"]);
        assert_eq!(duration(20_000_000), "20 ms");
    }

    #[test]
    fn rates_choose_the_time_that_carries_a_unit() {
        let mib_a_minute = 1024.0 * 1024.0 / 60.0;
        let rate = Interval { estimate: 0.01 * mib_a_minute, low: 0.0, high: 0.02 * mib_a_minute };
        assert_eq!(rate_interval(rate, NumberFormat::Bytes), "+10.2 KiB/min (95 % CI 0–20.5)");
        let fall = Interval { estimate: -2048.0, low: -3072.0, high: -1024.0 };
        assert_eq!(rate_interval(fall, NumberFormat::Bytes), "-2 KiB/s (95 % CI -3 to -1)");
    }

    #[test]
    fn a_wide_interval_chooses_the_unit_and_nothing_at_all_is_told_a_minute() {
        let wide = Interval { estimate: 0.0, low: -20.0 * 1024.0, high: 0.0 };
        assert_eq!(rate_interval(wide, NumberFormat::Bytes), "0 KiB/s (95 % CI -20 to 0)");
        let none = Interval { estimate: 0.0, low: 0.0, high: 0.0 };
        assert_eq!(rate_interval(none, NumberFormat::Bytes), "0 B/min (95 % CI 0–0)");
    }

    #[test]
    fn amounts_keep_three_figures() {
        assert_eq!(amount(1_488_978.0, NumberFormat::Bytes), "1.42 MiB");
        assert_eq!(amount(17.0, NumberFormat::Plain), "17");
    }
}
