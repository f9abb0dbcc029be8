//! What ties the sinks that judge to the command, which holds their verdict against gates.

use std::sync::{Arc, Mutex, PoisonError};

use seepmeter_plugin::{Error, Factory, Info, Options, Plugin, Sink};

use crate::verdict::gate::{Gate, Outcome};
use crate::verdict::{RSS, Verdict};

/// The gates of a run, the metric that they ask of, and where their outcomes are left for whoever makes
/// the exit status.
#[derive(Clone, Debug)]
pub struct Judging {
    gates: Arc<[Gate]>,
    metric: Arc<str>,
    outcomes: Arc<Mutex<Option<Outcomes>>>,
}

/// What the gates said, or why there was no verdict to hold against them.
type Outcomes = Result<Vec<Outcome>, String>;

impl Default for Judging {
    fn default() -> Self {
        Self::new(Vec::new(), RSS)
    }
}

impl Judging {
    /// With these gates, on this metric.
    #[must_use]
    pub fn new(gates: Vec<Gate>, metric: &str) -> Self {
        Self { gates: gates.into(), metric: metric.into(), outcomes: Arc::default() }
    }

    /// The metric that the summary and the gates are about.
    #[must_use]
    pub fn metric(&self) -> &str {
        &self.metric
    }

    /// What the gates say to what was collected of their metric.
    #[must_use]
    pub fn check(&self, verdict: Result<&Verdict, String>) -> Vec<Outcome> {
        let check = |gate: &Gate| match &verdict {
            Ok(verdict) => gate.check(verdict),
            Err(lack) => gate.unchecked(&self.metric, lack),
        };
        self.gates.iter().map(check).collect()
    }

    /// Leaves the outcomes for the command, or why there are none.
    pub(super) fn settle(&self, verdict: Result<&Verdict, String>) {
        let outcomes = verdict.map(|verdict| self.check(Ok(verdict)));
        *self.outcomes.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcomes);
    }

    /// True where there is a gate to check.
    #[must_use]
    pub fn has_gates(&self) -> bool {
        !self.gates.is_empty()
    }

    /// What the gates said.
    ///
    /// # Errors
    /// Why there was no verdict, for a message.
    pub fn outcomes(&self) -> Result<Vec<Outcome>, String> {
        let outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        outcomes.unwrap_or_else(|| Err("nothing was judged".to_owned()))
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
