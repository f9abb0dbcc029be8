//! The one reader of all tables: from lines to a series for each metric and process.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};

use seepmeter_analysis::Series;
use seepmeter_record::Unit;
use seepmeter_record::jsonl::{LineEnd, read_line};

use super::UTF8_MARK;
use super::cell::{self, TimeReader};
use super::error::SeriesError;
use super::form::{KnownUnit, TableForm, ValueColumn};
use super::points::PointBuffer;
use super::split::{Fields, LineKind, Separator, Splitter};
use super::unit::ValueUnit;
use crate::run_file::Doubt;
use crate::text::short;

type Result<T> = std::result::Result<T, SeriesError>;

/// The longest row of a table, in bytes: a million columns are no series of a program's memory.
const LONGEST_ROW: usize = 1 << 20;

/// The most series of one metric: each takes up to two megabytes.
const MOST_KEYS: usize = 64;

/// No process has less resident memory than this when it matters, in bytes: a column whose values are all
/// below it is of another unit.
const LEAST_PEAK: f64 = 1_048_576.0;

/// The series of one metric of one process.
#[derive(Debug)]
pub(crate) struct ForeignSeries {
    pub metric: String,
    pub unit: Unit,
    /// Which process it is of, if there are several.
    pub process: Option<String>,
    pub pid: Option<i64>,
    pub series: Series,
    /// Swapped out memory is counted in, and there was some.
    pub plus_swap: bool,
}

/// All that was read of a table.
#[derive(Debug)]
pub(crate) struct ForeignTable {
    /// In the order of the metrics that were asked for.
    pub series: Vec<ForeignSeries>,
    pub doubts: Vec<Doubt>,
}

/// The rows of one metric and process.
#[derive(Default)]
struct Track {
    label: String,
    points: PointBuffer,
}

/// What the rows of one column have shown so far.
struct Column<'a> {
    column: &'a ValueColumn,
    tracks: BTreeMap<String, Track>,
    unit: Unit,
    /// The largest number that had no unit.
    largest: Option<f64>,
}

struct TableReader<'a> {
    form: &'a TableForm,
    columns: Vec<Column<'a>>,
    times: TimeReader,
    gaps: u64,
    /// True behind the headings of another table: pidstat -u -r prints two in turn.
    elsewhere: bool,
}

/// Reads a table, in bounded memory.
///
/// # Errors
/// A line that is not what the form asks for, or a table that has no unit or no points.
pub(super) fn read(input: impl Read, form: &TableForm) -> Result<ForeignTable> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let mut reader = TableReader::new(form);
    let mut splitter = Splitter::new(form.separator, &form.headings);
    let (mut bytes, mut fields) = (Vec::new(), Fields::default());
    let mut doubts = Vec::new();
    // The first line of the row, and how long it is so far.
    let (mut begin, mut length) = (1, 0);
    for line in 1_u64.. {
        match read_line(&mut input, &mut bytes, LONGEST_ROW)? {
            LineEnd::Nothing => break,
            LineEnd::TooLong => return Err(SeriesError::TooLong { limit: LONGEST_ROW }.at(line)),
            // Its writer was killed, or still writes: half of a number is a number too.
            LineEnd::EndOfFile => {
                doubts.push(Doubt::CutOff { line });
                break;
            }
            LineEnd::Newline => {}
        }
        if line <= form.skip {
            continue;
        }
        (begin, length) =
            if length == 0 { (line, bytes.len()) } else { (begin, length + bytes.len()) };
        if length > LONGEST_ROW {
            return Err(SeriesError::TooLong { limit: LONGEST_ROW }.at(begin));
        }
        let text = if line == 1 { bytes.strip_prefix(UTF8_MARK).unwrap_or(&bytes) } else { &bytes };
        match splitter.split(text.trim_ascii_end(), &mut fields).map_err(|error| error.at(begin))? {
            LineKind::Open => continue,
            LineKind::Row => reader.row(&fields).map_err(|error| error.at(begin))?,
            LineKind::Other => {}
        }
        length = 0;
    }
    reader.finish(doubts)
}

