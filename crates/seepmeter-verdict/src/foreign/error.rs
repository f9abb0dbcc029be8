//! Why a series of another tool can't be read.

use std::io;

use seepmeter_record::human;

use super::tools;

/// Why a series of another tool can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeriesError {
    /// It is compressed.
    #[error("it is compressed; unpack it, and give it as a file or at standard input (`-`)")]
    Compressed,
    /// It is a database.
    #[error(
        "it is an SQLite database; export its rows as a table, for instance of Procpath: sqlite3 -header -csv FILE 'SELECT ts, stat_pid, stat_comm, stat_rss FROM record' > table.csv"
    )]
    Database,
    /// It is a table of an unknown tool, and its columns are not named.
    #[error(
        "it looks like a table, of no tool that is known by its headings ({}); name the columns of the time and of the value: --time COLUMN --value COLUMN; there are: {known}",
        tools::names()
    )]
    UnnamedColumns {
        /// The columns that there are.
        known: String,
    },
    /// It is a table whose first line is not one of headings.
    #[error(
        "its first line has no headings; put them before it, as in (echo time,rss; cat FILE) | seepmeter judge --time time --value rss -"
    )]
    NoHeadings,
    /// It is no table.
    #[error("it is no table; --time, --value, --unit and --where are for tables")]
    NoTable,
    /// It has no column of this name.
    #[error("there is no column `{name}`; there are: {known}")]
    NoColumn {
        /// The name.
        name: String,
        /// The columns that there are.
        known: String,
    },
    /// It has several columns of this name.
    #[error("there are several columns `{name}`; give them different names")]
    SameName {
        /// The name.
        name: String,
    },
    /// It has no column of this metric.
    #[error("it has no metric `{metric}`, but {known}; leave out --metric for the first of these")]
    NoSuchMetric {
        /// The metric that was asked for.
        metric: String,
        /// Those that there are.
        known: String,
    },
    /// It has no pair of a time and a value.
    #[error("it has no line with a time and a value")]
    NoPoints,
    /// The unit of a column is not known, and it can't be bytes.
    #[error(
        "no value of `{column}` is above {}, so they are hardly bytes; name their unit: --unit MiB (or B, kB, MB, GB, GiB, pages, count)",
        human::figures(*.largest)
    )]
    NoUnit {
        /// The column.
        column: String,
        /// Its largest value.
        largest: f64,
    },
    /// Most times come several times.
    #[error(
        "it has several rows of one time, as if of several processes; choose those of one: --where COLUMN=VALUE; the columns are: {known} (if all are of one process, give a table of the time and the value alone)"
    )]
    SeveralRows {
        /// The columns that there are.
        known: String,
    },
    /// It is of too many processes.
    #[error(
        "it has more than {most} different values of `{column}`, each a series of its own; choose some: --where {column}=VALUE"
    )]
    ManyKeys {
        /// The column that tells them apart.
        column: String,
        /// The limit.
        most: usize,
    },
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
    /// What should be a whole number is none.
    #[error(
        "`{0}` is not a whole number, and a count is; if it is memory, name its unit: --unit MiB"
    )]
    Fraction(f64),
    /// What should be a time is none.
    #[error(
        "`{0}` is not a time; a time is a number of seconds (ms, µs and ns are known by the heading or as times since 1970), 2026-05-03T08:00:00Z, 2026-05-03 08:00:00 or 08:00:00"
    )]
    NotATime(String),
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
    #[error("it is longer than {} KiB, which is the limit", .limit >> 10)]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The names of a table's columns are not UTF-8.
    #[error("it is not UTF-8; convert the table (iconv -f UTF-16 -t UTF-8, if it is from Windows)")]
    NotUtf8,
    /// A line is no JSON object.
    #[error("it is not a JSON object as the first line is")]
    NotAnObject,
    /// A row has not as many columns as the first.
    #[error("it has {found} columns, and the first row has {expected}")]
    OtherColumns {
        /// Those of the first row.
        expected: usize,
        /// Those of this row.
        found: usize,
    },
}

impl SeriesError {
    pub(super) fn at(self, line: u64) -> Self {
        Self::Line { line, source: Box::new(self) }
    }
}
