//! The sink `csv`: a table for everything that reads tables.

use std::borrow::Cow;
use std::fmt::{Display, Write};
use std::path::PathBuf;

use seepmeter_plugin::{Error, Sink, choices, options};
use seepmeter_record::{CurrentValues, Metric, Record, Sample, Subject, printable};

use super::output::{Destination, Output};
use super::output_sink::OutputSink;
use crate::output_files::Limit;

choices! {
    /// The layout of the table.
    pub enum Layout {
        /// A row for each sample and subject, a column for each metric.
        Wide = "wide",
        /// A row for each value.
        Long = "long",
    }
}

options! {
    /// Options of the sink `csv`.
    pub struct CsvOptions {
        /// The table's file; `-` is standard output.
        path: PathBuf = "-",
        /// The layout of the table: `wide` has a row for each sample and subject and a column for each
        /// metric, with its current value; `long` has a row for each new value.
        layout: Layout = "wide",
        /// Go on in a new file, with its own heading, at this size or after this time. The one before is
        /// renamed to PATH.1, an older one to PATH.2, and so on.
        rotate: Option<Limit>,
        /// How many renamed files to keep.
        keep: u32 = "5",
        /// Open the file again after a SIGHUP, as logrotate asks for. Such a SIGHUP is not passed on.
        reopen: bool = "no",
    }
}

/// The sink `csv`.
pub struct Csv {
    table: csv::Writer<Output>,
    layout: Layout,
    values: CurrentValues,
    /// The metrics that have a column: of a wide table those that were defined before the first sample,
    /// of a long one none. None as long as there is no row.
    columns: Option<Vec<Box<str>>>,
    field: FieldBuffer,
    path: String,
}

/// The text of one field: no row needs an allocation.
#[derive(Default)]
struct FieldBuffer(String);

impl FieldBuffer {
    fn text(&mut self, value: impl Display) -> &str {
        self.0.clear();
        // Writing to a String does not fail.
        let _ = write!(self.0, "{value}");
        &self.0
    }
}

impl OutputSink for Csv {
    const NAME: &'static str = "csv";
    const ABOUT: &'static str = "writes a table: a row for each sample, a column for each metric";
    type Options = CsvOptions;

    fn destination(options: &CsvOptions) -> Result<Destination, Error> {
        let CsvOptions { path, rotate, keep, reopen, .. } = options;
        Destination::in_parts(path, *rotate, *keep, *reopen)
    }

    fn new(options: CsvOptions, output: Output) -> Result<Self, Error> {
        let path = output.name().to_owned();
        let table = csv::WriterBuilder::new().from_writer(output);
        let values = CurrentValues::default();
        let field = FieldBuffer::default();
        Ok(Self { table, layout: options.layout, values, columns: None, field, path })
    }

    /// The same heading again, also if there are other metrics by now: a table goes on.
    fn begin_part(&mut self, _: u64) -> Result<(), Error> {
        let columns = self.columns.take();
        let written = columns.as_deref().map_or(Ok(()), |columns| self.write_heading(columns));
        self.columns = columns;
        written.map_err(|error| self.cannot_write(error))
    }
}

impl Sink for Csv {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.values.apply(record);
        match (record, self.layout) {
            (Record::Sample(sample), Layout::Long) => self.write_long(sample),
            (Record::Sample(sample), Layout::Wide) => self.write_wide(sample),
            (Record::Metric(metric), Layout::Wide) => return self.check_column(metric),
            _ => Ok(()),
        }
        .map_err(|error| self.cannot_write(error))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.table.flush().map_err(|error| self.cannot_write(error.into()))
    }
}

impl Csv {
    fn cannot_write(&self, error: csv::Error) -> Error {
        let error = match error.into_kind() {
            csv::ErrorKind::Io(error) => error,
            other => std::io::Error::other(format!("{other:?}")),
        };
        Error::io(format!("cannot write to {}", self.path), &error)
    }

    /// A metric that comes after the first row needs a column that there is already.
    fn check_column(&self, metric: &Metric) -> Result<(), Error> {
        match &self.columns {
            Some(columns) if !columns.contains(&metric.name) => Err(Error::failed(format!(
                "the metric `{}` was defined after the first row; use layout=long for this sampler",
                metric.name
            ))),
            _ => Ok(()),
        }
    }

