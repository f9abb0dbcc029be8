//! A run, from the arrival of its targets to its report.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use seepmeter_process::marks::MarkSource;
use seepmeter_record::{Dropped, End, Event, EventKind, Footer, Record, SubjectId, TargetEnd};

use seepmeter_verdict::{Collector, Conclusion, CurrentTotal};

use crate::RunReport;
use crate::cost::own_cost;
use crate::failures::Failures;
use crate::marks::MarkThread;
use crate::plan::TargetSpec;
use crate::router::{Request, RouterReport};
use crate::sampler::{KeptAlive, SamplerHandle, TickTotals};
use crate::sink::SinkHandle;
use crate::stream::StreamWriter;
use crate::thread_end::ThreadEndFlag;

/// The footer has the ends of no more targets than this, the last ones: one may be started again any number of times.
const MOST_ENDS: usize = 4096;

/// Every sampler has the targets, and none has taken a sample yet.
pub struct Armed {
    session: Session,
}

impl Armed {
    pub(crate) fn new(session: Session) -> Self {
        Self { session }
    }

    /// The subjects of the targets, in the order in which they were given.
    #[must_use]
    pub fn targets(&self) -> &[SubjectId] {
        &self.session.targets
    }

    /// The names of all metrics that the samplers have defined, each once.
    #[must_use]
    pub fn metric_names(&self) -> Vec<String> {
        self.session.writer.metric_names()
    }

    /// What has yet to finish.
    #[must_use]
    pub fn unfinished(&self) -> Unfinished {
        self.session.unfinished()
    }

    /// Lets the samplers tick; their first tick is due now.
    #[must_use]
    pub fn go(mut self) -> Live {
        self.session.open.store(true, Ordering::Release);
        let now = Instant::now();
        for sampler in &mut self.session.samplers {
            sampler.go(now);
        }
        Live { session: self.session }
    }

    /// Ends the run before it has begun, since the exec of a target failed with this errno. The sinks get
    /// to know that; if this value is dropped instead, they get nothing.
    pub fn abort(mut self, subject: SubjectId, errno: i32) -> RunReport {
        self.session.open.store(true, Ordering::Release);
        self.session.emit(EventKind::ExecFailed { errno }, subject);
        self.session.ends.push(TargetEnd { subject, end: End::NotStarted(errno) });
        self.session.targets.retain(|target| *target != subject);
        self.session.stop()
    }
}

/// Samplers sample and sinks write.
pub struct Live {
    session: Session,
}

impl Live {
    /// Emits what happened to a target just now.
    pub fn emit(&self, kind: EventKind, subject: SubjectId) {
        self.session.emit(kind, subject);
    }

    /// Emits what happened to seepmeter just now.
    pub fn emit_own(&self, kind: EventKind) {
        let event = Event::new(self.session.writer.now(), kind);
        self.session.writer.send(Record::Event(event));
    }

    /// Puts marks into the stream from now on.
    ///
    /// # Errors
    /// If there can be no thread for it.
    pub fn receive_marks(&mut self, source: MarkSource) -> io::Result<()> {
        let Session { writer, failures, .. } = &self.session;
        let marks = MarkThread::start(source, writer.clone(), Arc::clone(failures))?;
        self.session.marks = Some(marks);
        Ok(())
    }

    /// Adds a target. A sampler that can't take it leaves it out, and the stream says so.
    pub fn add_target(&mut self, spec: TargetSpec) -> SubjectId {
        let session = &mut self.session;
        let subject = session.writer.subject(spec.new_subject());
        session.emit(spec.first_event(), subject);
        session.targets.push(subject);
        if spec.parent.is_some() {
            session.descendants.insert(subject);
        }
        let target = spec.target(subject);
        for sampler in &mut session.samplers {
            sampler.add_target(target.clone());
        }
        subject
    }

    /// A target has ended: the samplers take their last sample of it and let go of it, and the stream
    /// gets its end.
    pub fn end_target(&mut self, subject: SubjectId, end: End) {
        self.session.end_target(subject, end);
    }

    /// True as long as a sampler has not let go of a target that has ended, so that its end is not in the stream yet.
    #[must_use]
    pub fn has_pending_ends(&self) -> bool {
        self.session.notices.iter().any(|notice| notice.strong_count() > 0)
    }

