//! What a recording must begin with to go on in a new file.

use std::sync::Arc;

use crate::{CurrentValues, Event, EventKind, Header, Record, Sample, Subject};

/// What the rest of a stream needs of what was before: the header, the definitions of all that has not
/// ended, and the values that stand.
///
/// ```
/// use seepmeter_record::{Record, StreamState};
///
/// fn begin_new_file(state: &mut StreamState, mut write: impl FnMut(Record)) {
///     // Whoever reads only what follows gets the same values as whoever has read all.
///     state.records().into_iter().for_each(|record| write(record));
/// }
/// ```
#[derive(Debug, Default)]
pub struct StreamState {
    header: Option<Arc<Header>>,
    values: CurrentValues,
    /// Images, frames and stacks.
    code: Vec<Record>,
    time: u64,
}

impl StreamState {
    /// Takes in a record. All images, frames and stacks are kept: [`Definitions`](crate::jsonl::Definitions) says
    /// when they are too many for a recording.
    pub fn apply(&mut self, record: &Record) {
        self.values.apply(record);
        self.time = self.time.max(record.time().unwrap_or(0));
        match record {
            Record::Header(header) => self.header = Some(Arc::clone(header)),
            Record::Image(_) | Record::Frame(_) | Record::Stack(_) => {
                self.code.push(record.clone())
            }
            _ => {}
        }
    }

    /// When the last record was, in nanoseconds since the stream's start.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.time
    }

    /// True once all targets have ended: what follows says nothing by itself.
    pub fn is_over(&mut self) -> bool {
        self.values.forget_ended();
        self.header.is_some() && self.values.targets().is_empty()
    }

    /// The records that a stream which goes on from here begins with, the header first; none if there was
    /// no header. Targets that have ended are not in it.
    pub fn records(&mut self) -> Vec<Record> {
        let Self { header, values, code, time } = self;
        let Some(header) = header else { return Vec::new() };
        values.forget_ended();
        let is_alive = |subject| values.subject(subject).is_some();
        let mut own = Header::clone(header);
        own.targets.retain(|target| is_alive(target.subject));
        let metrics = values.metrics().cloned().map(Record::Metric);
        let subjects = values.subjects().map(|subject| {
            let lost = subject.parent.is_some_and(|parent| !is_alive(parent));
            Record::Subject(match lost {
                true => Arc::new(Subject { parent: None, ..Subject::clone(subject) }),
                false => Arc::clone(subject),
            })
        });
        let later = values.targets().iter();
        let later = later.filter(|id| own.targets.iter().all(|target| target.subject != **id));
        let attached =
            later.map(|id| Record::Event(Event::new(*time, EventKind::Attached {}).of(*id)));
        let standing = values.standing_points().into_iter().map(|(sampler, points)| {
            // Nobody has observed them just now.
            Record::Sample(Sample { t: *time, sampler, duration: 0, partial: true, points })
        });
        let definitions = metrics.chain(code.iter().cloned()).chain(subjects);
        let rest: Vec<Record> = definitions.chain(attached).chain(standing).collect();
        std::iter::once(Record::Header(own.into())).chain(rest).collect()
    }
}
