//! What to run, and why it could not begin.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use seepmeter_plugin::{Error, SamplerFactory, SinkFactory};

/// A sampler to run.
#[derive(Clone)]
pub struct SamplerPlan {
    /// As the user named it, for messages.
    pub label: String,
    /// Who makes it.
    pub factory: Arc<SamplerFactory>,
    /// From tick to tick.
    pub interval: Duration,
    /// The share of its interval that its looks may take, where they hold the target up.
    pub budget: f64,
    /// Its options as the user wrote them.
    pub options: Vec<(String, String)>,
}

/// A sink to run.
#[derive(Clone)]
pub struct SinkPlan {
    /// As the user named it, for messages.
    pub label: String,
    /// Who makes it.
    pub factory: Arc<SinkFactory>,
    /// Its options as the user wrote them.
    pub options: Vec<(String, String)>,
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A sampler can't be made or started.
    #[error("sampler {label}: {error}")]
    Sampler {
        /// As the user named it.
        label: String,
        /// What went wrong.
        error: Error,
    },
    /// A sink can't be made.
    #[error("sink {label}: {error}")]
    Sink {
        /// As the user named it.
        label: String,
        /// What went wrong.
        error: Error,
    },
    /// The system refused a thread, a pipe or a fact.
    #[error("cannot set up the run")]
    System(#[from] io::Error),
}
