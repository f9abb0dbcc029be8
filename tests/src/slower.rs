//! Recordings as if the run had been slower.

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use seepmeter_record::{EventKind, Record, jsonl};

use crate::Recording;

/// Writes a recording as if its run had been so many times slower, beside it: a run of seconds can be judged
/// as one of minutes, at rates that are as many times smaller.
///
/// # Panics
/// If it can't be read, or written.
#[must_use]
pub fn slower(recording: &Path, times: u64) -> PathBuf {
    let path = recording.with_extension("slower.jsonl");
    let mut out = BufWriter::new(std::fs::File::create(&path).expect("a file"));
    for record in Recording::read(recording).records {
        jsonl::write_record(&mut out, &slowed(record, times)).expect("a line");
    }
    path
}

fn slowed(record: Record, times: u64) -> Record {
    match record {
        Record::Header(header) => {
            let mut header = Arc::unwrap_or_clone(header);
            for sampler in &mut header.samplers {
                sampler.interval *= times;
                sampler.first_interval = sampler.first_interval.map(|interval| interval * times);
            }
            Record::Header(header.into())
        }
        Record::Sample(mut sample) => {
            sample.t *= times;
            Record::Sample(sample)
        }
        Record::Event(mut event) => {
            event.t *= times;
            if let EventKind::BackedOff { interval } = &mut event.kind {
                *interval *= times;
            }
            Record::Event(event)
        }
        Record::Footer(mut footer) => {
            footer.t *= times;
            Record::Footer(footer)
        }
        timeless => timeless,
    }
}
