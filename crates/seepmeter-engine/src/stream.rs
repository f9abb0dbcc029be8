//! The way into the stream: numbers for metrics and subjects, and the queue to the router.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use seepmeter_plugin::{NewSubject, Stream};
use seepmeter_record::{
    Event, EventKind, Metric, MetricId, Record, SamplerId, Subject, SubjectId, Unit,
};

use crate::clock::Clock;

/// How many records may wait for the router: a tenth of a second at 10 kHz, in 176 KiB. Batches grow to
/// half of it, and each sink may have some of them in hand, so that it counts more than once. The
/// router never waits for anybody, so a sampler finds this full only where the machine is starved.
const QUEUE: usize = 1024;

/// Numbers given out in one stream.
#[derive(Debug, Default)]
struct Registry {
    metrics: HashMap<(Box<str>, Unit), MetricId>,
    subjects: u32,
}

/// One writer's way into the stream.
#[derive(Clone, Debug)]
pub(crate) struct Inlet {
    clock: Clock,
    registry: Arc<Mutex<Registry>>,
    records: Sender<Record>,
    bell: Sender<()>,
    sampler: Option<SamplerId>,
    /// Who is told that the sampler lingers.
    lingers: Option<Sender<Ended>>,
}

/// How a sampler's thread came to the end of its watching.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It has let go of the target.
    LetGo,
    /// The target can't do without it, and why.
    Lingers(String),
}

/// The router's end.
#[derive(Debug)]
pub(crate) struct Outlet {
    pub(crate) records: Receiver<Record>,
    /// Rung when records should not wait any longer.
    pub(crate) bell: Receiver<()>,
}

/// A new stream, whose time starts now.
pub(crate) fn stream() -> (Inlet, Outlet) {
    let (records, records_out) = bounded(QUEUE);
    let (bell, bell_out) = bounded(1);
    let inlet = Inlet {
        clock: Clock::starting_now(),
        registry: Arc::default(),
        records,
        bell,
        sampler: None,
        lingers: None,
    };
    (inlet, Outlet { records: records_out, bell: bell_out })
}

impl Inlet {
    /// The way in of one sampler, which may say that it lingers.
    pub(crate) fn of_sampler(&self, id: SamplerId, lingers: Sender<Ended>) -> Self {
        Self { sampler: Some(id), lingers: Some(lingers), ..self.clone() }
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// Puts a record into the stream. After the router has ended there is nobody to want it.
    pub(crate) fn send(&self, record: Record) {
        let _ = self.records.send(record);
        if self.records.len() > QUEUE / 2 {
            self.hurry();
        }
    }

    /// Asks the router not to wait for more.
    pub(crate) fn hurry(&self) {
        match self.bell.try_send(()) {
            // Rung already, or nobody there to hear it.
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

impl Stream for Inlet {
    fn now(&self) -> u64 {
        self.clock.now()
    }

    fn metric(&mut self, name: &str, unit: Unit, help: &str) -> MetricId {
        // The definition is sent under the lock: whoever gets the number later comes behind it.
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let next = MetricId(u32::try_from(registry.metrics.len()).unwrap_or(u32::MAX));
        let id = *registry.metrics.entry((name.into(), unit)).or_insert(next);
        if id == next {
            self.send(Record::Metric(Metric { id, name: name.into(), unit, help: help.into() }));
        }
        id
    }

    fn subject(&mut self, subject: NewSubject) -> SubjectId {
        let NewSubject { parent, kind, name, attrs } = subject;
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let id = SubjectId(registry.subjects);
        registry.subjects = registry.subjects.wrapping_add(1);
        self.send(Record::Subject(Subject { id, parent, kind, name, attrs }));
        id
    }

    fn event(&mut self, event: Event) {
        let sampler = event.sampler.or(self.sampler);
        let why = (event.kind == EventKind::Lingers).then(|| event.text.to_string());
        self.send(Record::Event(Event { sampler, ..event }));
        if let (Some(why), Some(lingers)) = (why, &self.lingers) {
            // Once is enough.
            let _ = lingers.try_send(Ended::Lingers(why));
        }
    }
}
