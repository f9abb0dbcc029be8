//! A model test: samplers emit, the router routes, sinks take, fall behind and close, in any order that a
//! seed says. Whatever the order, each sink that stays open gets every definition and event, in the order
//! of the stream, and each sample is either received or reported as dropped.
//!
//! The parts take turns in one thread, a step at a time, so that a seed is an order and a failure can be
//! repeated. Within a step nothing can come between that matters: sinks only ever make room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, bounded};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use seepmeter_plugin::{NewSubject, Stream};
use seepmeter_record::{Cost, Event, EventKind, Footer, Record, Sample, SamplerId, SubjectKind};
use seepmeter_verdict::{Collector, JudgeOptions};

use super::Router;
use crate::failures::Failures;
use crate::fan_out::FanOut;
use crate::sink_queue::{Delivery, PENDING_BYTES, PENDING_SAMPLES, Pending, SinkQueue};
use crate::stream::{SamplerStream, StreamWriter, stream};
use crate::thread_end::ThreadEndFlag;

type Rng = Xoshiro256PlusPlus;

const SAMPLERS: u16 = 3;
const SINKS: usize = 3;

/// A sink that takes a delivery, and writes of it as much as its turns allow.
struct ModelSink {
    label: String,
    /// None once it has closed.
    deliveries: Option<Receiver<Delivery>>,
    pending: Arc<Pending>,
    in_hand: Vec<Record>,
    written: Vec<Record>,
}

impl ModelSink {
    /// One whose queue holds a few batches, and a few samples: as if the rest of its room were taken.
    fn new(number: usize, rng: &mut Rng) -> (Self, SinkQueue) {
        let label = format!("sink {number}");
        let (sender, deliveries) = bounded(rng.random_range(1..4));
        let room = rng.random_range(1..12);
        let samples = AtomicUsize::new(PENDING_SAMPLES - room);
        let pending = Arc::new(Pending { samples, ..Pending::default() });
        let queue =
            SinkQueue::new(label.clone(), sender, Arc::clone(&pending), ThreadEndFlag::new());
        let deliveries = Some(deliveries);
        (Self { label, deliveries, pending, in_hand: Vec::new(), written: Vec::new() }, queue)
    }

    /// Takes the next delivery if it has written the last one, and writes up to so many records. False if
    /// there is nothing left and nothing to come.
    fn step(&mut self, records: usize) -> bool {
        let Some(deliveries) = &self.deliveries else { return false };
        if self.in_hand.is_empty() {
            match deliveries.try_recv() {
                Ok(Delivery::Records(batch)) => {
                    self.pending.bytes.fetch_sub(batch.bytes, Ordering::Relaxed);
                    self.in_hand = batch.records.to_vec();
                }
                Ok(Delivery::Report(_) | Delivery::Conclusion(_)) => {}
                Err(error) => return !error.is_disconnected(),
            }
        }
        for record in self.in_hand.drain(..records.min(self.in_hand.len())) {
            if matches!(record, Record::Sample(_)) {
                self.pending.samples.fetch_sub(1, Ordering::Relaxed);
            }
            self.written.push(record);
        }
        true
    }
}

/// A sampler that emits what a real one does, and notes it.
struct ModelSampler {
    stream: SamplerStream,
    _end: Receiver<crate::stream::ThreadEnd>,
}

impl ModelSampler {
    fn new(writer: StreamWriter, number: u16) -> Self {
        let (end, _end) = bounded(1);
        Self { stream: SamplerStream { writer, sampler: SamplerId(number), end }, _end }
    }

    fn emit(&mut self, rng: &mut Rng) {
        let (t, sampler) = (self.stream.now(), self.stream.sampler);
        match rng.random_range(0..10) {
            0 => {
                let (kind, name) = (SubjectKind::Thread, "worker".into());
                let attributes = [].into_iter().collect();
                self.stream.subject(NewSubject { parent: None, kind, name, attributes });
            }
            1 => self.stream.event(Event::new(t, EventKind::Continued {})),
            _ => {
                let points = [].into_iter().collect();
                let sample = Sample { t, sampler, duration: 0, partial: false, points };
                self.stream.writer.send(Record::Sample(sample));
            }
        }
    }
}

