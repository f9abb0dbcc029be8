//! A stream in memory, for the tests of samplers.

use std::sync::Arc;
use std::time::Instant;

use crate::record::{
    Bytes, Event, EventKind, FrameId, Image, ImageId, Metric, MetricId, MetricSpec, Points, Record,
    Sample, SamplerId, Stack, StackId, SubjectId,
};
use crate::{Error, NewFrame, NewSubject, SampleBuilder, Stream};

/// A stream of one sampler that keeps its records in memory: for the tests of a sampler.
///
/// ```
/// use seepmeter_plugin::record::{SubjectKind, conventions::metric};
/// use seepmeter_plugin::{NewSubject, Stream, StreamBuffer};
///
/// let mut stream = StreamBuffer::new();
/// let process = stream.subject(NewSubject {
///     parent: None,
///     kind: SubjectKind::Process,
///     name: "server".into(),
///     attributes: Default::default(),
/// });
/// let rss = stream.metric(&metric::RSS);
/// stream.sample(|sample| Ok(sample.point(process, rss, 4096))).unwrap();
/// assert_eq!(stream.records().len(), 3);
/// ```
#[derive(Debug)]
pub struct StreamBuffer {
    begin: Instant,
    records: Vec<Record>,
}

impl Default for StreamBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl StreamBuffer {
    /// A stream that begins now, without a header.
    #[must_use]
    pub fn new() -> Self {
        Self { begin: Instant::now(), records: Vec::new() }
    }

    /// What was emitted so far.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Takes a sample and emits it.
    ///
    /// # Errors
    /// That of the sampler: the sample is left out.
    pub fn sample(
        &mut self,
        take: impl FnOnce(&mut SampleBuilder<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let t = self.now();
        let mut points = Points::new();
        let mut sample = SampleBuilder::new(&mut points, self);
        take(&mut sample)?;
        let partial = sample.facts().partial;
        let duration = self.now() - t;
        let sample = Sample { t, sampler: SamplerId(0), duration, partial, points };
        self.records.push(Record::Sample(sample));
        Ok(())
    }

    /// The number of the next record, which is never given twice.
    fn next(&self) -> u32 {
        u32::try_from(self.records.len()).unwrap_or(u32::MAX)
    }
}

impl Stream for StreamBuffer {
    fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn metric(&mut self, metric: &MetricSpec<'_>) -> MetricId {
        let MetricSpec { name, unit, kind, subject_kind, help } = metric.clone();
        let same = self.records.iter().find_map(|record| match record {
            Record::Metric(known) if *known.name == *name && known.subject_kind == subject_kind => {
                Some(known.id)
            }
            _ => None,
        });
        same.unwrap_or_else(|| {
            let id = MetricId(self.next());
            let (name, help, sampler) = (name.into(), help.into(), SamplerId(0));
            let metric = Metric { id, name, unit, kind, subject_kind, sampler, help };
            self.records.push(Record::Metric(Arc::new(metric)));
            id
        })
    }

    fn subject(&mut self, subject: NewSubject) -> SubjectId {
        let id = SubjectId(self.next());
        self.records.push(Record::Subject(Arc::new(subject.numbered(id))));
        id
    }

    fn image(&mut self, path: Bytes, build_id: Option<Box<str>>) -> ImageId {
        let id = ImageId(self.next());
        self.records.push(Record::Image(Arc::new(Image { id, path, build_id })));
        id
    }

    fn frame(&mut self, frame: NewFrame) -> FrameId {
        let id = FrameId(self.next());
        self.records.push(Record::Frame(Arc::new(frame.numbered(id))));
        id
    }

    fn stack(&mut self, frames: Vec<FrameId>, truncated: Option<Bytes>) -> StackId {
        let id = StackId(self.next());
        self.records.push(Record::Stack(Arc::new(Stack { id, frames, truncated })));
        id
    }

    fn event(&mut self, event: Event) {
        let sampler = Some(SamplerId(0));
        self.records.push(Record::Event(Event { sampler, ..event }));
    }

    fn keep_alive(&mut self, reason: &str) {
        let kind = EventKind::KeepAlive { reason: reason.into() };
        self.event(Event::new(self.now(), kind));
    }
}
