//! Series that other tools have written: tables with a time and a value, mprof's `.dat`, psrecord's log.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use seepmeter_analysis::Series;
use seepmeter_record::jsonl::{LONGEST_LINE, LineEnd, read_line};

use crate::foreign_points::PointBuffer;
use crate::text::short;

type Result<T> = std::result::Result<T, SeriesError>;

/// Which columns of a CSV file hold what.
#[derive(Clone, Debug)]
pub struct Columns {
    /// The column of the time, in seconds.
    pub time: String,
    /// The column of the value, in bytes.
    pub value: String,
}

/// Why a series of another tool can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeriesError {
    /// It is compressed.
    #[error("it is compressed; unpack it, and give it as a file or at standard input (`-`)")]
    Compressed,
    /// It is a table, and its columns are not named.
    #[error(
        "it looks like a table; name the columns of the time in seconds and of the value in bytes: --time COLUMN --value COLUMN; there are: {known}"
    )]
    UnnamedColumns {
        /// The columns that there are.
        known: String,
    },
    /// It has no column of this name.
    #[error("there is no column `{name}`; there are: {known}")]
    NoColumn {
        /// The name.
        name: String,
        /// The columns that there are.
        known: String,
    },
    /// It has no pair of a time and a value.
    #[error("it has no line with a time and a value")]
    NoPoints,
    /// A line can't be read.
    #[error("line {line}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// Why.
        source: Box<Self>,
    },
    /// A line has fewer numbers than it should.
    #[error("`{0}` lacks a number")]
    NumberMissing(String),
    /// What should be a number is none.
    #[error("`{0}` is not a number")]
    NotANumber(String),
    /// A time is out of range.
    #[error("the time {0:e} is out of range; it should be in seconds")]
    TimeOutOfRange(f64),
    /// A value is out of range.
    #[error("the value {0:e} is out of range; it should be in bytes")]
    ValueOutOfRange(f64),
    /// The lines are not in the order of their times, and too many to be sorted.
    #[error(
        "its time {time} is before {before}, the time of the line before it; sort the lines by their times"
    )]
    NotSorted {
        /// The time of the line.
        time: f64,
        /// The time of the line before it.
        before: f64,
    },
    /// It is longer than any line of its form.
    #[error("it is longer than {} MiB, which is the limit", .limit >> 20)]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The names of a table's columns are not UTF-8.
    #[error("it is not UTF-8; convert the table (iconv -t UTF-8)")]
    NotUtf8,
    /// A row has not as many columns as the first.
    #[error("it has {found} columns, and the first row has {expected}")]
    OtherColumns {
        /// Those of the first row.
        expected: u64,
        /// Those of this row.
        found: u64,
    },
}

impl SeriesError {
    fn at(self, line: u64) -> Self {
        Self::Line { line, source: Box::new(self) }
    }
}

/// As many bytes as tell a form from others, and a table's columns.
const PEEK: u64 = 4096;

/// What can stand between the columns of a table.
const DELIMITERS: [u8; 3] = *b",;\t";

/// The first bytes of what gzip(1) has written (RFC 1952), and zstd(1) (RFC 8878).
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// The longest row of a table, in bytes: a million columns are no series of a program's memory.
const LONGEST_ROW: usize = 1 << 20;

const MIB: f64 = 1024.0 * 1024.0;

/// A file whose form is not known yet. What was peeked at is read again by whoever reads it.
pub(crate) struct PeekedFile {
    first: Vec<u8>,
    all: Box<dyn Read>,
}

impl PeekedFile {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// What opening or the first read fails with.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut input: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin().lock())
        } else {
            Box::new(File::open(path)?)
        };
        let mut first = Vec::new();
        input.by_ref().take(PEEK).read_to_end(&mut first)?;
        Ok(Self { all: Box::new(io::Cursor::new(first.clone()).chain(input)), first })
    }

    /// Reads a series of resident memory in bytes, in bounded memory; none if it is of no form that is
    /// known, and so perhaps a recording.
    ///
    /// # Errors
    /// A file that can't be read, a line in it that is not what its form asks for, or a table whose
    /// columns are not named.
    pub(crate) fn series(&mut self, columns: Option<&Columns>) -> Result<Option<Series>> {
        let begins = |words: &[&str]| words.iter().any(|w| self.first.starts_with(w.as_bytes()));
        if self.first.starts_with(GZIP) || (columns.is_some() && self.first.starts_with(ZSTD)) {
            return Err(SeriesError::Compressed);
        }
        let points = match columns {
            Some(columns) => csv(&mut self.all, columns, delimiter(&self.first))?,
            None if begins(&["CMDLINE ", "MEM ", "FUNC ", "CHLD "]) => mprof(&mut self.all)?,
            None if begins(&["# Elapsed time"]) => psrecord(&mut self.all)?,
            None => match table(&self.first) {
                Some(known) => return Err(SeriesError::UnnamedColumns { known }),
                None => return Ok(None),
            },
        };
        points.series().map(Some)
    }
}

