//! Evidence in words. Pure functions from what is public of a [`Judgement`] to lines of text.

use crate::autocorrelation::Autocorrelation;
use crate::curve::{Curve, CurveShape};
use crate::drift::Drift;
use crate::evidence::{Evidence, Tests};
use crate::gain::Gain;
use crate::judgement::{Classification, Decision, Judgement, Override, Reason};
use crate::plateau::Plateau;
use crate::plateau_onset::PlateauOnset;
use crate::slope::Slope;
use crate::steps::Step;
use crate::trend::Trend;
use crate::warm_up::WarmUpKind;
use crate::words::{NumberFormat, amount, duration, rate_interval};

/// No shorter time than this (ns) is said to decide.
const LEAST_SAID: u64 = 1_000_000;

/// What each stage found, a line each, in order; the last line is the answer.
#[must_use]
pub fn explanation(judgement: &Judgement, format: NumberFormat) -> Vec<String> {
    let mut lines = stages(&judgement.evidence, format);
    let answer = |decision: &Decision| answer(decision, judgement, format);
    let Some(by) = judgement.overruled.as_deref() else {
        lines.push(format!("so: {}", answer(&judgement.decision())));
        return lines;
    };
    match by {
        Override::MaskedGrowth { whole, part } | Override::RisingPart { whole, part } => {
            lines.push(format!("the whole by itself: {}", answer(whole)));
            lines.push(about_part(by).to_owned());
            lines.extend(stages(&part.evidence, format));
            lines.push(format!("the part by itself: {}", summary(part, format)));
            let why = judgement.reason.map_or(String::new(), |why| format!(": {}", reason(why)));
            lines.push(format!("so: {}, by its part{why}", judgement.classification));
        }
        Override::SteppedParts { whole, carriers } => {
            lines.push(format!("the whole by itself: {}", answer(whole)));
            lines.push(format!(
                "but the {} parts that carry the growth made one-off steps or have settled",
                carriers.len()
            ));
            lines.push(format!("so: {}", answer(&judgement.decision())));
        }
    }
    lines
}

fn about_part(by: &Override) -> &'static str {
    match by {
        Override::MaskedGrowth { .. } => "a part grows, and the whole does not show it:",
        _ => "a part rises, and may go on to:",
    }
}

/// One line without the target's name: the answer, then the rate or the reason.
#[must_use]
pub fn summary(judgement: &Judgement, format: NumberFormat) -> String {
    answer(&judgement.decision(), judgement, format)
}

/// A decision in one line, with the figures of a judgement.
fn answer(decision: &Decision, judgement: &Judgement, format: NumberFormat) -> String {
    let word = decision.classification;
    if let (Classification::Growing | Classification::Steady, Some(rate)) = (word, judgement.rate) {
        let after = judgement
            .warm_up_end
            .map_or(String::new(), |end| format!(", after {} of warm-up", duration(end)));
        let over = judgement
            .span
            .map_or(String::new(), |span| format!(" over {}{after}", duration(span.length())));
        return format!("{word} {}{over}", rate_interval(rate, format));
    }
    let why = decision.reason.map_or("", reason);
    format!("{word}: {why}{}", needs_more(decision))
}

/// A reason in words.
#[must_use]
pub fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::TooShort => "too short a watch",
        Reason::FewCycles => "too few cycles seen",
        Reason::StillWarmingUp => "it has not settled long enough after warm-up",
        Reason::Slowing => "it grows, but ever more slowly",
        Reason::MayBeSlowing => "it grows; whether the growth slows down can't be told yet",
        Reason::Steps => "it grew by a few steps, the last of them lately",
        Reason::Noise => "the noise hides whatever there is",
    }
}

/// Behind a reason, about how much longer a watch would decide; nothing where that is not known or
/// nothing that a watch could wait for. Of one that is too short only the least is known.
#[must_use]
pub fn needs_more(decision: &Decision) -> String {
    match decision.needs_more.filter(|ns| *ns >= LEAST_SAID) {
        None => String::new(),
        Some(ns) if decision.reason == Some(Reason::TooShort) => {
            format!("; it takes at least {} more", duration(ns))
        }
        Some(ns) => format!("; about {} more would tell", duration(ns)),
    }
}