    fn write_heading(&mut self, columns: &[Box<str>]) -> csv::Result<()> {
        let subject = ["elapsed_s", "subject", "kind", "name"];
        let values: Vec<Cow<'_, str>> = match self.layout {
            Layout::Wide => columns.iter().map(|name| printable(name)).collect(),
            Layout::Long => ["metric", "unit", "value"].map(Cow::from).into(),
        };
        self.table.write_record(subject.into_iter().chain(values.iter().map(|name| &**name)))
    }

    fn write_wide(&mut self, sample: &Sample) -> csv::Result<()> {
        if self.columns.is_none() {
            let mut names: Vec<Box<str>> = Vec::new();
            for metric in self.values.metrics() {
                if !names.contains(&metric.name) {
                    names.push(metric.name.clone());
                }
            }
            self.write_heading(&names)?;
            self.columns = Some(names);
        }
        let Self { table, values, columns, field, .. } = self;
        let mut subjects: Vec<&Subject> = Vec::with_capacity(1);
        for point in values.points(sample) {
            // The points of one subject mostly stand together.
            let known = subjects.last().is_some_and(|last| last.id == point.subject.id)
                || subjects.iter().any(|subject| subject.id == point.subject.id);
            if !known {
                subjects.push(point.subject);
            }
        }
        for subject in subjects {
            write_subject(table, field, sample.t, subject)?;
            for name in columns.iter().flatten() {
                match values.value(subject.id, name) {
                    Some(value) => table.write_field(field.text(value))?,
                    None => table.write_field("")?,
                }
            }
            table.write_record(None::<&[u8]>)?;
        }
        Ok(())
    }

    fn write_long(&mut self, sample: &Sample) -> csv::Result<()> {
        if self.columns.is_none() {
            self.write_heading(&[])?;
            self.columns = Some(Vec::new());
        }
        let Self { table, values, field, .. } = self;
        for point in values.points(sample) {
            write_subject(table, field, sample.t, point.subject)?;
            table.write_field(&*printable(&point.metric.name))?;
            table.write_field(point.metric.unit.as_str())?;
            table.write_field(field.text(point.value))?;
            table.write_record(None::<&[u8]>)?;
        }
        Ok(())
    }
}

/// The columns that every row begins with.
fn write_subject(
    table: &mut csv::Writer<Output>,
    field: &mut FieldBuffer,
    t: u64,
    subject: &Subject,
) -> csv::Result<()> {
    let (seconds, nanos) = (t / 1_000_000_000, t % 1_000_000_000);
    table.write_field(field.text(format_args!("{seconds}.{nanos:09}")))?;
    table.write_field(field.text(subject.id.0))?;
    table.write_field(&*printable(subject.kind.as_str()))?;
    table.write_field(field.text(&subject.name))
}

#[cfg(test)]
mod tests {
    use super::super::test_stream::{TestStream, output_of};
    use super::*;

    /// Two processes, one with a mapping. statm measures the processes, smaps the first one too.
    fn stream() -> TestStream {
        let mut stream = TestStream::of_two_samplers();
        let (first, second) = (stream.target("first", 7), stream.target("second", 8));
        let mapping = stream.mapping(first, "[heap]");
        stream.sample(1, 0, &[(first, "rss", 1000), (second, "rss", 2000)]);
        stream.sample(2, 1, &[(first, "rss", 1001), (first, "pss", 900), (mapping, "rss", 500)]);
        stream.sample(3, 1, &[(first, "rss", 1002)]);
        stream.exit(4, second, 0);
        stream.sample(5, 0, &[(second, "rss", 1), (first, "rss", 1100)]);
        stream
    }

    fn table(layout: Layout) -> String {
        let options = [("layout", if layout == Layout::Wide { "wide" } else { "long" })];
        output_of::<Csv>(&options, stream().records())
    }

    #[test]
    fn a_wide_table_has_each_value_once_and_an_empty_field_for_what_is_not_known() {
        let rows = [
            "elapsed_s,subject,kind,name,rss,peak,pss",
            "0.000000001,0,process,first,1000,,",
            "0.000000001,1,process,second,2000,,",
            "0.000000002,0,process,first,1000,,900",
            "0.000000002,2,mapping-group,[heap],500,,",
            "0.000000005,0,process,first,1100,,900",
            "",
        ];
        assert_eq!(table(Layout::Wide), rows.join("\n"));
    }

    #[test]
    fn a_long_table_has_the_values_of_the_source_that_counts() {
        let rows = [
            "elapsed_s,subject,kind,name,metric,unit,value",
            "0.000000001,0,process,first,rss,bytes,1000",
            "0.000000001,1,process,second,rss,bytes,2000",
            "0.000000002,0,process,first,pss,bytes,900",
            "0.000000002,2,mapping-group,[heap],rss,bytes,500",
            "0.000000005,0,process,first,rss,bytes,1100",
            "",
        ];
        assert_eq!(table(Layout::Long), rows.join("\n"));
    }
}
