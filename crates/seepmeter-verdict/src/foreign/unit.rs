//! Units of values and of times, as they are named by users and in the headings of tables.

use std::fmt;
use std::str::FromStr;

use seepmeter_record::Unit;

/// What one of a column's values is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueUnit {
    /// What the integers of its series count.
    pub(super) unit: Unit,
    /// How many of these one of the values is.
    pub(super) factor: f64,
}

/// The words for a number of bytes. `kB` is 1024 bytes, as ps(1) and the kernel write it; `MB` and `GB` are
/// decimal, as in gates.
const BYTE_WORDS: [(&[&str], f64); 9] = [
    (&["b", "byte", "bytes"], 1.0),
    (&["kb", "kib", "ki", "k", "kbyte", "kbytes", "kilobytes"], 1024.0),
    (&["mib", "mi", "m"], 1_048_576.0),
    (&["gib", "gi", "g"], 1_073_741_824.0),
    (&["tib", "ti", "t"], 1_099_511_627_776.0),
    (&["mb", "mbyte", "mbytes", "megabytes"], 1e6),
    (&["gb", "gbyte", "gbytes", "gigabytes"], 1e9),
    (&["tb", "tbyte", "tbytes", "terabytes"], 1e12),
    (&["pages", "page"], PAGE),
];

/// The size of a page, in bytes, on most machines.
const PAGE: f64 = 4096.0;

/// The words for a time, in seconds.
const TIME_WORDS: [(&[&str], f64); 6] = [
    (&["ns", "nanos", "nanoseconds"], 1e-9),
    (&["us", "µs", "usec", "micros", "microseconds"], 1e-6),
    (&["ms", "msec", "millis", "milliseconds"], 1e-3),
    (&["s", "sec", "secs", "seconds"], 1.0),
    (&["min", "mins", "minutes"], 60.0),
    (&["h", "hours"], 3_600.0),
];

fn factor(words: &[(&[&str], f64)], word: &str) -> Option<f64> {
    let word = word.to_lowercase();
    words.iter().find(|(words, _)| words.contains(&&*word)).map(|(_, factor)| *factor)
}

impl ValueUnit {
    pub(super) const BYTES: Self = Self { unit: Unit::Bytes, factor: 1.0 };
    pub(super) const KIB: Self = Self { unit: Unit::Bytes, factor: 1024.0 };
    pub(super) const MIB: Self = Self { unit: Unit::Bytes, factor: 1_048_576.0 };
    pub(super) const PAGES: Self = Self { unit: Unit::Bytes, factor: PAGE };

    /// What a whole number of a unit is.
    pub(super) fn of(unit: Unit) -> Self {
        Self { unit, factor: 1.0 }
    }

    /// The unit of a number that has one: `MiB` of `714.3MiB`.
    pub(super) fn of_size(word: &str) -> Option<Self> {
        Some(Self { unit: Unit::Bytes, factor: factor(&BYTE_WORDS, word)? })
    }

    /// What a heading says of its values: `mem_gb`, `RSS (MB)`, `rss[KiB]`, `memMB`, `kbmemused`.
    pub(super) fn of_heading(heading: &str) -> Option<Self> {
        let words: Vec<&str> = words(heading).collect();
        // A single letter at the end is more often a name than a unit: `phase_b`, `plan_m`.
        let of_word = |word: &&&str| word.len() > 1 && words.len() > 1;
        let last = words.last().filter(of_word).and_then(|word| Self::of_size(word));
        last.or_else(|| camel_case_word(heading, Self::of_size)).or_else(|| {
            let sar = heading.strip_prefix("kb")?;
            (sar.len() > 2 && sar.bytes().all(|byte| byte.is_ascii_lowercase()))
                .then_some(Self::KIB)
        })
    }

    /// True if the same word is also used for another number of bytes.
    pub(super) fn is_ambiguous(self) -> bool {
        [1e6, 1e9, 1e12].contains(&self.factor)
    }
}

impl fmt::Display for ValueUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = BYTE_WORDS.iter().find(|(_, factor)| *factor == self.factor);
        match (self.unit, known) {
            (Unit::Bytes, Some((words, _))) => f.write_str(&words[0].to_uppercase()),
            (unit, _) => unit.fmt(f),
        }
    }
}

impl FromStr for ValueUnit {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let unit = match word {
            "count" => Some(Self::of(Unit::Count)),
            "ns" => Some(Self::of(Unit::Nanoseconds)),
            word => Self::of_size(word),
        };
        let wanted = "B, kB or KiB (1024 bytes both), MB, MiB, GB, GiB, TB, TiB, pages (of 4096 bytes), count";
        unit.ok_or_else(|| format!("`{word}` is no unit; there are: {wanted}"))
    }
}

/// How many seconds one of a time column's numbers is, if its heading says so.
pub(super) fn seconds_of_heading(heading: &str) -> Option<f64> {
    let seconds = |word: &str| factor(&TIME_WORDS, word);
    let last = words(heading).skip(1).last().and_then(seconds);
    last.or_else(|| camel_case_word(heading, seconds))
}

fn words(heading: &str) -> impl Iterator<Item = &str> {
    heading.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// The word that begins with a capital within a heading: `MB` of `memMB`, `Ms` of `timeMs`.
fn camel_case_word<T>(heading: &str, of_word: impl Fn(&str) -> Option<T>) -> Option<T> {
    let pairs = heading.char_indices().zip(heading.chars().skip(1));
    let begins = pairs.filter(|((_, before), first)| before.is_lowercase() && first.is_uppercase());
    let words = begins.map(|((at, before), _)| &heading[at + before.len_utf8()..]);
    words.filter(|word| word.len() > 1).find_map(of_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_say_what_their_values_are() {
        let cases = [
            ("mem_gb", Some(1e9)),
            ("rss_kb", Some(1024.0)),
            ("Memory (MB)", Some(1e6)),
            ("rss[KiB]", Some(1024.0)),
            ("memMB", Some(1e6)),
            ("rssKiB", Some(1024.0)),
            ("kbmemused", Some(1024.0)),
            ("working.set.bytes", Some(1.0)),
            ("rss_pages", Some(4096.0)),
            ("rss", None),
            ("mb", None),
            ("phase_b", None),
            ("{job=\"web\"}", None),
            ("kbd", None),
            ("Größe", None),
            ("", None),
        ];
        for (heading, factor) in cases {
            assert_eq!(ValueUnit::of_heading(heading).map(|unit| unit.factor), factor, "{heading}");
        }
        for (heading, seconds) in [
            ("t", None),
            ("time_ms", Some(1e-3)),
            ("Time (s)", Some(1.0)),
            ("elapsedMs", Some(1e-3)),
            ("ms", None),
        ] {
            assert_eq!(seconds_of_heading(heading), seconds, "{heading}");
        }
    }

    #[test]
    fn a_unit_is_named_as_people_write_it() {
        for (word, factor) in
            [("MiB", 1_048_576.0), ("GB", 1e9), ("kB", 1024.0), ("pages", 4096.0), ("B", 1.0)]
        {
            assert_eq!(word.parse::<ValueUnit>().unwrap().factor, factor, "{word}");
        }
        assert_eq!("count".parse::<ValueUnit>().unwrap().unit, Unit::Count);
        assert!(
            "parsecs".parse::<ValueUnit>().unwrap_err().contains("is no unit; there are: B, kB")
        );
    }
}
