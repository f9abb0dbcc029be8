//! Which numbers a recording has defined.

use std::collections::BTreeSet;

use super::limits::{MOST_DEFINED, MOST_METRICS, MOST_TARGETS};
use crate::subject_tree::SubjectTree;
use crate::{Event, EventKind, FrameId, ImageId, MetricId, Record, Sample, StackId, SubjectId};

/// Why a record does not fit those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misfit {
    /// It names what was not defined.
    #[error("{kind} {number} is named here, and was not defined before")]
    Undefined {
        /// What kind of thing.
        kind: &'static str,
        /// Its number.
        number: u32,
    },
    /// Its number is not behind those of its kind that were defined before.
    #[error("{kind} {number} is defined behind {kind} {before}; their numbers must increase")]
    OutOfOrder {
        /// What kind of thing.
        kind: &'static str,
        /// Its number.
        number: u32,
        /// The last number of its kind.
        before: u32,
    },
    /// What a reader must keep takes more than [`MOST_DEFINED`].
    #[error(
        "its metrics, its stacks and the subjects that live take more than {} MiB, which is the limit", MOST_DEFINED >> 20
    )]
    TooMuch,
    /// There are too many of a kind.
    #[error("it has more than {most} {what}, which is the limit")]
    TooMany {
        /// How many there may be.
        most: usize,
        /// Of what.
        what: &'static str,
    },
}

/// The numbers of one kind of definition. They increase, mostly by one, so that a few ranges hold
/// however many there are.
#[derive(Debug)]
struct Numbers {
    kind: &'static str,
    /// First and last numbers, in increasing order.
    ranges: Vec<(u32, u32)>,
}

impl Numbers {
    fn of(kind: &'static str) -> Self {
        Self { kind, ranges: Vec::new() }
    }

    fn define(&mut self, number: u32) -> Result<(), Misfit> {
        match self.ranges.last_mut() {
            Some((_, last)) if number <= *last => {
                Err(Misfit::OutOfOrder { kind: self.kind, number, before: *last })
            }
            Some((_, last)) if number - 1 == *last => {
                *last = number;
                Ok(())
            }
            _ => {
                self.ranges.push((number, number));
                Ok(())
            }
        }
    }

    fn check(&self, number: u32) -> Result<(), Misfit> {
        let place = self.ranges.partition_point(|(_, last)| *last < number);
        match self.ranges.get(place) {
            Some((first, _)) if *first <= number => Ok(()),
            _ => Err(Misfit::Undefined { kind: self.kind, number }),
        }
    }
}

/// What readers keep of a subject or a metric beside its definition, in bytes: there are several of them.
const READERS: usize = 256;

/// What a recording has defined so far, and what of it a reader must keep. Readers hold it against each
/// record, and so does who writes one: what no reader takes should not be written.
///
/// A subject that has ended stays defined: a sampler may have been in the middle of a sample of it.
///
/// ```
/// use seepmeter_record::Record;
/// use seepmeter_record::jsonl::{Definitions, Misfit};
///
/// fn check(recording: &[Record]) -> Result<(), Misfit> {
///     let mut definitions = Definitions::default();
///     recording.iter().try_for_each(|record| definitions.apply(record))
/// }
/// ```
#[derive(Debug)]
pub struct Definitions {
    metrics: Numbers,
    subjects: Numbers,
    images: Numbers,
    frames: Numbers,
    stacks: Numbers,
    metric_count: usize,
    /// Those that have not ended.
    targets: BTreeSet<SubjectId>,
    /// What each subject that lives takes.
    living: SubjectTree<usize>,
    /// What all that must be kept takes, in bytes.
    kept: usize,
}

impl Default for Definitions {
    fn default() -> Self {
        Self {
            metrics: Numbers::of("metric"),
            subjects: Numbers::of("subject"),
            images: Numbers::of("image"),
            frames: Numbers::of("frame"),
            stacks: Numbers::of("stack"),
            metric_count: 0,
            targets: BTreeSet::new(),
            living: SubjectTree::default(),
            kept: 0,
        }
    }
}

impl Definitions {
    /// Takes in a record.
    ///
    /// # Errors
    /// A record that names what was not defined before it, a number that comes twice, or more than a recording
    /// may hold.
    pub fn apply(&mut self, record: &Record) -> Result<(), Misfit> {
        match record {
            Record::Metric(metric) => {
                self.metrics.define(metric.id.0)?;
                self.metric_count += 1;
                if self.metric_count > MOST_METRICS {
                    return Err(Misfit::TooMany { most: MOST_METRICS, what: "metrics" });
                }
                self.keep(READERS + record.size())
            }
            Record::Subject(subject) => {
                self.subjects.define(subject.id.0)?;
                let bytes = READERS + record.size();
                self.living.insert(subject, bytes);
                self.keep(bytes)
            }
            Record::Image(image) => {
                self.images.define(image.id.0)?;
                self.keep(record.size())
            }
            Record::Frame(frame) => {
                frame.image.map_or(Ok(()), |ImageId(image)| self.images.check(image))?;
                self.frames.define(frame.id.0)?;
                self.keep(record.size())
            }
            Record::Stack(stack) => {
                let StackId(number) = stack.id;
                stack.frames.iter().try_for_each(|FrameId(frame)| self.frames.check(*frame))?;
                self.stacks.define(number)?;
                self.keep(record.size())
            }
            Record::Sample(sample) => self.sample(sample),
            // An event may speak of a subject that a filter has taken out.
            Record::Event(event) => self.event(event),
            Record::Header(header) => {
                header.targets.iter().try_for_each(|target| self.target(target.subject))
            }
            Record::Footer(_) => Ok(()),
        }
    }

    fn keep(&mut self, bytes: usize) -> Result<(), Misfit> {
        self.kept += bytes;
        if self.kept > MOST_DEFINED { Err(Misfit::TooMuch) } else { Ok(()) }
    }

    fn target(&mut self, subject: SubjectId) -> Result<(), Misfit> {
        self.targets.insert(subject);
        match self.targets.len() {
            0..=MOST_TARGETS => Ok(()),
            _ => Err(Misfit::TooMany { most: MOST_TARGETS, what: "targets" }),
        }
    }

    fn event(&mut self, event: &Event) -> Result<(), Misfit> {
        let Some(subject) = event.subject else { return Ok(()) };
        if event.kind == (EventKind::Attached {}) {
            self.target(subject)?;
        }
        if event.kind.ends_subject() {
            self.targets.remove(&subject);
            self.living.end(subject, |_, bytes| self.kept -= bytes);
        }
        Ok(())
    }

    fn sample(&self, sample: &Sample) -> Result<(), Misfit> {
        sample.points.iter().try_for_each(|point| {
            let (MetricId(metric), SubjectId(subject)) = (point.metric, point.subject);
            self.metrics.check(metric)?;
            self.subjects.check(subject)
        })
    }
}