/// What each stage found.
fn stages(evidence: &Evidence, format: NumberFormat) -> Vec<String> {
    let mut lines = vec![sampling(evidence), cycles(evidence), floors(evidence)];
    let Some(tests) = &evidence.tests else { return lines };
    let floors = evidence.floors.len() - tests.first;
    lines.extend(tests.step_taken_out.map(|step| step_taken_out(&step, format)));
    lines.push(warm_up(evidence, tests));
    lines.extend(tests.fall_taken_out.map(|fall| fall_taken_out(&fall, format)));
    lines.push(steps(evidence, &tests.steps, format));
    lines.push(noise(&tests.noise, floors));
    lines.push(trend(&tests.trend));
    lines.push(slope(&tests.slope, format));
    lines.extend(tests.drift.as_ref().map(drift));
    lines.extend(tests.plateau.as_ref().map(plateau));
    lines.extend(tests.curve.as_ref().map(curve));
    lines.extend(tests.plateau_onset.as_ref().map(plateau_onset));
    lines.extend(tests.since_warm_up.gain.map(|g| gain(&g, tests.level, format)));
    lines
}

fn sampling(evidence: &Evidence) -> String {
    let sampling = &evidence.sampling;
    let gaps = match sampling.gaps.as_slice() {
        [] => String::new(),
        gaps => {
            let lost = gaps.iter().map(|gap| gap.length()).fold(0, u64::saturating_add);
            format!("; {} gaps ({}) in which nothing was sampled", gaps.len(), duration(lost))
        }
    };
    format!(
        "{} samples over {}, on a grid of {} cells of {}{gaps}",
        sampling.samples,
        duration(sampling.span.length()),
        evidence.cells.cells.len(),
        duration(evidence.cells.width),
    )
}

fn cycles(evidence: &Evidence) -> String {
    let Some(cycles) = evidence.cycles.as_ref().filter(|c| c.regular()) else {
        return "no regular cycles".to_owned();
    };
    let time = |cells: f64| duration((cells * evidence.cells.width as f64) as u64);
    let (count, length, long) = (cycles.troughs.len(), time(cycles.length), time(cycles.long));
    format!("{count} cycles, typically {length} long, nine of ten under {long}")
}

fn floors(evidence: &Evidence) -> String {
    let Evidence { floors, cells, buckets, .. } = evidence;
    let each = (buckets.cells as u64).saturating_mul(cells.width);
    let kind = if buckets.lowest { "lowest value" } else { "lower quartile" };
    format!("{} floors, each the {kind} of {}", floors.len(), duration(each))
}

fn step_taken_out(step: &Step, format: NumberFormat) -> String {
    let height = amount(step.height, format);
    format!("a one-off step of {height}, taken out before the trend is tested")
}

fn fall_taken_out(fall: &Step, format: NumberFormat) -> String {
    let height = amount(fall.height, format);
    format!("a fall of {height}, taken out before the trend is tested")
}

fn warm_up(evidence: &Evidence, tests: &Tests) -> String {
    let warm_up = match tests.warm_up.kind() {
        WarmUpKind::Unsettled => "it is still settling at the end of the watch".to_owned(),
        WarmUpKind::Absent => "no warm-up".to_owned(),
        WarmUpKind::Ended => {
            let end = evidence.begin_of(tests.warm_up.floors);
            format!("warm-up ended {} after the start", since_start(evidence, end))
        }
    };
    match evidence.growth_onset() {
        Some(onset) => {
            format!("{warm_up}; growth set in {} after the start", since_start(evidence, onset))
        }
        None => warm_up,
    }
}

/// How long after the first sample a time (ns) is.
fn since_start(evidence: &Evidence, time: u64) -> String {
    duration(time.saturating_sub(evidence.sampling.span.from))
}

