//! What ties the sinks that judge to the command, which makes the exit status.

use std::sync::{Arc, Mutex, PoisonError};

use seepmeter_plugin::{Error, Factory, Info, Options, Plugin, Sink};
use seepmeter_verdict::names::metric::RSS;
use seepmeter_verdict::{Collector, Conclusion, Gate, JudgeOptions};

/// The gates of a run, the metric that they are evaluated on, and where the conclusion is left for
/// whoever makes the exit status.
#[derive(Clone, Debug)]
pub struct Judging {
    gates: Arc<[Gate]>,
    metric: Arc<str>,
    conclusion: Arc<Mutex<Option<Conclusion>>>,
}

impl Default for Judging {
    fn default() -> Self {
        Self::new(Vec::new(), RSS)
    }
}

impl Judging {
    /// With these gates, on this metric.
    #[must_use]
    pub fn new(gates: Vec<Gate>, metric: &str) -> Self {
        Self { gates: gates.into(), metric: metric.into(), conclusion: Arc::default() }
    }

    /// The metric that the summary and the gates are about.
    #[must_use]
    pub fn metric(&self) -> &str {
        &self.metric
    }

    /// A collector that judges the metric, and another one if it is asked for.
    #[must_use]
    pub(super) fn collector(&self, other: Option<&str>) -> Collector {
        let mut metrics = vec![self.metric.to_string()];
        metrics.extend(other.filter(|other| **other != *self.metric).map(str::to_owned));
        Collector::new(JudgeOptions { metrics, gates: self.gates.to_vec() })
    }

    /// Leaves the conclusion for the command.
    pub(super) fn settle(&self, conclusion: Conclusion) {
        *self.conclusion.lock().unwrap_or_else(PoisonError::into_inner) = Some(conclusion);
    }

    /// True if there is a gate.
    #[must_use]
    pub fn has_gates(&self) -> bool {
        !self.gates.is_empty()
    }

    /// What was concluded; none if no sink has judged.
    #[must_use]
    pub fn conclusion(&self) -> Option<Conclusion> {
        self.conclusion.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

type Make<P> = dyn Fn(Judging, <P as Plugin>::Options) -> Result<P, Error> + Send + Sync;

/// Makes sinks that know the gates.
pub(super) struct Judged<P: Plugin> {
    info: Info,
    judging: Judging,
    make: Box<Make<P>>,
}

impl<P: Plugin> Judged<P> {
    pub(super) fn new(
        judging: Judging,
        make: impl Fn(Judging, P::Options) -> Result<P, Error> + Send + Sync + 'static,
    ) -> Self {
        Self { info: Info::of::<P>(env!("CARGO_PKG_VERSION")), judging, make: Box::new(make) }
    }
}

impl<P: Plugin + Sink + 'static> Factory<dyn Sink> for Judged<P> {
    fn info(&self) -> &Info {
        &self.info
    }

    fn make(&self, options: &[(String, String)]) -> Result<Box<dyn Sink>, Error> {
        let options = P::Options::from_pairs(options).map_err(Error::failed)?;
        Ok(Box::new((self.make)(self.judging.clone(), options)?))
    }
}
