//! The sink `stacks`: where threads stood, in the folded form that flame-graph tools read.
//!
//! One line a stack: its frames from the outermost to the innermost with semicolons between them, the
//! thread's name before them, and a number behind.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use seepmeter_plugin::{Error, Plugin, Sink, choices, options};
use seepmeter_record::{Catalog, MetricId, Record, Sample, SamplerId, SubjectId, subject_kind};

use super::output::Output;

choices! {
    /// What the number behind a stack counts.
    pub enum Weight {
        /// Looks at which a thread stood there.
        Looks = "looks",
        /// Bytes by which the resident set grew between two looks, at the later of which a thread stood
        /// there.
        Growth = "growth",
        /// Bytes of address space that were mapped there and are mapped at the end.
        Mapped = "mapped",
    }
}

options! {
    /// Options of the sink `stacks`.
    pub struct StacksOptions {
        /// The file to write to; `-` is standard output.
        path: PathBuf = "-",
        /// What to count: `looks` at which a thread stood there; `growth`, the bytes by which the resident
        /// set grew before such a look; or `mapped`, the bytes of address space that were mapped there and
        /// are mapped at the end.
        weight: Weight = "looks",
    }
}

/// The sink `stacks`.
pub struct Stacks {
    weight: Weight,
    output: Output,
    catalog: Catalog,
    ids: Ids,
    /// Which sampler tells of stacks: its samples are the looks that are counted.
    looker: Option<SamplerId>,
    /// The stack that each thread stands at.
    standing: HashMap<SubjectId, SubjectId>,
    rss: Rss,
    weights: BTreeMap<(SubjectId, SubjectId), u64>,
    /// Of each stack, with the weight `mapped`.
    mapped: BTreeMap<SubjectId, u64>,
}

/// The metrics that are needed.
#[derive(Default)]
struct Ids {
    stack: Option<MetricId>,
    rss: Option<MetricId>,
    mapped: Option<MetricId>,
}

/// The target's resident set, in bytes.
#[derive(Default)]
struct Rss {
    target: Option<SubjectId>,
    now: Option<i64>,
    at_last_look: Option<i64>,
}

impl Plugin for Stacks {
    const NAME: &'static str = "stacks";
    const ABOUT: &'static str = "writes where threads stood, as lines for flame-graph tools";
    type Options = StacksOptions;

    fn new(options: StacksOptions) -> Result<Self, Error> {
        Ok(Self {
            weight: options.weight,
            output: Output::create(&options.path)?,
            catalog: Catalog::default(),
            ids: Ids::default(),
            looker: None,
            standing: HashMap::new(),
            rss: Rss::default(),
            weights: BTreeMap::new(),
            mapped: BTreeMap::new(),
        })
    }
}

impl Sink for Stacks {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.catalog.learn(record);
        match record {
            Record::Metric(metric) => match &*metric.name {
                "stack" => self.ids.stack = Some(metric.id),
                "rss" => self.ids.rss = Some(metric.id),
                "mapped" => self.ids.mapped = Some(metric.id),
                _ => {}
            },
            Record::Subject(subject) if &*subject.kind == subject_kind::PROCESS => {
                self.rss.target.get_or_insert(subject.id);
            }
            Record::Sample(sample) => self.take(sample),
            Record::Event(event) if event.kind.ends_subject() => {
                if let Some(subject) = event.subject {
                    self.standing.remove(&subject);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Error> {
        let lacks = match self.weight {
            Weight::Mapped => self.ids.mapped.is_none(),
            Weight::Looks | Weight::Growth => self.ids.stack.is_none(),
        };
        if lacks {
            return Err(Error::failed(
                "no sampler told of stacks; sample with -s ptrace (for weight=mapped with -s ptrace,calls=memory)",
            ));
        }
        let lines = self.lines();
        self.output.print(|out| {
            lines.iter().try_for_each(|(stack, weight)| {
                out.write_all(stack)?;
                writeln!(out, " {weight}")
            })
        })?;
        self.output.flush()
    }
}

impl Stacks {
    fn take(&mut self, sample: &Sample) {
        for point in &sample.points {
            let metric = Some(point.metric);
            if metric == self.ids.stack {
                self.looker = Some(sample.sampler);
                let stack = u32::try_from(point.value).map(SubjectId);
                let _ = stack.map(|stack| self.standing.insert(point.subject, stack));
            } else if metric == self.ids.rss && Some(point.subject) == self.rss.target {
                self.rss.now = Some(point.value);
            } else if metric == self.ids.mapped {
                self.mapped.insert(point.subject, u64::try_from(point.value).unwrap_or(0));
            }
        }
        if self.looker == Some(sample.sampler) {
            self.count();
        }
    }

    /// Counts a look.
    fn count(&mut self) {
        let before = self.rss.at_last_look.replace(self.rss.now.unwrap_or(0));
        let weight = match (self.weight, before, self.rss.now) {
            (Weight::Looks, ..) => 1,
            (Weight::Growth, Some(before), Some(now)) => u64::try_from(now - before).unwrap_or(0),
            _ => 0,
        };
        if weight > 0 {
            for (thread, stack) in &self.standing {
                *self.weights.entry((*thread, *stack)).or_default() += weight;
            }
        }
    }

    /// The lines in their order, those that read alike taken together.
    fn lines(&self) -> BTreeMap<Vec<u8>, u64> {
        let mut lines = BTreeMap::new();
        let mut add = |line: Vec<u8>, weight: u64| {
            if weight > 0 {
                *lines.entry(line).or_default() += weight;
            }
        };
        for (stack, weight) in self.mapped.iter().filter(|_| self.weight == Weight::Mapped) {
            add(self.name(*stack).to_vec(), *weight);
        }
        for ((thread, stack), weight) in &self.weights {
            let thread = one_frame(self.name(*thread));
            add([&thread, &b";"[..], self.name(*stack)].concat(), *weight);
        }
        lines
    }

    fn name(&self, subject: SubjectId) -> &[u8] {
        static NOBODY: &[u8] = b"?";
        self.catalog.subject(subject).map_or(NOBODY, |subject| subject.name.as_bytes())
    }
}

/// A name as one frame: a semicolon in it would end it.
fn one_frame(name: &[u8]) -> Vec<u8> {
    name.iter().map(|&byte| if matches!(byte, b';' | b'\n') { b'_' } else { byte }).collect()
}
