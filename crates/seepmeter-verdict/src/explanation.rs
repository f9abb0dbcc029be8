//! What each stage of the judging found, for people.

use seepmeter_analysis::autocorrelation::Autocorrelation;
use seepmeter_analysis::curve::{CurveShape, FittedCurve};
use seepmeter_analysis::drift::Drift;
use seepmeter_analysis::evidence::{Evidence, Tests};
use seepmeter_analysis::gain::Gain;
use seepmeter_analysis::plateau::Plateau;
use seepmeter_analysis::plateau_onset::PlateauOnset;
use seepmeter_analysis::slope::Slope;
use seepmeter_analysis::steps::Step;
use seepmeter_analysis::thresholds::explanation::{INDEPENDENT, POSSIBLE, SURE};
use seepmeter_analysis::trend::Trend;
use seepmeter_analysis::warm_up::WarmUpKind;
use seepmeter_analysis::{Judgement, Override};
use seepmeter_record::Unit;
use seepmeter_record::human::{amount, count, duration, percent};

use crate::text::{Answer, interval, reason};

/// What each stage found, a line each, in their order; the last line is the answer. `unit` is that of the
/// series.
#[must_use]
pub fn explanation(judgement: &Judgement, unit: Unit) -> Vec<String> {
    let mut lines = stages(&judgement.evidence, unit);
    let answer = Answer::of(judgement, unit);
    let alone = || format!("the whole alone: {}", Answer::of(&judgement.alone(), unit));
    match judgement.overruled.as_deref() {
        None => lines.push(format!("so: {answer}")),
        Some(by @ (Override::MaskedGrowth { part, .. } | Override::RisingPart { part, .. })) => {
            let about = match by {
                Override::MaskedGrowth { .. } => "a part grows, but the whole does not show it:",
                _ => "a part rises and may continue to:",
            };
            lines.extend([alone(), about.to_owned()]);
            lines.extend(stages(&part.evidence, unit));
            lines.push(format!("the part alone: {}", Answer::of(part, unit)));
            let why =
                judgement.reason.map_or(String::new(), |_| format!(": {}", reason(judgement)));
            lines.push(format!("so: {}, because of this part{why}", judgement.classification));
        }
        Some(Override::SteppedParts { carriers, .. }) => {
            lines.push(alone());
            lines.push(format!(
                "but the {} that carry the growth made one-off steps or have settled",
                count(carriers.len() as u64, "part")
            ));
            lines.push(format!("so: {answer}"));
        }
    }
    lines
}

/// What each stage found in one series.
fn stages(evidence: &Evidence, unit: Unit) -> Vec<String> {
    let mut lines = vec![sampling(evidence), cycles(evidence), floors(evidence)];
    let Some(tests) = &evidence.tests else { return lines };
    let taken_out = |what: &str, step: &Step| {
        format!("{what} of {}, taken out before the trend is tested", amount(step.height, unit))
    };
    lines.extend(tests.step_taken_out.iter().map(|step| taken_out("a one-off step", step)));
    lines.push(warm_up(evidence, tests));
    lines.extend(tests.fall_taken_out.iter().map(|fall| taken_out("a fall", fall)));
    lines.push(steps(evidence, &tests.steps, unit));
    lines.push(noise(&tests.noise, evidence.floors.len() - tests.first));
    lines.push(trend(&tests.trend));
    lines.push(slope(&tests.slope, unit));
    lines.extend(tests.drift.as_ref().map(drift));
    lines.extend(tests.plateau.as_ref().map(plateau));
    lines.extend(tests.curve.as_ref().map(curve));
    lines.extend(tests.plateau_onset.as_ref().map(plateau_onset));
    lines.extend(tests.since_warm_up.gain.map(|found| gain(&found, tests.level, unit)));
    lines
}

