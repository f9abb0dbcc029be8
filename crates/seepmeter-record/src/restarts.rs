//! Targets that are started again while a run goes on.

use std::fmt;
use std::sync::Arc;

use crate::conventions::attribute;
use crate::{CurrentValues, EventKind, Record, Subject, SubjectId, human};

/// A target that was started again: an epoch of the run ends, and the next one begins.
///
/// ```
/// use seepmeter_record::{Restart, SubjectId};
///
/// let restart = Restart {
///     predecessor: SubjectId(0),
///     before: "nginx (pid 1234)".to_owned(),
///     after: "nginx (pid 1301)".to_owned(),
///     gap: Some(1_200_000_000),
/// };
/// assert_eq!(restart.to_string(), "nginx (pid 1234) → nginx (pid 1301), watched again after 1.2 s");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// The target that has ended. A slow sampler may take its last sample of it later than this, and then its end
    /// comes behind its successor.
    pub predecessor: SubjectId,
    /// The same, for people.
    pub before: String,
    /// Its successor.
    pub after: String,
    /// From the end of the one, and of the descendants that were waited for, to the begin of the watch of the other, in
    /// ns; none if no end was recorded. The other may have begun before.
    pub gap: Option<u64>,
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.before, self.after)?;
        self.gap.map_or(Ok(()), |gap| write!(f, ", watched again after {}", human::duration(gap)))
    }
}

/// Finds restarts in a stream. A target with the attribute `predecessor` is the successor of the one that came last,
/// if that is the one it names.
#[derive(Debug, Default)]
pub struct RestartLog {
    /// The one that came last, of those that the user has named.
    target: Option<Arc<Subject>>,
    /// When it had ended.
    ended: Option<u64>,
}

impl RestartLog {
    /// Takes in a record, which `values` has taken in before; a restart if it is the begin of a successor's watch.
    pub fn apply(&mut self, record: &Record, values: &CurrentValues) -> Option<Restart> {
        let (id, event) = match record {
            Record::Subject(subject) if values.is_target(subject.id) => (subject.id, None),
            Record::Event(event) => (event.subject?, Some(event)),
            _ => return None,
        };
        match event.map(|event| (&event.kind, event.t)) {
            Some((EventKind::Attached {}, t)) => self.begin(values.subject(id)?, Some(t)),
            None => self.begin(values.subject(id)?, None),
            Some((kind, t)) if self.target.as_ref().is_some_and(|target| target.id == id) => {
                // It may have executed another program since.
                self.target = values.subject(id).cloned().or(self.target.take());
                self.ended = kind.ends_subject().then_some(t).or(self.ended);
                None
            }
            // With descendants that are waited for, an epoch lasts longer than its target.
            Some((kind, t)) if kind.ends_subject() && *kind != (EventKind::Detached {}) => {
                self.ended = self.ended.map(|ended| ended.max(t));
                None
            }
            Some(_) => None,
        }
    }

    fn begin(&mut self, subject: &Arc<Subject>, t: Option<u64>) -> Option<Restart> {
        if subject.parent.is_some() || self.target.as_ref().is_some_and(|it| it.id == subject.id) {
            return None;
        }
        let before = self.target.replace(Arc::clone(subject));
        let ended = self.ended.take();
        let before = before.filter(|it| subject.get(attribute::PREDECESSOR) == Some(it.id))?;
        Some(Restart {
            predecessor: before.id,
            before: before.called(),
            after: subject.called(),
            gap: t.zip(ended).map(|(t, ended)| t.saturating_sub(ended)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attributes, Event, SubjectId, SubjectKind};

    /// What is found in the watches of processes, each of which is the successor of the one that it names.
    fn found(processes: &[(u32, Option<u32>)]) -> Vec<String> {
        let (mut log, mut values) = (RestartLog::default(), CurrentValues::default());
        let mut apply = |record: Record| {
            values.apply(&record);
            log.apply(&record, &values)
        };
        let mut found = Vec::new();
        for (place, (id, predecessor)) in (0..).zip(processes) {
            let id = SubjectId(*id);
            let attributes = Attributes::new()
                .with(attribute::PID, 100 + id.0.cast_signed())
                .with_known(attribute::PREDECESSOR, predecessor.map(SubjectId));
            let (kind, name) = (SubjectKind::Process, "work".into());
            let subject = Subject { id, parent: None, kind, name, attributes };
            let event = |t, kind| Record::Event(Event::new(t, kind).of(id));
            let begin = place * 5_000_000_000;
            found.extend(apply(Record::Subject(subject.into())));
            found.extend(apply(event(begin, EventKind::Attached {})));
            found.extend(apply(event(begin, EventKind::Exec { name: Some("server".into()) })));
            found.extend(apply(event(begin + 2_000_000_000, EventKind::Gone {})));
        }
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_restart_is_a_target_that_names_the_last_one_and_says_how_long_it_took() {
        assert_eq!(
            found(&[(0, None), (4, Some(0)), (9, Some(4))]),
            [
                "server (pid 100) → work (pid 104), watched again after 3 s",
                "server (pid 104) → work (pid 109), watched again after 3 s"
            ]
        );
    }

    #[test]
    fn another_target_and_one_whose_predecessor_is_not_known_are_no_restarts() {
        assert_eq!(found(&[(0, None), (4, None)]), [""; 0]);
        assert_eq!(found(&[(4, Some(0))]), [""; 0]);
        assert_eq!(found(&[(0, None), (4, Some(1))]), [""; 0]);
    }
}
