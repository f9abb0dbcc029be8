//! What a recording says.

use std::collections::HashMap;
use std::path::Path;

use seepmeter_record::jsonl::{self, Ending};
use seepmeter_record::{
    Catalog, Event, EventKind, Footer, Header, Record, Sample, Subject, SubjectId, subject_kind,
};

/// A recording, read whole.
#[derive(Debug)]
pub struct Recording {
    /// Its records in their order.
    pub records: Vec<Record>,
    /// How it ended.
    pub ending: Ending,
    catalog: Catalog,
}

impl Recording {
    /// Reads one.
    ///
    /// # Panics
    /// Where it is none.
    #[must_use]
    #[track_caller]
    pub fn read(path: &Path) -> Self {
        Self::try_read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// As [`Recording::read`], for one that may not be good.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn try_read(path: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let mut reader = jsonl::open(path)?;
        let (mut records, mut catalog) = (Vec::new(), Catalog::default());
        while let Some(record) = reader.next_record()? {
            catalog.learn(&record);
            records.push(record);
        }
        Ok(Self { records, ending: reader.ending(), catalog })
    }

    /// Its first record.
    ///
    /// # Panics
    /// Never: a recording begins with a header.
    #[must_use]
    pub fn header(&self) -> &Header {
        match &self.records[0] {
            Record::Header(header) => header,
            other => panic!("it begins with {other:?}"),
        }
    }

    /// Its last record.
    ///
    /// # Panics
    /// Where it was cut off.
    #[must_use]
    #[track_caller]
    pub fn footer(&self) -> &Footer {
        match self.records.last() {
            Some(Record::Footer(footer)) => footer,
            other => panic!("it ends with {other:?}"),
        }
    }

    /// The looks.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.records.iter().filter_map(|record| match record {
            Record::Sample(sample) => Some(sample),
            _ => None,
        })
    }

    /// The events of a kind.
    #[must_use]
    pub fn events(&self, kind: &EventKind) -> Vec<&Event> {
        self.records
            .iter()
            .filter_map(|record| match record {
                Record::Event(event) if event.kind == *kind => Some(event),
                _ => None,
            })
            .collect()
    }

    /// The subjects of a kind.
    #[must_use]
    pub fn subjects(&self, kind: &str) -> Vec<&Subject> {
        let subjects = self.records.iter().filter_map(|record| match record {
            Record::Subject(subject) if &*subject.kind == kind => Some(subject),
            _ => None,
        });
        subjects.collect()
    }

    /// All points of a metric: when, of which subject, how much.
    #[must_use]
    pub fn points(&self, metric: &str) -> Vec<(u64, SubjectId, i64)> {
        let Some(metric) = self.catalog.metric_named(metric) else { return Vec::new() };
        let of_sample = |sample: &Sample| {
            let t = sample.t;
            let points = sample.points.iter().filter(|point| point.metric == metric);
            points.map(|point| (t, point.subject, point.value)).collect::<Vec<_>>()
        };
        self.samples().flat_map(of_sample).collect()
    }

    /// A subject's name.
    ///
    /// # Panics
    /// Where there is no such subject.
    #[must_use]
    #[track_caller]
    pub fn name(&self, subject: SubjectId) -> String {
        self.catalog.subject(subject).expect("a subject is defined").name.to_string()
    }

    /// The target's process key: pid and start time.
    #[must_use]
    #[track_caller]
    pub fn process_key(&self) -> (i64, i64) {
        let subject = self.catalog.subject(self.target()).and_then(|subject| subject.process_key());
        subject.expect("a process has a key")
    }

    /// The values of the target that stand after each look: when, and each metric's by its name.
    #[must_use]
    pub fn looks(&self) -> Vec<(u64, HashMap<String, i64>)> {
        let target = self.target();
        let mut standing = HashMap::new();
        self.samples()
            .map(|sample| {
                for point in sample.points.iter().filter(|point| point.subject == target) {
                    let metric = self.catalog.metric(point.metric).expect("a metric is defined");
                    standing.insert(metric.name.to_string(), point.value);
                }
                (sample.t, standing.clone())
            })
            .collect()
    }

    /// One metric of the target: when, and what stood then.
    #[must_use]
    pub fn series(&self, metric: &str) -> Vec<(u64, i64)> {
        self.looks().into_iter().filter_map(|(t, values)| Some((t, *values.get(metric)?))).collect()
    }

    /// The largest value of one metric of the target.
    #[must_use]
    #[track_caller]
    pub fn largest(&self, metric: &str) -> i64 {
        let values = self.series(metric).into_iter().map(|(_, value)| value);
        values.max().unwrap_or_else(|| panic!("there is no {metric}"))
    }

    /// The first process is the target.
    ///
    /// # Panics
    /// Where there is no process.
    #[must_use]
    pub fn target(&self) -> SubjectId {
        self.records
            .iter()
            .find_map(|record| match record {
                Record::Subject(subject) if &*subject.kind == subject_kind::PROCESS => {
                    Some(subject.id)
                }
                _ => None,
            })
            .expect("there is a process")
    }
}
