//! Judging a whole together with its parts, so that a leak can't hide behind something that shrinks.
//!
//! A heap that leaks while the file cache beside it is reclaimed, or one process of fifty, may leave
//! the sum flat. The parts that gained the most are judged as well, each at a chance of a false
//! alarm that is shared among all of them (Bonferroni), and only growth that matters to the whole
//! counts.
//!
//! Parts that were not sampled up to the end never count: what they hold by then is not known.

use crate::cells::Cells;
use crate::interval::Span;
use crate::judge::judge;
use crate::judgement::{Carrier, Classification, Decision, Judgement, Override, Reason};
use crate::series::Series;
use crate::settings::Settings;
use crate::thresholds::parts::{
    CARRIED, ENDED, EXPLAINED, LEAST_OF_LEVEL, LEAST_PART_SAMPLES, MOST_CARRIERS, MOST_JUDGED,
    STALE_INTERVALS, STALE_SPAN,
};
use crate::trade;

/// A part of a whole.
#[derive(Debug, Clone)]
pub struct PartView<'a, Id> {
    /// Which part.
    pub id: Id,
    /// What it held.
    pub series: &'a Series,
    /// Until when that is known, ns since the start of the watch: when it was last sampled, whether it had
    /// changed or not. Of a part that has ended and holds nothing since then, the end of the watch.
    pub known_until: u64,
}

/// The whole's judgement, and what its parts have to do with it.
#[derive(Debug, Clone, PartialEq)]
pub struct PartsJudgement<Id> {
    /// The judgement. Where parts decided the answer, [`Judgement::overruled`] says so; all its figures are
    /// the whole's: a part's rate says nothing of when the whole reaches a limit.
    pub judgement: Judgement,
    /// The part whose growth the whole does not show ([`Override::MaskedGrowth`]).
    pub masked: Option<Id>,
    /// The parts that were left aside because they were not sampled up to the end.
    pub stale: Vec<Id>,
}

impl<'a, Id> PartView<'a, Id> {
    /// A part that was sampled up to the end of its series.
    pub fn current(id: Id, series: &'a Series) -> Self {
        Self { id, series, known_until: series.end() }
    }

    /// Whether it was not sampled for so long before the end (ns) that it counts no more.
    fn is_stale(&self, whole: Span) -> bool {
        let unknown = whole.to.saturating_sub(self.known_until);
        let sampled = self.known_until.saturating_sub(self.series.start());
        let intervals = self.series.samples().saturating_sub(1).max(1);
        let usual = STALE_INTERVALS.saturating_mul(sampled / intervals);
        unknown as f64 > STALE_SPAN * whole.length() as f64 && unknown > usual
    }
}

/// Judges a whole, then the parts that gained the most if the whole is not growing.
pub fn judge_with_parts<Id: Clone>(
    whole: &Series,
    parts: &[PartView<Id>],
    settings: &Settings,
) -> PartsJudgement<Id> {
    let judgement = judge(whole, settings);
    let span = Span { from: whole.start(), to: whole.end() };
    let (stale, parts): (Vec<_>, Vec<_>) = parts.iter().partition(|part| part.is_stale(span));
    let stale = stale.into_iter().map(|part| part.id.clone()).collect();
    let series: Vec<&Series> = parts.iter().map(|part| part.series).collect();
    if judgement.classification == Classification::Growing {
        let judgement = doubted(judgement, whole, &series, settings);
        return PartsJudgement { judgement, masked: None, stale };
    }
    if judgement.reason == Some(Reason::TooShort) {
        return PartsJudgement { judgement, masked: None, stale };
    }
    let alpha = settings.alpha / parts.len().max(1) as f64;
    let rising = rising(&judgement, &series, &Settings { alpha, ..settings.clone() });
    let whole = judgement.decision();
    match rising {
        Some(Rising { number, part }) if part.classification == Classification::Growing => {
            let decision = part.decision();
            let judgement = judgement.overrule(decision, Override::MaskedGrowth { whole, part });
            PartsJudgement { judgement, masked: Some(parts[number].id.clone()), stale }
        }
        Some(Rising { part, .. }) if whole.classification == Classification::Steady => {
            let decision = part.decision();
            let judgement = judgement.overrule(decision, Override::RisingPart { whole, part });
            PartsJudgement { judgement, masked: None, stale }
        }
        _ => PartsJudgement { judgement, masked: None, stale },
    }
}

/// A part that rises.
struct Rising {
    number: usize,
    part: Judgement,
}

