//! The router: one thread that gives the stream its order, feeds the verdict collector, and hands the
//! records on in batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, never, select};
use seepmeter_record::{Dropped, Event, EventKind, Footer, Record};
use seepmeter_verdict::{Collector, Conclusion};

use crate::failures::Failures;
use crate::fan_out::FanOut;
use crate::sink_queue::{Closed, PENDING_BYTES};
use crate::stream::StreamReader;

/// What the router knows at the end.
#[derive(Debug)]
pub(crate) struct RouterReport {
    /// The samples that sinks did not get up to the footer.
    pub(crate) dropped: Vec<Dropped>,
    pub(crate) conclusion: Arc<Conclusion>,
}

/// The router's thread.
pub(crate) struct Router {
    pub(crate) stream: StreamReader,
    pub(crate) fan_out: FanOut,
    pub(crate) collector: Collector,
    /// How long the first record of a batch may wait for others. While the router waits, it listens for
    /// flush requests alone, so that samples come in without waking it.
    pub(crate) max_batch_delay: Duration,
    pub(crate) failures: Arc<Failures>,
    /// False until the run has really begun: what was emitted until then waits here, and is of no
    /// consequence if the run is aborted.
    pub(crate) open: Arc<AtomicBool>,
    /// What is asked of it meanwhile.
    pub(crate) requests: Receiver<Request>,
}

/// What the router is asked while the run goes on.
pub(crate) enum Request {
    /// Answers from what was collected so far.
    Ask(Box<dyn FnOnce(&Collector) + Send>),
    /// Lets the sinks report what they know so far.
    Report,
}

impl Router {
    /// Routes records until the footer has passed, reports, and hands over what is left as sinks make
    /// room for it.
    pub(crate) fn run(mut self, report: &Sender<RouterReport>) {
        let Some(first_records) = self.until_open() else { return };
        if let Some(footer) = self.route(first_records) {
            return self.finish(footer, report);
        }
        loop {
            let idle = self.stream.records.is_empty();
            let Some(first) = self.next_record() else { break };
            if idle {
                self.wait();
            }
            // As many as wait now, not as many as come meanwhile. Several batches wait for sinks at once, so
            // none is larger than its records.
            let waiting = self.stream.records.len();
            let mut batch = Vec::with_capacity(1 + waiting);
            batch.push(first);
            batch.extend(self.stream.records.try_iter().take(waiting));
            if let Some(footer) = self.route(batch) {
                return self.finish(footer, report);
            }
            // While records come, the next batch gathers here, and its first record wakes nobody.
            self.wait();
        }
    }

    /// The records from before the run has really begun; none if it was aborted.
    fn until_open(&self) -> Option<Vec<Record>> {
        let mut records = Vec::new();
        loop {
            records.push(self.stream.records.recv().ok()?);
            if self.open.load(Ordering::Acquire) {
                return Some(records);
            }
        }
    }

    /// The next record; requests that come before it are served. None at the end of the stream.
    fn next_record(&mut self) -> Option<Record> {
        loop {
            let request = select! {
                recv(self.stream.records) -> record => return record.ok(),
                recv(self.requests) -> request => request,
            };
            match request {
                Ok(request) => self.serve(request),
                // Nobody is left to ask.
                Err(_) => self.requests = never(),
            }
        }
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Ask(ask) => ask(&self.collector),
            Request::Report => self.fan_out.report(&Arc::new(self.collector.conclude())),
        }
    }

    /// Lets records gather, until somebody asks for them.
    fn wait(&self) {
        if !self.max_batch_delay.is_zero() {
            let _ = self.stream.flush_requests.recv_timeout(self.max_batch_delay);
        }
    }

    /// Hands a batch on, up to the footer: behind that only a sampler that was left behind still speaks.
    fn route(&mut self, mut batch: Vec<Record>) -> Option<Footer> {
        let is_footer = |record: &Record| matches!(record, Record::Footer(_));
        let footer = batch.iter().position(is_footer).and_then(|at| batch.drain(at..).next());
        batch.iter().for_each(|record| self.collector.observe(record));
        let t = batch.iter().rev().find_map(Record::time).unwrap_or(0);
        let closed = self.fan_out.offer(batch);
        self.report_closed(closed, t);
        while let Ok(request) = self.requests.try_recv() {
            self.serve(request);
        }
        match footer {
            Some(Record::Footer(footer)) => Some(footer),
            _ => None,
        }
    }

    /// Reports sinks that were closed, also to those that are left, some of which may be closed for that in
    /// their turn.
    fn report_closed(&mut self, mut closed: Vec<(String, Closed)>, t: u64) {
        while !closed.is_empty() {
            self.report_too_slow(&closed);
            let event = |(label, _): (String, Closed)| {
                let reason = self.failures.of(&label).unwrap_or(label).into();
                Record::Event(Event::new(t, EventKind::SinkFailed { reason }))
            };
            let events = closed.into_iter().map(event).collect();
            closed = self.fan_out.offer(events);
        }
    }

    /// Those that were closed by themselves have reported it.
    fn report_too_slow(&self, closed: &[(String, Closed)]) {
        for (label, _) in closed.iter().filter(|(_, why)| *why == Closed::TooSlow) {
            let sentence = format!(
                "sink {label}: it was too slow: more than {} MiB of definitions and events waited for it, which is the limit, and seepmeter closed it; its output ends there",
                PENDING_BYTES >> 20
            );
            self.failures.report(label, sentence);
        }
    }

    /// The footer goes on its own, so that it also knows of what was dropped from the last batch.
    fn finish(mut self, footer: Footer, report: &Sender<RouterReport>) {
        let dropped = self.fan_out.dropped();
        let footer = Record::Footer(Footer { dropped: dropped.clone(), ..footer });
        self.collector.observe(&footer);
        let closed = self.fan_out.offer(vec![footer]);
        // Nothing comes behind the footer in the stream of those that are left.
        self.report_too_slow(&closed);
        let conclusion = Arc::new(self.collector.conclude());
        self.fan_out.conclude(&conclusion);
        let _ = report.send(RouterReport { dropped, conclusion });
        self.fan_out.finish();
    }
}

#[cfg(test)]
mod model;
