//! Judging a whole together with its parts, so that a leak can't hide behind something that shrinks.
//!
//! A heap that leaks while the file cache beside it is reclaimed, or one process of fifty, may leave
//! the sum flat. The parts that gained the most are judged as well, each at a chance of a false
//! alarm that is shared among all of them (Bonferroni), and only growth that matters to the whole
//! counts.

use crate::cells::Cells;
use crate::{Judgement, Reason, Series, Settings, Word, judge};

/// The whole's judgement, and the part that changed it, if one did.
#[derive(Debug, Clone, PartialEq)]
pub struct PartsJudgement<Id> {
    /// The judgement, with the word changed where a part grows behind the whole's back. All its
    /// figures are the whole's: a part's rate says nothing of when the whole reaches a limit.
    pub judgement: Judgement,
    /// What the whole was judged by itself, its parts left aside.
    pub alone: Word,
    /// The part that grows while the whole does not, with its own judgement.
    pub hidden: Option<(Id, Judgement)>,
}

/// So many parts, those that gained most, are judged.
const MOST_JUDGED: usize = 3;
/// Parts that carry so much of a whole's growth answer for it.
const CARRIED: f64 = 0.8;
/// Of that at least so much must come from parts that made steps or settled.
const ENDED: f64 = 0.5;
/// No more parts than these are judged for that.
const MOST_CARRIERS: usize = 12;
/// A part's growth over its span counts from this part of the whole's level.
const LEAST_OF_LEVEL: f64 = 0.01;

/// Judges a whole, then the parts that gained the most if the whole is not growing.
pub fn judge_with_parts<Id: Clone>(
    whole: &Series,
    parts: &[(Id, &Series)],
    settings: &Settings,
) -> PartsJudgement<Id> {
    let judgement = judge(whole, settings);
    let alone = judgement.word;
    if alone == Word::Growing {
        let judgement = doubted(judgement, parts, settings);
        return PartsJudgement { judgement, alone, hidden: None };
    }
    if judgement.reason == Some(Reason::TooShort) {
        return PartsJudgement { judgement, alone, hidden: None };
    }
    let stricter =
        Settings { alpha: settings.alpha / parts.len().max(1) as f64, ..settings.clone() };
    let matters = LEAST_OF_LEVEL * judgement.level.unwrap_or(0.0).abs();
    let mut hidden = None;
    let mut doubtful = None;
    for i in most_gained(parts) {
        let (id, series) = &parts[i];
        let part = judge(series, &stricter);
        if gain(&part) < matters {
            continue;
        }
        if part.word == Word::Growing {
            hidden = Some((id.clone(), part));
            break;
        }
        // A part that clearly rises, even if it may stop, takes back the whole's "steady".
        if rises(&part, stricter.alpha) && part.word == Word::Inconclusive && doubtful.is_none() {
            doubtful = Some(part);
        }
    }
    let judgement = match &hidden {
        Some((_, part)) => overruled(judgement, part),
        None => match doubtful {
            Some(part) if judgement.word == Word::Steady => overruled(judgement, &part),
            _ => judgement,
        },
    };
    PartsJudgement { judgement, alone, hidden }
}

/// The numbers of the parts with the largest difference between their last and first quarter.
fn most_gained<Id>(parts: &[(Id, &Series)]) -> Vec<usize> {
    let mut gains: Vec<(usize, f64)> = parts
        .iter()
        .enumerate()
        .map(|(i, (_, series))| {
            let cells = Cells::between(series, series.start(), series.end(), 4);
            let floor = |i: usize| cells.cells.get(i).copied().flatten().map_or(0.0, |c| c.floor);
            (i, floor(cells.cells.len().saturating_sub(1)) - floor(0))
        })
        .collect();
    gains.sort_by(|a, b| b.1.total_cmp(&a.1));
    gains.into_iter().filter(|g| g.1 > 0.0).take(MOST_JUDGED).map(|g| g.0).collect()
}

fn rises(part: &Judgement, alpha: f64) -> bool {
    part.rate.is_some_and(|r| r.low > 0.0) && part.p_value < Some(alpha)
}

