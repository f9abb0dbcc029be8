//! A sink that prints the floors of the verdict's evidence as CSV: what a chart of it is drawn from.

use std::io::{self, Write};

use seepmeter_plugin::record::Record;
use seepmeter_plugin::verdict::{Conclusion, MetricOutcome, Verdict};
use seepmeter_plugin::{Error, Plugin, Sink, options};

options! {
    /// There are none.
    pub struct NoOptions {}
}

/// The sink.
pub struct Floors;

impl Plugin for Floors {
    const NAME: &'static str = "floors";
    const ABOUT: &'static str = "prints the floors that the verdict rests on";
    type Options = NoOptions;

    fn new(_: NoOptions) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Sink for Floors {
    fn write(&mut self, _: &Record) -> Result<(), Error> {
        Ok(())
    }

    fn conclude(&mut self, conclusion: &Conclusion) -> Result<(), Error> {
        let outcomes = conclusion.metrics.iter().map(|metric| &metric.outcome);
        let verdicts = outcomes.flat_map(|outcome| match outcome {
            MetricOutcome::Verdicts(verdicts) => verdicts.as_slice(),
            MetricOutcome::NoVerdict(_) => &[],
        });
        print(verdicts).map_err(|error| Error::io("cannot write to standard output", &error))
    }
}

fn print<'a>(verdicts: impl Iterator<Item = &'a Verdict>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "target,metric,elapsed_s,floor")?;
    for Verdict { target, metric, judgement, .. } in verdicts {
        for floor in &judgement.evidence.floors {
            let (target, time, value) = (quoted(target), floor.time, floor.value);
            writeln!(out, "{target},{metric},{time},{value}")?;
        }
    }
    out.flush()
}

fn quoted(field: &str) -> String {
    format!("\"{}\"", field.replace('"', "\"\""))
}

seepmeter_plugin::export_sink!(Floors);
