//! What happened in a run and is drawn as a line: marks, programs that are executed, ends.

use std::collections::BTreeMap;

use seepmeter_record::{Event, EventKind, Record, SubjectId};

/// No more lines of one label than this: if there are more, every second one is left out, again and again.
const MOST_OF_A_LABEL: usize = 64;

/// No more labels than this have lines of their own; all others are one label.
const MOST_LABELS: usize = 24;

/// What the labels beyond those are called.
const OTHERS: &str = "other marks";

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartMark {
    /// When, in ns since the start of the run.
    pub t: u64,
    /// What, as it came from the target: it may have any characters.
    pub label: String,
}

/// What of a stream is drawn as a line, in bounded memory: 24 labels of 64 lines each.
#[derive(Clone, Debug, Default)]
pub struct MarkLog {
    /// The targets that the user has named, with what they are called.
    targets: BTreeMap<SubjectId, String>,
    labels: BTreeMap<String, TimeList>,
    /// How many there were.
    count: u64,
}

/// The times of one label, evenly thinned out.
#[derive(Clone, Debug)]
struct TimeList {
    times: Vec<u64>,
    /// One in so many is kept.
    every: u64,
    seen: u64,
}

impl MarkLog {
    /// Observes one record of the stream.
    pub fn observe(&mut self, record: &Record) {
        match record {
            Record::Header(header) => {
                let ids = header.targets.iter().map(|target| (target.subject, String::new()));
                self.targets.extend(ids);
            }
            Record::Subject(subject) => {
                if let Some(name) = self.targets.get_mut(&subject.id) {
                    *name = subject.name.to_string();
                }
            }
            Record::Event(event) => {
                if let Some(label) = self.label(event) {
                    self.push(event.t, label);
                }
            }
            _ => {}
        }
    }

    /// What is drawn, in order of time.
    #[must_use]
    pub fn marks(&self) -> Vec<ChartMark> {
        let of_label = |(label, list): (&String, &TimeList)| -> Vec<ChartMark> {
            list.times.iter().map(|t| ChartMark { t: *t, label: label.clone() }).collect()
        };
        let mut marks: Vec<ChartMark> = self.labels.iter().flat_map(of_label).collect();
        marks.sort_by_key(|mark| mark.t);
        marks
    }

    /// How many there were, with those that are not drawn.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What a line is called; none of what is not drawn.
    fn label(&mut self, event: &Event) -> Option<String> {
        let of_target = |log: &Self, what: &str| {
            let name = log.targets.get(&event.subject?)?;
            Some(format!("{name} {what}"))
        };
        match &event.kind {
            EventKind::Marker { text, .. } => Some(text.to_string()),
            EventKind::Exec { name: Some(name) } => {
                let target = self.targets.get_mut(&event.subject?)?;
                *target = name.to_string();
                // The command itself is executed at the start.
                (event.t > 0).then(|| format!("executes {name}"))
            }
            EventKind::Exited { .. } | EventKind::Gone {} => of_target(self, "ends"),
            EventKind::Killed { signal } => {
                of_target(self, &format!("is killed by signal {signal}"))
            }
            EventKind::SamplerFailed { .. } => Some("a sampler fails".to_owned()),
            EventKind::Continued {} => Some("seepmeter goes on".to_owned()),
            _ => None,
        }
    }

    fn push(&mut self, t: u64, label: String) {
        self.count += 1;
        let is_full = self.labels.len() >= MOST_LABELS && !self.labels.contains_key(&label);
        let label = if is_full { OTHERS.to_owned() } else { label };
        let list = self.labels.entry(label);
        list.or_insert_with(|| TimeList { times: Vec::new(), every: 1, seen: 0 }).push(t);
    }
}

impl TimeList {
    fn push(&mut self, t: u64) {
        if self.seen.is_multiple_of(self.every) {
            self.times.push(t);
        }
        self.seen += 1;
        if self.times.len() > MOST_OF_A_LABEL {
            let mut place = 0;
            self.times.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            self.every *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(t: u64, text: &str) -> Record {
        Record::Event(Event::new(t, EventKind::Marker { number: Some(1), text: text.into() }))
    }

    #[test]
    fn a_million_marks_of_as_many_names_are_bounded_and_counted_and_cover_the_run() {
        let mut log = MarkLog::default();
        for t in 0..1_000_000u64 {
            log.observe(&marker(t, "round"));
            log.observe(&marker(t, &format!("request {t}")));
        }
        let marks = log.marks();
        assert!(marks.len() <= (MOST_LABELS + 1) * MOST_OF_A_LABEL, "{}", marks.len());
        assert_eq!(log.count(), 2_000_000);
        let rounds: Vec<u64> =
            marks.iter().filter(|mark| mark.label == "round").map(|mark| mark.t).collect();
        assert!(rounds.len() > MOST_OF_A_LABEL / 2 && rounds[0] == 0);
        assert!(*rounds.last().unwrap() > 950_000, "{rounds:?}");
    }
}
