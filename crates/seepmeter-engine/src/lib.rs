//! The engine: takes samplers and sinks, and lets the records flow from the ones to the others.
//!
//! ```text
//! sampler thread ─┐                      ┌─► bounded queue ─► sink thread
//! sampler thread ─┼─► router (one thread)┼─► bounded queue ─► sink thread
//! the command  ───┘                      └─► …
//! ```
//!
//! A live run goes through four stages, each a type: [`Engine`] makes the instances, each on the
//! thread that will own it; [`Ready`] has a working instance of each and waits for a target;
//! [`Armed`] has shown the target to every sampler; [`Live`] ticks until it is
//! [stopped](Live::stop). A replay skips the samplers: [`Ready::replay`] feeds records to the sinks
//! as fast as the slowest of them takes them.
//!
//! The engine prints nothing. What the user should hear of at once goes to a [`Notices`] callback,
//! what is left to say at the end stands in the [`Report`].

mod budget;
mod clock;
mod cost;
mod engine;
mod fan_out;
mod header;
mod plan;
mod plugins;
mod replay;
mod router;
mod sampler;
mod sink;
mod stream;
mod trouble;

pub use cost::own_cost;
pub use engine::{Armed, Engine, Live, Ready, Watched};
pub use plan::{SamplerPlan, SinkPlan, StartError};
pub use plugins::{Call, Facts, LoadError, Loaded, Made, Search, Source, load};
pub use replay::Replay;
pub use sampler::Lingering;

use std::sync::Arc;

use seepmeter_record::Footer;

/// Hears of what the user should know at once: one sentence each.
pub type Notices = Arc<dyn Fn(&str) + Send + Sync>;

/// What became of a run.
#[derive(Debug)]
#[must_use]
pub struct Report {
    /// The stream's last record; none where a replayed stream had none.
    pub footer: Option<Footer>,
    /// The samplers and sinks that failed, in words that the user has heard already.
    pub failures: Vec<String>,
    /// The samples that sinks did not get, also those given up after the footer was written: the
    /// sink, as the user named it, and how many.
    pub lost: Vec<(String, u64)>,
    /// The samplers that the target can't do without: they are to be waited for before the process ends.
    pub lingering: Vec<Lingering>,
}
