//! The sampler `statm`: how large each target is, from /proc/PID/statm, and how large it was at most,
//! from /proc/PID/status.
//!
//! A sample reads statm through a descriptor that is kept open, which costs less than a microsecond and
//! takes no lock of the target's. The true peak is the kernel's own high-water mark (VmHWM), which no
//! spike between two samples escapes; reading it costs ten times as much, so it is read at most ten times
//! a second, between samples too: the mark ends with the target.

use std::time::{Duration, Instant};

use seepmeter_plugin::{
    Error, ErrorKind, Plugin, RunningSampler, SampleBuilder, Sampler, Stream, Target, Until,
    Waited, choices, options,
};
use seepmeter_process::wait::wait_one_readable;
use seepmeter_record::conventions::metric;
use seepmeter_record::{MetricId, SubjectId};

mod files;
mod target;

use target::StatmTarget;

/// No more often than this is the peak of the run read.
const PEAK_EVERY: Duration = Duration::from_millis(100);

/// No sooner than this after its first sample is the peak of a target read again.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

choices! {
    /// Which peaks to read.
    pub enum Peak {
        /// The largest resident set since the target's exec.
        Run = "run",
        /// That, and the largest of every interval.
        Interval = "interval",
        /// None.
        Off = "off",
    }
}

options! {
    /// Options of the sampler `statm`.
    pub struct StatmOptions {
        /// Which peaks to read: `run`, the peak of the run; `interval`, also the exact peak of each
        /// interval, for which it resets the kernel's high-water mark, so that other tools read a lower
        /// VmHWM; or `off`, none.
        peak: Peak = "run",
    }
}

/// The sampler `statm`.
pub struct Statm {
    options: StatmOptions,
}

/// The sampler `statm` while the run lasts.
pub struct RunningStatm {
    peak: Peak,
    metrics: Metrics,
    targets: Vec<StatmTarget>,
}

/// The metrics' numbers in the stream. Those that the options leave out are not defined.
struct Metrics {
    rss: MetricId,
    vsize: MetricId,
    shared: MetricId,
    text: MetricId,
    data: MetricId,
    peak: Option<MetricId>,
    swap: Option<MetricId>,
    interval_peak: Option<MetricId>,
}

impl Plugin for Statm {
    const NAME: &'static str = "statm";
    const ABOUT: &'static str = "reads the size of the process, its resident set and its true peak";
    type Options = StatmOptions;

    fn new(options: StatmOptions) -> Result<Self, Error> {
        Ok(Self { options })
    }
}

impl Sampler for Statm {
    type Running = RunningStatm;

    fn start(self, stream: &mut dyn Stream) -> Result<RunningStatm, Error> {
        let peak = self.options.peak;
        let metrics = Metrics::define(stream, peak);
        Ok(RunningStatm { peak, metrics, targets: Vec::new() })
    }
}

impl RunningSampler for RunningStatm {
    fn add_target(&mut self, target: &Target, _stream: &mut dyn Stream) -> Result<(), Error> {
        self.targets.push(StatmTarget::open(target, self.peak == Peak::Interval)?);
        Ok(())
    }

    fn remove_target(&mut self, subject: SubjectId, _stream: &mut dyn Stream) -> Result<(), Error> {
        self.targets.retain(|target| target.subject != subject);
        Ok(())
    }

    fn sample(&mut self, sample: &mut SampleBuilder<'_>) -> Result<(), Error> {
        let mut all_gone = true;
        for target in &mut self.targets {
            match target.sample(&self.metrics, sample) {
                Ok(()) => all_gone = false,
                // One that has ended must not cost the others their sample.
                Err(error) if error.kind() == ErrorKind::Gone => sample.partial(),
                Err(error) => return Err(error),
            }
        }
        if all_gone { Err(Error::gone()) } else { Ok(()) }
    }

    fn sample_ended(
        &mut self,
        ended: SubjectId,
        sample: &mut SampleBuilder<'_>,
    ) -> Result<(), Error> {
        if let Some(target) = self.targets.iter_mut().find(|target| target.subject == ended) {
            target.emit_peak(&self.metrics, sample);
        }
        Ok(())
    }

    /// Between samples that are far apart the peaks are read on: what a target was at most goes with it, and nobody
    /// knows when that is.
    fn wait(&mut self, until: Until<'_>, _stream: &mut dyn Stream) -> Result<Waited, Error> {
        if self.metrics.peak.is_none() {
            return Ok(Waited::PleaseSleep);
        }
        loop {
            let next = self.targets.iter().map(StatmTarget::peak_due).min();
            let Some(next) = next.filter(|next| *next < until.deadline) else {
                return Ok(Waited::PleaseSleep);
            };
            let woken = wait_one_readable(until.wake, Some(next))
                .map_err(|error| Error::io("cannot wait for the next tick", &error))?;
            if woken {
                return Ok(Waited::Done);
            }
            let now = Instant::now();
            self.targets.iter_mut().for_each(|target| target.read_peak_if_due(now));
        }
    }
}

impl Metrics {
    fn define(stream: &mut dyn Stream, peak: Peak) -> Self {
        Self {
            rss: stream.metric(&metric::RSS),
            vsize: stream.metric(&metric::VSIZE),
            shared: stream.metric(&metric::SHARED),
            text: stream.metric(&metric::TEXT),
            data: stream.metric(&metric::DATA),
            peak: (peak != Peak::Off).then(|| stream.metric(&metric::PEAK)),
            swap: (peak != Peak::Off).then(|| stream.metric(&metric::SWAP)),
            interval_peak: (peak == Peak::Interval).then(|| stream.metric(&metric::INTERVAL_PEAK)),
        }
    }
}
