//! Numbers as people read them.

use std::time::Duration;

use bytesize::ByteSize;
use nix::sys::signal::Signal;

/// `10.4 MiB`.
pub(crate) fn bytes(bytes: i64) -> String {
    let sign = if bytes < 0 { "-" } else { "" };
    format!("{sign}{}", ByteSize(bytes.unsigned_abs()).display().iec())
}

/// `+2.1 MiB`, `-512 KiB`, `0 B`.
pub(crate) fn change(bytes: i64) -> String {
    if bytes > 0 { format!("+{}", self::bytes(bytes)) } else { self::bytes(bytes) }
}

/// `850 µs`, `12.3 ms`, `4.2 s`, `9 m 12 s`, `3 h 20 m`.
pub(crate) fn duration(nanos: u64) -> String {
    let time = Duration::from_nanos(nanos);
    let seconds = time.as_secs();
    match seconds {
        0 if nanos < 1_000_000 => format!("{} µs", time.as_micros()),
        0 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        1..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} m", seconds / 3600, seconds / 60 % 60),
    }
}

/// `SIGTERM`; `signal 40` where it has no name.
pub(crate) fn signal(number: i64) -> String {
    let named = i32::try_from(number).ok().and_then(|number| Signal::try_from(number).ok());
    named.map_or_else(|| format!("signal {number}"), |signal| signal.to_string())
}

/// `1 sample`, `2 samples`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_people_read_them() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(10 << 20), "10.0 MiB");
        assert_eq!(change(-1536), "-1.5 KiB");
        assert_eq!(change(4096), "+4.0 KiB");
        for (nanos, text) in [
            (850_000, "850 µs"),
            (12_300_000, "12.3 ms"),
            (4_200_000_000, "4.2 s"),
            (552_000_000_000, "9 m 12 s"),
            (12_000_000_000_000, "3 h 20 m"),
        ] {
            assert_eq!(duration(nanos), text);
        }
        assert_eq!([signal(15), signal(40)], ["SIGTERM", "signal 40"]);
        assert_eq!(count(1, "sample") + &count(0, "sample"), "1 sample0 samples");
    }
}
