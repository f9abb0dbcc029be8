//! The input and output ends of the stream.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{
    Receiver, RecvTimeoutError, SendTimeoutError, Sender, TrySendError, bounded,
};
use seepmeter_plugin::{NewFrame, NewSubject, Stream};
use seepmeter_record::{
    Bytes, Event, EventKind, Frame, FrameId, Image, ImageId, Metric, MetricId, MetricSpec, Record,
    SamplerId, Stack, StackId, Subject, SubjectId,
};

use crate::clock::Clock;
use crate::thread_end::ThreadEndFlag;

/// How many records may wait for the router: a tenth of a second at 10 kHz, in 176 KiB. Batches grow to
/// half of it, and each sink may have some of them in hand, so that it counts more than once. The
/// router never waits for anybody, so a sampler finds this full only on a machine that is starved.
const QUEUE: usize = 1024;

/// How often who waits for the router asks whether it is gone.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// The numbers given out in one stream. Each kind counts from 0.
#[derive(Debug, Default)]
struct Numbers {
    metrics: Vec<Metric>,
    subjects: u32,
    images: u32,
    frames: u32,
    stacks: u32,
}

/// The next number of a kind.
fn take(counter: &mut u32) -> u32 {
    let number = *counter;
    *counter = counter.wrapping_add(1);
    number
}

/// The input end: gives out numbers and sends records to the router.
#[derive(Clone, Debug)]
pub(crate) struct StreamWriter {
    clock: Clock,
    numbers: Arc<Mutex<Numbers>>,
    records: Sender<Record>,
    flush_requests: Sender<()>,
    router: ThreadEndFlag,
}

/// The output end, which the router has.
#[derive(Debug)]
pub(crate) struct StreamReader {
    pub(crate) records: Receiver<Record>,
    /// Gets a message if records should not wait any longer.
    pub(crate) flush_requests: Receiver<()>,
    /// The router's own thread.
    pub(crate) router: ThreadEndFlag,
}

/// A new stream, whose time starts now.
pub(crate) fn stream() -> (StreamWriter, StreamReader) {
    let (sender, records) = bounded(QUEUE);
    let (flush_sender, flush_requests) = bounded(1);
    let router = ThreadEndFlag::new();
    let writer = StreamWriter {
        clock: Clock::starting_now(),
        numbers: Arc::default(),
        records: sender,
        flush_requests: flush_sender,
        router,
    };
    (writer, StreamReader { records, flush_requests, router })
}

impl StreamWriter {
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Puts a record into the stream. After the router has ended, nobody wants it; if it has ended because
    /// there is no memory, its end of the queue stays open.
    pub(crate) fn send(&self, record: Record) {
        let mut full = match self.records.try_send(record) {
            Err(TrySendError::Full(record)) => Some(record),
            Ok(()) | Err(TrySendError::Disconnected(_)) => None,
        };
        while let Some(record) = full.take().filter(|_| !self.router.is_set()) {
            if let Err(SendTimeoutError::Timeout(record)) =
                self.records.send_timeout(record, ASK_EVERY)
            {
                full = Some(record);
            }
        }
        if self.records.len() > QUEUE / 2 {
            self.request_flush();
        }
    }

    /// Waits for what the router sends at its end; none if it has ended without that.
    pub(crate) fn wait_for_router<T>(&self, report: &Receiver<T>) -> Option<T> {
        loop {
            match report.recv_timeout(ASK_EVERY) {
                Ok(report) => return Some(report),
                Err(RecvTimeoutError::Timeout) if !self.router.is_set() => {}
                // What it has sent before counts.
                Err(_) => return report.try_recv().ok(),
            }
        }
    }

    /// Asks the router not to wait for more.
    pub(crate) fn request_flush(&self) {
        match self.flush_requests.try_send(()) {
            // Asked already, or the router has ended.
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }

    /// The names of the metrics that were defined so far, each once.
    pub(crate) fn metric_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for metric in &self.lock().metrics {
            if !names.iter().any(|name| **name == *metric.name) {
                names.push(metric.name.to_string());
            }
        }
        names
    }

    /// Numbers for subjects that will be defined soon, for a header that names them before.
    pub(crate) fn reserve_subjects(&self, count: usize) -> Vec<SubjectId> {
        let mut numbers = self.lock();
        (0..count).map(|_| SubjectId(take(&mut numbers.subjects))).collect()
    }