/// Takes a whole's "growing" back where every part that carries the growth made one-off steps or has
/// settled: fifty processes that each load a table once, at different times, climb like a line.
///
/// The parts are asked for where the steps stand out: the noise of forty-nine others hides them in
/// the sum. Where the carriers are too many to be judged, or one of them may grow, the whole stands.
fn doubted<Id>(whole: Judgement, parts: &[(Id, &Series)], settings: &Settings) -> Judgement {
    let Some((from, to)) = whole.span else { return whole };
    let Some(carriers) = carriers(parts, from, to) else { return whole };
    let judged: Vec<(f64, Judgement)> =
        carriers.iter().map(|&(i, gain)| (gain, judge(parts[i].1, settings))).collect();
    let ended = |j: &Judgement| j.word == Word::Steady || j.reason == Some(Reason::Steps);
    let all: f64 = judged.iter().map(|(gain, _)| gain).sum();
    let by_ended: f64 = judged.iter().filter(|(_, j)| ended(j)).map(|(gain, _)| gain).sum();
    if by_ended < ENDED * all || judged.iter().any(|(_, j)| !ended(j) && rises(j, settings.alpha)) {
        return whole;
    }
    let mut explanation = whole.explanation.clone();
    explanation.push(format!(
        "but the {} parts that carry the growth made one-off steps or have settled",
        judged.len()
    ));
    let longer = (to - from) / 2;
    let judgement = Judgement {
        word: Word::Inconclusive,
        reason: Some(Reason::Steps),
        watch_longer: Some(longer),
        ..whole
    };
    explanation.push(format!("so: {}", judgement.summary(settings.unit)));
    Judgement { explanation, ..judgement }
}

/// The parts that together carry [`CARRIED`] of what all gained between two times (ns), the largest
/// first; `None` when those are more than [`MOST_CARRIERS`].
fn carriers<Id>(parts: &[(Id, &Series)], from: u64, to: u64) -> Option<Vec<(usize, f64)>> {
    let gained = |series: &Series| {
        let cells = Cells::between(series, from, to, 10);
        let mean = |i: usize| cells.cells.get(i).copied().flatten().map_or(0.0, |c| c.mean);
        mean(cells.cells.len().saturating_sub(1)) - mean(0)
    };
    let mut gains: Vec<(usize, f64)> =
        parts.iter().enumerate().map(|(i, (_, series))| (i, gained(series))).collect();
    gains.sort_by(|a, b| b.1.total_cmp(&a.1));
    let wanted = CARRIED * gains.iter().map(|g| g.1).sum::<f64>();
    let mut carried = 0.0;
    let mut carriers = vec![];
    for (i, gain) in gains {
        if carried >= wanted || gain <= 0.0 {
            break;
        }
        if carriers.len() == MOST_CARRIERS {
            return None;
        }
        carried += gain;
        carriers.push((i, gain));
    }
    (carried >= wanted && !carriers.is_empty()).then_some(carriers)
}

fn gain(judgement: &Judgement) -> f64 {
    let seconds = judgement.span.map_or(0.0, |(a, b)| (b - a) as f64 / 1e9);
    judgement.rate.map_or(0.0, |r| r.estimate * seconds)
}

/// The part's word takes the whole's place; every figure stays the whole's.
fn overruled(whole: Judgement, part: &Judgement) -> Judgement {
    let Judgement { word, reason, watch_longer, ref explanation, .. } = *part;
    let about = match word {
        Word::Growing => "a part of it grows while the rest hides it:",
        Word::Steady | Word::Inconclusive => "a part of it rises, and may go on to:",
    };
    let said = by_itself(&whole.explanation, "the whole");
    let of_part = by_itself(explanation, "the part");
    let last = match reason {
        None => format!("so: {word}, by its part"),
        Some(reason) => format!("so: {word}, by its part: {}", reason.in_words()),
    };
    let explanation = said.chain([about.to_owned()]).chain(of_part).chain([last]).collect();
    Judgement { word, reason, watch_longer, explanation, ..whole }
}

