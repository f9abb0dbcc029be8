//! How instances come to be.

use std::marker::PhantomData;
use std::time::Duration;

use crate::{Error, OptionSpec, Options, Sampler, Sink};

/// See [`Plugin::PATIENCE`].
pub const DEFAULT_PATIENCE: Duration = Duration::from_millis(250);

/// What a plugin is called, which options it takes, and how an instance is made of them.
pub trait Plugin: Sized {
    /// The name that `--sampler` or `--sink` takes.
    const NAME: &'static str;
    /// One line that says what it does, in the third person, without a full stop.
    const ABOUT: &'static str;
    /// Its options; see [`crate::options!`].
    type Options: Options;

    /// Of a sampler: true where its looks hold the target up. Its interval is stretched where they cost
    /// more than the budget.
    const DISTURBS: bool = false;

    /// Of a sink: how long a record may wait for others before this sink gets it. Each waking of a
    /// thread costs more than a sample does, so only a live view asks for less than the usual quarter of
    /// a second.
    const PATIENCE: Duration = DEFAULT_PATIENCE;

    /// Makes an instance, and makes sure that it can work: opens its output, checks that its options
    /// go together. Nothing of the target has run yet.
    ///
    /// # Errors
    /// An error ends the run before it has begun.
    fn new(options: Self::Options) -> Result<Self, Error>;
}

/// What is known of a plugin before there is an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The name that `--sampler` or `--sink` takes.
    pub name: String,
    /// One line that says what it does.
    pub about: String,
    /// Its version.
    pub version: String,
    /// Its options.
    pub options: Vec<OptionSpec>,
    /// See [`Plugin::DISTURBS`].
    pub disturbs: bool,
    /// See [`Plugin::PATIENCE`].
    pub patience: Duration,
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
            disturbs: P::DISTURBS,
            patience: P::PATIENCE,
        }
    }
}

/// Makes instances of one plugin; `T` is `dyn Sampler` or `dyn Sink`.
pub trait Factory<T: ?Sized>: Send + Sync {
    /// What is known of the plugin.
    fn info(&self) -> &Info;

    /// Makes an instance from options as the user wrote them.
    ///
    /// # Errors
    /// A bad option, or whatever keeps the instance from working.
    fn make(&self, options: &[(String, String)]) -> Result<Box<T>, Error>;
}

struct Native<P> {
    info: Info,
    plugin: PhantomData<fn() -> P>,
}

impl<P: Plugin> Native<P> {
    fn new() -> Self {
        Self { info: Info::of::<P>(env!("CARGO_PKG_VERSION")), plugin: PhantomData }
    }

    fn instance(options: &[(String, String)]) -> Result<P, Error> {
        P::new(P::Options::from_pairs(options).map_err(Error::failed)?)
    }
}

impl<P: Plugin + Sampler + 'static> Factory<dyn Sampler> for Native<P> {
    fn info(&self) -> &Info {
        &self.info
    }

    fn make(&self, options: &[(String, String)]) -> Result<Box<dyn Sampler>, Error> {
        Ok(Box::new(Self::instance(options)?))
    }
}

impl<P: Plugin + Sink + 'static> Factory<dyn Sink> for Native<P> {
    fn info(&self) -> &Info {
        &self.info
    }

    fn make(&self, options: &[(String, String)]) -> Result<Box<dyn Sink>, Error> {
        Ok(Box::new(Self::instance(options)?))
    }
}

/// A factory of samplers.
pub type SamplerFactory = dyn Factory<dyn Sampler>;

/// A factory of sinks.
pub type SinkFactory = dyn Factory<dyn Sink>;

impl SamplerFactory {
    /// The factory of a sampler that is linked in.
    #[must_use]
    pub fn of<P: Plugin + Sampler + 'static>() -> Box<Self> {
        Box::new(Native::<P>::new())
    }
}

impl SinkFactory {
    /// The factory of a sink that is linked in.
    #[must_use]
    pub fn of<P: Plugin + Sink + 'static>() -> Box<Self> {
        Box::new(Native::<P>::new())
    }
}