/// The part that grows by what matters to the whole, among those that gained most; else the first that
/// clearly rises, even if it may stop.
fn rising(whole: &Judgement, parts: &[&Series], settings: &Settings) -> Option<Rising> {
    let matters = LEAST_OF_LEVEL * whole.level.unwrap_or(0.0).abs();
    let mut doubtful = None;
    for number in most_gained(parts) {
        let part = judge(parts[number], settings);
        if gain(&part) < matters {
            continue;
        }
        match part.classification {
            Classification::Growing => return Some(Rising { number, part }),
            Classification::Inconclusive if doubtful.is_none() && rises(&part, settings.alpha) => {
                doubtful = Some(Rising { number, part });
            }
            _ => {}
        }
    }
    doubtful
}

/// The numbers of the parts with the largest difference between their last and first quarter.
fn most_gained(parts: &[&Series]) -> Vec<usize> {
    let gain = |series: &Series| {
        let cells = Cells::between(series, series.start(), series.end(), 4);
        let min = |i: usize| cells.cells.get(i).copied().flatten().map_or(0.0, |c| c.min);
        min(cells.cells.len().saturating_sub(1)) - min(0)
    };
    let gains: Vec<f64> = parts.iter().map(|series| gain(series)).collect();
    let mut order: Vec<usize> = (0..parts.len()).filter(|&i| gains[i] > 0.0).collect();
    order.sort_by(|&a, &b| gains[b].total_cmp(&gains[a]));
    order.truncate(MOST_JUDGED);
    order
}

fn rises(part: &Judgement, alpha: f64) -> bool {
    part.rate.is_some_and(|r| r.low > 0.0) && part.p_value < Some(alpha)
}

/// What a judgement's rate makes of its span, base units.
fn gain(judgement: &Judgement) -> f64 {
    let seconds = judgement.span.map_or(0.0, Span::seconds);
    judgement.rate.map_or(0.0, |r| r.estimate * seconds)
}

/// Takes a whole's "growing" back where every part that carries the growth made one-off steps or has
/// settled: fifty processes that each load a table once, at different times, climb like a line.
///
/// The parts are asked for where the steps stand out: the noise of forty-nine others hides them in
/// the sum. Where the carriers are too many to be judged, or one of them may grow, the whole stands; so
/// it does where they do not explain it, or trade with each other what they seem to gain.
fn doubted(
    judgement: Judgement,
    whole: &Series,
    parts: &[&Series],
    settings: &Settings,
) -> Judgement {
    let Some(span) = judgement.span else { return judgement };
    let sums = trade::sums(parts, span);
    let Some(carriers) = carriers(&sums, span) else { return judgement };
    // Parts may be sampled more seldom than the whole. What is found of them takes growth back and never
    // makes any, so that fewer samples will do; the least span holds for them too.
    let least_samples = settings.least_samples.min(LEAST_PART_SAMPLES);
    let of_parts = Settings { least_samples, ..settings.clone() };
    let carriers: Vec<Carrier> = carriers
        .into_iter()
        .map(|Gain { number, gain }| Carrier { gain, judgement: judge(&sums[number], &of_parts) })
        .collect();
    let ended = |j: &Judgement| {
        j.classification == Classification::Steady || j.reason == Some(Reason::Steps)
    };
    let all: f64 = carriers.iter().map(|c| c.gain).sum();
    let by_ended: f64 = carriers.iter().filter(|c| ended(&c.judgement)).map(|c| c.gain).sum();
    let may_grow = |j: &Judgement| !ended(j) && rises(j, settings.alpha);
    let explained = by_ended >= ENDED * all && by_ended >= EXPLAINED * gained(whole, span);
    if !explained || carriers.iter().any(|c| may_grow(&c.judgement)) {
        return judgement;
    }
    let whole = judgement.decision();
    let decision = Decision::not_yet(Reason::Steps, span.length() / 2);
    judgement.overrule(decision, Override::SteppedParts { whole, carriers })
}

/// What a part gained.
struct Gain {
    number: usize,
    gain: f64,
}

/// The parts that together carry [`CARRIED`] of what all gained over a span, the largest first; `None` when
/// those are more than [`MOST_CARRIERS`].
fn carriers(parts: &[impl std::ops::Deref<Target = Series>], span: Span) -> Option<Vec<Gain>> {
    let gains = parts.iter().enumerate();
    let mut gains: Vec<Gain> =
        gains.map(|(number, series)| Gain { number, gain: gained(series, span) }).collect();
    gains.sort_by(|a, b| b.gain.total_cmp(&a.gain));
    let wanted = CARRIED * gains.iter().map(|g| g.gain).sum::<f64>();
    let mut carried = 0.0;
    let mut carriers = vec![];
    for gain in gains {
        if carried >= wanted || gain.gain <= 0.0 {
            break;
        }
        if carriers.len() == MOST_CARRIERS {
            return None;
        }
        carried += gain.gain;
        carriers.push(gain);
    }
    (carried >= wanted && !carriers.is_empty()).then_some(carriers)
}

