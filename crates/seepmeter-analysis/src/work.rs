//! Work as the axis, in place of time.
//!
//! A counter says how much work was done by which time. A [`WorkClock`] runs as the work does: its hand moves
//! in proportion to the counter, and in all it shows as much time as has passed. A series that is laid on that
//! clock is judged as any other, by the same stages and with the same thresholds, and a rate of so many bytes
//! a second of the clock is one of bytes per unit. So an hour without work takes no room, and a burst takes
//! much.
//!
//! What grows while no work is done is no growth per unit: see [`IdleGrowth`].

use serde::Serialize;

use crate::interval::{Interval, Span};
use crate::series::Series;
use crate::thresholds::work::{IDLE_CELLS, IDLE_PART, IDLE_RATE, LEAST_MARKS};

/// A clock that runs as the work does. Between two marks work is taken to go on evenly.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkClock {
    /// Time in ns and the counter, both rising.
    marks: Vec<(u64, i64)>,
    resets: usize,
    /// See [`WorkClock::length`].
    length: u64,
}

/// Why there is no such clock: the counter hardly rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TooLittleWork {
    /// So many of its values are higher than the one before.
    pub rises: usize,
    /// How often it went backwards: only what came after the last time counts.
    pub resets: usize,
}

/// What memory gained while the counter stood still, or rose at less than a tenth of its usual rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct IdleGrowth {
    /// For how long that was, in seconds.
    pub seconds: f64,
    /// The gain, in base units.
    pub gain: f64,
    /// The gain of the whole time.
    pub gain_in_all: f64,
}

impl IdleGrowth {
    /// True if so much of the growth came without work that it is not known what each unit leaves behind.
    /// A gain of less than `least` is nothing.
    #[must_use]
    pub fn matters(&self, least: f64) -> bool {
        self.gain >= least.max(f64::MIN_POSITIVE) && self.gain >= IDLE_PART * self.gain_in_all
    }
}

impl WorkClock {
    /// The clock of a counter. If the counter goes backwards, only what comes after the last time counts.
    ///
    /// # Errors
    /// A counter that hardly moves.
    pub fn of(counter: &Series) -> Result<Self, TooLittleWork> {
        let points = counter.points();
        let falls = || (1..points.len()).filter(|at| points[*at].1 < points[at - 1].1);
        let (resets, from) = (falls().count(), falls().next_back().unwrap_or(0));
        let marks = points[from..].to_vec();
        let rises = marks.windows(2).filter(|pair| pair[1].1 > pair[0].1).count();
        if rises < LEAST_MARKS {
            return Err(TooLittleWork { rises, resets });
        }
        let mut clock = Self { marks, resets, length: 0 };
        clock.length = clock.busy();
        Ok(clock)
    }

    /// How often the counter went backwards before it begins.
    #[must_use]
    pub fn resets(&self) -> usize {
        self.resets
    }

    /// How many units of work were done.
    #[must_use]
    pub fn units(&self) -> f64 {
        self.work_at(u64::MAX)
    }

    /// From its first mark to its last, in ns of true time.
    #[must_use]
    pub fn span(&self) -> Span {
        let time = |mark: Option<&(u64, i64)>| mark.map_or(0, |mark| mark.0);
        Span { from: time(self.marks.first()), to: time(self.marks.last()) }
    }

    /// What it shows at its end, in ns: the time in which work was done. A second of work after an hour without
    /// any is a second of data, and no more.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The time between marks in which the counter rose at no less than a tenth of its usual rate, in ns.
    fn busy(&self) -> u64 {
        let usual = self.units() / self.span().seconds();
        let pairs = self.marks.windows(2);
        let rises = pairs.map(|pair| (pair[1].0 - pair[0].0, pair[1].1.abs_diff(pair[0].1) as f64));
        let busy = rises.filter(|(ns, units)| *units >= IDLE_RATE * usual * (*ns as f64 / 1e9));
        busy.map(|(ns, _)| ns).sum()
    }