    /// Puts those ends into the stream now. What a sampler still has of such a target comes behind it, and counts no
    /// more.
    pub fn send_pending_ends(&self) {
        self.session.notices.iter().filter_map(Weak::upgrade).for_each(|notice| notice.send());
    }

    /// Asks what is concluded so far. The answer comes when the router has time for it, and nobody waits.
    #[must_use]
    pub fn request_conclusion(&self) -> PendingAnswer<Conclusion> {
        self.request(Collector::conclude)
    }

    /// Asks what the targets hold now, of the main metric.
    #[must_use]
    pub fn request_current(&self) -> PendingAnswer<Option<CurrentTotal>> {
        self.request(Collector::current)
    }

    /// Lets every sink report what it knows so far ([`Sink::report`](seepmeter_plugin::Sink::report)). A sink
    /// that is so far behind that its queue is full leaves it out.
    pub fn request_report(&self) {
        // If the router has ended, the end is reported anyway.
        let _ = self.session.requests.send(Request::Report);
    }

    fn request<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Collector) -> T + Send + 'static,
    ) -> PendingAnswer<T> {
        let (sender, answer) = bounded(1);
        let answering = move |collector: &Collector| {
            // Whoever asked may have gone on without the answer.
            let _ = sender.send(ask(collector));
        };
        // If the router has ended, there is no answer.
        let _ = self.session.requests.send(Request::Ask(Box::new(answering)));
        PendingAnswer { answer }
    }

    /// What has yet to finish.
    #[must_use]
    pub fn unfinished(&self) -> Unfinished {
        self.session.unfinished()
    }

    /// Stops the samplers, and waits until the sinks have all records and the verdict. Targets that have
    /// not ended are left. A sampler or a sink that does not come to its end in time is left behind, and
    /// the report says so.
    pub fn stop(self) -> RunReport {
        self.session.stop()
    }
}

/// An answer about the run so far, as soon as it is there.
///
/// ```no_run
/// # fn look(live: &seepmeter_engine::Live) {
/// let pending = live.request_conclusion();
/// // … after the next samples:
/// if let Some(conclusion) = pending.take() {
///     println!("{:?}", conclusion.main());
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct PendingAnswer<T> {
    answer: Receiver<T>,
}

impl<T> PendingAnswer<T> {
    /// The answer, once; none as long as it has not come.
    #[must_use]
    pub fn take(&self) -> Option<T> {
        self.answer.try_recv().ok()
    }
}

/// The samplers and sinks that have not finished, for whoever does not want to wait for them any longer.
#[derive(Clone, Debug, Default)]
pub struct Unfinished {
    all: Vec<(String, ThreadEndFlag)>,
}

impl Unfinished {
    /// Which they are at this moment, for the user.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        let unfinished = self.all.iter().filter(|(_, gone)| !gone.is_set());
        unfinished.map(|(label, _)| label.clone()).collect()
    }
}

/// What [`Armed`] and [`Live`] have in common.
pub(crate) struct Session {
    pub(crate) writer: StreamWriter,
    /// Those that have not ended.
    pub(crate) targets: Vec<SubjectId>,
    /// Which of them are descendants of others.
    pub(crate) descendants: HashSet<SubjectId>,
    pub(crate) ends: Vec<TargetEnd>,
    /// The ends of targets that some sampler may not have let go of yet.
    pub(crate) notices: Vec<Weak<TargetEndNotice>>,
    pub(crate) samplers: Vec<SamplerHandle>,
    pub(crate) sinks: Vec<SinkHandle>,
    pub(crate) router: Receiver<RouterReport>,
    pub(crate) requests: Sender<Request>,
    /// True once the sinks are to get records.
    pub(crate) open: Arc<AtomicBool>,
    pub(crate) failures: Arc<Failures>,
    pub(crate) marks: Option<MarkThread>,
}

/// The end of a target. It goes into the stream when the last sampler has let go of the target, so that
/// the target's last points come before it.
pub(crate) struct TargetEndNotice {
    /// It is not one that the user has named.
    pub(crate) is_descendant: bool,
    writer: StreamWriter,
    event: Event,
    sent: AtomicBool,
}

impl TargetEndNotice {
    fn send(&self) {
        if !self.sent.swap(true, Ordering::Relaxed) {
            self.writer.send(Record::Event(self.event.clone()));
        }
    }
}

impl Drop for TargetEndNotice {
    fn drop(&mut self) {
        self.send();
    }
}