impl<'a> TableReader<'a> {
    fn new(form: &'a TableForm) -> Self {
        let column =
            |column| Column { column, tracks: BTreeMap::new(), unit: Unit::Bytes, largest: None };
        let columns = form.values.iter().map(column).collect();
        let times = TimeReader::new(form.time_scale, form.decimal_mark());
        Self { form, columns, times, gaps: 0, elsewhere: false }
    }

    fn row(&mut self, fields: &Fields) -> Result<()> {
        let Self { form, columns, times, gaps, elsewhere } = self;
        if let Some(same) = form.headings_again(fields) {
            *elsewhere = !same;
            return Ok(());
        }
        // The means that sysstat ends with have no time.
        if *elsewhere || (form.separator == Separator::Blanks && fields.get(0) == "Average:") {
            return Ok(());
        }
        form.check_length(fields)?;
        if form.filters.iter().any(|filter| fields.get(filter.place) != filter.text) {
            return Ok(());
        }
        let Some(time) = times.seconds(&fields.get(form.time))? else {
            *gaps += 1;
            return Ok(());
        };
        for column in columns {
            let rows = &column.column.rows;
            if rows.as_ref().is_some_and(|rows| fields.get(rows.place) != rows.text) {
                continue;
            }
            match column.value(fields, form)? {
                Some(value) => column.track(fields, form)?.points.push(time, value)?,
                // A gap in what is added is no gap.
                None => *gaps += u64::from(column.column.swap_of.is_none()),
            }
        }
        Ok(())
    }

    fn finish(self, mut doubts: Vec<Doubt>) -> Result<ForeignTable> {
        let Self { form, columns, gaps, .. } = self;
        let mut all = Vec::new();
        let is_swap = |column: &Column<'_>| column.column.swap_of.is_some();
        let (mut swaps, columns): (Vec<_>, Vec<_>) = columns.into_iter().partition(is_swap);
        for column in columns {
            doubts.extend(column.doubt(form)?);
            let metric = Some(&column.column.metric);
            let swap = swaps.iter_mut().find(|swap| swap.column.swap_of.as_ref() == metric);
            let swap = swap.map_or_else(BTreeMap::new, |swap| std::mem::take(&mut swap.tracks));
            all.extend(column.series(form, swap, &mut doubts)?);
        }
        if gaps > 0 {
            doubts.push(Doubt::Gaps { rows: gaps });
        }
        Ok(ForeignTable { series: all, doubts })
    }
}

impl TableForm {
    /// For a row of headings, true if they are those of this table.
    fn headings_again(&self, fields: &Fields) -> Option<bool> {
        let same = |place: usize| fields.get(place) == *self.headings[place];
        let columns = self.values.iter().map(|value| value.place).chain(self.key);
        let again = matches!(self.separator, Separator::Byte(_) | Separator::Blanks)
            && columns.into_iter().any(same);
        // The first may be a time of day.
        again.then(|| fields.len() == self.headings.len() && (1..fields.len()).all(same))
    }

    /// A row may have a separator behind its last value, and so may the headings.
    fn check_length(&self, fields: &Fields) -> Result<()> {
        let named =
            self.headings.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
        let more = (self.headings.len()..fields.len()).any(|place| !fields.get(place).is_empty());
        if fields.len() < named || more {
            return Err(SeriesError::OtherColumns { expected: named, found: fields.len() });
        }
        Ok(())
    }
}