    /// The units that were done by a time, in ns.
    fn work_at(&self, time: u64) -> f64 {
        let work = |at: usize| self.marks[at].1.abs_diff(self.marks[0].1) as f64;
        let after = self.marks.partition_point(|mark| mark.0 <= time);
        match after {
            0 => 0.0,
            after if after == self.marks.len() => work(after - 1),
            after => {
                let (from, to) = (self.marks[after - 1].0, self.marks[after].0);
                let part = (time - from) as f64 / (to - from) as f64;
                work(after - 1) + part * (work(after) - work(after - 1))
            }
        }
    }

    /// What the clock shows at a time: both in ns.
    fn at(&self, time: u64) -> u64 {
        (self.work_at(time) / self.units() * self.length as f64) as u64
    }

    /// A series on this clock. What was before its begin and after its end is left out.
    #[must_use]
    pub fn lay(&self, series: &Series) -> Series {
        let Span { from, to } = self.span();
        let first = series.at(from).map(|value| (0, value));
        let inside = series.points().iter().filter(|point| (from..=to).contains(&point.0));
        let points: Vec<(u64, i64)> =
            first.into_iter().chain(inside.map(|point| (self.at(point.0), point.1))).collect();
        let kept = points.len() as f64 / series.points().len().max(1) as f64;
        // Those that were taken without work say nothing of it.
        let busy = self.length as f64 / (to - from).max(1) as f64;
        let samples = (series.samples() as f64 * kept.min(1.0) * busy) as u64;
        let gaps = series.gaps().iter().filter(|gap| gap.to > from && gap.from < to);
        let gaps = gaps.map(|gap| Span { from: self.at(gap.from), to: self.at(gap.to) });
        let end = self.at(series.end());
        Series::from_pairs(points).with_samples(samples).with_end(end).with_gaps(gaps)
    }

    /// A rate a second of this clock as one per unit.
    #[must_use]
    pub fn per_unit(&self, rate: Interval) -> Interval {
        let seconds = self.length as f64 / 1e9 / self.units();
        let Interval { estimate, low, high } = rate;
        Interval { estimate: estimate * seconds, low: low * seconds, high: high * seconds }
    }