fn footer(t: u64) -> Record {
    Record::Footer(Footer {
        t,
        ends: Vec::new(),
        samples: 0,
        late: 0,
        missed: 0,
        dropped: Vec::new(),
        cost: Cost::default(),
    })
}

/// One run in the order of a seed.
struct Run {
    sinks: Vec<ModelSink>,
    /// All that was emitted, in the stream's order.
    emitted: Vec<Record>,
}

impl Run {
    fn of(seed: u64) -> Self {
        let mut rng = Rng::seed_from_u64(seed);
        let (sinks, queues): (Vec<_>, Vec<_>) =
            (0..SINKS).map(|number| ModelSink::new(number, &mut rng)).unzip();
        let (writer, reader) = stream();
        let mut samplers: Vec<_> =
            (0..SAMPLERS).map(|number| ModelSampler::new(writer.clone(), number)).collect();
        let mut router = Router {
            stream: reader,
            fan_out: FanOut::new(queues),
            collector: Collector::new(JudgeOptions::default()),
            max_batch_delay: std::time::Duration::ZERO,
            failures: Arc::new(Failures::new(Arc::new(|_| ()))),
            open: Arc::new(AtomicBool::new(true)),
            requests: crossbeam_channel::never(),
        };
        let mut run = Self { sinks, emitted: Vec::new() };
        // How eager each part is differs from run to run: fast sinks, slow ones, bursts.
        let weights: [u32; 3] =
            [rng.random_range(1..20), rng.random_range(1..6), rng.random_range(0..9)];
        for _ in 0..rng.random_range(20..300) {
            let turn = rng.random_range(0..weights.iter().sum());
            if turn < weights[0] {
                samplers[rng.random_range(0..usize::from(SAMPLERS))].emit(&mut rng);
            } else if turn < weights[0] + weights[1] {
                let waiting = router.stream.records.len();
                let batch: Vec<Record> =
                    router.stream.records.try_iter().take(rng.random_range(0..=waiting)).collect();
                run.emitted.extend(batch.iter().cloned());
                router.route(batch);
            } else {
                run.sink_step(&mut rng);
            }
        }
        writer.send(footer(writer.now()));
        run.end(router, &mut rng);
        run
    }

    fn sink_step(&mut self, rng: &mut Rng) {
        let sink = &mut self.sinks[rng.random_range(0..SINKS)];
        if rng.random_ratio(1, 200) {
            sink.deliveries = None;
        } else {
            sink.step(rng.random_range(0..8));
        }
    }

    /// The footer passes, and the sinks take what is left while the router waits for them.
    fn end(&mut self, mut router: Router, rng: &mut Rng) {
        let rest: Vec<Record> = router.stream.records.try_iter().collect();
        self.emitted.extend(rest.iter().cloned());
        let footer = router.route(rest).expect("the footer");
        let (report, reported) = bounded(1);
        let finishing = std::thread::spawn(move || router.finish(footer, &report));
        let mut going = true;
        while std::mem::take(&mut going) {
            self.sinks.iter_mut().for_each(|sink| going |= sink.step(rng.random_range(1..50)));
            std::thread::yield_now();
        }
        finishing.join().expect("the router's end");
        let _ = reported.recv();
    }

