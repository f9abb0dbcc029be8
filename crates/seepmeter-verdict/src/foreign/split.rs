//! From the lines of a table to its fields.

use std::borrow::Cow;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use serde_json::Value;

use super::cell::of_day;
use super::error::SeriesError;
use crate::text::short;

type Result<T> = std::result::Result<T, SeriesError>;

/// What can stand between the columns of a table.
const DELIMITERS: [u8; 3] = *b",;\t";

/// What stands between the columns, and so how a line is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Separator {
    /// A byte, with quotes as in RFC 4180.
    Byte(u8),
    /// Any number of blanks. The last column may have blanks itself.
    Blanks,
    /// Each line is a JSON object. A column is a path of keys: `totals.rss`.
    Json,
    /// Each line begins with a word that says what it is: `MEM 12.5 1700000000.1`, MiB and seconds;
    /// `CHLD 0 12.5 1700000000.1` of the first child.
    Mprof,
}

/// The fields of a row, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Fields {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Fields {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// A field without the blanks around it; none is empty. A name that is not UTF-8 does no harm.
    pub(super) fn get(&self, place: usize) -> Cow<'_, str> {
        let end = self.ends.get(place).copied().unwrap_or(self.text.len());
        let start = match place {
            0 => 0,
            _ => self.ends.get(place - 1).copied().unwrap_or(end),
        };
        String::from_utf8_lossy(self.text[start..end].trim_ascii())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Cow<'_, str>> {
        (0..self.len()).map(|place| self.get(place))
    }

    fn push(&mut self, field: &str) {
        self.text.extend_from_slice(field.as_bytes());
        self.ends.push(self.text.len());
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineKind {
    Row,
    /// It goes on in the next line, between quotes.
    Open,
    /// It has no values: blank, or of no interest.
    Other,
}

/// Splits lines.
pub(super) struct Splitter {
    separator: Separator,
    quotes: Reader,
    /// How much of the fields' memory is used by a row that is open.
    open: Option<(usize, usize)>,
    /// The paths of JSON columns, or as many columns as there are: beyond them blanks separate nothing.
    headings: Vec<String>,
}

impl Splitter {
    pub(super) fn new(separator: Separator, headings: &[String]) -> Self {
        let mut builder = ReaderBuilder::new();
        if let Separator::Byte(byte) = separator {
            builder.delimiter(byte);
        }
        Self { separator, quotes: builder.build(), open: None, headings: headings.to_vec() }
    }

    /// Splits a line, which has no newline.
    pub(super) fn split(&mut self, line: &[u8], fields: &mut Fields) -> Result<LineKind> {
        if self.open.is_none() {
            fields.clear();
            if line.trim_ascii().is_empty() || line.starts_with(b"#") {
                return Ok(LineKind::Other);
            }
        }
        match self.separator {
            Separator::Byte(_) => Ok(self.split_quoted(line, fields)),
            Separator::Blanks => {
                split_blanks(&String::from_utf8_lossy(line), self.headings.len(), fields);
                Ok(LineKind::Row)
            }
            Separator::Json => self.split_json(line, fields),
            Separator::Mprof => split_mprof(&String::from_utf8_lossy(line), fields),
        }
    }

    fn split_quoted(&mut self, line: &[u8], fields: &mut Fields) -> LineKind {
        let (mut text, mut ends) = self.open.take().unwrap_or_default();
        let mut rest = line;
        let mut newline: &[u8] = b"\n";
        loop {
            fields.text.resize(fields.text.len().max(text + rest.len() + 2), 0);
            fields.ends.resize(fields.ends.len().max(ends + 16), 0);
            let (result, read, written, ended) =
                self.quotes.read_record(rest, &mut fields.text[text..], &mut fields.ends[ends..]);
            rest = &rest[read..];
            text += written;
            ends += ended;
            match result {
                ReadRecordResult::InputEmpty if newline.is_empty() => {
                    self.open = Some((text, ends));
                    return LineKind::Open;
                }
                ReadRecordResult::InputEmpty => rest = std::mem::take(&mut newline),
                ReadRecordResult::OutputFull => fields.text.push(0),
                ReadRecordResult::OutputEndsFull => fields.ends.push(0),
                ReadRecordResult::Record | ReadRecordResult::End => break,
            }
        }
        fields.text.truncate(text);
        fields.ends.truncate(ends);
        LineKind::Row
    }

    fn split_json(&self, line: &[u8], fields: &mut Fields) -> Result<LineKind> {
        let Ok(object @ Value::Object(_)) = serde_json::from_slice(line) else {
            return Err(SeriesError::NotAnObject);
        };
        for path in &self.headings {
            let nested = || path.split('.').try_fold(&object, |value, key| value.get(key));
            match object.get(path).or_else(nested) {
                Some(Value::String(text)) => fields.push(text),
                Some(value) if !value.is_null() => fields.push(&value.to_string()),
                _ => fields.push(""),
            }
        }
        Ok(LineKind::Row)
    }
}

fn split_blanks(line: &str, most: usize, fields: &mut Fields) {
    let mut rest = line.trim();
    while !rest.is_empty() {
        let last = fields.len() + 1 == most;
        let mut end = if last { rest.len() } else { end_of_word(rest) };
        // sysstat writes `08:00:01 PM`.
        let next = rest[end..].trim_start();
        let next = &next[..end_of_word(next)];
        if fields.len() == 0 && ["AM", "PM"].contains(&next) {
            end = rest.len() - rest[end..].trim_start().len() + next.len();
        }
        fields.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
}

fn end_of_word(text: &str) -> usize {
    text.find(char::is_whitespace).unwrap_or(text.len())
}

fn split_mprof(line: &str, fields: &mut Fields) -> Result<LineKind> {
    let mut words = line.split_whitespace();
    let process = match words.next() {
        Some("MEM") => "main".to_owned(),
        Some("CHLD") => format!("child {}", words.next().unwrap_or_default()),
        _ => return Ok(LineKind::Other),
    };
    let (Some(mib), Some(time)) = (words.next(), words.next()) else {
        return Err(SeriesError::NumberMissing(short(line)));
    };
    [&process, mib, time].into_iter().for_each(|field| fields.push(field));
    Ok(LineKind::Row)
}

/// The headings that a line may have, and how it is split then. `next` is the line behind it.
pub(super) fn headings(line: &str, next: &str) -> Vec<(Separator, Vec<String>)> {
    if line.starts_with('{') {
        let object = serde_json::from_str(line).unwrap_or(Value::Null);
        let mut paths = Vec::new();
        leaves(&object, "", &mut paths);
        return vec![(Separator::Json, paths)];
    }
    let line = line.trim_start_matches('#').trim();
    let mut ways = delimited(line, next);
    // Of psrecord's and sysstat's headings some have a blank, and at least two stand between them.
    let wide: Vec<String> = line
        .split("  ")
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    let mut single = Fields::default();
    split_blanks(line, usize::MAX, &mut single);
    let mut row = Fields::default();
    split_blanks(next, usize::MAX, &mut row);
    let single = single.iter().map(Cow::into_owned).collect();
    let mut blanks = if wide.len() == row.len() { [wide, single] } else { [single, wide] };
    for names in &mut blanks {
        // pidstat without -h has a time of day in place of a heading.
        if let Some(first) = names.first_mut().filter(|first| of_day(first).is_some()) {
            *first = "Time".to_owned();
        }
    }
    ways.extend(blanks.map(|names| (Separator::Blanks, names)));
    ways
}

/// The ways to split a line at delimiters: first those that split the row behind it into as many fields, as
/// labels may have other delimiters than the table; then that of most fields.
fn delimited(line: &str, next: &str) -> Vec<(Separator, Vec<String>)> {
    let split = |separator: Separator, line: &str| {
        let mut fields = Fields::default();
        let kind = Splitter::new(separator, &[]).split_quoted(line.as_bytes(), &mut fields);
        match kind {
            LineKind::Row => fields.iter().map(Cow::into_owned).collect(),
            LineKind::Open | LineKind::Other => Vec::<String>::new(),
        }
    };
    let way = |delimiter| {
        let separator = Separator::Byte(delimiter);
        (separator, split(separator, line))
    };
    let mut ways: Vec<_> =
        DELIMITERS.map(way).into_iter().filter(|(_, names)| names.len() > 1).collect();
    ways.sort_by_key(|(separator, names)| {
        let same = split(*separator, next).len() == names.len();
        (!same, std::cmp::Reverse(names.len()))
    });
    ways
}

/// The paths of all that is neither an object nor an array.
fn leaves(value: &Value, path: &str, paths: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(value, &path, paths);
            }
        }
        Value::Array(_) => {}
        _ if path.is_empty() => {}
        _ => paths.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(separator: Separator, headings: &[&str], lines: &[&str]) -> Vec<Vec<String>> {
        let headings: Vec<String> = headings.iter().map(|name| (*name).to_owned()).collect();
        let mut splitter = Splitter::new(separator, &headings);
        let mut fields = Fields::default();
        let row = |line: &&str| {
            let kind = splitter.split(line.as_bytes(), &mut fields).unwrap();
            (kind == LineKind::Row).then(|| fields.iter().map(Cow::into_owned).collect())
        };
        lines.iter().filter_map(row).collect()
    }

    #[test]
    fn quotes_hold_delimiters_and_newlines() {
        let lines = ["a,\"b, \"\"c\"\"\",", "\"d", "e\" ,f\r", "", "# no row", "1,2"];
        let wanted = [vec!["a", "b, \"c\"", ""], vec!["d\ne", "f"], vec!["1", "2"]];
        assert_eq!(rows(Separator::Byte(b','), &[], &lines), wanted);
        let many = (0..100).map(|i| i.to_string()).collect::<Vec<_>>().join(";");
        assert_eq!(rows(Separator::Byte(b';'), &[], &[&many])[0].len(), 100);
    }

    #[test]
    fn the_last_of_blank_separated_columns_may_have_blanks() {
        let lines = ["  08:00:01 PM   7   some  command here ", "08:00:02 9 x"];
        let wanted = [vec!["08:00:01 PM", "7", "some  command here"], vec!["08:00:02", "9", "x"]];
        assert_eq!(rows(Separator::Blanks, &["Time", "PID", "Command"], &lines), wanted);
    }

    #[test]
    fn json_columns_are_paths() {
        let line = r#"{"t":"2026-05-03","totals":{"rss":5},"x":null,"list":[1]}"#;
        let (separator, names) = headings(line, "").remove(0);
        assert_eq!(
            (separator, &names[..]),
            (Separator::Json, &["t", "totals.rss", "x"].map(str::to_owned)[..])
        );
        assert_eq!(
            rows(separator, &["totals.rss", "x", "y", "t"], &[line]),
            [["5", "", "", "2026-05-03"]]
        );
    }

    #[test]
    fn headings_with_blanks_are_told_by_the_row_behind_them() {
        let psrecord = "# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)";
        let first = |line: &str, next: &str| headings(line, next).remove(0).1;
        assert_eq!(first(psrecord, " 0.0 0.0 1.0 9.0")[..2], ["Elapsed time", "CPU (%)"]);
        let labels = "Time;{a=\"x\", b=\"y\", c=\"z\"}";
        assert_eq!(first(labels, "1466074180;5")[0], "Time");
        assert_eq!(first("\"t\",\"a; b; c; d\"", "1,2")[1], "a; b; c; d");
        assert_eq!(first("  PID   RSS COMMAND", "   7  100 a b")[..], ["PID", "RSS", "COMMAND"]);
        assert_eq!(
            first("06:25:01 PM  UID   PID", "06:25:02 PM  0   1")[..],
            ["Time", "UID", "PID"]
        );
    }
}
