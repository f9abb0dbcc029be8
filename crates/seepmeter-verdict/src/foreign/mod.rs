//! Series that other tools have written, and tables.
//!
//! [`form`] recognises a tool by the first lines of its file, and describes its table: what separates the
//! columns, and which of them is the time, a value, or tells processes apart. [`tools`] has what is known of
//! each tool, as data. [`reader`] reads all of them.

mod cell;
mod error;
mod form;
mod points;
mod reader;
mod split;
mod tools;
mod unit;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

pub use error::SeriesError;
use form::TableForm;
pub(crate) use reader::{ForeignSeries, ForeignTable};
pub(crate) use tools::names as known_tools;
pub use unit::ValueUnit;

type Result<T> = std::result::Result<T, SeriesError>;

/// What to read of a table.
#[derive(Clone, Debug, Default)]
pub struct TableOptions {
    /// The column of the time.
    pub time: Option<String>,
    /// The column of the value.
    pub value: Option<String>,
    /// What the values are, if their heading does not say it, or says it wrong.
    pub unit: Option<ValueUnit>,
    /// Which rows to read.
    pub rows: Vec<RowFilter>,
}

/// The rows that have this value in this column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFilter {
    /// The column.
    pub column: String,
    /// The value.
    pub value: String,
}

impl FromStr for RowFilter {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.split_once('=') {
            Some((column, value)) if !column.is_empty() => {
                Ok(Self { column: column.to_owned(), value: value.to_owned() })
            }
            _ => Err("rows are chosen by COLUMN=VALUE, such as pid=11".to_owned()),
        }
    }
}

/// As many bytes as tell a form from others, and a table's columns.
const PEEK: u64 = 1 << 16;

/// The first bytes of what gzip(1) has written (RFC 1952), and zstd(1) (RFC 8878).
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// The first bytes of an SQLite database.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// What some programs put before UTF-8 and UTF-16.
const UTF8_MARK: &[u8] = "\u{feff}".as_bytes();
const UTF16_MARKS: [&[u8]; 2] = [&[0xff, 0xfe], &[0xfe, 0xff]];

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
            Box::new(seepmeter_record::standard_input())
        } else {
            Box::new(File::open(path)?)
        };
        let mut first = Vec::new();
        input.by_ref().take(PEEK).read_to_end(&mut first)?;
        Ok(Self { all: Box::new(io::Cursor::new(first.clone()).chain(input)), first })
    }

    /// Reads the series of these metrics, in bounded memory; none if it is of no form that is known, and so
    /// perhaps a recording.
    ///
    /// # Errors
    /// A file that can't be read, a line in it that is not what its form asks for, or a table whose
    /// columns are not named.
    pub(crate) fn table(
        &mut self,
        options: &TableOptions,
        metrics: &[String],
    ) -> Result<Option<ForeignTable>> {
        let begins = |with: &[u8]| self.first.starts_with(with);
        let named = options.time.is_some();
        if begins(GZIP) || (named && begins(ZSTD)) {
            return Err(SeriesError::Compressed);
        }
        if begins(SQLITE) {
            return Err(SeriesError::Database);
        }
        if UTF16_MARKS.into_iter().any(begins) {
            return Err(SeriesError::NotUtf8.at(1));
        }
        let form = TableForm::recognise(&self.first_lines(named)?, options, metrics)?;
        if form.is_none() && (options.unit.is_some() || !options.rows.is_empty()) {
            return Err(SeriesError::NoTable);
        }
        form.map(|form| reader::read(&mut self.all, &form)).transpose()
    }

    /// The lines that were peeked at, without one that goes on beyond. If a table is asked for, they must be
    /// text.
    fn first_lines(&self, asked: bool) -> Result<Vec<String>> {
        let first = self.first.strip_prefix(UTF8_MARK).unwrap_or(&self.first);
        let whole = match first.iter().rposition(|byte| *byte == b'\n') {
            Some(last) if self.first.len() as u64 == PEEK => &first[..last],
            None if self.first.len() as u64 == PEEK => {
                let error = SeriesError::TooLong { limit: self.first.len() }.at(1);
                return if asked { Err(error) } else { Ok(Vec::new()) };
            }
            _ => first,
        };
        let mut lines = Vec::new();
        for (at, line) in (1..).zip(whole.split(|byte| *byte == b'\n').take(form::MOST_LINES)) {
            match std::str::from_utf8(line) {
                Ok(line) => lines.push(line.trim_end_matches('\r').to_owned()),
                Err(_) if at == 1 && asked => return Err(SeriesError::NotUtf8.at(at)),
                // Only headings must be UTF-8.
                Err(_) => lines.push(String::from_utf8_lossy(line).into_owned()),
            }
        }
        Ok(lines)
    }
}

impl Read for PeekedFile {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.all.read(bytes)
    }
}

#[cfg(test)]
mod tests;