fn steps(evidence: &Evidence, steps: &[Step], format: NumberFormat) -> String {
    if steps.is_empty() {
        return "no one-off steps explain it".to_owned();
    }
    let step = |step: &Step| {
        let after = since_start(evidence, evidence.begin_of(step.at));
        format!("{} after {after}", amount(step.height, format))
    };
    let all: Vec<_> = steps.iter().map(step).collect();
    let (count, all) = (steps.len(), all.join(", "));
    format!("{count} one-off steps explain it better than a trend: {all}")
}

fn noise(noise: &Autocorrelation, floors: usize) -> String {
    let Autocorrelation { rho, inflation } = *noise;
    if rho < 0.1 {
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
    let way = if trend.s > 0 { "rise" } else { "fall" };
    match trend.p_value {
        p if p < 1e-3 => format!("the floors {way} (Mann–Kendall z {:.1}, p {p:.1e})", trend.z),
        p if p < 0.05 => format!("the floors may {way} (Mann–Kendall p {p:.3})"),
        p => format!("no trend in the floors (Mann–Kendall p {p:.2})"),
    }
}

fn slope(slope: &Slope, format: NumberFormat) -> String {
    format!("their slope (Theil–Sen) is {}", rate_interval(slope.rate, format))
}

fn drift(drift: &Drift) -> String {
    let Drift { t, p_value, keeps_on, .. } = *drift;
    if p_value >= 1e-3 {
        return format!("taken as a random walk, the floors show no drift (p {p_value:.2})");
    }
    let keeps = if keeps_on { ", in the second half as in the first" } else { "" };
    format!("taken as a random walk, the floors drift (t {t:.1}, p {p_value:.1e}){keeps}")
}

fn plateau(plateau: &Plateau) -> String {
    let Plateau { early, late, settles, keeps_on, .. } = *plateau;
    let percent = (late / early * 100.0).round();
    let ratio = format!("the second half has {percent} % of the slope of the first");
    match (early > 0.0, late > 0.0) {
        (false, false) => "neither half grows".to_owned(),
        (false, true) => "the second half grows, the first did not".to_owned(),
        (true, false) => "the second half no longer grows".to_owned(),
        (true, true) if settles => format!("growth is slowing down: {ratio}"),
        (true, true) if keeps_on => format!("growth does not slow down: {ratio}"),
        (true, true) => format!("{ratio}, which does not show whether growth slows down"),
    }
}

fn curve(curve: &Curve) -> String {
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
    let lasted = duration((onset.lasted.max(0.0) * 1e9) as u64);
    let falls = if onset.falls { ", and memory has been given back since" } else { "" };
    format!("growth stopped {lasted} before the end of the watch{falls}")
}

fn gain(gain: &Gain, level: f64, format: NumberFormat) -> String {
    let percent = 100.0 * gain.high / level.abs().max(f64::MIN_POSITIVE);
    let [estimate, high] = [gain.estimate, gain.high].map(|value| amount(value, format));
    format!(
        "from its first third to its last it gained {estimate}, at most {high} ({percent:.1} % of the level)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::judge;
    use crate::series::Series;
    use crate::settings::Settings;

    #[test]
    fn no_watch_is_said_to_need_nothing_more_and_a_short_one_needs_at_least_so_much() {
        let said = |reason, more| {
            needs_more(&Decision { needs_more: more, ..Decision::not_yet(reason, 0) })
        };
        assert_eq!(said(Reason::Noise, Some(0)), "");
        assert_eq!(said(Reason::Noise, None), "");
        assert_eq!(said(Reason::Noise, Some(5_000_000_000)), "; about 5.0 s more would tell");
        assert_eq!(said(Reason::TooShort, Some(5_000_000_000)), "; it takes at least 5.0 s more");
    }

    #[test]
    fn every_explanation_has_one_answer_at_its_end() {
        let flat = Series::from_pairs((0..700).map(|i| (i * 1_000_000_000, 5_000_000)));
        for series in [Series::default(), flat] {
            let lines = explanation(&judge(&series, &Settings::default()), NumberFormat::Bytes);
            let answers = lines.iter().filter(|line| line.starts_with("so: "));
            assert_eq!(answers.count(), 1, "{lines:#?}");
            assert!(lines.last().is_some_and(|line| line.starts_with("so: ")), "{lines:#?}");
        }
    }
}