/// An explanation whose end speaks of one thing alone, as there are two answers in one text.
fn by_itself<'a>(explanation: &'a [String], of: &'a str) -> impl Iterator<Item = String> + 'a {
    explanation.iter().map(move |said| match said.strip_prefix("so: ") {
        Some(answer) => format!("{of} by itself: {answer}"),
        None => said.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn series(value: impl Fn(i64) -> i64) -> Series {
        Series::from_pairs((0..800).map(|i| (i * S, value(i as i64))))
    }

    #[test]
    fn a_leak_behind_a_shrinking_cache_is_found() {
        let heap = series(|i| 50_000_000 + 20_000 * i + i % 7 * 900);
        let cache = series(|i| 90_000_000 - 20_000 * i + i % 5 * 900);
        let whole = Series::sum(&[&heap, &cache]);
        let s = Settings::default();
        assert_ne!(judge(&whole, &s).word, Word::Growing);
        let with = judge_with_parts(&whole, &[("heap", &heap), ("cache", &cache)], &s);
        assert_eq!((with.judgement.word, with.alone), (Word::Growing, Word::Steady));
        let (name, part) = with.hidden.unwrap();
        assert_eq!(name, "heap");
        assert!((part.rate.unwrap().estimate - 20_000.0).abs() < 200.0, "{part:?}");
    }

    #[test]
    fn the_rate_beside_a_hidden_part_is_the_wholes_and_so_is_the_span() {
        let heap = series(|i| 50_000_000 + 20_000 * i + i % 7 * 900);
        let cache = series(|i| 90_000_000 - 20_000 * i + i % 5 * 900);
        let whole = Series::sum(&[&heap, &cache]);
        let settings = Settings::default();
        let alone = judge(&whole, &settings);
        let with = judge_with_parts(&whole, &[(1, &heap), (2, &cache)], &settings).judgement;
        assert_eq!((with.rate, with.span, with.level), (alone.rate, alone.span, alone.level));
        let answers: Vec<_> = with.explanation.iter().filter(|s| s.starts_with("so:")).collect();
        assert_eq!(answers, ["so: growing, by its part"]);
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
        let parts: Vec<_> = processes.iter().enumerate().collect();
        let with = judge_with_parts(&whole, &parts, &Settings::default());
        assert_ne!(with.judgement.word, Word::Growing, "{:#?}", with.judgement.explanation);
        // As a sum of two that both leak, it is one.
        let leaks = [series(|i| noise(i, 1) + 20_000 * i), series(|i| noise(i, 2) + 20_000 * i)];
        let whole = Series::sum(&[&leaks[0], &leaks[1]]);
        let parts = [(0, &leaks[0]), (1, &leaks[1])];
        let with = judge_with_parts(&whole, &parts, &Settings::default());
        assert_eq!(with.judgement.word, Word::Growing);
    }

    #[test]
    fn steps_take_a_growing_whole_back_and_leaks_do_not() {
        let settings = Settings::default();
        let line = series(|i| 90_000_000 + 20_000 * i + i % 7 * 900);
        let whole = judge(&line, &settings);
        assert_eq!(whole.word, Word::Growing);
        let step =
            |at| series(move |i| 10_000_000 + i % 5 * 900 + if i > at { 4_000_000 } else { 0 });
        let steps = [step(200), step(350), step(500), step(650)];
        let parts: Vec<_> = steps.iter().enumerate().collect();
        let taken_back = doubted(whole.clone(), &parts, &settings);
        assert_eq!((taken_back.word, taken_back.reason), (Word::Inconclusive, Some(Reason::Steps)));
        let parts = [(0, &line), (1, &steps[0])];
        assert_eq!(doubted(whole, &parts, &settings).word, Word::Growing);
    }

    #[test]
    fn steady_parts_leave_a_steady_whole() {
        let a = series(|i| 50_000_000 + i % 7 * 900);
        let b = series(|i| 90_000_000 + i % 5 * 900);
        let whole = Series::sum(&[&a, &b]);
        let with = judge_with_parts(&whole, &[(1, &a), (2, &b)], &Settings::default());
        assert_eq!(with.judgement.word, Word::Steady);
        assert_eq!(with.hidden, None);
    }
}
