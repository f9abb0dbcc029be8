//! How many marks become events.
//!
//! Of a counter, what it is now is all that counts. So each has one event in an interval, which is that of
//! [`TickInterval::Auto`], and what it was in between is left out: nothing is lost by that. Texts are all of
//! interest, and those beyond a limit are dropped and counted.

use std::collections::BTreeMap;
use std::time::Duration;

use seepmeter_record::EventKind;

use super::Mark;
use super::lines::Refusal;
use crate::plan::TickInterval;

/// Counters beyond so many names are treated as texts.
const MOST_COUNTERS: usize = 32;

/// So many texts a second become events.
const MOST_TEXTS: u32 = 100;

const SECOND: Duration = Duration::from_secs(1);

/// What is to be emitted, and when. Times are those since the begin.
#[derive(Debug, Default)]
pub(super) struct MarkPace {
    ready: Vec<EventKind>,
    counters: BTreeMap<String, Counter>,
    texts: TextBudget,
    refused: BTreeMap<Refusal, u64>,
    /// When what was refused is to be reported.
    report: Option<Duration>,
}

#[derive(Debug, Default)]
struct Counter {
    /// Its value, if that has not been emitted.
    pending: Option<i64>,
    /// When it may be emitted.
    due: Duration,
}

/// The texts of one second.
#[derive(Debug, Default)]
struct TextBudget {
    until: Duration,
    used: u32,
}

impl TextBudget {
    fn allows(&mut self, now: Duration) -> bool {
        if now >= self.until {
            *self = Self { until: now + SECOND, used: 0 };
        }
        self.used += 1;
        self.used <= MOST_TEXTS
    }
}

impl MarkPace {
    /// A line has come.
    pub(super) fn take(&mut self, line: Result<Mark, Refusal>, now: Duration) {
        let mark = match line {
            Ok(mark) => mark,
            Err(refusal) => return self.refuse(refusal, 1, now),
        };
        if let Some(number) = mark.number {
            let has_room = self.counters.len() < MOST_COUNTERS;
            if has_room || self.counters.contains_key(&mark.text) {
                self.counters.entry(mark.text).or_default().pending = Some(number);
                return;
            }
        }
        match self.texts.allows(now) {
            true => self.ready.push(mark.into()),
            false => self.refuse(Refusal::TooMany, 1, now),
        }
    }

    /// Lines that are no marks.
    pub(super) fn refuse(&mut self, refusal: Refusal, lines: u64, now: Duration) {
        *self.refused.entry(refusal).or_default() += lines;
        self.report.get_or_insert(now + SECOND);
    }

    /// When something is due; none if nothing waits.
    pub(super) fn due(&self) -> Option<Duration> {
        let waiting = self.counters.values().filter(|counter| counter.pending.is_some());
        waiting.map(|counter| counter.due).chain(self.report).min()
    }

    /// It is this late now: what is due becomes ready.
    pub(super) fn pass(&mut self, now: Duration) {
        for (name, counter) in &mut self.counters {
            if counter.due <= now
                && let Some(number) = counter.pending.take()
            {
                self.ready.push(Mark { text: name.clone(), number: Some(number) }.into());
                counter.due = now.saturating_add(TickInterval::Auto.after(now));
            }
        }
        if self.report.is_some_and(|report| report <= now) {
            self.report();
        }
    }

    /// No more will come: all that waits becomes ready.
    pub(super) fn finish(&mut self) {
        self.pass(Duration::MAX);
        self.report();
    }

    fn report(&mut self) {
        self.report = None;
        for (refusal, marks) in std::mem::take(&mut self.refused) {
            let reason = refusal.reason().as_str().into();
            self.ready.push(EventKind::MarksDropped { marks, reason });
        }
    }

    /// The events that are to be emitted now.
    pub(super) fn ready(&mut self) -> Vec<EventKind> {
        std::mem::take(&mut self.ready)
    }
}

impl Refusal {
    fn reason(self) -> String {
        use seepmeter_process::marks::LONGEST_MARK;
        match self {
            Self::TooMany => format!(
                "there are more than {MOST_TEXTS} texts a second, or more than {MOST_COUNTERS} counters"
            ),
            Self::TooSlow => "they came faster than seepmeter read them".to_owned(),
            Self::TooLong => format!("they are longer than {LONGEST_MARK} bytes"),
            Self::NotUtf8 => "they are not UTF-8".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(text: &str, number: Option<i64>) -> Result<Mark, Refusal> {
        Ok(Mark { text: text.to_owned(), number })
    }

    fn counter(text: &str, number: i64) -> EventKind {
        EventKind::Marker { number: Some(number), text: text.into() }
    }

    #[test]
    fn of_a_counter_the_latest_value_of_each_interval_is_emitted_and_the_last_one_always() {
        let mut pace = MarkPace::default();
        let at = |n: u64| Duration::from_micros(100 * n);
        let mut emitted = Vec::new();
        for n in 0..10_000 {
            pace.take(mark("n", Some(n as i64)), at(n));
            pace.pass(at(n));
            emitted.extend(pace.ready());
        }
        // A second, at an interval of 20 ms.
        assert_eq!(emitted.len(), 50);
        assert_eq!(emitted[..2], [counter("n", 0), counter("n", 200)]);
        assert!(pace.due().is_some());
        pace.finish();
        assert_eq!(pace.ready(), [counter("n", 9_999)]);
        assert_eq!(pace.due(), None);
    }

    #[test]
    fn a_slow_counter_is_emitted_at_once_and_each_counter_has_its_own_pace() {
        let mut pace = MarkPace::default();
        let now = Duration::from_secs(5);
        pace.take(mark("a", Some(1)), now);
        pace.take(mark("b", Some(2)), now);
        pace.pass(now);
        assert_eq!(pace.ready(), [counter("a", 1), counter("b", 2)]);
    }

    #[test]
    fn texts_beyond_the_limit_and_refused_lines_are_counted_and_reported_once() {
        let mut pace = MarkPace::default();
        for _ in 0..1_000 {
            pace.take(mark("hello", None), Duration::ZERO);
            pace.take(Err(Refusal::NotUtf8), Duration::ZERO);
        }
        assert_eq!(pace.ready().len(), 100);
        pace.pass(SECOND);
        let reported: Vec<_> = pace
            .ready()
            .into_iter()
            .map(|kind| match kind {
                EventKind::MarksDropped { marks, reason } => (marks, reason.to_string()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(reported[0].0, 900);
        assert_eq!(reported[1], (1_000, "they are not UTF-8".to_owned()));
        // The next second has room again.
        pace.take(mark("hello", None), SECOND);
        assert_eq!(pace.ready().len(), 1);
    }

    #[test]
    fn a_thousand_counters_take_no_more_room_than_a_few() {
        let mut pace = MarkPace::default();
        for n in 0..1_000 {
            pace.take(mark(&format!("c{n}"), Some(n)), Duration::ZERO);
        }
        assert_eq!(pace.counters.len(), MOST_COUNTERS);
        pace.finish();
        let dropped = pace.ready().into_iter().any(|kind| {
            matches!(kind, EventKind::MarksDropped { marks, .. } if marks == 1_000 - 32 - 100)
        });
        assert!(dropped);
    }
}
