//! The router: one thread that gives the stream its order and hands it on in batches.

use std::time::Duration;

use seepmeter_record::{Event, EventKind, Record};

use crate::fan_out::FanOut;
use crate::stream::Outlet;
use crate::trouble::Troubles;

/// Routes records until the footer has passed. What the footer says of lost samples is filled in
/// here, where it is known. Returns the sinks' queues, which may have a backlog to [finish](FanOut::finish).
///
/// `patience` is how long the first record of a batch may wait for others. While the router waits,
/// it listens to the bell alone, so that samples come in without waking it.
pub(crate) fn route(
    outlet: &Outlet,
    mut fan_out: FanOut,
    patience: Duration,
    troubles: &Troubles,
) -> FanOut {
    let mut usual = 0;
    loop {
        let idle = outlet.records.is_empty();
        let Ok(first) = outlet.records.recv() else { break };
        let mut batch = Vec::with_capacity(usual);
        batch.push(first);
        if idle {
            wait(outlet, patience);
        }
        // As many as wait now, not as many as come meanwhile.
        batch.extend(outlet.records.try_iter().take(outlet.records.len()));
        usual = batch.len();
        let footer = batch.iter().position(|record| matches!(record, Record::Footer(_)));
        // Behind the footer only a sampler that was given up on can still speak.
        let footer = footer.and_then(|at| batch.drain(at..).next());
        let t = batch.iter().rev().find_map(time).unwrap_or(0);
        let closed = fan_out.offer(batch);
        tell_closed(&mut fan_out, closed, t, troubles);
        if let Some(Record::Footer(mut footer)) = footer {
            // On its own, so that it also knows of what the last batch has lost.
            footer.lost = fan_out.lost();
            fan_out.offer(vec![Record::Footer(footer)]);
            break;
        }
        // While records come, the next batch gathers here, and its first record wakes nobody.
        wait(outlet, patience);
    }
    fan_out
}

/// Lets records gather, until the bell asks for them.
fn wait(outlet: &Outlet, patience: Duration) {
    if !patience.is_zero() {
        let _ = outlet.bell.recv_timeout(patience);
    }
}

/// Tells the sinks that are left of those that were closed.
fn tell_closed(fan_out: &mut FanOut, closed: Vec<String>, t: u64, troubles: &Troubles) {
    let events: Vec<Record> = closed
        .into_iter()
        .map(|label| {
            let text = troubles.of(&label).unwrap_or(label);
            Record::Event(Event::new(t, EventKind::SinkFailed).text(text))
        })
        .collect();
    if !events.is_empty() {
        fan_out.offer(events);
    }
}

fn time(record: &Record) -> Option<u64> {
    match record {
        Record::Sample(sample) => Some(sample.t),
        Record::Event(event) => Some(event.t),
        Record::Footer(footer) => Some(footer.t),
        Record::Header(_) | Record::Metric(_) | Record::Subject(_) => None,
    }
}