impl Column<'_> {
    /// The value of a row in base units; none if it has none.
    fn value(&mut self, fields: &Fields, form: &TableForm) -> Result<Option<f64>> {
        let text = fields.get(self.column.place);
        let Some(cell) = cell::value(&text, form.decimal_mark())? else { return Ok(None) };
        let of_column = match self.column.unit {
            KnownUnit::Sure(unit) | KnownUnit::Heading(unit) => Some(unit),
            KnownUnit::Row(place) => Some(unit_word(&fields.get(place))?),
            KnownUnit::Unknown => None,
        };
        if let (None, None) = (cell.unit, of_column) {
            self.largest = Some(self.largest.unwrap_or(f64::NEG_INFINITY).max(cell.number));
        }
        let ValueUnit { unit, factor } = cell.unit.or(of_column).unwrap_or(ValueUnit::BYTES);
        if unit != Unit::Bytes && cell.number.fract() != 0.0 {
            return Err(SeriesError::Fraction(cell.number));
        }
        self.unit = unit;
        Ok(Some(cell.number * factor))
    }

    fn track(&mut self, fields: &Fields, form: &TableForm) -> Result<&mut Track> {
        let key = form.key.map(|place| fields.get(place)).unwrap_or_default();
        if !self.tracks.contains_key(&*key) {
            if self.tracks.len() == MOST_KEYS {
                let column = form.key.map(|place| form.headings[place].clone()).unwrap_or_default();
                return Err(SeriesError::ManyKeys { column, most: MOST_KEYS });
            }
            self.tracks.insert(key.clone().into_owned(), Track::default());
        }
        let track = self.tracks.get_mut(&*key).ok_or(SeriesError::NoPoints)?;
        // A process has its last name: the first is that of the program that it was forked from.
        if let Some(label) = form.label.map(|place| fields.get(place))
            && *label != *track.label
        {
            track.label = short(&label);
        }
        Ok(track)
    }

    /// What is doubtful about its unit.
    fn doubt(&self, form: &TableForm) -> Result<Option<Doubt>> {
        let column = short(&form.headings[self.column.place]);
        match (self.column.unit, self.largest) {
            (KnownUnit::Heading(unit), _) if unit.is_ambiguous() => {
                Ok(Some(Doubt::HeadingUnit { column, unit }))
            }
            (_, Some(largest)) if largest < LEAST_PEAK => {
                Err(SeriesError::NoUnit { column, largest })
            }
            (_, Some(_)) => Ok(Some(Doubt::TakenForBytes { column })),
            _ => Ok(None),
        }
    }

    /// The series of each process, with what is swapped out of it added.
    fn series(
        self,
        form: &TableForm,
        mut swap: BTreeMap<String, Track>,
        doubts: &mut Vec<Doubt>,
    ) -> Result<Vec<ForeignSeries>> {
        let several = self.tracks.len() > 1;
        if self.tracks.is_empty() {
            return Err(SeriesError::NoPoints);
        }
        let (mut all, mut repeated) = (Vec::new(), 0);
        for (key, track) in self.tracks {
            let read = track.points.series()?;
            // Two rows of each time may be of two processes.
            if form.key.is_none()
                && form.headings.len() > 2
                && read.repeated * 2 >= read.series.samples()
            {
                let known = form.headings.join(", ");
                return Err(SeriesError::SeveralRows { known: short(&known) });
            }
            repeated += read.repeated;
            let heading = form.key.map_or("", |place| &form.headings[place]);
            let swap = swap.remove(&key).map(|swap| swap.points.series()).transpose()?;
            let swap = swap.filter(|swap| swap.series.peak() > Some(0));
            let pid = heading.to_lowercase().ends_with("pid").then(|| key.parse().ok()).flatten();
            all.push(ForeignSeries {
                metric: self.column.metric.clone(),
                unit: self.unit,
                process: several.then(|| name_of(heading, &key, &track.label)),
                pid,
                plus_swap: swap.is_some(),
                series: swap.map_or_else(|| read.series.clone(), |swap| read.plus(&swap)),
            });
        }
        if repeated > 0 {
            doubts.push(Doubt::RepeatedTimes { rows: repeated });
        }
        Ok(all)
    }
}

/// The unit in a row of the sink `csv`.
fn unit_word(word: &str) -> Result<ValueUnit> {
    let units = [Unit::Bytes, Unit::Count, Unit::Nanoseconds];
    let unit = units.into_iter().find(|unit| unit.as_str() == word);
    unit.map(ValueUnit::of).ok_or_else(|| SeriesError::NotANumber(short(word)))
}

/// What a process is called among others: `web (pid 11)`, `pid 11`, `web`.
fn name_of(heading: &str, key: &str, label: &str) -> String {
    let heading = heading.trim_start_matches("stat_").to_lowercase();
    let numbered = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
    match (numbered, label) {
        (false, _) => short(key),
        (true, "") => format!("{heading} {key}"),
        (true, label) => format!("{label} ({heading} {key})"),
    }
}
