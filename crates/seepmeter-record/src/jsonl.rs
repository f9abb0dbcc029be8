//! The recording: one record a line, each line a JSON object with one key, the record's kind.
//!
//! The first line is the header, and its `format` says which version the rest has. Lines of a kind
//! that is not known are passed over, so that a later seepmeter may add kinds. A recording whose last
//! line is cut off, as it is when the machine or the writer died, is good up to its last whole line.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead, Write};

use serde::Deserializer;
use serde::de::{Deserialize, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{Event, EventKind, FORMAT, Record, printable};

mod defined;
pub(crate) mod limits;
mod line;
pub use defined::{Definitions, Misfit};
pub use limits::{LONGEST_LINE, MOST_DEFINED, MOST_METRICS, MOST_TARGETS};
pub use line::{LineEnd, read_line};

#[cfg(feature = "zstd")]
mod file;
#[cfg(feature = "zstd")]
pub use file::{Recording, open, read};

/// Writes one record as one line.
///
/// # Errors
/// What the writer fails with.
pub fn write_record(out: &mut impl Write, record: &Record) -> io::Result<()> {
    // Whole: each write to the output of a sink takes a lock.
    let mut line = serde_json::to_vec(record).map_err(io::Error::from)?;
    line.push(b'\n');
    out.write_all(&line)
}

/// Why a recording may have no end, for messages: which of these it was can't be seen from it.
pub const UNFINISHED: &str =
    "its writer was killed, could not go on (a full disk?), or is still running";

/// Why a recording can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is not one byte.
    #[error("it is empty: there is not even a header; was seepmeter killed at once?")]
    Empty,
    /// It ends within its first line.
    #[error("it is cut off in its first line; was seepmeter killed at once?")]
    CutHeader,
    /// Its first line is no header.
    #[error(
        "line 1 is not the header of a recording: {0}; a recording is what `--sink jsonl` writes"
    )]
    NoHeader(String),
    /// It has a format that this version does not know.
    #[error(
        "it is of format {found}, and this version reads format {FORMAT}; replay it with {by}, or record it again"
    )]
    Format {
        /// The format that the header names.
        found: u64,
        /// Who wrote it.
        by: String,
    },
    /// It has a format that was never released.
    #[error(
        "it is of a format from before the first release, which no release reads; record it again"
    )]
    Unreleased,
    /// A line is not a record.
    #[error("line {line} is not a record: {what}; the {} good (head -n {} keeps them)", lines(*.line), .line - 1)]
    Line {
        /// The line's number, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A line is longer than any record.
    #[error(
        "line {line} is longer than {} MiB, the limit for one record: is it a recording?", LONGEST_LINE >> 20
    )]
    LongLine {
        /// The line's number, from 1.
        line: u64,
    },
    /// Reading failed.
    #[error("reading it failed {}", after(*.line))]
    Io {
        /// The last line that was read whole.
        line: u64,
        /// What the reader failed with.
        source: io::Error,
    },
}

fn after(line: u64) -> String {
    if line == 0 { "in its first line".to_owned() } else { format!("after line {line}") }
}

fn lines(line: u64) -> String {
    match line {
        2 => "line before it is".to_owned(),
        _ => format!("{} lines before it are", line - 1),
    }
}

/// How a recording that was read to its end ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a footer, as it should.
    Whole,
    /// With a whole line, but no footer: the writer has [not finished](UNFINISHED) it.
    NoFooter,
    /// It goes on in another file.
    Continued,
    /// In the middle of a line, which was left out.
    CutOff {
        /// The number of that line, from 1.
        line: u64,
    },
}