impl Read for PeekedFile {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.all.read(bytes)
    }
}

/// The first line, without the mark that some programs put before UTF-8.
fn first_line(first: &[u8]) -> &[u8] {
    let first = first.strip_prefix("\u{feff}".as_bytes()).unwrap_or(first);
    first.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default()
}

/// What stands between the columns: that which comes most often in the first line.
fn delimiter(first: &[u8]) -> u8 {
    let line = first_line(first);
    let often = |delimiter: u8| line.iter().filter(|byte| **byte == delimiter).count();
    // Of those that come equally often the last is taken, and that is the comma.
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| often(*delimiter)).unwrap_or(b',')
}

/// The names of a table's columns, where a file begins as a table does.
fn table(first: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(first_line(first)).ok()?;
    let names: Vec<&str> = line.split(char::from(delimiter(first))).map(str::trim).collect();
    let odd = |c: char| c.is_control() || matches!(c, '{' | '}' | '[' | ']' | ':');
    let named = names.iter().all(|name| !name.is_empty() && !name.contains(odd));
    (names.len() > 1 && named).then(|| names.join(", "))
}

fn csv(input: impl Read, columns: &Columns, delimiter: u8) -> Result<PointBuffer> {
    let row = Rc::new(Cell::new(0));
    let input = RowLimit { input, row: Rc::clone(&row) };
    let mut builder = csv::ReaderBuilder::new();
    let mut reader = builder.trim(csv::Trim::All).delimiter(delimiter).from_reader(input);
    let headers = reader.headers().map_err(|error| row_error(error, 1))?.clone();
    let place = |name: &str| {
        headers.iter().position(|header| header == name).ok_or_else(|| {
            let known = short_list(&headers);
            SeriesError::NoColumn { name: name.to_owned(), known }
        })
    };
    let (time, value) = (place(&columns.time)?, place(&columns.value)?);
    let mut points = PointBuffer::default();
    let mut record = csv::ByteRecord::new();
    let read = |reader: &mut csv::Reader<_>, record: &mut _| {
        row.set(0);
        let line = reader.position().line();
        reader.read_byte_record(record).map_err(|error| row_error(error, line))
    };
    while read(&mut reader, &mut record)? {
        let field =
            |at: usize| number(&String::from_utf8_lossy(record.get(at).unwrap_or_default()));
        let line = record.position().map_or(0, csv::Position::line);
        let pair = field(time).and_then(|time| Ok((time, field(value)?)));
        pair.and_then(|(time, value)| points.push(time, value)).map_err(|error| error.at(line))?;
    }
    Ok(points)
}

/// Counts what is read for one row, which may go over many lines between quotes, and fails beyond the
/// limit.
struct RowLimit<R> {
    input: R,
    row: Rc<Cell<usize>>,
}

impl<R: Read> Read for RowLimit<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.row.get() > LONGEST_ROW {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = self.input.read(bytes)?;
        self.row.set(self.row.get() + read);
        Ok(read)
    }
}

fn row_error(error: csv::Error, line: u64) -> SeriesError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            SeriesError::TooLong { limit: LONGEST_ROW }.at(line)
        }
        csv::ErrorKind::Io(error) => error.into(),
        csv::ErrorKind::Utf8 { .. } => SeriesError::NotUtf8.at(line),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            SeriesError::OtherColumns { expected: expected_len, found: len }.at(line)
        }
        other => io::Error::other(format!("{other:?}")).into(),
    }
}

