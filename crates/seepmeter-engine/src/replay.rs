//! A replay: records from anywhere, to the same sinks.

use std::sync::Arc;

use seepmeter_record::{Footer, Record};

use crate::Report;
use crate::fan_out::FanOut;
use crate::sink::SinkHandle;
use crate::trouble::Troubles;

/// How many records travel together.
const BATCH: usize = 512;

/// Feeds records to sinks as fast as the slowest takes them; nothing is lost.
pub struct Replay {
    pub(crate) fan_out: FanOut,
    pub(crate) sinks: Vec<SinkHandle>,
    pub(crate) troubles: Arc<Troubles>,
    pub(crate) batch: Vec<Record>,
    pub(crate) footer: Option<Footer>,
}

impl Replay {
    pub(crate) fn new(fan_out: FanOut, sinks: Vec<SinkHandle>, troubles: Arc<Troubles>) -> Self {
        Self { fan_out, sinks, troubles, batch: Vec::with_capacity(BATCH), footer: None }
    }

    /// Feeds one record. False when no sink is left to take it.
    #[must_use]
    pub fn feed(&mut self, record: Record) -> bool {
        if let Record::Footer(footer) = &record {
            self.footer = Some(footer.clone());
        }
        self.batch.push(record);
        if self.batch.len() < BATCH {
            return true;
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.fan_out.give(batch)
    }

    /// Feeds what is left, and waits until the sinks have finished, however long they take.
    pub fn finish(mut self) -> Report {
        if !self.batch.is_empty() {
            self.fan_out.give(std::mem::take(&mut self.batch));
        }
        drop(self.fan_out);
        for sink in self.sinks {
            sink.join_patiently();
        }
        Report {
            footer: self.footer,
            failures: self.troubles.all(),
            lost: Vec::new(),
            lingering: Vec::new(),
        }
    }
}