/// The event of an end; none of a target that goes on.
fn end_event(end: End) -> Option<EventKind> {
    match end {
        End::Exited(status) => Some(EventKind::Exited { status }),
        End::Killed(signal) => Some(EventKind::Killed { signal }),
        End::Gone => Some(EventKind::Gone {}),
        End::Left | End::NotStarted(_) => None,
    }
}

impl Session {
    pub(crate) fn emit(&self, kind: EventKind, subject: SubjectId) {
        let event = Event::new(self.writer.now(), kind).of(subject);
        self.writer.send(Record::Event(event));
    }

    fn unfinished(&self) -> Unfinished {
        let samplers = self.samplers.iter();
        let samplers = samplers.map(|handle| (format!("sampler {}", handle.label), handle.gone));
        let sinks = self.sinks.iter();
        let sinks = sinks.map(|handle| (format!("sink {}", handle.label), handle.gone));
        Unfinished { all: samplers.chain(sinks).collect() }
    }

    fn end_target(&mut self, subject: SubjectId, end: End) {
        self.targets.retain(|target| *target != subject);
        // A tree may have any number of descendants that have ended.
        let is_descendant = self.descendants.remove(&subject);
        if !is_descendant {
            if self.ends.len() >= MOST_ENDS {
                self.ends.remove(0);
            }
            self.ends.push(TargetEnd { subject, end });
        }
        let kind = end_event(end).unwrap_or(EventKind::Detached {});
        let notice = Arc::new(TargetEndNotice {
            is_descendant,
            writer: self.writer.clone(),
            event: Event::new(self.writer.now(), kind).of(subject),
            sent: AtomicBool::new(false),
        });
        // Those that no sampler holds any more have been sent.
        self.notices.retain(|notice| notice.strong_count() > 0);
        self.notices.push(Arc::downgrade(&notice));
        for sampler in &mut self.samplers {
            sampler.remove_target(subject, Arc::clone(&notice));
        }
    }

    pub(crate) fn stop(mut self) -> RunReport {
        if let Some(marks) = self.marks.take() {
            marks.stop(&self.failures);
        }
        // The end is now, however long a sampler takes to come back from its last call.
        let t = self.writer.now();
        let (totals, kept_alive) = self.stop_samplers();
        // Those of a sampler that was left behind still lack theirs.
        self.notices
            .drain(..)
            .filter_map(|notice| notice.upgrade())
            .for_each(|notice| notice.send());
        let left = self.targets.drain(..).map(|subject| TargetEnd { subject, end: End::Left });
        self.ends.extend(left);
        self.ends.sort_by_key(|end| end.subject);
        let footer = Footer {
            t,
            ends: self.ends,
            samples: totals.samples,
            late: totals.late,
            missed: totals.missed,
            dropped: Vec::new(),
            cost: own_cost(),
        };
        self.writer.send(Record::Footer(footer.clone()));
        self.writer.request_flush();
        // The router never waits for a sink, so it comes to the footer soon.
        let (mut dropped, conclusion) = match self.writer.wait_for_router(&self.router) {
            Some(RouterReport { dropped, conclusion }) => (dropped, Some(conclusion)),
            None => (Vec::new(), None),
        };
        let footer = Footer { dropped: dropped.clone(), ..footer };
        let ended = Instant::now();
        for sink in self.sinks {
            let given_up = sink.join(ended, &self.failures);
            add_dropped(&mut dropped, given_up);
        }
        let failures = self.failures.all();
        RunReport { footer: Some(footer), conclusion, failures, dropped, kept_alive }
    }

    fn stop_samplers(&mut self) -> (TickTotals, Vec<KeptAlive>) {
        let since = Instant::now();
        let stopping: Vec<_> = self.samplers.drain(..).map(SamplerHandle::stop).collect();
        let (mut sum, mut all) = (TickTotals::default(), Vec::new());
        for sampler in stopping {
            let (totals, kept_alive) = sampler.join(since, &self.failures);
            sum.samples += totals.samples;
            sum.late += totals.late;
            sum.missed += totals.missed;
            all.extend(kept_alive);
        }
        (sum, all)
    }
}

/// Adds what a sink did not get at the very end.
fn add_dropped(all: &mut Vec<Dropped>, given_up: Dropped) {
    match all.iter_mut().find(|dropped| dropped.sink == given_up.sink) {
        Some(dropped) => dropped.samples += given_up.samples,
        None if given_up.samples > 0 => all.push(given_up),
        None => {}
    }
}
