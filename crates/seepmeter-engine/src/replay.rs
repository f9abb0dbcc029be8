//! A replay: records from anywhere, to the same sinks and the same verdict.

use std::sync::Arc;

use seepmeter_record::{Footer, Record};
use seepmeter_verdict::Collector;

use crate::RunReport;
use crate::failures::Failures;
use crate::fan_out::FanOut;
use crate::sink::SinkHandle;
use crate::sink_queue::{Batch, Delivery};

/// How many records travel together.
const BATCH: usize = 512;

/// How much memory they may take together, if they are more than one.
const BATCH_BYTES: usize = 1 << 20;

/// Feeds records to sinks as fast as the slowest takes them; nothing is dropped.
pub struct Replay {
    fan_out: FanOut,
    sinks: Vec<SinkHandle>,
    collector: Collector,
    failures: Arc<Failures>,
    batch: Vec<Record>,
    batch_bytes: usize,
    footer: Option<Footer>,
}

impl Replay {
    pub(crate) fn new(
        fan_out: FanOut,
        sinks: Vec<SinkHandle>,
        collector: Collector,
        failures: Arc<Failures>,
    ) -> Self {
        let batch = Vec::with_capacity(BATCH);
        Self { fan_out, sinks, collector, failures, batch, batch_bytes: 0, footer: None }
    }

    /// Feeds one record. False if no sink is left to take it; who wants no more than the verdict goes on.
    pub fn feed(&mut self, record: Record) -> bool {
        if let Record::Footer(footer) = &record {
            self.footer = Some(footer.clone());
        }
        self.collector.observe(&record);
        self.batch_bytes += record.size();
        self.batch.push(record);
        (self.batch.len() < BATCH && self.batch_bytes < BATCH_BYTES) || self.give_batch()
    }

    fn give_batch(&mut self) -> bool {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        let bytes = std::mem::take(&mut self.batch_bytes);
        self.fan_out.give(&Delivery::Records(Batch::replayed(batch, bytes)))
    }

    /// Feeds what is left, concludes, and waits until the sinks have finished, however long they take.
    pub fn finish(mut self) -> RunReport {
        if !self.batch.is_empty() {
            self.give_batch();
        }
        let conclusion = Arc::new(self.collector.conclude());
        self.fan_out.give(&Delivery::Conclusion(Arc::clone(&conclusion)));
        drop(self.fan_out);
        for sink in self.sinks {
            sink.join_without_limit();
        }
        RunReport {
            footer: self.footer,
            conclusion: Some(conclusion),
            failures: self.failures.all(),
            dropped: Vec::new(),
            kept_alive: Vec::new(),
        }
    }
}
