//! The stream's time, and the schedule of a sampler's ticks.

use std::time::{Duration, Instant};

use crate::plan::TickInterval;

/// Time since the stream's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn starting_now() -> Self {
        Self { start: Instant::now() }
    }

    /// Nanoseconds from the start to `instant`; a u64 of them lasts for 584 years.
    pub(crate) fn at(&self, instant: Instant) -> u64 {
        nanos(instant.saturating_duration_since(self.start))
    }

    pub(crate) fn now(&self) -> u64 {
        self.at(Instant::now())
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Ticks at times that do not depend on how long samples take, so nothing drifts: at a fixed interval, the
/// n-th is due n intervals after the first. Ticks that passed unused are skipped, not made up for.
#[derive(Debug)]
pub(crate) struct Schedule {
    first: Instant,
    next: Instant,
    /// From the last tick to the next one.
    interval: Duration,
    asked: TickInterval,
}

/// What became of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tick {
    /// Ticks before this one that passed without a sample.
    pub(crate) missed: u64,
    /// True if this one is taken more than half an interval after its time.
    pub(crate) late: bool,
}

impl Schedule {
    pub(crate) fn new(first: Instant, asked: TickInterval) -> Self {
        Self { first, next: first, interval: asked.shortest(), asked }
    }

    /// When the next tick is due.
    pub(crate) fn due(&self) -> Instant {
        self.next
    }

    /// From tick to tick.
    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// From now on, ticks are so far apart.
    pub(crate) fn stretch(&mut self, interval: Duration) {
        self.next = self.next - self.interval + interval;
        self.interval = interval;
        self.asked = TickInterval::Fixed(interval);
    }

    /// Takes the tick that is due at `now`.
    pub(crate) fn take(&mut self, now: Instant) -> Tick {
        let mut taken = self.next;
        let mut missed = 0;
        // Ticks that were missed were further and further apart, until they are as far apart as they ever are.
        loop {
            self.interval = self.asked.after(taken - self.first);
            let is_longest = self.interval == self.asked.longest();
            if is_longest || now.saturating_duration_since(taken) < self.interval {
                break;
            }
            taken += self.interval;
            missed += 1;
        }
        let behind = nanos(now.saturating_duration_since(taken));
        let interval = nanos(self.interval).max(1);
        let passed = behind / interval;
        taken += Duration::from_nanos(passed.saturating_mul(interval));
        self.next = taken + self.interval;
        Tick { missed: missed + passed, late: behind % interval > interval / 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn ticks_stay_on_their_times_however_late_they_are_taken() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, TickInterval::Fixed(10 * MS));
        assert_eq!(schedule.take(start + 2 * MS), Tick { missed: 0, late: false });
        assert_eq!(schedule.due(), start + 10 * MS);
        assert_eq!(schedule.take(start + 17 * MS), Tick { missed: 0, late: true });
        assert_eq!(schedule.due(), start + 20 * MS);
        assert_eq!(schedule.take(start + 51 * MS), Tick { missed: 3, late: false });
        assert_eq!(schedule.due(), start + 60 * MS);
    }

    #[test]
    fn automatic_ticks_are_300_after_six_seconds_and_stay_so_many_up_to_one_a_second() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, TickInterval::Auto);
        let mut ticks = 0;
        let mut ticks_until = |end: Duration| {
            while schedule.due() < start + end {
                let due = schedule.due();
                schedule.take(due);
                ticks += 1;
            }
            (ticks, schedule.interval())
        };
        assert_eq!(ticks_until(6000 * MS), (300, 20 * MS));
        let (ticks, interval) = ticks_until(60_000 * MS);
        assert!((980..1000).contains(&ticks), "{ticks}");
        assert!(interval.abs_diff(200 * MS) < MS, "{interval:?}");
        // A day has hardly more than at a fixed interval of a second.
        let (ticks, interval) = ticks_until(86_400_000 * MS);
        assert_eq!(interval, 1000 * MS);
        assert!(f64::from(ticks) < 86_400.0 * 1.015, "{ticks}");
    }

    #[test]
    fn automatic_ticks_missed_in_a_long_stop_are_those_that_would_have_been_taken() {
        let start = Instant::now();
        for (stop, end) in [(7_000, 9_000), (7_000, 3_600_000), (400_000, 500_000)] {
            let taken_until = |end: u32| {
                let mut schedule = Schedule::new(start, TickInterval::Auto);
                let mut ticks = 0;
                while schedule.due() <= start + end * MS {
                    let due = schedule.due();
                    assert_eq!(schedule.take(due).missed, 0);
                    ticks += 1;
                }
                (schedule, ticks)
            };
            let (mut schedule, before) = taken_until(stop);
            let (all, expected) = taken_until(end);
            let tick = schedule.take(start + end * MS);
            assert_eq!(before + tick.missed + 1, expected, "{stop} to {end}");
            assert_eq!((schedule.due(), schedule.interval()), (all.due(), all.interval()));
        }
    }
}
