//! What the cells of a table say: times, and values with and without units.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::error::SeriesError;
use super::unit::ValueUnit;
use crate::text::short;

type Result<T> = std::result::Result<T, SeriesError>;

/// What stands in place of a value that is not known.
const GAPS: [&str; 9] = ["", "-", "--", "nan", "null", "none", "n/a", "na", "undefined"];

/// Times since 1970 of these many seconds or more are in a smaller unit: thousandths, millionths, …
const SMALLER_UNITS: [(f64, f64); 3] = [(1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3)];

const DAY: f64 = 86_400.0;

/// A number, and its unit if the cell has one of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct CellValue {
    pub number: f64,
    pub unit: Option<ValueUnit>,
}

/// How numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DecimalMark {
    Point,
    /// Where the comma does not separate columns, it may be the decimal mark.
    PointOrComma,
}

fn is_gap(text: &str) -> bool {
    GAPS.contains(&text) || GAPS.iter().any(|gap| gap.eq_ignore_ascii_case(text))
}

fn finite(text: &str, mark: DecimalMark) -> Option<f64> {
    let number = match text.parse::<f64>() {
        Err(_) if mark == DecimalMark::PointOrComma && !text.contains('.') => {
            text.replacen(',', ".", 1).parse().ok()?
        }
        number => number.ok()?,
    };
    number.is_finite().then_some(number)
}

/// Reads a value: `12.5`, `714.3MiB`, `714.3MiB / 7.76GiB`, which is of a limit; none if it is a gap.
pub(super) fn value(text: &str, mark: DecimalMark) -> Result<Option<CellValue>> {
    if is_gap(text) {
        return Ok(None);
    }
    if let Some(number) = finite(text, mark) {
        return Ok(Some(CellValue { number, unit: None }));
    }
    let used = text.split_once('/').map_or(text, |(used, _)| used).trim();
    let end = used.trim_end_matches(char::is_alphabetic);
    let unit = ValueUnit::of_size(&used[end.len()..]);
    match (finite(end.trim_end(), mark), unit) {
        (Some(number), Some(_)) => Ok(Some(CellValue { number, unit })),
        _ => Err(SeriesError::NotANumber(short(text))),
    }
}

/// Reads the times of a column, all in one form.
pub(super) struct TimeReader {
    mark: DecimalMark,
    /// How many seconds 1 is; the first number shows it if the heading does not.
    scale: Option<f64>,
    /// The last time of day, and the time of its midnight.
    clock: Option<(f64, f64)>,
}

impl TimeReader {
    pub(super) fn new(scale: Option<f64>, mark: DecimalMark) -> Self {
        Self { mark, scale, clock: None }
    }

    /// Reads a time, in seconds; none if there is none.
    pub(super) fn seconds(&mut self, text: &str) -> Result<Option<f64>> {
        if is_gap(text) {
            return Ok(None);
        }
        if let Some(number) = finite(text, self.mark) {
            let smaller = SMALLER_UNITS.iter().find(|(least, _)| number.abs() >= *least);
            let guess = || smaller.map_or(1.0, |(_, scale)| *scale);
            return Ok(Some(number * *self.scale.get_or_insert_with(guess)));
        }
        let time = date(text).or_else(|| Some(self.after_midnight(of_day(text)?)));
        time.map(Some).ok_or_else(|| SeriesError::NotATime(short(text)))
    }

    /// A time of day that is long before the last one is of the next day.
    fn after_midnight(&mut self, of_day: f64) -> f64 {
        let (last, midnight) = self.clock.unwrap_or((of_day, 0.0));
        let midnight = if of_day < last - DAY / 2.0 { midnight + DAY } else { midnight };
        self.clock = Some((of_day, midnight));
        midnight + of_day
    }
}

/// `2026-05-03T08:00:00+02:00`, `2026-05-03 08:00:00 UTC`, `2026/05/03 08:00:00.5`; without a zone it is taken
/// as UTC.
fn date(text: &str) -> Option<f64> {
    let text = text.trim_end_matches("UTC").trim_end().replace('/', "-");
    let time = text.parse::<Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        TimeZone::UTC.to_timestamp(civil).ok()
    })?;
    Some(time.as_nanosecond() as f64 / 1e9)
}