    /// What a series in true time gained while hardly any work was done, from the begin of this clock to the end
    /// of the series.
    #[must_use]
    pub fn idle_growth(&self, series: &Series) -> IdleGrowth {
        let begin = self.span().from.max(series.start());
        let length = series.end().saturating_sub(begin);
        let time =
            |cell: u64| begin + (u128::from(length) * u128::from(cell) / IDLE_CELLS as u128) as u64;
        let value = |cell| series.at(time(cell)).unwrap_or(0) as f64;
        let usual = self.units() / self.span().seconds();
        let (mut seconds, mut gain) = (0.0, 0.0);
        for cell in 0..IDLE_CELLS as u64 {
            let (from, to) = (time(cell), time(cell + 1));
            let width = (to - from) as f64 / 1e9;
            if self.work_at(to) - self.work_at(from) < IDLE_RATE * usual * width {
                seconds += width;
                gain += value(cell + 1) - value(cell);
            }
        }
        IdleGrowth { seconds, gain, gain_in_all: value(IDLE_CELLS as u64) - value(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Classification, Settings, judge};

    const SECOND: u64 = 1_000_000_000;

    fn series(value: impl Fn(i64) -> i64) -> Series {
        Series::from_pairs((0..600).map(|i| (i as u64 * SECOND, value(i))))
    }

    fn judged(counter: &Series, memory: &Series) -> (Classification, Interval) {
        let clock = WorkClock::of(counter).unwrap();
        let judgement = judge(&clock.lay(memory), &Settings::default());
        (judgement.classification, clock.per_unit(judgement.rate.unwrap()))
    }

    /// Fifty units a second at first, and then one.
    fn burst(i: i64) -> i64 {
        if i < 400 { 50 * i } else { 19_600 + i }
    }

    #[test]
    fn what_each_unit_leaves_behind_is_found_however_the_work_is_spread() {
        let leak =
            |work: fn(i64) -> i64| series(move |i| 50_000_000 + 4_000 * work(i) + i % 7 * 900);
        for work in [|i| 30 * i, burst, |i| i * i / 20] {
            let (classification, rate) = judged(&series(work), &leak(work));
            assert_eq!(classification, Classification::Growing);
            assert!((rate.estimate - 4_000.0).abs() < 40.0, "{rate:?}");
        }
    }

    #[test]
    fn a_burst_of_seconds_after_minutes_without_work_is_no_long_run() {
        let tenths = (0..150).map(|i| (585 * SECOND + i * SECOND / 10, 7 * i as i64));
        let counter = Series::from_pairs([(0, 0)].into_iter().chain(tenths));
        for memory in [series(|i| 50_000_000 + 90_000 * (i - 585).max(0)), series(|_| 50_000_000)] {
            let clock = WorkClock::of(&counter).unwrap();
            assert!(clock.length() <= 15 * SECOND);
            let judgement = judge(&clock.lay(&memory), &Settings::default());
            assert_eq!(judgement.classification, Classification::Inconclusive);
        }
    }

    #[test]
    fn what_no_work_leaves_behind_is_constant() {
        let (classification, rate) =
            judged(&series(burst), &series(|i| 50_000_000 + i * 7 % 11 * 900));
        assert_eq!(classification, Classification::Steady);
        assert!(rate.high < 40.0, "{rate:?}");
    }

    #[test]
    fn growth_that_comes_while_the_counter_stands_still_is_seen() {
        let counter = series(|i| 30 * i.min(300));
        let clock = WorkClock::of(&counter).unwrap();
        let grows = |memory: &Series| clock.idle_growth(memory);
        let later = grows(&series(|i| 50_000_000 + 20_000 * (i - 300).max(0)));
        assert!(later.matters(65_536.0) && later.gain > 5_000_000.0, "{later:?}");
        assert!((later.seconds - 300.0).abs() < 15.0, "{later:?}");
        let with_work = grows(&series(|i| 50_000_000 + 20_000 * i.min(300)));
        assert!(!with_work.matters(65_536.0), "{with_work:?}");
        let busy = WorkClock::of(&series(|i| 30 * i)).unwrap();
        let never = busy.idle_growth(&series(|i| 50_000_000 + 20_000 * i));
        assert_eq!((never.seconds, never.gain), (0.0, 0.0));
    }

    #[test]
    fn of_a_counter_that_begins_anew_what_comes_last_counts() {
        let counter = series(|i| 10 * (i % 400));
        let clock = WorkClock::of(&counter).unwrap();
        assert_eq!((clock.resets(), clock.units()), (1, 1_990.0));
        assert_eq!(clock.span(), Span { from: 400 * SECOND, to: 599 * SECOND });
        // Two that write one counter.
        let two = series(|i| i + i % 2 * 1_000);
        assert!(matches!(WorkClock::of(&two), Err(TooLittleWork { rises: 1, resets: 299 })));
    }

    #[test]
    fn a_counter_that_hardly_moves_is_no_axis() {
        for counter in [series(|_| 5), series(|i| i / 100), Series::default()] {
            assert!(WorkClock::of(&counter).is_err());
        }
    }

    #[test]
    fn extreme_counters_do_no_harm() {
        let wild = series(|i| if i == 0 { i64::MIN } else { i64::MAX - 600 + i });
        let clock = WorkClock::of(&wild).unwrap();
        let laid = clock.lay(&series(|i| i));
        assert!(laid.end() <= 600 * SECOND);
        let _ = clock.idle_growth(&series(|i| i64::MAX - i));
    }
}
