//! Prints what one record costs through a loaded C sink, against a built-in one that does as little.
//!
//! `cargo run --release -p seepmeter-plugins-bench [-- ROUNDS]`
//!
//! Both take the same records in turns, so that a busy machine slows both down alike; what is printed
//! is the median of all rounds, and the quartiles. `cc` is needed.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use seepmeter_engine::{PluginFactory, PluginLibrary};
use seepmeter_plugin::{Error, Plugin, Sink, SinkFactory, options};
use seepmeter_record::conventions::{attribute, metric};
use seepmeter_record::{
    Attributes, Event, EventKind, Metric, MetricId, Point, Record, Sample, SamplerId, Subject,
    SubjectId, SubjectKind,
};

/// Records in a round, of each sink.
const RECORDS: usize = 10_000;

/// A sink in C that does nothing.
const SOURCE: &str = r#"
#include "seepmeter-plugin.h"
static int32_t create(const struct seepmeter_instance_host *host, void **instance)
{ (void)host; *instance = 0; return 0; }
static int32_t write_record(void *instance, const struct seepmeter_record *record)
{ (void)instance; (void)record; return 0; }
static void destroy(void *instance) { (void)instance; }
static const struct seepmeter_plugin plugin = {
    .struct_size = sizeof plugin, .kind = SEEPMETER_KIND_SINK, .name = SEEPMETER_TEXT("nothing"),
    .create = create, .write = write_record, .destroy = destroy,
};
SEEPMETER_EXPORT const struct seepmeter_plugin *seepmeter_plugin_v1(const struct seepmeter_host *host)
{ (void)host; return &plugin; }
"#;

options! {
    /// There are none.
    struct NoOptions {}
}

/// The same in Rust, built in.
struct Nothing;

impl Plugin for Nothing {
    const NAME: &'static str = "nothing";
    const ABOUT: &'static str = "does nothing";
    type Options = NoOptions;

    fn new(_: NoOptions) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Sink for Nothing {
    fn write(&mut self, _: &Record) -> Result<(), Error> {
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rounds = std::env::args().nth(1).map_or(Ok(401), |rounds| rounds.parse())?;
    let folder = tempfile::tempdir()?;
    let mut loaded = load_c_sink(folder.path())?;
    let mut built_in = SinkFactory::of::<Nothing>().make(&[])?;
    println!("ns a record, {rounds} rounds of {RECORDS} records, in turns");
    println!("{:<26} {:>20} {:>20} {:>8}", "record", "built in", "loaded C sink", "more");
    for (name, record) in records() {
        let [mut without, mut with] = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            without.push(round(built_in.as_mut(), &record)?);
            with.push(round(loaded.as_mut(), &record)?);
        }
        let (without, with) = (Spread::of(without), Spread::of(with));
        let more = with.median - without.median;
        println!("{name:<26} {without:>20} {with:>20} {more:>8.1}");
    }
    Ok(())
}

fn load_c_sink(folder: &Path) -> Result<Box<dyn Sink>, Box<dyn std::error::Error>> {
    let (source, library) = (folder.join("nothing.c"), folder.join("nothing.so"));
    std::fs::write(&source, SOURCE)?;
    let status = Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-I"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../include"))
        .arg("-o")
        .args([&library, &source])
        .status()?;
    if !status.success() {
        return Err("cc could not compile the sink".into());
    }
    match PluginLibrary::load(&library, &(Arc::new(|_: &str| {}) as _))?.factory {
        PluginFactory::Sink(factory) => Ok(factory.make(&[])?),
        PluginFactory::Sampler(_) => Err("it is a sampler".into()),
    }
}

/// Records as a run has them.
fn records() -> Vec<(&'static str, Record)> {
    let point = |n| Point { subject: SubjectId(n), metric: MetricId(0), value: 4096 };
    let sample = |points: u32| {
        let (sampler, points) = (SamplerId(0), (0..points).map(point).collect());
        Record::Sample(Sample { t: 1, sampler, duration: 1, partial: false, points })
    };
    let marker = EventKind::Marker { number: None, text: "a mark".into() };
    let rss = Metric {
        id: MetricId(0),
        name: metric::RSS.name.into(),
        unit: metric::RSS.unit,
        kind: metric::RSS.kind,
        subject_kind: SubjectKind::Process,
        sampler: SamplerId(0),
        help: metric::RSS.help.into(),
    };
    let process = Subject {
        id: SubjectId(0),
        parent: None,
        kind: SubjectKind::Process,
        name: "sleep".into(),
        attributes: Attributes::new().with(attribute::PID, 1).with(attribute::START_TIME, 2),
    };
    vec![
        ("sample of 1 point", sample(1)),
        ("sample of 8 points", sample(8)),
        ("sample of 1,000 points", sample(1000)),
        ("event", Record::Event(Event::new(1, marker))),
        ("metric", Record::Metric(rss.into())),
        ("subject of 2 attributes", Record::Subject(process.into())),
    ]
}

/// Nanoseconds a record.
fn round(sink: &mut dyn Sink, record: &Record) -> Result<f64, Error> {
    let begin = Instant::now();
    for _ in 0..RECORDS {
        sink.write(std::hint::black_box(record))?;
    }
    Ok(begin.elapsed().as_nanos() as f64 / RECORDS as f64)
}

/// The median of many rounds, and the quartiles.
struct Spread {
    low: f64,
    median: f64,
    high: f64,
}

impl Spread {
    fn of(mut rounds: Vec<f64>) -> Self {
        rounds.sort_by(f64::total_cmp);
        let at = |share: f64| rounds[(share * (rounds.len() - 1) as f64) as usize];
        Self { low: at(0.25), median: at(0.5), high: at(0.75) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{:.1} ({:.1}-{:.1})", self.median, self.low, self.high))
    }
}
