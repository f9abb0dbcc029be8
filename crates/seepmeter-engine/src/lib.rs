//! The engine: takes samplers and sinks, and lets the records flow from the ones to the others.
//!
//! ```text
//! sampler thread ─┐                      ┌─► bounded queue ─► sink thread
//! sampler thread ─┼─► router (one thread)┼─► bounded queue ─► sink thread
//! the command  ───┘        │             └─► …
//!                          └─► verdict collector
//! ```
//!
//! A live run goes through four stages, each a type: [`Engine`] makes the instances, each on the
//! thread that will own it; [`Prepared`] has a working instance of each and waits for targets;
//! [`Armed`] has added the targets to every sampler; [`Live`] ticks until it is
//! [stopped](Live::stop). A replay skips the samplers: [`Prepared::replay`] feeds records to the sinks
//! as fast as the slowest of them takes them.
//!
//! The router feeds one verdict collector. What it concludes at the end goes to every sink and stands
//! in the [`RunReport`].
//!
//! The engine prints nothing. What the user should hear of at once goes to a [`Notices`] callback,
//! what is left to say at the end stands in the [`RunReport`].

mod budget;
mod clock;
mod cost;
mod engine;
mod failures;
mod fan_out;
mod header;
mod marks;
mod plan;
mod plugins;
mod replay;
mod router;
mod sampler;
mod session;
mod sink;
mod sink_queue;
mod stream;
mod thread_end;

pub use cost::own_cost;
pub use engine::{Engine, Prepared};
pub use plan::{SamplerPlan, SinkPlan, StartError, TargetSpec, TickInterval};
pub use plugins::*;
pub use replay::Replay;
pub use sampler::KeptAlive;
pub use session::{Armed, Live, PendingAnswer, Unfinished};

use std::sync::Arc;

use seepmeter_record::{Dropped, Footer};
use seepmeter_verdict::Conclusion;

/// Gets what the user should know at once: one sentence each.
pub type Notices = Arc<dyn Fn(&str) + Send + Sync>;

/// What became of a run.
#[derive(Debug)]
#[must_use]
pub struct RunReport {
    /// The stream's last record; none if a replayed stream had none.
    pub footer: Option<Footer>,
    /// The verdict; none if the router did not come to its end.
    pub conclusion: Option<Arc<Conclusion>>,
    /// The samplers and sinks that failed, in words that the user has got already.
    pub failures: Vec<String>,
    /// The samples that sinks did not get, also those given up after the footer was written.
    pub dropped: Vec<Dropped>,
    /// The samplers that the targets still need: wait for them before the process ends.
    pub kept_alive: Vec<KeptAlive>,
}
