//! From the first lines of a file to what its table is: how lines are split, and which columns matter.

use seepmeter_record::Unit;
use seepmeter_record::conventions::metric;

use super::cell::DecimalMark;
use super::error::SeriesError;
use super::split::{Separator, headings};
use super::tools::{KEYS, KnownTool, KnownValues, MPROF_HEADINGS, TOOLS};
use super::unit::{ValueUnit, seconds_of_heading};
use super::{RowFilter, TableOptions};
use crate::collector::swap_of;
use crate::text::short;

type Result<T> = std::result::Result<T, SeriesError>;

/// So many lines may stand before the headings.
pub(super) const MOST_LINES: usize = 20;

/// What a table is.
#[derive(Debug)]
pub(super) struct TableForm {
    pub separator: Separator,
    pub headings: Vec<String>,
    /// How many lines stand before the first row.
    pub skip: u64,
    pub time: usize,
    /// How many seconds one of its numbers is, if its heading says so.
    pub time_scale: Option<f64>,
    pub values: Vec<ValueColumn>,
    /// The column that tells processes apart, and that of their names.
    pub key: Option<usize>,
    pub label: Option<usize>,
    /// Each row must have these values in these columns.
    pub filters: Vec<CellFilter>,
}

/// A column of values.
#[derive(Debug)]
pub(super) struct ValueColumn {
    pub metric: String,
    pub place: usize,
    pub unit: KnownUnit,
    /// The rows that are of the metric, if not all are.
    pub rows: Option<CellFilter>,
    /// The metric of another column, to whose values these are added: what is swapped out of it.
    pub swap_of: Option<String>,
}

/// What is known of the unit of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum KnownUnit {
    /// The user or the tool says it.
    Sure(ValueUnit),
    /// The heading says it.
    Heading(ValueUnit),
    /// Each row says it, in this column.
    Row(usize),
    /// Nobody says it.
    Unknown,
}

/// A value that a cell must have.
#[derive(Debug)]
pub(super) struct CellFilter {
    pub place: usize,
    pub text: String,
}

impl TableForm {
    /// The form of a file with these first lines; none if it is of no form that is known.
    ///
    /// # Errors
    /// A table whose columns are not named, or that has not what the options ask for.
    pub(super) fn recognise(
        first: &[String],
        options: &TableOptions,
        metrics: &[String],
    ) -> Result<Option<Self>> {
        let lines = &first[..first.len().min(MOST_LINES)];
        if lines.iter().any(|line| is_of_mprof(line)) {
            let names = MPROF_HEADINGS.map(str::to_owned).to_vec();
            let table = Headings { separator: Separator::Mprof, names, skip: 0 };
            return table.known(&TOOLS[0], options, metrics).map(Some);
        }
        let tables: Vec<Headings> =
            (0..lines.len()).flat_map(|at| Headings::at(lines, at)).collect();
        for table in &tables {
            let known = |tool: &&KnownTool| tool.headings.iter().all(|name| table.has(name));
            if let Some(tool) = TOOLS.iter().find(known) {
                return table.known(tool, options, metrics).map(Some);
            }
        }
        let [Some(time), Some(value)] = [&options.time, &options.value] else {
            return Self::unnamed(&tables);
        };
        let both = |table: &&Headings| table.has(time) && table.has(value);
        match tables.iter().find(both).or(tables.first()) {
            Some(table) => table.named(time, value, options, metrics).map(Some),
            None => Err(SeriesError::NoColumn { name: time.clone(), known: "none".to_owned() }),
        }
    }

    /// What to say of a table whose columns are not named, if it is one.
    fn unnamed(tables: &[Headings]) -> Result<Option<Self>> {
        let Some(first) = tables.first() else { return Ok(None) };
        match first.separator {
            Separator::Byte(_) if first.is_row() => Err(SeriesError::NoHeadings),
            Separator::Byte(_) if first.looks_right() => {
                Err(SeriesError::UnnamedColumns { known: first.list() })
            }
            _ => Ok(None),
        }
    }

    /// The form of numbers: where the comma separates no columns, it may be the decimal mark.
    pub(super) fn decimal_mark(&self) -> DecimalMark {
        match self.separator {
            Separator::Byte(b',') => DecimalMark::Point,
            _ => DecimalMark::PointOrComma,
        }
    }
}

