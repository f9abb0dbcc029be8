//! One target, and what is observed of it.

use std::time::{Duration, Instant};

use rustix::io::Errno;
use seepmeter_plugin::record::conventions::metric;
use seepmeter_plugin::record::{MetricId, SubjectId, SubjectKind};
use seepmeter_plugin::{Error, SampleBuilder, Stream, Target};
use seepmeter_process::proc::{ProcError, ProcFolder, ProcRoot, StatusFile};

use crate::FdsOptions;
use crate::groups::{Groups, in_stream};
use crate::sweep::Sweep;
use crate::tally::Tally;

/// A sweep that takes longer is reported.
const SLOW_SWEEP: Duration = Duration::from_secs(5);

/// The metrics' numbers in the stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metrics {
    fds: MetricId,
    fds_of_group: MetricId,
    threads: MetricId,
    mappings: Option<MetricId>,
}

impl Metrics {
    pub(crate) fn define(options: &FdsOptions, stream: &mut dyn Stream) -> Self {
        Self {
            fds: stream.metric(&metric::FDS),
            fds_of_group: stream.metric(&metric::FDS.of(SubjectKind::DescriptorGroup)),
            threads: stream.metric(&metric::THREADS),
            mappings: options.mappings.then(|| stream.metric(&metric::MAPPINGS)),
        }
    }
}

/// One target.
#[derive(Debug)]
pub(crate) struct FdsTarget {
    pub(crate) subject: SubjectId,
    metrics: Metrics,
    /// Per cent of the time.
    budget: f64,
    process: ProcFolder,
    /// The process's folder, or that of a thread if the leader has ended: that has no descriptors any more.
    base: ProcFolder,
    status: StatusFile,
    sweep: Sweep,
    tally: Tally,
    /// When the sweep that runs began; none between two.
    began: Option<Instant>,
    /// How many there were at the end of the last sweep.
    swept: Option<u64>,
    groups: Groups,
    threads: Option<u64>,
    mapping_count: Option<u64>,
    mappings_due: Instant,
    mappings_read: bool,
    reported_slow: bool,
}

impl FdsTarget {
    pub(crate) fn open(
        target: &Target,
        options: &FdsOptions,
        metrics: Metrics,
    ) -> Result<Self, Error> {
        let process = ProcRoot::new(&target.proc_root).process(target.pid);
        let base = process.with_memory().map_err(meaning)?;
        Ok(Self {
            subject: target.subject,
            metrics,
            budget: options.budget,
            status: StatusFile::open(&process).map_err(meaning)?,
            sweep: Sweep::new(base.open("fd").map_err(meaning)?.into()),
            tally: Tally::default(),
            began: None,
            swept: None,
            groups: Groups::new(target.subject, metrics.fds_of_group, options.names.into()),
            threads: None,
            mapping_count: None,
            mappings_due: Instant::now(),
            mappings_read: false,
            reported_slow: false,
            process,
            base,
        })
    }

    /// Begins a sample: reads what costs little.
    pub(crate) fn begin_sample(&mut self) -> Result<(), Error> {
        self.threads = self.status.read().map_err(meaning)?.threads;
        if self.began.is_none() {
            self.sweep.rewind().map_err(|error| self.failed(error))?;
            self.tally.clear();
            self.began = Some(Instant::now());
        }
        Ok(())
    }

    /// True if the mappings are to be counted.
    pub(crate) fn mappings_are_due(&self) -> bool {
        self.metrics.mappings.is_some() && Instant::now() >= self.mappings_due
    }

    /// Counts the mappings, and not again before that has cost no more than the budget.
    pub(crate) fn count_mappings(&mut self) -> Result<(), Error> {
        let begin = Instant::now();
        let count = self.base.mapping_count().map_err(meaning)?;
        // That of a leader that has ended is empty, which is found out by the sweep.
        self.mapping_count = Some(count).filter(|count| *count > 0);
        self.mappings_read = true;
        self.mappings_due = Instant::now() + begin.elapsed().mul_f64(100.0 / self.budget);
        Ok(())
    }

    /// True until the sweep of this sample is at its end.
    pub(crate) fn is_sweeping(&self) -> bool {
        self.began.is_some()
    }

    /// Goes on with the sweep by one piece.
    pub(crate) fn sweep_piece(&mut self) -> Result<(), Error> {
        if !self.sweep.piece(&mut self.tally).map_err(|error| self.failed(error))? {
            return Ok(());
        }
        if self.tally.total() == 0 {
            let living = self.process.with_memory().map_err(meaning)?;
            if living != self.base {
                self.sweep = Sweep::new(living.open("fd").map_err(meaning)?.into());
                self.base = living;
                return Ok(());
            }
        }
        self.began = None;
        self.swept = Some(self.tally.total());
        Ok(())
    }

    /// Emits what was observed. The groups are those of a sweep that has just come to its end; where they are
    /// left out the sample is partial.
    pub(crate) fn emit(&mut self, sample: &mut SampleBuilder<'_>) {
        let is_swept = !self.is_sweeping();
        let counted = self.sweep.counted().or(self.swept.filter(|_| is_swept));
        let mappings = std::mem::take(&mut self.mappings_read).then_some(self.mapping_count);
        let values = [
            (Some(self.metrics.fds), counted),
            (Some(self.metrics.threads), self.threads),
            (self.metrics.mappings, mappings.flatten()),
        ];
        for (metric, value) in values {
            if let (Some(metric), Some(value)) = (metric, value) {
                sample.point(self.subject, metric, in_stream(value));
            }
        }
        if is_swept {
            self.groups.emit(&mut self.tally, sample);
        }
        self.report_slow_sweep(sample.stream());
    }

    /// Says once that the budget is too small to read all links in time.
    fn report_slow_sweep(&mut self, stream: &mut dyn Stream) {
        let slow = self.began.is_some_and(|began| began.elapsed() > SLOW_SWEEP);
        if !slow || std::mem::replace(&mut self.reported_slow, true) {
            return;
        }
        let text = format!(
            "a sweep of this target's descriptors takes more than {} s within the budget of {} %: samples are \
             partial, and kinds and names are known that late; `budget` allows more",
            SLOW_SWEEP.as_secs(),
            self.budget
        );
        stream.incomplete(self.subject, None, text);
    }

    /// What a failure to list the folder or to read a link means.
    fn failed(&self, error: Errno) -> Error {
        let path = self.base.file("fd");
        match error {
            Errno::SRCH | Errno::NOENT => Error::gone(),
            Errno::ACCESS | Errno::PERM => Error::shown_to_its_user(&path, "descriptors"),
            _ => Error::io(format!("cannot list {}", path.display()), &error.into()),
        }
    }
}

/// What a failure to read one of the files means, and what the user can do about it.
fn meaning(error: ProcError) -> Error {
    match &error {
        _ if error.is_gone() => Error::gone(),
        ProcError::Io { path, .. } if error.is_denied() => {
            Error::shown_to_its_user(path, "descriptors")
        }
        _ => Error::of(&error),
    }
}
