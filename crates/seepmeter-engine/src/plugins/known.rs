//! What a loaded sampler may name: what it has defined, and its targets.

use std::collections::{BTreeSet, HashMap, HashSet};

use seepmeter_plugin::NewFrame;
use seepmeter_record::{FrameId, ImageId, MetricId, Point, SubjectId, SubjectKind};

/// The numbers that a loaded sampler may use.
///
/// A subject is forgotten when it ends, with all that is a part of it, so that a target with a thread for
/// each request does not make this grow. The rest grows with what the stream defines.
#[derive(Debug, Default)]
pub(super) struct KnownNumbers {
    metrics: HashSet<MetricId>,
    images: HashSet<ImageId>,
    frames: HashSet<FrameId>,
    subjects: HashMap<SubjectId, KnownSubject>,
    /// Ended in the call that runs now; the call's points may still be of it.
    ended: HashSet<SubjectId>,
    /// The last subject that was defined; numbers of subjects increase.
    last_subject: Option<SubjectId>,
}

#[derive(Debug)]
struct KnownSubject {
    parent: Option<SubjectId>,
    is_process: bool,
    parts: BTreeSet<SubjectId>,
}

impl KnownNumbers {
    pub(super) fn add_metric(&mut self, metric: MetricId) {
        self.metrics.insert(metric);
    }

    pub(super) fn add_image(&mut self, image: ImageId) {
        self.images.insert(image);
    }

    pub(super) fn add_frame(&mut self, frame: FrameId) {
        self.frames.insert(frame);
    }

    pub(super) fn add_target(&mut self, subject: SubjectId) {
        self.add_subject(subject, None, &SubjectKind::Process);
    }

    pub(super) fn add_subject(
        &mut self,
        subject: SubjectId,
        parent: Option<SubjectId>,
        kind: &SubjectKind,
    ) {
        let is_process = *kind == SubjectKind::Process;
        let known = KnownSubject { parent, is_process, parts: BTreeSet::new() };
        self.subjects.insert(subject, known);
        self.last_subject = self.last_subject.max(Some(subject));
        if let Some(parent) = parent.and_then(|parent| self.subjects.get_mut(&parent)) {
            parent.parts.insert(subject);
        }
    }

    /// A subject has ended: it is forgotten after the call.
    pub(super) fn end_subject(&mut self, subject: SubjectId) {
        self.ended.insert(subject);
    }

    /// The call is over: forgets what has ended in it.
    pub(super) fn forget_ended(&mut self) {
        let mut ended: Vec<SubjectId> = self.ended.drain().collect();
        while let Some(subject) = ended.pop() {
            let Some(known) = self.subjects.remove(&subject) else { continue };
            if let Some(parent) = known.parent.and_then(|parent| self.subjects.get_mut(&parent)) {
                parent.parts.remove(&subject);
            }
            // A process outlives the process that forked it.
            let is_part = |part: &SubjectId| self.subjects.get(part).is_some_and(|p| !p.is_process);
            ended.extend(known.parts.into_iter().filter(is_part));
        }
    }

    pub(super) fn subject(&self, subject: SubjectId) -> Result<(), String> {
        if self.subjects.contains_key(&subject) {
            return Ok(());
        }
        Err(format!("{}, which it has not defined or which has ended", subject.0))
    }

    /// True of a subject that was defined, as far as is still known, and has ended since.
    pub(super) fn has_ended(&self, subject: SubjectId) -> bool {
        let forgotten = !self.subjects.contains_key(&subject) && Some(subject) <= self.last_subject;
        forgotten || self.ended.contains(&subject)
    }

    pub(super) fn point(&self, point: &Point) -> Result<(), String> {
        if !self.metrics.contains(&point.metric) {
            let MetricId(metric) = point.metric;
            return Err(format!("a point of metric {metric}, which it has not defined"));
        }
        self.subject(point.subject).map_err(|why| format!("a point of subject {why}"))
    }

    pub(super) fn frame(&self, frame: &NewFrame) -> Result<(), String> {
        match frame.image {
            Some(image) if !self.images.contains(&image) => {
                Err(format!("a frame in image {}, which it has not defined", image.0))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn stack(&self, frames: &[FrameId]) -> Result<(), String> {
        match frames.iter().find(|frame| !self.frames.contains(frame)) {
            Some(frame) => Err(format!("a stack with frame {}, which it has not defined", frame.0)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_that_has_ended_is_forgotten_after_the_call_with_its_parts_but_for_processes() {
        let mut known = KnownNumbers::default();
        let [target, group, mapping, child] = [0, 1, 2, 3].map(SubjectId);
        known.add_target(target);
        known.add_subject(group, Some(target), &SubjectKind::MappingGroup);
        known.add_subject(mapping, Some(group), &SubjectKind::Mapping);
        known.add_subject(child, Some(target), &SubjectKind::Process);
        known.end_subject(target);
        assert!(known.has_ended(target));
        assert_eq!(known.subject(mapping), Ok(()), "within the call");
        known.forget_ended();
        for gone in [target, group, mapping] {
            assert!(known.subject(gone).is_err() && known.has_ended(gone), "{gone:?}");
        }
        assert_eq!(known.subject(child), Ok(()));
        assert!(!known.has_ended(SubjectId(4)), "it has never been defined");
    }

    #[test]
    fn a_million_threads_that_come_and_go_leave_nothing_behind() {
        let mut known = KnownNumbers::default();
        known.add_target(SubjectId(0));
        for thread in (1..1_000_000).map(SubjectId) {
            known.add_subject(thread, Some(SubjectId(0)), &SubjectKind::Thread);
            known.end_subject(thread);
            known.forget_ended();
        }
        assert_eq!(known.subjects.len(), 1);
        assert_eq!(known.subjects[&SubjectId(0)].parts.len(), 0);
    }
}
