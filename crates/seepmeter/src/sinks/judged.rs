//! What ties the sinks that judge to the command, which holds their verdict against gates.

use std::sync::{Arc, Mutex, PoisonError};

use seepmeter_plugin::{Error, Factory, Info, Options, Plugin, Sink};

use crate::verdict::Verdict;
use crate::verdict::gate::{Gate, Outcome};

/// The gates of a run, and where their outcomes are left for whoever makes the exit status.
#[derive(Clone, Debug, Default)]
pub struct Judging {
    gates: Arc<[Gate]>,
    outcomes: Arc<Mutex<Option<Vec<Outcome>>>>,
}

impl Judging {
    /// With these gates.
    #[must_use]
    pub fn new(gates: Vec<Gate>) -> Self {
        Self { gates: gates.into(), outcomes: Arc::default() }
    }

    /// What the gates say to a verdict.
    #[must_use]
    pub fn check(&self, verdict: &Verdict) -> Vec<Outcome> {
        self.gates.iter().map(|gate| gate.check(verdict)).collect()
    }

    /// Leaves the outcomes for the command.
    pub(super) fn settle(&self, verdict: Verdict) {
        let outcomes = self.check(&verdict);
        *self.outcomes.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcomes);
    }

    /// True where there is a gate to check.
    #[must_use]
    pub fn has_gates(&self) -> bool {
        !self.gates.is_empty()
    }

    /// What the gates said; none where there was no verdict.
    #[must_use]
    pub fn outcomes(&self) -> Option<Vec<Outcome>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
