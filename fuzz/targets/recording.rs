//! A recording from anywhere: it is read without a panic, what was read can be written and read again,
//! and there is a conclusion on it.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use seepmeter_record::{Record, jsonl};
use seepmeter_verdict::{Collector, JudgeOptions, LineOptions};

fuzz_target!(|data: &[u8]| {
    let Ok(mut reader) = jsonl::read(Box::new(Cursor::new(data.to_vec()))) else { return };
    let mut collector = Collector::new(JudgeOptions::default());
    while let Ok(Some(record)) = reader.next_record() {
        assert_eq!(read_again(&record), record);
        collector.observe(&record);
    }
    let conclusion = collector.conclude();
    if let Ok(verdict) = conclusion.main() {
        let _ = verdict.lines(LineOptions::default());
    }
});

fn read_again(record: &Record) -> Record {
    let mut line = Vec::new();
    jsonl::write_record(&mut line, record).expect("a record can be written");
    jsonl::parse(line.trim_ascii_end()).expect("a line").expect("a known record")
}