    /// What holds of each sink that stayed open.
    fn check(&self, seed: u64) {
        let is_sample = |record: &&Record| matches!(record, Record::Sample(_));
        let kept: Vec<&Record> = self.emitted.iter().filter(|record| !is_sample(record)).collect();
        for sink in self.sinks.iter().filter(|sink| sink.deliveries.is_some()) {
            let place = format!("seed {seed}, {}", sink.label);
            let mut expected = self.emitted.iter();
            let (mut missing, mut reported, mut others) = (0, 0, 0);
            for record in &sink.written {
                match record {
                    Record::Event(Event { kind: EventKind::Dropped { samples, .. }, .. }) => {
                        reported += samples;
                        continue;
                    }
                    // Of sinks that have closed: the router's own.
                    Record::Event(Event { kind: EventKind::SinkFailed { .. }, .. }) => continue,
                    _ => {}
                }
                // Whatever was passed over on the way to this record is missing.
                loop {
                    let next = expected
                        .next()
                        .unwrap_or_else(|| panic!("{place}: out of order: {record:?}"));
                    if same(next, record) {
                        break;
                    }
                    assert!(matches!(next, Record::Sample(_)), "{place}: {next:?} is lost");
                    missing += 1;
                }
                others += usize::from(!matches!(record, Record::Sample(_)));
                if matches!(record, Record::Sample(_) | Record::Footer(_)) {
                    assert_eq!(reported, missing, "{place}: reports are late");
                }
            }
            assert_eq!(others, kept.len(), "{place}: definitions, events and the footer");
            let Some(Record::Footer(footer)) = sink.written.last() else {
                panic!("{place}: no footer")
            };
            let in_footer = footer.dropped.iter().find(|dropped| dropped.sink == sink.label);
            assert_eq!(in_footer.map_or(0, |dropped| dropped.samples), missing, "{place}: footer");
        }
    }
}

/// The footer that sinks get knows what was dropped.
fn same(emitted: &Record, written: &Record) -> bool {
    match (emitted, written) {
        (Record::Footer(_), Record::Footer(_)) => true,
        _ => emitted == written,
    }
}

#[test]
fn in_any_order_of_samplers_and_sinks_every_record_is_received_or_accounted_for() {
    let seeds = if std::env::var_os("SEEPMETER_LONG").is_some() { 4000 } else { 200 };
    let mut dropped = 0;
    for seed in 0..seeds {
        let run = Run::of(seed);
        run.check(seed);
        let is_report = |record: &&Record| {
            matches!(record, Record::Event(Event { kind: EventKind::Dropped { .. }, .. }))
        };
        dropped += run.sinks.iter().flat_map(|sink| &sink.written).filter(is_report).count();
    }
    // The orders are such that it happens.
    assert!(dropped > seeds as usize, "{dropped} reports in {seeds} runs");
}

#[test]
fn a_sink_that_is_closed_for_the_end_of_another_or_for_the_footer_is_reported_too() {
    let event = || Record::Event(Event::new(1, EventKind::Continued {}));
    let size = event().size();
    let sink = |label: &str, room: usize| {
        let (sender, deliveries) = bounded(8);
        let bytes = AtomicUsize::new(PENDING_BYTES - room);
        let pending = Arc::new(Pending { bytes, ..Pending::default() });
        let queue =
            SinkQueue::new(label.into(), sender, Arc::clone(&pending), ThreadEndFlag::new());
        (queue, (deliveries, pending))
    };
    // The report of the end of the first is too much for the second.
    let sinks = [sink("one", size - 1), sink("two", size + 1), sink("three", PENDING_BYTES)];
    let (queues, others): (Vec<_>, Vec<_>) = sinks.into_iter().unzip();
    let failures = Arc::new(Failures::new(Arc::new(|_| ())));
    let (_writer, stream) = stream();
    let mut router = Router {
        stream,
        fan_out: FanOut::new(queues),
        collector: Collector::new(JudgeOptions::default()),
        max_batch_delay: std::time::Duration::ZERO,
        failures: Arc::clone(&failures),
        open: Arc::new(AtomicBool::new(true)),
        requests: crossbeam_channel::never(),
    };
    assert!(router.route(vec![event()]).is_none());
    let closed = |label: &str| failures.of(label).is_some_and(|why| why.contains("too slow"));
    assert!(closed("one") && closed("two") && !closed("three"), "{:?}", failures.all());
    others[2].1.bytes.store(PENDING_BYTES, Ordering::Relaxed);
    let Record::Footer(footer) = footer(2) else { unreachable!() };
    router.finish(footer, &bounded(1).0);
    assert!(closed("three"), "{:?}", failures.all());
}
