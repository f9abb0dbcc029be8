//! Judging a whole together with its parts, so that a leak can't hide behind something that shrinks.
//!
//! A heap that leaks while the file cache beside it is reclaimed, or one process of fifty, may leave
//! the sum flat. The parts that gained the most are judged as well, each at a chance of a false
//! alarm that is shared among all of them (Bonferroni), and only growth that matters to the whole
//! counts.

use crate::{Judgement, Reason, Series, Settings, Word, judge};

/// The whole's judgement, and the part that changed it, if one did.
#[derive(Debug, Clone, PartialEq)]
pub struct PartsJudgement<Id> {
    /// The judgement, with the word changed where a part grows behind the whole's back.
    pub judgement: Judgement,
    /// The part that grows while the whole does not, with its own judgement.
    pub hidden: Option<(Id, Judgement)>,
}

/// So many parts, those that gained most, are judged.
const MOST_JUDGED: usize = 3;
/// A part's growth over its span counts from this part of the whole's level.
const LEAST_OF_LEVEL: f64 = 0.01;

/// Judges a whole, then the parts that gained the most if the whole is not growing.
pub fn judge_with_parts<Id: Clone>(
    whole: &Series,
    parts: &[(Id, &Series)],
    settings: &Settings,
) -> PartsJudgement<Id> {
    let judgement = judge(whole, settings);
    if judgement.word == Word::Growing || judgement.reason == Some(Reason::TooShort) {
        return PartsJudgement { judgement, hidden: None };
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
        let rises = part.rate.is_some_and(|r| r.low > 0.0) && part.p_value < Some(stricter.alpha);
        if rises && part.word == Word::Inconclusive && doubtful.is_none() {
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
    PartsJudgement { judgement, hidden }
}

/// The numbers of the parts with the largest difference between their last and first quarter.
fn most_gained<Id>(parts: &[(Id, &Series)]) -> Vec<usize> {
    let mut gains: Vec<(usize, f64)> = parts
        .iter()
        .enumerate()
        .map(|(i, (_, series))| {
            let cells = crate::cells::Cells::between(series, series.start(), series.end(), 4);
            let floor = |i: usize| cells.cells.get(i).copied().flatten().map_or(0.0, |c| c.floor);
            (i, floor(cells.cells.len().saturating_sub(1)) - floor(0))
        })
        .collect();
    gains.sort_by(|a, b| b.1.total_cmp(&a.1));
    gains.into_iter().filter(|g| g.1 > 0.0).take(MOST_JUDGED).map(|g| g.0).collect()
}

fn gain(judgement: &Judgement) -> f64 {
    let seconds = judgement.span.map_or(0.0, |(a, b)| (b - a) as f64 / 1e9);
    judgement.rate.map_or(0.0, |r| r.estimate * seconds)
}

/// The part's evidence takes the whole's place; level and peak stay the whole's.
fn overruled(whole: Judgement, part: &Judgement) -> Judgement {
    let Judgement { level, peak, mut explanation, .. } = whole;
    explanation.push("a part of it grows while the rest hides it:".to_owned());
    explanation.extend(part.explanation.iter().cloned());
    Judgement { level, peak, explanation, ..part.clone() }
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
        assert_eq!(with.judgement.word, Word::Growing);
        assert_eq!(with.hidden.unwrap().0, "heap");
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