fn is_of_mprof(line: &str) -> bool {
    let mut words = line.split_whitespace();
    match words.next() {
        Some("CMDLINE") => line.starts_with("CMDLINE"),
        Some("MEM" | "CHLD") => {
            words.next().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        }
        Some("FUNC") => words.count() >= 4,
        _ => false,
    }
}

/// The headings of a table.
struct Headings {
    separator: Separator,
    names: Vec<String>,
    skip: u64,
}

impl Headings {
    /// The ways to take a line for one of headings.
    fn at(lines: &[String], at: usize) -> Vec<Self> {
        let line = lines[at].as_str();
        // A mark of spreadsheets.
        if line.trim().is_empty() || line.starts_with("sep=") {
            return Vec::new();
        }
        let next = lines[at + 1..].iter().find(|line| !line.trim().is_empty());
        let ways = headings(line, next.map_or("", |line| line));
        let of_way = |(separator, names): (Separator, Vec<String>)| {
            // The first JSON object is a row too.
            let skip = at as u64 + u64::from(separator != Separator::Json);
            Self { separator, names, skip }
        };
        ways.into_iter().filter(|(_, names)| names.len() > 1).map(of_way).collect()
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    fn has(&self, name: &str) -> bool {
        self.place(name).is_some()
    }

    fn column(&self, name: &str) -> Result<usize> {
        let no_column = || SeriesError::NoColumn { name: name.to_owned(), known: self.list() };
        self.place(name).ok_or_else(no_column)
    }

    /// The first names of many.
    fn list(&self) -> String {
        const MOST: usize = 64;
        let names: Vec<&String> = self.names.iter().filter(|name| !name.is_empty()).collect();
        let more = names.len().saturating_sub(MOST);
        let named = names.iter().take(MOST).map(|name| short(name)).collect::<Vec<_>>().join(", ");
        if more == 0 { named } else { format!("{named} and {more} more") }
    }

    /// True if these are no headings but a row: numbers are not names.
    fn is_row(&self) -> bool {
        self.names.iter().any(|name| name.parse::<f64>().is_ok())
    }

    /// True if names and nothing else stand there; a separator may stand behind the last.
    fn looks_right(&self) -> bool {
        let named = self.names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
        let odd = |name: &String| name.is_empty() || name.contains(char::is_control);
        let json = self.names[0].starts_with(['{', '[']);
        named > 1 && !json && !self.names[..named].iter().any(odd)
    }

    fn filters(&self, options: &TableOptions) -> Result<Vec<CellFilter>> {
        let filter = |RowFilter { column, value }: &RowFilter| {
            Ok(CellFilter { place: self.column(column)?, text: value.clone() })
        };
        options.rows.iter().map(filter).collect()
    }

    fn form(&self, time: usize, values: Vec<ValueColumn>, filters: Vec<CellFilter>) -> TableForm {
        TableForm {
            separator: self.separator,
            headings: self.names.clone(),
            skip: self.skip,
            time,
            time_scale: seconds_of_heading(&self.names[time]),
            values,
            key: None,
            label: None,
            filters,
        }
    }

    /// A table of a tool that is known. The user may name other columns of it.
    fn known(
        &self,
        tool: &KnownTool,
        options: &TableOptions,
        metrics: &[String],
    ) -> Result<TableForm> {
        let time = self.column(options.time.as_deref().unwrap_or(tool.time))?;
        let own_value = options.value.as_ref().filter(|value| match tool.values {
            KnownValues::OwnRows { value: own, .. } => *value != own,
            _ => true,
        });
        let mut values = match own_value {
            Some(value) => vec![self.named_value(value, Some(tool), metrics)?],
            None => metrics.iter().map(|name| self.metric(tool, name)).collect::<Result<_>>()?,
        };
        if own_value.is_none() {
            values.extend(metrics.iter().filter_map(|name| self.swap(tool, name)));
        }
        if let Some(unit) = options.unit {
            values.iter_mut().for_each(|value| value.unit = KnownUnit::Sure(unit));
        }
        let mut filters = self.filters(options)?;
        if let Some([column, text]) = tool.only {
            let place = self.column(column)?;
            if filters.iter().all(|filter| filter.place != place) {
                filters.push(CellFilter { place, text: text.to_owned() });
            }
        }
        let place = |name: Option<&str>| name.and_then(|name| self.place(name));
        let (key, label) = (place(tool.key), place(tool.label));
        Ok(TableForm { key, label, ..self.form(time, values, filters) })
    }

    /// The column of a metric in the table of a tool.
    fn metric(&self, tool: &KnownTool, name: &str) -> Result<ValueColumn> {
        let none = |known: Vec<&str>| SeriesError::NoSuchMetric {
            metric: name.to_owned(),
            known: known.join(", "),
        };
        let column = |place, unit, rows| ValueColumn {
            metric: name.to_owned(),
            place,
            unit,
            rows,
            swap_of: None,
        };
        match tool.values {
            KnownValues::Listed(values) => {
                let there = || values.iter().filter(|value| self.has(value.heading));
                let value = there().find(|value| value.metric == name);
                let value =
                    value.ok_or_else(|| none(there().map(|value| value.metric).collect()))?;
                Ok(column(self.column(value.heading)?, KnownUnit::Sure(value.unit), None))
            }
            KnownValues::OwnColumns => {
                let own = &self.names[tool.headings.len()..];
                let at = own.iter().position(|own| own == name);
                let at = at.ok_or_else(|| none(own.iter().map(String::as_str).collect()))?;
                Ok(column(tool.headings.len() + at, unit_of_metric(name), None))
            }
            KnownValues::OwnRows { metric, unit, value } => {
                let rows = CellFilter { place: self.column(metric)?, text: name.to_owned() };
                Ok(column(self.column(value)?, KnownUnit::Row(self.column(unit)?), Some(rows)))
            }
        }
    }

    /// The column of what is swapped out of a metric, if the table has one.
    fn swap(&self, tool: &KnownTool, of: &str) -> Option<ValueColumn> {
        let swap = self.metric(tool, swap_of(of)?).ok()?;
        Some(ValueColumn { swap_of: Some(of.to_owned()), ..swap })
    }

    /// A column that the user has named.
    fn named_value(
        &self,
        heading: &str,
        tool: Option<&KnownTool>,
        metrics: &[String],
    ) -> Result<ValueColumn> {
        let place = self.column(heading)?;
        if self.names[place + 1..].iter().any(|name| name == heading) {
            return Err(SeriesError::SameName { name: heading.to_owned() });
        }
        if let Some(other) =
            metrics.iter().find(|name| **name != metric::RSS.name && *name != heading)
        {
            let (metric, known) = (other.clone(), heading.to_owned());
            return Err(SeriesError::NoSuchMetric { metric, known });
        }
        let of_tool = tool.and_then(|tool| match tool.values {
            KnownValues::Listed(values) => values.iter().find(|value| value.heading == heading),
            _ => None,
        });
        let own = matches!(tool, Some(KnownTool { values: KnownValues::OwnColumns, .. }));
        let unit = match (of_tool, ValueUnit::of_heading(heading)) {
            (Some(known), _) => KnownUnit::Sure(known.unit),
            _ if own => unit_of_metric(heading),
            (None, Some(unit)) => KnownUnit::Heading(unit),
            (None, None) => KnownUnit::Unknown,
        };
        let metric = of_tool.map_or(heading, |known| known.metric).to_owned();
        Ok(ValueColumn { metric, place, unit, rows: None, swap_of: None })
    }

    /// A table whose columns the user has named.
    fn named(
        &self,
        time: &str,
        value: &str,
        options: &TableOptions,
        metrics: &[String],
    ) -> Result<TableForm> {
        let time = self.column(time)?;
        let mut value = self.named_value(value, None, metrics)?;
        if let Some(unit) = options.unit {
            value.unit = KnownUnit::Sure(unit);
        }
        let free = |place: &usize| *place != time && *place != value.place;
        let of_key = |key: &str| {
            let is_key = |name: &String| name.eq_ignore_ascii_case(key);
            self.names.iter().position(is_key).filter(free)
        };
        let mut keys = KEYS.iter().filter_map(|key| of_key(key));
        let (key, label) = (keys.next(), keys.next());
        let filters = self.filters(options)?;
        Ok(TableForm { key, label, ..self.form(time, vec![value], filters) })
    }
}

/// The unit of a metric of seepmeter's own; that of a plugin's metric is not in a table.
fn unit_of_metric(name: &str) -> KnownUnit {
    let known = metric::ALL.iter().find(|spec| spec.name == name && spec.unit != Unit::Stack);
    known.map_or(KnownUnit::Unknown, |spec| KnownUnit::Sure(ValueUnit::of(spec.unit)))
}
