//! What a Seepmeter plugin implements.
//!
//! A plugin is a type that implements [`Plugin`], which says what it is called, which options it
//! takes and how an instance is made of them, and one of [`Sampler`] and [`Sink`], which do the
//! work. The built-in ones go through the same traits as anybody's.
//!
//! A sink that counts samples. In a library of `crate-type = ["cdylib"]` the last line makes it one
//! that `--sink ./target/release/libcount.so` loads:
//!
//! ```
//! use seepmeter_plugin::{Error, Plugin, Sink, options, record::Record};
//!
//! options! {
//!     pub struct CountOptions {
//!         /// Print the count after so many samples.
//!         every: u64 = "100",
//!     }
//! }
//!
//! pub struct Count {
//!     options: CountOptions,
//!     samples: u64,
//! }
//!
//! impl Plugin for Count {
//!     const NAME: &'static str = "count";
//!     const ABOUT: &'static str = "counts samples";
//!     type Options = CountOptions;
//!
//!     fn new(options: CountOptions) -> Result<Self, Error> {
//!         Ok(Self { options, samples: 0 })
//!     }
//! }
//!
//! impl Sink for Count {
//!     fn write(&mut self, record: &Record) -> Result<(), Error> {
//!         if let Record::Sample(_) = record {
//!             self.samples += 1;
//!             if self.samples % self.options.every == 0 {
//!                 eprintln!("{} samples", self.samples);
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! seepmeter_plugin::export_sink!(Count);
//! # use seepmeter_plugin::{Factory, SinkFactory};
//! # let factory = SinkFactory::of::<Count>();
//! # assert!(factory.make(&[("every".into(), "7".into())]).is_ok());
//! # let error = factory.make(&[("evry".into(), "7".into())]).err().unwrap();
//! # assert_eq!(error.to_string(), "no option `evry`; there is: every");
//! ```

pub mod c_abi;
mod error;
mod export;
mod factory;
mod options;
mod sampler;
mod sink;
mod stream_buffer;
mod subject_table;

pub use error::{Error, ErrorKind, open_files_hint};
pub use factory::{
    ConfiguredSampler, DEFAULT_MAX_BATCH_DELAY, Factory, Info, Plugin, SamplerFactory, SinkFactory,
};
pub use options::{List, OptionError, OptionSpec, OptionValue, Options};
pub use sampler::{
    NewFrame, NewSubject, RunningSampler, SampleBuilder, SampleFacts, Sampler, Stream, Target,
    Until, Waited, point_value,
};
pub use seepmeter_record as record;
pub use seepmeter_record::human::{Size, parse_duration, parse_size};
pub use seepmeter_verdict as verdict;
pub use sink::Sink;
pub use stream_buffer::StreamBuffer;
pub use subject_table::SubjectTable;

/// What the macros of this crate need and nobody else should.
#[doc(hidden)]
pub mod private {
    pub use crate::export::{panic_text, sampler_table, sink_table};
    pub use crate::options::{dashed, finish, give, unknown};
}