    /// Defines a subject whose number was reserved.
    pub(crate) fn define_subject(&self, id: SubjectId, subject: NewSubject) {
        let NewSubject { parent, kind, name, attributes } = subject;
        self.send(Record::Subject(Subject { id, parent, kind, name, attributes }.into()));
    }

    // Definitions are sent under the lock: whoever gets a later number comes behind in the stream.
    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn subject(&self, subject: NewSubject) -> SubjectId {
        let mut numbers = self.lock();
        let id = SubjectId(take(&mut numbers.subjects));
        self.define_subject(id, subject);
        id
    }

    fn metric(&self, spec: &MetricSpec<'_>, sampler: SamplerId) -> MetricId {
        let MetricSpec { name, unit, kind, subject_kind, help } = spec.clone();
        let mut numbers = self.lock();
        let same = |known: &&Metric| {
            (&*known.name, known.unit, known.kind, known.sampler) == (name, unit, kind, sampler)
                && known.subject_kind == subject_kind
        };
        if let Some(known) = numbers.metrics.iter().find(same) {
            return known.id;
        }
        let id = MetricId(u32::try_from(numbers.metrics.len()).unwrap_or(u32::MAX));
        let (name, help) = (name.into(), help.into());
        let metric = Metric { id, name, unit, kind, subject_kind, sampler, help };
        numbers.metrics.push(metric.clone());
        self.send(Record::Metric(metric.into()));
        id
    }
}

/// The stream as one sampler has it.
#[derive(Debug)]
pub(crate) struct SamplerStream {
    pub(crate) writer: StreamWriter,
    pub(crate) sampler: SamplerId,
    /// Hears how the sampler's thread ends; the first message counts.
    pub(crate) end: Sender<ThreadEnd>,
}

/// How a sampler's thread came to the end of the run.
#[derive(Debug)]
pub(crate) enum ThreadEnd {
    /// It has let go of all targets.
    Finished,
    /// The targets still need it, and why.
    KeptAlive(String),
}

impl Stream for SamplerStream {
    fn now(&self) -> u64 {
        self.writer.now()
    }

    fn metric(&mut self, metric: &MetricSpec<'_>) -> MetricId {
        self.writer.metric(metric, self.sampler)
    }

    fn subject(&mut self, subject: NewSubject) -> SubjectId {
        self.writer.subject(subject)
    }

    fn image(&mut self, path: Bytes, build_id: Option<Box<str>>) -> ImageId {
        let mut numbers = self.writer.lock();
        let id = ImageId(take(&mut numbers.images));
        self.writer.send(Record::Image(Image { id, path, build_id }.into()));
        id
    }

    fn frame(&mut self, frame: NewFrame) -> FrameId {
        let NewFrame { image, address, function, file, line, inlined } = frame;
        let mut numbers = self.writer.lock();
        let id = FrameId(take(&mut numbers.frames));
        let frame = Frame { id, image, address, function, file, line, inlined };
        self.writer.send(Record::Frame(frame.into()));
        id
    }

    fn stack(&mut self, frames: Vec<FrameId>, truncated: Option<Bytes>) -> StackId {
        let mut numbers = self.writer.lock();
        let id = StackId(take(&mut numbers.stacks));
        self.writer.send(Record::Stack(Stack { id, frames, truncated }.into()));
        id
    }

    fn event(&mut self, event: Event) {
        let sampler = event.sampler.or(Some(self.sampler));
        self.writer.send(Record::Event(Event { sampler, ..event }));
    }

    fn keep_alive(&mut self, reason: &str) {
        let kind = EventKind::KeepAlive { reason: reason.into() };
        self.event(Event::new(self.now(), kind));
        // To ask once is enough.
        let _ = self.end.try_send(ThreadEnd::KeptAlive(reason.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_a_router_that_is_gone_and_keeps_its_end_of_the_stream() {
        let (writer, reader) = stream();
        let event = || Record::Event(Event::new(0, EventKind::Continued {}));
        (0..QUEUE).for_each(|_| writer.send(event()));
        let (_report, reported) = bounded::<()>(1);
        let waiting = std::thread::spawn(move || {
            writer.send(event());
            writer.wait_for_router(&reported)
        });
        reader.router.set();
        assert_eq!(waiting.join().unwrap(), None);
        assert_eq!(reader.records.len(), QUEUE);
    }
}