fn sampling(evidence: &Evidence) -> String {
    let sampling = &evidence.sampling;
    let gaps = match sampling.gaps.len() as u64 {
        0 => String::new(),
        gaps => {
            let lengths = sampling.gaps.iter().map(|gap| gap.length());
            let unknown = duration(lengths.fold(0, u64::saturating_add));
            format!("; {} ({unknown}) in which nothing was sampled", count(gaps, "gap"))
        }
    };
    format!(
        "{} over {}, on a grid of {} of {}{gaps}",
        count(sampling.samples, "sample"),
        duration(sampling.span.length()),
        count(evidence.cells.cells.len() as u64, "cell"),
        duration(evidence.cells.width),
    )
}

fn cycles(evidence: &Evidence) -> String {
    let Some(cycles) = evidence.cycles.as_ref().filter(|cycles| cycles.regular()) else {
        return "no regular cycles".to_owned();
    };
    let time = |cells: f64| duration((cells * evidence.cells.width as f64) as u64);
    let (number, length, long) = (cycles.troughs.len(), time(cycles.length), time(cycles.long));
    format!("{number} cycles, usually {length} long, nine of ten under {long}")
}

fn floors(evidence: &Evidence) -> String {
    let Evidence { floors, cells, buckets, .. } = evidence;
    let each = duration((buckets.cells as u64).saturating_mul(cells.width));
    let kind = if buckets.lowest { "lowest value" } else { "lower quartile" };
    format!("{}, each the {kind} of {each}", count(floors.len() as u64, "floor"))
}

fn warm_up(evidence: &Evidence, tests: &Tests) -> String {
    let warm_up = match tests.warm_up.kind() {
        WarmUpKind::Unsettled => "it has not settled at the end".to_owned(),
        WarmUpKind::Absent => "no warm-up".to_owned(),
        WarmUpKind::Ended => {
            let end = evidence.begin_of(tests.warm_up.floors);
            format!("warm-up ended {} after the start", since_start(evidence, end))
        }
    };
    match evidence.growth_onset() {
        Some(onset) => {
            format!("{warm_up}; growth began {} after the start", since_start(evidence, onset))
        }
        None => warm_up,
    }
}

/// How long after the first sample a time (ns) is.
fn since_start(evidence: &Evidence, time: u64) -> String {
    duration(time.saturating_sub(evidence.sampling.span.from))
}

fn steps(evidence: &Evidence, steps: &[Step], unit: Unit) -> String {
    if steps.is_empty() {
        return "no one-off steps explain it".to_owned();
    }
    let step = |step: &Step| {
        let after = since_start(evidence, evidence.begin_of(step.at));
        format!("{} after {after}", amount(step.height, unit))
    };
    let all: Vec<_> = steps.iter().map(step).collect();
    let number = count(steps.len() as u64, "one-off step");
    let explain = if steps.len() == 1 { "explains" } else { "explain" };
    format!("{number} {explain} it better than a trend: {}", all.join(", "))
}

fn noise(noise: &Autocorrelation, floors: usize) -> String {
    let Autocorrelation { rho, inflation } = *noise;
    if rho < INDEPENDENT {
        return "the floors are independent of each other".to_owned();
    }
    let worth = (floors as f64 / inflation).max(1.0);
    let walk = if noise.looks_like_walk() { "; the noise is a random walk" } else { "" };
    format!(
        "neighbouring floors are correlated (autocorrelation {rho:.2}): {floors} count as about {worth:.0} \
         independent ones{walk}"
    )
}

fn trend(trend: &Trend) -> String {
    let verb = if trend.s > 0 { "rise" } else { "fall" };
    match trend.p_value {
        p if p < SURE => format!("the floors {verb} (Mann–Kendall z {:.1}, p {p:.1e})", trend.z),
        p if p < POSSIBLE => format!("the floors may {verb} (Mann–Kendall p {p:.3})"),
        p => format!("no trend in the floors (Mann–Kendall p {p:.2})"),
    }
}

fn slope(slope: &Slope, unit: Unit) -> String {
    format!("their slope (Theil–Sen) is {}", interval(slope.rate, unit))
}

fn drift(drift: &Drift) -> String {
    let Drift { t, p_value, keeps_on, .. } = *drift;
    if p_value >= SURE {
        return format!("taken as a random walk, the floors show no drift (p {p_value:.2})");
    }
    let keeps = if keeps_on { ", in the second half as in the first" } else { "" };
    format!("taken as a random walk, the floors drift (t {t:.1}, p {p_value:.1e}){keeps}")
}