/// Reads a recording line by line.
///
/// ```
/// use seepmeter_record::jsonl::{Ending, Reader};
///
/// let text = concat!(
///     r#"{"header":{"format":1,"seepmeter":"0.1.0","start":"2026-11-23T12:00:00Z","host":"h","#,
///     r#""kernel":"6.18","page_size":4096,"targets":[{"subject":0,"pid":7}],"samplers":[]}}"#, "\n",
///     r#"{"event":{"t":5,"kind":"mar"#,
/// );
/// let mut reader = Reader::new(text.as_bytes());
/// assert!(reader.next_record().unwrap().is_some());
/// assert!(reader.next_record().unwrap().is_none());
/// assert_eq!(reader.ending(), Ending::CutOff { line: 2 });
/// ```
pub struct Reader<R> {
    input: R,
    buffer: Vec<u8>,
    line: u64,
    defined: Definitions,
    ending: Ending,
    /// Its compressed form ended inside a frame.
    torn: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads from `input`, from its first line on.
    pub fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            line: 0,
            defined: Definitions::default(),
            ending: Ending::NoFooter,
            torn: false,
        }
    }

    /// The next record, or `None` at the end; then [`Reader::ending`] says how it ended.
    ///
    /// # Errors
    /// See [`ReadError`]. A line that is cut off at the very end is no error.
    pub fn next_record(&mut self) -> Result<Option<Record>, ReadError> {
        loop {
            if !self.read_line()? {
                return if self.line == 0 { Err(self.no_line()) } else { Ok(None) };
            }
            let line = self.line;
            let wrong = |what: String| ReadError::Line { line, what };
            if line == 1 {
                check_header(&self.buffer)?;
            } else if self.ending == Ending::Whole {
                return Err(wrong("it comes after the footer".to_owned()));
            }
            let Some(record) = parse(&self.buffer).map_err(|error| wrong(what_of(&error)))? else {
                continue;
            };
            match &record {
                Record::Header(_) if line > 1 => return Err(wrong("a second header".to_owned())),
                Record::Footer(_) => self.ending = Ending::Whole,
                Record::Event(Event { kind: EventKind::ContinuedIn { .. }, .. }) => {
                    self.ending = Ending::Continued;
                }
                _ => self.ending = Ending::NoFooter,
            }
            self.defined.apply(&record).map_err(|misfit| wrong(misfit.to_string()))?;
            return Ok(Some(record));
        }
    }

    /// How the recording ended; meaningful once [`Reader::next_record`] has returned `None`.
    #[must_use]
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// Why there is not one whole line. What can't be the begin of a header is no recording at all.
    fn no_line(&self) -> ReadError {
        match self.buffer.first() {
            None if self.torn => ReadError::CutHeader,
            None => ReadError::Empty,
            Some(b'{') => ReadError::CutHeader,
            Some(_) => check_header(&self.buffer).err().unwrap_or(ReadError::CutHeader),
        }
    }

    /// What does not even begin as a record does is none.
    fn long_line(&self) -> ReadError {
        let line = self.line + 1;
        match self.buffer.first() {
            Some(b'{') => ReadError::LongLine { line },
            _ if line == 1 => self.no_line(),
            _ => ReadError::LongLine { line },
        }
    }

    /// Fills the buffer with the next whole line, without its newline; false at the end.
    fn read_line(&mut self) -> Result<bool, ReadError> {
        let end = read_line(&mut self.input, &mut self.buffer, LONGEST_LINE);
        let cut = match end {
            Ok(LineEnd::Nothing) => return Ok(false),
            Ok(LineEnd::Newline) => false,
            Ok(LineEnd::EndOfFile) => true,
            Ok(LineEnd::TooLong) => return Err(self.long_line()),
            // A compressed recording that was cut off ends inside a frame.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.torn = true;
                true
            }
            Err(source) => return Err(ReadError::Io { line: self.line, source }),
        };
        if cut && (self.buffer.is_empty() || parse(&self.buffer).is_err()) {
            if !self.buffer.is_empty() {
                self.ending = Ending::CutOff { line: self.line + 1 };
            }
            return Ok(false);
        }
        self.line += 1;
        Ok(true)
    }
}

/// What is wrong with a line. It is parsed by itself, so that to the parser it is always line 1.
fn what_of(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

/// Says clearly what is wrong with a first line before its fields are looked at one by one.
fn check_header(line: &[u8]) -> Result<(), ReadError> {
    #[derive(serde::Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        header: Option<&'a RawValue>,
    }
    #[derive(Default, serde::Deserialize)]
    struct Peeked<'a> {
        #[serde(borrow)]
        target: Option<&'a RawValue>,
        #[serde(borrow)]
        format: Option<&'a RawValue>,
        #[serde(borrow)]
        seepmeter: Option<&'a RawValue>,
    }
    fn value<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
        serde_json::from_str(raw?.get()).ok()
    }
    let no_header = |what: String| ReadError::NoHeader(what);
    let header = match serde_json::from_slice::<Line<'_>>(line) {
        Ok(Line { header }) => header,
        Err(error) if error.is_data() => None,
        Err(error) => return Err(no_header(what_of(&error))),
    };
    let header = header.ok_or_else(|| no_header("it has no `header`".to_owned()))?;
    let Peeked { target, format, seepmeter } = value(Some(header)).unwrap_or_default();
    // Such were written before there was a release, and no release reads them.
    if target.is_some() {
        return Err(ReadError::Unreleased);
    }
    match value::<u64>(format) {
        Some(format) if format == u64::from(FORMAT) => Ok(()),
        Some(found) => Err(ReadError::Format {
            found,
            by: match value::<Cow<'_, str>>(seepmeter) {
                Some(version) => format!("seepmeter {}", printable(&version)),
                None => "the seepmeter that wrote it".to_owned(),
            },
        }),
        None => Err(no_header("its header has no `format`".to_owned())),
    }
}

/// One line as a record; `None` for a kind that is not known.
///
/// # Errors
/// Where the line is not JSON, or not what its kind asks for.
pub fn parse(line: &[u8]) -> Result<Option<Record>, serde_json::Error> {
    struct Known(Option<Record>);
    impl<'de> Deserialize<'de> for Known {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(OneKey).map(Known)
        }
    }
    struct OneKey;
    impl<'de> Visitor<'de> for OneKey {
        type Value = Option<Record>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object with one key, the kind of the record")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let Some(kind) = map.next_key::<Kind>()? else {
                return Err(serde::de::Error::custom("an empty object names no kind"));
            };
            Ok(Some(match kind {
                Kind::Sample => Record::Sample(map.next_value()?),
                Kind::Event => Record::Event(map.next_value()?),
                Kind::Metric => Record::Metric(map.next_value()?),
                Kind::Subject => Record::Subject(map.next_value()?),
                Kind::Image => Record::Image(map.next_value()?),
                Kind::Frame => Record::Frame(map.next_value()?),
                Kind::Stack => Record::Stack(map.next_value()?),
                Kind::Header => Record::Header(map.next_value()?),
                Kind::Footer => Record::Footer(map.next_value()?),
                Kind::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                    return Ok(None);
                }
            }))
        }
    }
    serde_json::from_slice::<Known>(line).map(|known| known.0)
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Header,
    Metric,
    Subject,
    Image,
    Frame,
    Stack,
    Sample,
    Event,
    Footer,
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests;
