//! Which numbers a recording has defined.

use crate::{FrameId, ImageId, MetricId, Record, Sample, Stack, StackId, SubjectId};

/// Why a record does not fit those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misfit {
    #[error("{kind} {number} is named here, and was not defined before")]
    Undefined { kind: &'static str, number: u32 },
    #[error("{kind} {number} is defined behind {kind} {before}; their numbers must increase")]
    OutOfOrder { kind: &'static str, number: u32, before: u32 },
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

/// All numbers that a recording has defined so far. A subject that has ended stays defined: a sampler
/// may have been in the middle of a sample of it.
#[derive(Debug)]
pub(super) struct Defined {
    metrics: Numbers,
    subjects: Numbers,
    images: Numbers,
    frames: Numbers,
    stacks: Numbers,
}

impl Default for Defined {
    fn default() -> Self {
        Self {
            metrics: Numbers::of("metric"),
            subjects: Numbers::of("subject"),
            images: Numbers::of("image"),
            frames: Numbers::of("frame"),
            stacks: Numbers::of("stack"),
        }
    }
}

impl Defined {
    /// Takes in a record.
    ///
    /// # Errors
    /// A record that names what was not defined before it, or a number that comes twice.
    pub(super) fn apply(&mut self, record: &Record) -> Result<(), Misfit> {
        match record {
            Record::Metric(metric) => self.metrics.define(metric.id.0),
            Record::Subject(subject) => self.subjects.define(subject.id.0),
            Record::Image(image) => self.images.define(image.id.0),
            Record::Frame(frame) => {
                frame.image.map_or(Ok(()), |ImageId(image)| self.images.check(image))?;
                self.frames.define(frame.id.0)
            }
            Record::Stack(stack) => self.stack(stack),
            Record::Sample(sample) => self.sample(sample),
            // An event may speak of a subject that a filter has taken out.
            Record::Header(_) | Record::Event(_) | Record::Footer(_) => Ok(()),
        }
    }

    fn stack(&mut self, stack: &Stack) -> Result<(), Misfit> {
        let StackId(number) = stack.id;
        stack.frames.iter().try_for_each(|FrameId(frame)| self.frames.check(*frame))?;
        self.stacks.define(number)
    }

    fn sample(&self, sample: &Sample) -> Result<(), Misfit> {
        sample.points.iter().try_for_each(|point| {
            let (MetricId(metric), SubjectId(subject)) = (point.metric, point.subject);
            self.metrics.check(metric)?;
            self.subjects.check(subject)
        })
    }
}
