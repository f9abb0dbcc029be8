//! What a report has of a stream beside the verdict.

use std::collections::BTreeMap;
use std::sync::Arc;

use seepmeter_chart::MarkLog;
use seepmeter_record::{
    End, Event, EventKind, Footer, Header, Record, SamplerId, StackProfile, Subject, SubjectId,
};

/// So many different findings are kept; of the others it is known how many there were.
const MOST_FINDINGS: usize = 32;

/// The facts of a run, in bounded memory: the header, the footer, marks, and what was not seen.
#[derive(Debug, Default)]
pub struct RunFacts {
    pub(crate) header: Option<Arc<Header>>,
    pub(crate) footer: Option<Footer>,
    /// The targets that the header names, as they were defined.
    pub(crate) targets: BTreeMap<SubjectId, Arc<Subject>>,
    pub(crate) marks: MarkLog,
    /// What was not seen or not as usual, in words, with how often that was so.
    pub(crate) findings: BTreeMap<String, u64>,
    /// How many more there were.
    pub(crate) more_findings: u64,
    /// The longest interval of a sampler that was slowed down, in ns.
    pub(crate) backed_off: BTreeMap<SamplerId, u64>,
    /// The stacks of its threads, and what they have mapped.
    pub(crate) stacks: StackProfile,
}

impl RunFacts {
    /// Observes one record of the stream.
    pub fn observe(&mut self, record: &Record) {
        self.marks.observe(record);
        self.stacks.apply(record);
        match record {
            Record::Header(header) => self.header = Some(Arc::clone(header)),
            Record::Subject(subject) if self.is_named(subject.id) => {
                self.targets.entry(subject.id).or_insert_with(|| Arc::clone(subject));
            }
            Record::Event(event) => self.event(event),
            Record::Footer(footer) => self.footer = Some(footer.clone()),
            _ => {}
        }
    }

    /// True if not one target was started, so that there is nothing to report.
    #[must_use]
    pub fn never_started(&self) -> bool {
        let is_not_started = |end: End| matches!(end, End::NotStarted(_));
        self.footer.as_ref().is_some_and(|footer| {
            !footer.ends.is_empty() && footer.ends.iter().all(|target| is_not_started(target.end))
        })
    }

    fn is_named(&self, id: SubjectId) -> bool {
        self.header.iter().flat_map(|header| &header.targets).any(|target| target.subject == id)
    }

    fn event(&mut self, event: &Event) {
        if let (EventKind::BackedOff { interval }, Some(sampler)) = (&event.kind, event.sampler) {
            let longest = self.backed_off.entry(sampler).or_default();
            *longest = (*interval).max(*longest);
        }
        let Some(finding) = self.finding(event) else { return };
        let is_full = self.findings.len() >= MOST_FINDINGS;
        match self.findings.get_mut(&finding) {
            Some(count) => *count += 1,
            None if is_full => self.more_findings += 1,
            None => _ = self.findings.insert(finding, 1),
        }
    }

    /// What an event says of what is missing, or measured in another way than usual.
    fn finding(&self, event: &Event) -> Option<String> {
        let said = match &event.kind {
            EventKind::Incomplete { text, .. } | EventKind::Fallback { text } => text.to_string(),
            EventKind::Discovery { text, exact } if *exact != Some(1) => text.to_string(),
            EventKind::Skipped { reason, .. } => format!("samples were left out: {reason}"),
            EventKind::NotFollowed { reason, .. } => {
                format!("processes are not followed: {reason}")
            }
            EventKind::BriefProcesses { .. } => {
                "processes lived too briefly to be followed".to_owned()
            }
            EventKind::SamplerFailed { reason } => format!("failed: {reason}"),
            EventKind::MarksDropped { reason, .. } => format!("marks were dropped: {reason}"),
            _ => return None,
        };
        let sampler = event.sampler.and_then(|id| self.sampler(id));
        Some(sampler.map_or(said.clone(), |name| format!("{name}: {said}")))
    }

    /// The name of a sampler.
    pub(crate) fn sampler(&self, id: SamplerId) -> Option<&str> {
        let sampler = self.header.as_ref()?.samplers.get(usize::from(id.0))?;
        Some(&sampler.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_findings_are_bounded_and_counted() {
        let mut facts = RunFacts::default();
        for number in 0..1_000_000u64 {
            let text = format!("mapping {number} was not read").as_str().into();
            let kind = EventKind::Incomplete { count: None, text };
            facts.observe(&Record::Event(Event::new(number, kind)));
        }
        assert_eq!(facts.findings.len(), MOST_FINDINGS);
        assert_eq!(facts.more_findings + MOST_FINDINGS as u64, 1_000_000);
    }
}