/// The first names of many.
fn short_list(names: &csv::StringRecord) -> String {
    const MOST: usize = 64;
    let more = names.len().saturating_sub(MOST);
    let named = names.iter().take(MOST).map(short).collect::<Vec<_>>().join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

/// `MEM 12.5 1700000000.1234`: MiB, seconds since 1970. Other lines are on functions and children.
fn mprof(input: impl Read) -> Result<PointBuffer> {
    lines(input, |text| {
        if !text.starts_with("MEM ") {
            return Ok(None);
        }
        let mut fields = text.split_whitespace().skip(1);
        let (Some(mib), Some(time)) = (fields.next(), fields.next()) else {
            return Err(SeriesError::NumberMissing(short(text)));
        };
        let mib = number(mib)?;
        Ok(Some((number(time)?, mib * MIB)))
    })
}

/// `   1.234    0.000   12.500   230.125`: seconds, CPU %, MiB resident, MiB virtual.
fn psrecord(input: impl Read) -> Result<PointBuffer> {
    lines(input, |text| {
        if text.starts_with('#') || text.trim().is_empty() {
            return Ok(None);
        }
        let mut fields = text.split_whitespace();
        let (Some(time), Some(mib)) = (fields.next(), fields.nth(1)) else {
            return Err(SeriesError::NumberMissing(short(text)));
        };
        let mib = number(mib)?;
        Ok(Some((number(time)?, mib * MIB)))
    })
}

/// Takes a time in seconds and a value in bytes from each line that has them.
fn lines(
    input: impl Read,
    mut pair: impl FnMut(&str) -> Result<Option<(f64, f64)>>,
) -> Result<PointBuffer> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let mut points = PointBuffer::default();
    let mut bytes = Vec::new();
    for line in 1_u64.. {
        match read_line(&mut input, &mut bytes, LONGEST_LINE)? {
            LineEnd::Nothing => break,
            LineEnd::TooLong => return Err(SeriesError::TooLong { limit: LONGEST_LINE }.at(line)),
            LineEnd::Newline | LineEnd::EndOfFile => {}
        }
        // A name that is not UTF-8 does no harm; a number that is none is an error.
        let text = String::from_utf8_lossy(&bytes);
        let pair = pair(text.trim_end_matches(['\n', '\r']));
        let pushed = pair.and_then(|pair| match pair {
            Some((time, value)) => points.push(time, value),
            None => Ok(()),
        });
        pushed.map_err(|error| error.at(line))?;
    }
    Ok(points)
}

fn number(text: &str) -> Result<f64> {
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(SeriesError::NotANumber(short(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(name: &str, text: &str, columns: Option<&Columns>) -> Result<Option<Series>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        PeekedFile::open(&path)?.series(columns)
    }

    /// An error and what it comes from, as the command prints it.
    fn chain(error: &dyn std::error::Error) -> String {
        let source = error.source().map_or(String::new(), |source| format!(": {}", chain(source)));
        format!("{error}{source}")
    }

    #[test]
    fn mprofs_and_psrecords_files_are_known_by_their_first_line() {
        let mprof =
            "CMDLINE python x.py\nMEM 1.5 1700000000.5000\nFUNC f 1 2\nMEM 2.5 1700000001.5000\n";
        let series = read_text("a.dat", mprof, None).unwrap().unwrap();
        assert_eq!(series.points(), [(0, 3 << 19), (1_000_000_000, 5 << 19)]);
        let psrecord = "# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)\n       0.000        0.000        1.000        9.0\n       2.000        0.000        2.000        9.0\n";
        let series = read_text("a.log", psrecord, None).unwrap().unwrap();
        assert_eq!(series.points(), [(0, 1 << 20), (2_000_000_000, 2 << 20)]);
    }

    #[test]
    fn a_table_is_read_by_the_names_of_its_columns() {
        let columns = Columns { time: "t".into(), value: "rss".into() };
        let series = read_text("a.csv", "t,cpu,rss\n10,0,100\n11,0,200\n", Some(&columns));
        assert_eq!(series.unwrap().unwrap().points(), [(0, 100), (1_000_000_000, 200)]);
        let error = read_text("a.csv", "time,rss\n1,2\n", Some(&columns)).unwrap_err();
        assert_eq!(error.to_string(), "there is no column `t`; there are: time, rss");
        let error = read_text("a.csv", "t,rss\n1,2\n2,many\n", Some(&columns)).unwrap_err();
        assert_eq!(chain(&error), "line 3: `many` is not a number");
    }

    #[test]
    fn a_table_may_have_semicolons_or_tabs_and_a_mark_of_utf8() {
        let columns = Columns { time: "t".into(), value: "rss".into() };
        for text in ["t;rss\n1;5\n2;6\n", "t\trss\n1\t5\n2\t6\n", "\u{feff}t,rss\n1,5\n2,6\n"] {
            let series = read_text("a.csv", text, Some(&columns)).unwrap().unwrap();
            assert_eq!(series.points(), [(0, 5), (1_000_000_000, 6)], "{text:?}");
        }
    }

    #[test]
    fn a_table_whose_columns_are_not_named_names_them() {
        for text in ["t,rss bytes\n1,2\n", "\u{feff}t;rss bytes\r\n1;2\r\n"] {
            let error = read_text("a.csv", text, None).unwrap_err().to_string();
            assert!(
                error.ends_with("--time COLUMN --value COLUMN; there are: t, rss bytes"),
                "{error}"
            );
        }
        for text in ["{\"header\":{\"format\":1,\"x\":2}}\n", "no table at all\n", "", "\0\0,\0"] {
            assert!(read_text("a", text, None).unwrap().is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_broken_line_is_named_by_its_number() {
        let error = read_text("a.dat", "MEM 1 2\nMEM x 3\n", None).unwrap_err();
        assert_eq!(chain(&error), "line 2: `x` is not a number");
        let error = read_text("a.dat", "MEM 1 2\nMEM 1e300 3\n", None).unwrap_err();
        assert!(chain(&error).starts_with("line 2: the value 1"), "{error}");
    }
}