/// `08:00:01`, `08:00:01.5`, `08:00:01 PM`, in seconds. `08:00` may be hours or minutes, so it is none.
pub(super) fn of_day(text: &str) -> Option<f64> {
    let (time, afternoon) = match text.split_once(' ') {
        Some((time, "AM")) => (time, Some(false)),
        Some((time, "PM")) => (time, Some(true)),
        Some(_) => return None,
        None => (text, None),
    };
    let parts: Vec<f64> = time
        .split(':')
        .map(|part| part.parse().ok().filter(|part| (0.0..100.0).contains(part)))
        .collect::<Option<_>>()?;
    let [hours, minutes, seconds] = parts[..] else { return None };
    let hours = match afternoon {
        Some(afternoon) => hours % 12.0 + if afternoon { 12.0 } else { 0.0 },
        None => hours,
    };
    Some((hours * 60.0 + minutes) * 60.0 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_have_units_of_their_own_and_gaps_are_none() {
        let bytes = |text: &str| {
            let cell = value(text, DecimalMark::Point).unwrap()?;
            Some(cell.number * cell.unit.map_or(1.0, |unit| unit.factor))
        };
        for (text, wanted) in [
            ("12.5", 12.5),
            ("1e3", 1000.0),
            ("0.5MiB", 524_288.0),
            ("0.5 MiB / 7.76GiB", 524_288.0),
            ("512kB", 524_288.0),
            ("2g", 2_147_483_648.0),
            ("2Gi", 2_147_483_648.0),
            ("0B", 0.0),
        ] {
            assert_eq!(bytes(text), Some(wanted), "{text}");
        }
        for gap in ["", "NaN", "null", "-", "N/A", "None"] {
            assert_eq!(bytes(gap), None, "{gap}");
        }
        for text in ["many", "1.5 parsecs", "inf", "MiB", "1,5", "1/2"] {
            let error = value(text, DecimalMark::Point).unwrap_err().to_string();
            assert_eq!(error, format!("`{text}` is not a number"));
        }
        let comma = value("1,5", DecimalMark::PointOrComma).unwrap().unwrap();
        assert_eq!(comma, CellValue { number: 1.5, unit: None });
    }

    #[test]
    fn times_are_seconds_or_smaller_or_dates_or_times_of_day() {
        let time = |text: &str| {
            TimeReader::new(None, DecimalMark::Point)
                .seconds(text)
                .map_err(|error| error.to_string())
        };
        for text in [
            "1466074180",
            "1466074180000",
            "1466074180000000",
            "1466074180000000000",
            "2016-06-16T10:49:40Z",
            "2016-06-16T12:49:40.000+02:00",
            "2016-06-16 10:49:40",
            "2016-06-16 10:49:40 UTC",
            "2016/06/16 10:49:40",
        ] {
            assert_eq!(time(text), Ok(Some(1_466_074_180.0)), "{text}");
        }
        assert_eq!(time("01:00:01.5"), Ok(Some(3_601.5)));
        assert_eq!(time("12:00:01 AM"), Ok(Some(1.0)));
        assert_eq!(time("12:00:01 PM"), Ok(Some(43_201.0)));
        assert_eq!(time(""), Ok(None));
        assert!(time("03.05.2026 08:00").unwrap_err().contains("is not a time; a time is"));
    }

    #[test]
    fn midnight_is_followed_by_the_next_day() {
        let mut times = TimeReader::new(None, DecimalMark::Point);
        let mut read = |text: &str| times.seconds(text).unwrap().unwrap();
        let before = read("11:59:59 PM");
        assert_eq!(read("12:00:01 AM") - before, 2.0);
        assert_eq!(read("12:00:02 AM") - before, 3.0);
        assert_eq!(read("11:59:59 PM") - before, DAY);
        assert_eq!(read("12:00:00 AM") - before, DAY + 1.0);
    }

    #[test]
    fn the_first_number_of_a_column_says_what_all_are() {
        let mut elapsed = TimeReader::new(Some(1e-3), DecimalMark::Point);
        assert_eq!(elapsed.seconds("1500").unwrap(), Some(1.5));
        let mut seconds = TimeReader::new(None, DecimalMark::Point);
        assert_eq!(seconds.seconds("5").unwrap(), Some(5.0));
        assert_eq!(seconds.seconds("1e12").unwrap(), Some(1e12));
    }
}
