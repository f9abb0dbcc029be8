//! Other people's series: tables with a time and a value, mprof's `.dat`, psrecord's log.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use seepmeter_analysis::Series;

/// Which columns of a CSV file hold what.
#[derive(Clone, Debug)]
pub struct Columns {
    /// The column of the time, in seconds.
    pub time: String,
    /// The column of the value, in bytes.
    pub value: String,
}

/// As many bytes as tell a form from others.
const PEEK: u64 = 64;

/// A file whose form is not known yet. What was peeked at is read again by whoever reads it.
pub struct Input {
    first: Vec<u8>,
    all: Box<dyn Read>,
}

impl Input {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// What opening or the first read fails with.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut input: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin().lock())
        } else {
            Box::new(File::open(path)?)
        };
        let mut first = Vec::new();
        input.by_ref().take(PEEK).read_to_end(&mut first)?;
        Ok(Self { all: Box::new(io::Cursor::new(first.clone()).chain(input)), first })
    }

    /// Reads a series of resident memory in bytes from somebody else's file. `None` where it is of no
    /// form that is known, and so perhaps a recording.
    ///
    /// # Errors
    /// A file that can't be read, or a line in it that is not what its form asks for.
    pub fn series(&mut self, columns: Option<&Columns>) -> Result<Option<Series>> {
        let begins = |words: &[&str]| words.iter().any(|w| self.first.starts_with(w.as_bytes()));
        let parse = match columns {
            Some(columns) => return csv(&mut self.all, columns).map(Some),
            None if begins(&["CMDLINE ", "MEM ", "FUNC ", "CHLD "]) => mprof,
            None if begins(&["# Elapsed time"]) => psrecord,
            None => return Ok(None),
        };
        let mut text = Vec::new();
        self.all.read_to_end(&mut text)?;
        // A name that is no UTF-8 does no harm; a number that is none is told.
        parse(&String::from_utf8_lossy(&text)).map(Some)
    }
}

impl Read for Input {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.all.read(bytes)
    }
}

fn csv(input: impl Read, columns: &Columns) -> Result<Series> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(input);
    let headers = reader.headers()?.clone();
    let place = |name: &str| {
        headers.iter().position(|header| header == name).ok_or_else(|| {
            let known: Vec<&str> = headers.iter().collect();
            anyhow!("there is no column `{name}`; there are: {}", known.join(", "))
        })
    };
    let (time, value) = (place(&columns.time)?, place(&columns.value)?);
    let mut pairs = Vec::new();
    for record in reader.records() {
        let record = record?;
        let field = |at: usize| number(record.get(at).unwrap_or_default());
        let at = || format!("line {}", record.position().map_or(0, csv::Position::line));
        pairs.push((field(time).with_context(at)?, field(value).with_context(at)?));
    }
    series(pairs)
}

/// `MEM 12.5 1700000000.1234`: MiB, seconds since 1970. Other lines tell of functions and children.
fn mprof(text: &str) -> Result<Series> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| line.starts_with("MEM "));
    let pairs = lines.map(|(line, text)| {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [_, mib, time, ..] = fields[..] else { bail!("line {line}: `{text}` lacks a number") };
        let at = || format!("line {line}");
        let mib = number(mib).with_context(at)?;
        Ok((number(time).with_context(at)?, mib * 1024.0 * 1024.0))
    });
    series(pairs.collect::<Result<_>>()?)
}

/// `   1.234    0.000   12.500   230.125`: seconds, CPU %, MiB resident, MiB virtual.
fn psrecord(text: &str) -> Result<Series> {
    let lines = (1..).zip(text.lines());
    let lines = lines.filter(|(_, line)| !line.starts_with('#') && !line.trim().is_empty());
    let pairs = lines.map(|(line, text)| {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [time, _, mib, ..] = fields[..] else { bail!("line {line}: `{text}` lacks a number") };
        let at = || format!("line {line}");
        let mib = number(mib).with_context(at)?;
        Ok((number(time).with_context(at)?, mib * 1024.0 * 1024.0))
    });
    series(pairs.collect::<Result<_>>()?)
}

fn number(text: &str) -> Result<f64> {
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(anyhow!("`{text}` is not a number")),
    }
}

/// A series whose time begins with its first point.
fn series(pairs: Vec<(f64, f64)>) -> Result<Series> {
    let start = pairs.iter().map(|(time, _)| *time).fold(f64::INFINITY, f64::min);
    if pairs.is_empty() {
        bail!("there is not one line with a time and a value in it");
    }
    // `as` saturates, and a time is never before the start.
    Ok(Series::from_pairs(
        pairs
            .into_iter()
            .map(|(time, value)| (((time - start) * 1e9) as u64, value.round() as i64)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(name: &str, text: &str, columns: Option<&Columns>) -> Result<Option<Series>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Input::open(&path)?.series(columns)
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
        assert_eq!(format!("{error:#}"), "line 3: `many` is not a number");
    }

    #[test]
    fn a_broken_line_is_named_by_its_number() {
        let error = read_text("a.dat", "MEM 1 2\nMEM x 3\n", None).unwrap_err();
        assert_eq!(format!("{error:#}"), "line 2: `x` is not a number");
    }
}
