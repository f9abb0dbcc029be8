//! A sampler that counts the open file descriptors of its targets.

use std::fs;
use std::path::PathBuf;

use seepmeter_plugin::record::{MetricId, MetricKind, MetricSpec, SubjectId, Unit};
use seepmeter_plugin::{
    Error, Plugin, RunningSampler, SampleBuilder, Sampler, Stream, Target, options,
};

/// A metric of processes; [`MetricSpec::of`] would make it one of another kind of subject.
const OPEN_FDS: MetricSpec<'static> =
    MetricSpec::new("open_fds", Unit::Count, MetricKind::Gauge, "open file descriptors");

options! {
    /// There are none.
    pub struct NoOptions {}
}

/// The sampler `open-files` before the run.
pub struct Fds;

impl Plugin for Fds {
    const NAME: &'static str = "open-files";
    const ABOUT: &'static str = "counts open file descriptors";
    type Options = NoOptions;

    fn new(_: NoOptions) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Sampler for Fds {
    type Running = RunningFds;

    fn start(self, stream: &mut dyn Stream) -> Result<RunningFds, Error> {
        Ok(RunningFds { open_fds: stream.metric(&OPEN_FDS), targets: Vec::new() })
    }
}

/// The sampler while the run lasts.
pub struct RunningFds {
    open_fds: MetricId,
    targets: Vec<FdTarget>,
}

/// What is known of one target.
struct FdTarget {
    subject: SubjectId,
    /// Has an entry for each descriptor.
    folder: PathBuf,
    last_emitted: Option<i64>,
}

impl RunningSampler for RunningFds {
    fn add_target(&mut self, target: &Target, _: &mut dyn Stream) -> Result<(), Error> {
        let folder = target.proc_file("fd");
        fs::read_dir(&folder).map_err(|error| {
            Error::skip(format!(
                "cannot read {}: {error}; run seepmeter as the user whom the target belongs to",
                folder.display()
            ))
        })?;
        self.targets.push(FdTarget { subject: target.subject, folder, last_emitted: None });
        Ok(())
    }

    fn remove_target(&mut self, subject: SubjectId, _: &mut dyn Stream) -> Result<(), Error> {
        self.targets.retain(|target| target.subject != subject);
        Ok(())
    }

    fn sample(&mut self, sample: &mut SampleBuilder<'_>) -> Result<(), Error> {
        let mut alive = false;
        for target in &mut self.targets {
            // What could be read before and can't be read now has ended, which is nobody's fault.
            let Ok(entries) = fs::read_dir(&target.folder) else { continue };
            alive = true;
            let count = entries.count() as i64;
            // A value stands until the next one, so only what has changed is emitted.
            if target.last_emitted != Some(count) {
                target.last_emitted = Some(count);
                sample.point(target.subject, self.open_fds, count);
            }
        }
        if alive { Ok(()) } else { Err(Error::gone()) }
    }
}

seepmeter_plugin::export_sampler!(Fds);
