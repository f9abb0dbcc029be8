//! How instances come to be.

use std::marker::PhantomData;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Error, OptionSpec, Options, RunningSampler, Sampler, Sink, Stream};

/// See [`Plugin::MAX_BATCH_DELAY`].
pub const DEFAULT_MAX_BATCH_DELAY: Duration = Duration::from_millis(250);

/// What a plugin is called, which options it takes, and how an instance is made of them.
pub trait Plugin: Sized {
    /// The name that `--sampler` or `--sink` takes.
    const NAME: &'static str;
    /// One line that says what it does, in the third person, without a full stop.
    const ABOUT: &'static str;
    /// Its options; see [`crate::options!`].
    type Options: Options;

    /// Of a sampler: true if its samples pause or block the target. Its interval is stretched if they
    /// cost more than the budget.
    const PAUSES: bool = false;

    /// Of a sink: how long a record may wait for others before this sink gets it. Waking a thread costs
    /// more than a sample does, so only a live view asks for less than the usual quarter of a second.
    const MAX_BATCH_DELAY: Duration = DEFAULT_MAX_BATCH_DELAY;

    /// Makes an instance, and makes sure that it can work: opens its output, checks that its options
    /// go together. Nothing of the target has run yet.
    ///
    /// # Errors
    /// An error ends the run before it has begun.
    fn new(options: Self::Options) -> Result<Self, Error>;
}

/// What is known of a plugin before there is an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The name that `--sampler` or `--sink` takes.
    pub name: String,
    /// One line that says what it does.
    pub about: String,
    /// Its version.
    pub version: String,
    /// Its options.
    pub options: Vec<OptionSpec>,
    /// See [`Plugin::PAUSES`].
    pub pauses: bool,
    /// See [`Plugin::MAX_BATCH_DELAY`].
    pub max_batch_delay: Duration,
}

impl Info {
    /// What a plugin says of itself. `version` is the version of the package it comes in.
    #[must_use]
    pub fn of<P: Plugin>(version: &str) -> Self {
        Self {
            name: P::NAME.to_owned(),
            about: P::ABOUT.to_owned(),
            version: version.to_owned(),
            options: P::Options::specs(),
            pauses: P::PAUSES,
            max_batch_delay: P::MAX_BATCH_DELAY,
        }
    }
}

/// A sampler with its options, whatever its type.
pub trait ConfiguredSampler {
    /// The stream begins; see [`Sampler::start`].
    ///
    /// # Errors
    /// As [`Sampler::start`].
    fn start(self: Box<Self>, stream: &mut dyn Stream) -> Result<Box<dyn RunningSampler>, Error>;
}

impl<S> ConfiguredSampler for S
where
    S: Sampler,
    S::Running: 'static,
{
    fn start(self: Box<Self>, stream: &mut dyn Stream) -> Result<Box<dyn RunningSampler>, Error> {
        Ok(Box::new(Sampler::start(*self, stream)?))
    }
}

/// Makes instances of one plugin; `T` is `dyn ConfiguredSampler` or `dyn Sink`.
pub trait Factory<T: ?Sized>: Send + Sync {
    /// What is known of the plugin.
    fn info(&self) -> &Info;

    /// Makes an instance from options as the user wrote them.
    ///
    /// # Errors
    /// A bad option, or whatever keeps the instance from working.
    fn make(&self, options: &[(String, String)]) -> Result<Box<T>, Error>;
}

/// A factory of samplers.
pub type SamplerFactory = dyn Factory<dyn ConfiguredSampler>;

/// A factory of sinks.
pub type SinkFactory = dyn Factory<dyn Sink>;

struct Native<P, T: ?Sized> {
    info: Info,
    boxed: fn(P) -> Box<T>,
    plugin: PhantomData<fn() -> P>,
}

impl<P: Plugin, T: ?Sized> Native<P, T> {
    fn new(boxed: fn(P) -> Box<T>) -> Self {
        Self { info: Info::of::<P>(env!("CARGO_PKG_VERSION")), boxed, plugin: PhantomData }
    }
}

impl<P: Plugin, T: ?Sized> Factory<T> for Native<P, T> {
    fn info(&self) -> &Info {
        &self.info
    }

    fn make(&self, options: &[(String, String)]) -> Result<Box<T>, Error> {
        let options = P::Options::from_pairs(options).map_err(Error::failed)?;
        P::new(options).map(self.boxed)
    }
}

impl SamplerFactory {
    /// The factory of a sampler that is linked in.
    #[must_use]
    pub fn of<P: Plugin + Sampler<Running: 'static> + 'static>() -> Box<Self> {
        Box::new(Native::<P, dyn ConfiguredSampler>::new(|plugin| Box::new(plugin)))
    }
}

impl SinkFactory {
    /// The factory of a sink that is linked in.
    #[must_use]
    pub fn of<P: Plugin + Sink + 'static>() -> Box<Self> {
        Box::new(Native::<P, dyn Sink>::new(|plugin| Box::new(plugin)))
    }
}
