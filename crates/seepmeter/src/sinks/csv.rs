//! The sink `csv`: a table for everything that reads tables.

use std::collections::HashMap;
use std::path::PathBuf;

use seepmeter_plugin::{Error, Plugin, Sink, choices, options};
use seepmeter_record::{Catalog, MetricId, Record, Sample, SubjectId};

use super::output::Output;

choices! {
    /// How the table is laid out.
    pub enum Layout {
        /// A row a sample and subject, a column a metric, each with the value that stands.
        Wide = "wide",
        /// A row a point.
        Long = "long",
    }
}

options! {
    /// Options of the sink `csv`.
    pub struct CsvOptions {
        /// The table's file; `-` is standard output.
        path: PathBuf = "-",
        /// How the table is laid out: `wide` has a row for each sample and subject and a column for each
        /// metric, with the values that stand at that time; `long` has a row for each point.
        layout: Layout = "wide",
    }
}

/// The sink `csv`.
pub struct Csv {
    writer: csv::Writer<Output>,
    table: Table,
    catalog: Catalog,
    path: String,
}

enum Table {
    Long { begun: bool },
    Wide(Wide),
}

/// A wide table: its columns are the metrics that were defined before the first sample.
#[derive(Default)]
struct Wide {
    columns: Option<Vec<MetricId>>,
    standing: HashMap<SubjectId, Vec<Option<i64>>>,
}

impl Plugin for Csv {
    const NAME: &'static str = "csv";
    const ABOUT: &'static str = "writes a table: a row for each look, a column for each metric";
    type Options = CsvOptions;

    fn new(options: CsvOptions) -> Result<Self, Error> {
        let output = Output::create(&options.path)?;
        let path = output.name().to_owned();
        let writer = csv::WriterBuilder::new().from_writer(output);
        let table = match options.layout {
            Layout::Long => Table::Long { begun: false },
            Layout::Wide => Table::Wide(Wide::default()),
        };
        Ok(Self { writer, table, catalog: Catalog::default(), path })
    }
}

impl Sink for Csv {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.catalog.learn(record);
        match (record, &mut self.table) {
            (Record::Sample(sample), Table::Long { begun }) => {
                let first = !std::mem::replace(begun, true);
                write_long(&mut self.writer, &self.catalog, sample, first)
            }
            (Record::Sample(sample), Table::Wide(wide)) => {
                wide.write(&mut self.writer, &self.catalog, sample)
            }
            (Record::Metric(metric), Table::Wide(Wide { columns: Some(_), .. })) => {
                return Err(Error::failed(format!(
                    "the metric `{}` was defined after the first row; use layout=long for this sampler",
                    metric.name
                )));
            }
            (Record::Event(event), Table::Wide(wide)) if event.kind.ends_subject() => {
                if let Some(subject) = event.subject {
                    wide.standing.remove(&subject);
                }
                Ok(())
            }
            _ => Ok(()),
        }
        .map_err(|error| self.cannot_write(error))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.writer.flush().map_err(|error| self.cannot_write(error.into()))
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
}

impl Wide {
    fn write(
        &mut self,
        writer: &mut csv::Writer<Output>,
        catalog: &Catalog,
        sample: &Sample,
    ) -> csv::Result<()> {
        if self.columns.is_none() {
            let metrics = catalog.metrics();
            writer.write_record(
                ["elapsed_s", "subject", "kind", "name"]
                    .into_iter()
                    .chain(metrics.iter().map(|metric| &*metric.name)),
            )?;
            self.columns = Some(metrics.iter().map(|metric| metric.id).collect());
        }
        let columns = self.columns.as_deref().unwrap_or_default();
        let mut touched: Vec<SubjectId> = Vec::with_capacity(1);
        for point in &sample.points {
            let standing =
                self.standing.entry(point.subject).or_insert_with(|| vec![None; columns.len()]);
            if let Some(column) = columns.iter().position(|metric| *metric == point.metric) {
                standing[column] = Some(point.value);
            }
            if touched.last() != Some(&point.subject) && !touched.contains(&point.subject) {
                touched.push(point.subject);
            }
        }
        for subject in touched {
            write_subject(writer, catalog, sample.t, subject)?;
            for value in &self.standing[&subject] {
                writer.write_field(value.map(|value| value.to_string()).unwrap_or_default())?;
            }
            writer.write_record(None::<&[u8]>)?;
        }
        Ok(())
    }
}

fn write_long(
    writer: &mut csv::Writer<Output>,
    catalog: &Catalog,
    sample: &Sample,
    first: bool,
) -> csv::Result<()> {
    if first {
        writer.write_record(["elapsed_s", "subject", "kind", "name", "metric", "unit", "value"])?;
    }
    for point in &sample.points {
        write_subject(writer, catalog, sample.t, point.subject)?;
        let metric = catalog.metric(point.metric);
        writer.write_field(metric.map_or("", |metric| &metric.name))?;
        writer.write_field(metric.map(|metric| metric.unit.to_string()).unwrap_or_default())?;
        writer.write_field(point.value.to_string())?;
        writer.write_record(None::<&[u8]>)?;
    }
    Ok(())
}

/// The columns that every row begins with.
fn write_subject(
    writer: &mut csv::Writer<Output>,
    catalog: &Catalog,
    t: u64,
    id: SubjectId,
) -> csv::Result<()> {
    writer.write_field(format!("{}.{:09}", t / 1_000_000_000, t % 1_000_000_000))?;
    writer.write_field(id.0.to_string())?;
    let subject = catalog.subject(id);
    writer.write_field(subject.map_or("", |subject| &subject.kind))?;
    writer.write_field(subject.map(|subject| subject.name.to_string()).unwrap_or_default())
}