fn plateau(plateau: &Plateau) -> String {
    let Plateau { early, late, settles, keeps_on, .. } = *plateau;
    let ratio = format!("the second half has {} of the slope of the first", percent(late / early));
    match (early > 0.0, late > 0.0) {
        (false, false) => "neither half grows".to_owned(),
        (false, true) => "the second half grows, the first does not".to_owned(),
        (true, false) => "the second half no longer grows".to_owned(),
        (true, true) if settles => format!("growth is slowing down: {ratio}"),
        (true, true) if keeps_on => format!("growth does not slow down: {ratio}"),
        (true, true) => format!("{ratio}, which does not show whether growth slows down"),
    }
}

fn curve(curve: &FittedCurve) -> String {
    let shape = match curve.shape {
        CurveShape::Logarithm => "a logarithm",
        CurveShape::Exponential => "an exponential",
        CurveShape::Root => "a root",
    };
    if !curve.excluded() {
        return format!("{shape} that slows down fits as well as a line");
    }
    format!(
        "no curve that slows down fits; the best, {shape}, is {:.0} noise variances worse than a line",
        curve.worse
    )
}

fn plateau_onset(onset: &PlateauOnset) -> String {
    let falls = if onset.falls { ", and memory has been given back since" } else { "" };
    format!("growth stopped {} before the end{falls}", nanoseconds(onset.lasted))
}

fn gain(gain: &Gain, level: f64, unit: Unit) -> String {
    let part = 100.0 * gain.high / level.abs().max(f64::MIN_POSITIVE);
    let [estimate, high] = [gain.estimate, gain.high].map(|value| amount(value, unit));
    format!(
        "from its first third to its last it gained {estimate}, at most {high} ({part:.1} % of the level)"
    )
}

/// A duration of so many seconds.
fn nanoseconds(seconds: f64) -> String {
    duration((seconds.max(0.0) * 1e9) as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use seepmeter_analysis::{Series, Settings, judge};

    use super::*;
    use crate::made_up::{part, run_of, series};

    #[test]
    fn every_explanation_has_one_answer_and_that_is_its_last_line() {
        let flat = run_of(vec![part("a", series(700, |_| 5_000_000))]);
        let masked = run_of(vec![
            part("heap", series(800, |i| 50_000_000 + 20_000 * i + i % 7 * 900)),
            part("cache", series(800, |i| 90_000_000 - 20_000 * i + i % 5 * 900)),
        ]);
        for run in [run_of(vec![]), flat, masked] {
            let lines = explanation(&run.judge().judgement, Unit::Bytes);
            let answers = lines.iter().filter(|line| line.starts_with("so: "));
            assert_eq!(answers.count(), 1, "{lines:#?}");
            assert!(lines.last().is_some_and(|line| line.starts_with("so: ")), "{lines:#?}");
        }
    }

    #[test]
    fn steps_are_named_with_their_times() {
        let step = |i| if i < 400 { 0 } else { 4 << 20 } + if i < 650 { 0 } else { 6 << 20 };
        let stepped = series(800, |i| 50_000_000 + step(i) + i * 7_919 % 97 * 900);
        let judgement = judge(&stepped, &Settings::default());
        let lines = explanation(&judgement, Unit::Bytes).join("\n");
        assert!(lines.contains("2 one-off steps explain it better than a trend: "), "{lines}");
        assert!(lines.contains(" MiB after 6 m "), "{lines}");
        assert!(lines.contains("so: inconclusive: it grew in a few steps, the most recent 2 m "));
    }

    proptest! {
        #[test]
        fn any_judgement_has_an_explanation(
            pairs in prop::collection::vec((0u64..1 << 50, any::<i64>()), 0..400),
        ) {
            let judgement = judge(&Series::from_pairs(pairs), &Settings::default());
            prop_assert!(explanation(&judgement, Unit::Count).len() > 3);
        }
    }
}
