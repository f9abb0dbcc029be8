//! `seepmeter replay`: feed a recording to sinks.

use std::collections::VecDeque;

use anyhow::{Context, Result};
use seepmeter_record::Record;
use seepmeter_record::jsonl::{self, Ending, ReadError, Recording, UNFINISHED};

use crate::flags::{Flags, ReplayFlags};
use crate::messages::{self, shown};
use crate::outcome::Outcome;
use crate::output_files::OutputRoom;
use crate::session::{self, PreparedRun, Request};
use crate::watch::{TargetPolicy, Watch};

/// `seepmeter replay`.
///
/// # Errors
/// A recording that can't be read, or whatever else keeps seepmeter from doing its own work.
pub fn replay(flags: ReplayFlags) -> Result<Outcome> {
    let room = OutputRoom::new();
    let request = match Request::read(None, &flags.sinks, room.clone())? {
        Request::Help(outcome) => return Ok(outcome),
        Request::Run(request) => request,
    };
    let Some(path) = &flags.recording else {
        return Ok(Outcome::of_usage(&Flags::missing("replay", "RECORDING")));
    };
    let session = request.replay(path)?;
    let cannot = || format!("cannot replay {}", shown(path));
    let mut recording = jsonl::open(path).with_context(cannot)?;
    // Nothing is made of a file whose first line is none of a recording.
    let mut next = recording.next_record().with_context(cannot)?;
    let mut read_before = VecDeque::new();
    if !flags.sinks.metrics.is_empty() {
        read_before.extend(next);
        read_first_sample(&mut recording, &mut read_before).with_context(cannot)?;
        session::check_recorded_metrics(&flags.sinks.metrics, &read_before)?;
        next = read_before.pop_front();
    }

    let PreparedRun { engine, collector, outputs } =
        Watch::while_pending(TargetPolicy::NoTarget, room, || session.prepare())?;
    outputs.begin();
    let mut replay = engine.replay(collector);
    let judges = !flags.sinks.gates.fail_on.is_empty();
    let mut broken = None;
    while let Some(record) = next.take() {
        let record = if flags.sinks.redact_args { session::redacted(record) } else { record };
        if !replay.feed(record) && !judges {
            // Every sink has had enough.
            break;
        }
        match read_before.pop_front().map_or_else(|| recording.next_record(), |it| Ok(Some(it))) {
            Ok(record) => next = record,
            Err(error) => broken = Some(error),
        }
    }
    let broken = broken.map(|error| anyhow::Error::new(error).context(cannot()));
    // Before the answers, which are only about the lines that were read.
    broken.iter().for_each(messages::error);
    let report = replay.finish();
    if broken.is_some() {
        return Ok(Outcome::OwnFailure);
    }
    if let Ending::CutOff { line } = recording.ending() {
        messages::notice(&format!(
            "{}: line {line} is cut off: {UNFINISHED}; the lines before it are whole and were replayed",
            shown(path)
        ));
    }
    Ok(Outcome::Success.of_report(&report, &flags.sinks.gates))
}

/// Reads on up to the first sample, before which the samplers have defined their metrics.
fn read_first_sample(
    recording: &mut Recording,
    records: &mut VecDeque<Record>,
) -> Result<(), ReadError> {
    while !matches!(records.back(), Some(Record::Sample(_))) {
        match recording.next_record()? {
            Some(record) => records.push_back(record),
            None => break,
        }
    }
    Ok(())
}