/// The difference between a series' means in the last and the first tenth of a span, base units.
fn gained(series: &Series, span: Span) -> f64 {
    let cells = Cells::between(series, span.from, span.to, 10);
    let mean = |i: usize| cells.cells.get(i).copied().flatten().map_or(0.0, |c| c.mean);
    mean(cells.cells.len().saturating_sub(1)) - mean(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn series(value: impl Fn(i64) -> i64) -> Series {
        Series::from_pairs((0..800).map(|i| (i * S, value(i as i64))))
    }

    fn all(parts: &[Series]) -> Vec<PartView<'_, usize>> {
        parts.iter().enumerate().map(|(i, series)| PartView::current(i, series)).collect()
    }

    fn two<'a>(a: &'a Series, b: &'a Series) -> [PartView<'a, usize>; 2] {
        [PartView::current(0, a), PartView::current(1, b)]
    }

    #[test]
    fn a_leak_behind_a_shrinking_cache_is_found() {
        let heap = series(|i| 50_000_000 + 20_000 * i + i % 7 * 900);
        let cache = series(|i| 90_000_000 - 20_000 * i + i % 5 * 900);
        let whole = Series::sum(&[&heap, &cache]);
        let s = Settings::default();
        assert_ne!(judge(&whole, &s).classification, Classification::Growing);
        let with = judge_with_parts(&whole, &two(&heap, &cache), &s);
        assert_eq!(with.judgement.classification, Classification::Growing);
        assert_eq!(with.masked, Some(0));
        let Some(Override::MaskedGrowth { whole, part }) = with.judgement.overruled.as_deref()
        else {
            panic!("{with:?}");
        };
        assert_eq!(whole.classification, Classification::Steady);
        assert!((part.rate.unwrap().estimate - 20_000.0).abs() < 200.0, "{part:?}");
    }

    #[test]
    fn the_rate_beside_a_hidden_part_is_the_wholes_and_so_is_the_span() {
        let heap = series(|i| 50_000_000 + 20_000 * i + i % 7 * 900);
        let cache = series(|i| 90_000_000 - 20_000 * i + i % 5 * 900);
        let whole = Series::sum(&[&heap, &cache]);
        let settings = Settings::default();
        let alone = judge(&whole, &settings);
        let with = judge_with_parts(&whole, &two(&heap, &cache), &settings).judgement;
        assert_eq!((with.rate, with.span, with.level), (alone.rate, alone.span, alone.level));
        assert_eq!(with.evidence.tests, alone.evidence.tests);
    }

    #[test]
    fn processes_that_each_load_a_table_once_are_no_leak() {
        let noise = |i: i64, k: i64| (i * 7_919 + k * 104_729) % 997 * 3_000;
        let processes: Vec<Series> = (0..20)
            .map(|k| {
                let table = if k < 5 { 12_000_000 } else { 0 };
                series(|i| 60_000_000 + noise(i, k) + if i > 70 + 150 * k { table } else { 0 })
            })
            .collect();
        let whole = Series::sum(&processes.iter().collect::<Vec<_>>());
        let parts = all(&processes);
        let with = judge_with_parts(&whole, &parts, &Settings::default());
        assert_ne!(
            with.judgement.classification,
            Classification::Growing,
            "{:#?}",
            with.judgement.decision()
        );
        // As a sum of two that both leak, it is one.
        let leaks = [series(|i| noise(i, 1) + 20_000 * i), series(|i| noise(i, 2) + 20_000 * i)];
        let whole = Series::sum(&[&leaks[0], &leaks[1]]);
        let parts = all(&leaks);
        let with = judge_with_parts(&whole, &parts, &Settings::default());
        assert_eq!(with.judgement.classification, Classification::Growing);
    }

    #[test]
    fn steps_take_a_growing_whole_back_and_leaks_do_not() {
        let settings = Settings::default();
        let line = series(|i| 90_000_000 + 20_000 * i + i % 7 * 900);
        let whole = judge(&line, &settings);
        assert_eq!(whole.classification, Classification::Growing);
        let step =
            |at| series(move |i| 10_000_000 + i % 5 * 900 + if i > at { 4_000_000 } else { 0 });
        let steps = [step(200), step(350), step(500), step(650)];
        let parts: Vec<_> = steps.iter().collect();
        let taken_back = doubted(whole.clone(), &line, &parts, &settings);
        assert_eq!(taken_back.reason, Some(Reason::Steps));
        let Some(Override::SteppedParts { whole: by_itself, carriers }) =
            taken_back.overruled.as_deref()
        else {
            panic!("{:?}", taken_back.decision());
        };
        assert_eq!((by_itself.classification, carriers.len()), (Classification::Growing, 4));
        let parts = [&line, &steps[0]];
        assert_eq!(doubted(whole.clone(), &line, &parts, &settings), whole);
        // Steps that gained less than half of what the whole did do not explain it.
        assert_eq!(doubted(whole.clone(), &line, &[&steps[0]], &settings), whole);
    }

    #[test]
    fn steady_parts_leave_a_steady_whole() {
        let a = series(|i| 50_000_000 + i % 7 * 900);
        let b = series(|i| 90_000_000 + i % 5 * 900);
        let whole = Series::sum(&[&a, &b]);
        let with = judge_with_parts(&whole, &two(&a, &b), &Settings::default());
        assert_eq!(with.judgement.classification, Classification::Steady);
        assert_eq!(with.masked, None);
    }

    /// Memory that grows by 20 kB a second, of which this part of a thousand is in the one of two parts.
    fn split(of_thousand: impl Fn(i64) -> i64) -> [Series; 2] {
        let held = |i: i64| 60_000_000 + 20_000 * i;
        let first = |i: i64| held(i) / 1_000 * of_thousand(i);
        [series(|i| first(i) + i % 7 * 900), series(|i| held(i) - first(i) + i % 5 * 900)]
    }

    #[test]
    fn parts_that_trade_pages_leave_a_straight_line_growing() {
        let merged = |i: i64| if i < 420 { 200 } else { 900 };
        let there_and_back = |i: i64| [300, 800, 250, 700][(i / 200) as usize];
        for parts in [split(merged), split(there_and_back)] {
            let whole = Series::sum(&[&parts[0], &parts[1]]);
            let alone: Vec<_> =
                parts.iter().map(|p| judge(p, &Settings::default()).classification).collect();
            assert!(!alone.contains(&Classification::Growing), "{alone:?}");
            let with = judge_with_parts(&whole, &all(&parts), &Settings::default());
            assert_eq!(with.judgement.classification, Classification::Growing);
            assert_eq!(with.judgement.overruled, None);
        }
    }

    #[test]
    fn a_stale_part_never_changes_the_answer_and_is_reported() {
        let settings = Settings::default();
        let line = series(|i| 90_000_000 + 20_000 * i + i % 7 * 900);
        // It was sampled for two thirds of the watch, and made a step then.
        let step = |i: i64| if i > 300 { 11_000_000 } else { 1_000_000 };
        let stopped = series(|i| step(i.min(540)) + i.min(540) % 5 * 900);
        let stale = |id, series| PartView { id, series, known_until: 540 * S };
        let current = judge_with_parts(&line, &[PartView::current(0, &stopped)], &settings);
        assert_eq!(current.judgement.reason, Some(Reason::Steps));
        let with = judge_with_parts(&line, &[stale(0, &stopped)], &settings);
        assert_eq!((with.judgement, with.stale), (judge(&line, &settings), vec![0]));

        let heap = series(|i| 50_000_000 + 20_000 * i + i % 7 * 900);
        let cache = series(|i| 90_000_000 - 20_000 * i + i % 5 * 900);
        let whole = Series::sum(&[&heap, &cache]);
        let with = judge_with_parts(&whole, &[stale(1, &heap), stale(2, &cache)], &settings);
        assert_eq!(with.judgement.classification, Classification::Steady);
        assert_eq!(with.stale, [1, 2]);
    }

    #[test]
    fn a_part_of_a_slow_sampler_is_stale_after_some_of_its_own_intervals() {
        let whole = Span { from: 0, to: 800 * S };
        let every = |seconds: u64, last| {
            let series = Series::from_pairs((0..=last / seconds).map(|i| (i * seconds * S, 1)));
            PartView { id: (), series: &series, known_until: last * S }.is_stale(whole)
        };
        assert!(!every(1, 770) && every(1, 750));
        assert!(!every(50, 700) && every(50, 600));
    }
}
