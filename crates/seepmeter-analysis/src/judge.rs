//! The pipeline: a series goes in, a judgement comes out.

use crate::cells::Cells;
use crate::cycle;
use crate::decide::decide;
use crate::evidence::{Evidence, FittedLine, Sampling, Tests};
use crate::examine::examine;
use crate::floors;
use crate::interval::{Interval, Span};
use crate::judgement::{Classification, Decision, Judgement, Reason};
use crate::series::Series;
use crate::settings::Settings;
use crate::thresholds::{self, floors::CYCLES_FOR_A_FLOOR};

/// Judges whether a series grows.
///
/// Costs one pass over the points and then about a millisecond, whatever their number.
pub fn judge(series: &Series, settings: &Settings) -> Judgement {
    let cells = Cells::of(series);
    let cycles = cycle::find(&cells);
    let (floors, buckets) = floors::choose(&cells, cycles.as_ref(), settings.least_floors);
    let thresholds = [settings.thresholds(), thresholds::of_floors()].concat();
    let sampling = Sampling::of(series);
    let mut evidence =
        Evidence { sampling, cells, cycles, buckets, floors, tests: None, thresholds };
    match examine(&evidence, settings) {
        Some(tests) => {
            evidence.thresholds.extend(thresholds::of_tests());
            tested(series, evidence, tests, settings)
        }
        None => untested(series, evidence, settings),
    }
}

/// The judgement of floors that were tested.
fn tested(
    series: &Series,
    mut evidence: Evidence,
    mut tests: Tests,
    settings: &Settings,
) -> Judgement {
    let decision = decide(&evidence, &tests, settings);
    let Reported { first, rate } = Reported::of(&evidence, &tests, &decision);
    let span = evidence.span_from(first);
    tests.line = line(&evidence, &tests, span, Reported { first, rate });
    let (p_value, level) = (tests.p_value(), tests.level);
    evidence.tests = Some(tests);
    Judgement {
        classification: decision.classification,
        reason: decision.reason,
        needs_more: decision.needs_more,
        rate: Some(rate),
        span: Some(span),
        warm_up_end: evidence.warm_up_end(),
        floors_used: evidence.floors.len() - first,
        cycle: evidence.cycle(),
        p_value: Some(p_value),
        level: Some(level),
        peak: series.peak(),
        evidence,
        overruled: None,
    }
}

/// From which floor on something is reported, and at what rate.
struct Reported {
    first: usize,
    rate: Interval,
}

impl Reported {
    fn of(evidence: &Evidence, tests: &Tests, decision: &Decision) -> Self {
        // Where steps were weighed and found small, what is reported is about all since warm-up.
        let steady = decision.classification == Classification::Steady;
        let since_warm_up = steady
            && tests.stepped()
            && tests.since_warm_up.is_little(evidence.watch(), tests.level);
        let (first, rate) = if since_warm_up {
            (tests.warm_up.floors, tests.since_warm_up.rate.unwrap_or(tests.slope.rate))
        } else {
            (tests.first, tests.rate(decision.classification))
        };
        // Whether it grows is asked without the fall; how fast, with it.
        let fall = tests.fall_taken_out.map_or(0.0, |fall| fall.height);
        let span = evidence.span_from(tests.warm_up.floors).seconds();
        Self { first, rate: rate.shifted(fall / span.max(1.0)) }
    }
}

/// The line that is reported, through the floors behind a step that was taken out.
fn line(evidence: &Evidence, tests: &Tests, span: Span, reported: Reported) -> FittedLine {
    let behind = tests.step_taken_out.map_or(0, |step| step.at);
    FittedLine::through(&evidence.floors[reported.first.max(behind)..], span, reported.rate)
}

/// The judgement of a watch of too few floors for any test.
fn untested(series: &Series, evidence: Evidence, settings: &Settings) -> Judgement {
    let cycle = evidence.cycle();
    let enough = evidence.sampling.suffices(settings);
    let reason = if cycle.is_some() && enough { Reason::FewCycles } else { Reason::TooShort };
    Judgement {
        classification: Classification::Inconclusive,
        reason: Some(reason),
        needs_more: Some(lack(&evidence, settings)),
        rate: None,
        span: None,
        warm_up_end: None,
        floors_used: evidence.floors.len(),
        cycle,
        p_value: None,
        level: series.points().last().map(|p| p.1 as f64),
        peak: series.peak(),
        evidence,
        overruled: None,
    }
}

/// How much longer a watch it takes at least, in ns. Samples enough on both sides of a long gap make few
/// floors all the same; then it is floors that lack, each of which takes a bucket.
fn lack(evidence: &Evidence, settings: &Settings) -> u64 {
    let missing = evidence.sampling.missing(settings);
    let floors = settings.least_floors.saturating_sub(evidence.floors.len()) as u64;
    let bucket = (evidence.buckets.cells as u64).saturating_mul(evidence.cells.width);
    let by_floors = match evidence.cycle() {
        Some(cycle) => (cycle as f64 * CYCLES_FOR_A_FLOOR * floors as f64) as u64,
        None if missing == 0 => bucket.saturating_mul(floors),
        None => 0,
    };
    missing.max(by_floors)
}
