//! What a recording holds.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use seepmeter_record::conventions::attribute;
use seepmeter_record::jsonl::{self, Ending};
use seepmeter_record::{
    Bytes, CurrentValues, End, Event, Footer, Header, Metric, Record, Sample, StackDefinitions,
    StackId, Subject, SubjectId, SubjectKind,
};

use crate::since::eventually;

/// A recording, read whole.
#[derive(Debug)]
pub struct Recording {
    /// Its records in their order.
    pub records: Vec<Record>,
    /// How it ended.
    pub ending: Ending,
}

/// A folder with the recording `r.jsonl`, and the words of the sink that writes it.
///
/// # Panics
/// If no folder can be made.
#[must_use]
pub fn recorded() -> (tempfile::TempDir, PathBuf, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.jsonl");
    let sink = format!("jsonl,path={}", path.display());
    (folder, path, sink)
}

impl Recording {
    /// Reads one.
    ///
    /// # Panics
    /// If it is none.
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
        let mut records = Vec::new();
        while let Some(record) = reader.next_record()? {
            records.push(record);
        }
        Ok(Self { records, ending: reader.ending() })
    }

    /// One that is being written, once it has so many samples: from its first sample on, the samplers tick. A
    /// target that has begun says nothing of them.
    ///
    /// # Panics
    /// If they don't come within the [limit](crate::limit).
    #[track_caller]
    pub fn await_samples(path: &Path, count: usize) -> Self {
        let enough = |recording: &Self| recording.samples().count() >= count;
        eventually("samples in the recording", || Self::try_read(path).ok().filter(enough))
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
    /// If it was cut off.
    #[must_use]
    #[track_caller]
    pub fn footer(&self) -> &Footer {
        match self.records.last() {
            Some(Record::Footer(footer)) => footer,
            other => panic!("it ends with {other:?}"),
        }
    }

    /// The subject of its only target.
    ///
    /// # Panics
    /// If it has none, or several.
    #[must_use]
    #[track_caller]
    pub fn target(&self) -> SubjectId {
        match &self.header().targets[..] {
            [target] => target.subject,
            others => panic!("one target is wanted: {others:?}"),
        }
    }

    /// What became of its only target.
    ///
    /// # Panics
    /// If it was cut off, or has not one target.
    #[must_use]
    #[track_caller]
    pub fn end(&self) -> End {
        self.footer().end_of(self.target()).expect("an end of the target")
    }

    /// The samples.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.records.iter().filter_map(|record| match record {
            Record::Sample(sample) => Some(sample),
            _ => None,
        })
    }

    /// The events of a kind, by its word.
    #[must_use]
    pub fn events(&self, kind: &str) -> Vec<&Event> {
        self.records
            .iter()
            .filter_map(|record| match record {
                Record::Event(event) if event.kind.as_str() == kind => Some(event),
                _ => None,
            })
            .collect()
    }

    /// The metrics.
    pub fn metrics(&self) -> impl Iterator<Item = &Arc<Metric>> {
        self.records.iter().filter_map(|record| match record {
            Record::Metric(metric) => Some(metric),
            _ => None,
        })
    }

    /// The subjects of a kind.
    #[must_use]
    pub fn subjects(&self, kind: &SubjectKind) -> Vec<&Subject> {
        self.all_subjects().filter(|subject| subject.kind == *kind).collect()
    }

    fn all_subjects(&self) -> impl Iterator<Item = &Subject> {
        self.records.iter().filter_map(|record| match record {
            Record::Subject(subject) => Some(&**subject),
            _ => None,
        })
    }

    /// All points of a metric, of every sampler and every kind of subject: when, of which subject, and
    /// the value.
    #[must_use]
    pub fn points(&self, metric: &str) -> Vec<(u64, SubjectId, i64)> {
        let named = self.metrics().filter(|defined| &*defined.name == metric);
        let ids: Vec<_> = named.map(|metric| metric.id).collect();
        let of_sample = |sample: &Sample| {
            let t = sample.t;
            let points = sample.points.iter().filter(|point| ids.contains(&point.metric));
            points.map(|point| (t, point.subject, point.value)).collect::<Vec<_>>()
        };
        self.samples().flat_map(of_sample).collect()
    }

    /// A subject by its number.
    ///
    /// # Panics
    /// If there is no such subject.
    #[must_use]
    #[track_caller]
    pub fn subject(&self, id: SubjectId) -> &Subject {
        let mut all = self.all_subjects();
        all.find(|subject| subject.id == id).unwrap_or_else(|| panic!("{id:?} is not defined"))
    }

    /// A subject's name.
    ///
    /// # Panics
    /// If there is no such subject.
    #[must_use]
    #[track_caller]
    pub fn name(&self, id: SubjectId) -> String {
        self.subject(id).name.to_string()
    }

    /// The functions of a stack, the outermost first and those that the compiler has inlined among them,
    /// with `;` between them. A frame whose function is not known is `?`.
    ///
    /// # Panics
    /// If there is no such stack.
    #[must_use]
    #[track_caller]
    pub fn functions(&self, stack: StackId) -> String {
        let mut definitions = StackDefinitions::default();
        self.records.iter().for_each(|record| definitions.apply(record));
        let stack = definitions.stack(stack).unwrap_or_else(|| panic!("{stack:?} is not defined"));
        let functions = definitions.frames(stack).rev().flat_map(|frame| {
            let called = frame.function.as_ref().map_or("?".to_owned(), Bytes::to_string);
            let inlined = frame.inlined.iter().rev().map(|call| call.function.to_string());
            std::iter::once(called).chain(inlined)
        });
        functions.collect::<Vec<_>>().join(";")
    }

    /// The only target's pid.
    ///
    /// # Panics
    /// If it is not known, or its start time isn't.
    #[must_use]
    #[track_caller]
    pub fn target_pid(&self) -> i32 {
        let target = self.subject(self.target());
        target.get(attribute::START_TIME).expect("a process has a start time");
        target.get(attribute::PID).expect("a process has a pid")
    }

    /// The values of the only target that stand after each sample: when, and each metric's by its name.
    #[must_use]
    #[track_caller]
    pub fn target_values(&self) -> Vec<(u64, HashMap<String, i64>)> {
        self.values_of(self.target())
    }

    /// The values of a subject that stand after each sample, until its end.
    #[must_use]
    pub fn values_of(&self, subject: SubjectId) -> Vec<(u64, HashMap<String, i64>)> {
        let mut current = CurrentValues::default();
        let mut values = Vec::new();
        for record in &self.records {
            current.apply(record);
            let Record::Sample(sample) = record else { continue };
            let standing = current.metrics().filter_map(|metric| {
                Some((metric.name.to_string(), current.value(subject, &metric.name)?))
            });
            let standing: HashMap<_, _> = standing.collect();
            if !standing.is_empty() {
                values.push((sample.t, standing));
            }
        }
        values
    }

    /// One metric of the only target: when, and the value that stood then.
    #[must_use]
    #[track_caller]
    pub fn series(&self, metric: &str) -> Vec<(u64, i64)> {
        let values = self.target_values().into_iter();
        values.filter_map(|(t, values)| Some((t, *values.get(metric)?))).collect()
    }

    /// The largest value of one metric of the only target.
    #[must_use]
    #[track_caller]
    pub fn largest(&self, metric: &str) -> i64 {
        let values = self.series(metric).into_iter().map(|(_, value)| value);
        values.max().unwrap_or_else(|| panic!("there is no {metric}"))
    }
}
