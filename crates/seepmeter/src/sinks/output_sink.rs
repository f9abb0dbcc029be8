//! What the sinks that write one output have in common: the room gives it to them, and watches over it.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use seepmeter_plugin::{DEFAULT_MAX_BATCH_DELAY, Error, Factory, Info, Options, Sink, SinkFactory};
use seepmeter_record::Record;
use seepmeter_verdict::Conclusion;

use super::output::{Destination, Output};
use crate::output_files::{OutputRoom, PartEnd};

/// A sink that writes one output. As [`Plugin`](seepmeter_plugin::Plugin), but it is given its output
/// instead of opening it.
pub(crate) trait OutputSink: Sink + Sized + 'static {
    /// The name that `--sink` takes.
    const NAME: &'static str;
    /// One line that says what it does.
    const ABOUT: &'static str;
    /// See [`Plugin::MAX_BATCH_DELAY`](seepmeter_plugin::Plugin::MAX_BATCH_DELAY).
    const MAX_BATCH_DELAY: Duration = DEFAULT_MAX_BATCH_DELAY;
    /// Its options.
    type Options: Options;

    /// The output that the options ask for.
    ///
    /// # Errors
    /// Options that do not go together.
    fn destination(options: &Self::Options) -> Result<Destination, Error>;

    /// Makes an instance. Nothing is to be written yet.
    ///
    /// # Errors
    /// An error ends the run before it has begun.
    fn new(options: Self::Options, output: Output) -> Result<Self, Error>;

    /// Completes this part of the output; the next one follows, with this number, from 2.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn end_part(&mut self, next: u64) -> Result<(), Error> {
        let _ = next;
        self.flush()
    }

    /// True once no further part could be read by itself.
    fn is_over(&mut self) -> bool {
        false
    }

    /// Begins a part that can be read by itself.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn begin_part(&mut self, number: u64) -> Result<(), Error> {
        let _ = number;
        Ok(())
    }
}

/// Makes instances of an [`OutputSink`].
pub(crate) fn factory<S: OutputSink>(room: &OutputRoom) -> Arc<SinkFactory> {
    let info = Info {
        name: S::NAME.to_owned(),
        about: S::ABOUT.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        options: S::Options::specs(),
        pauses: false,
        max_batch_delay: S::MAX_BATCH_DELAY,
    };
    Arc::new(OutputSinkFactory::<S> { info, room: room.clone(), sink: PhantomData })
}

struct OutputSinkFactory<S> {
    info: Info,
    room: OutputRoom,
    sink: PhantomData<fn() -> S>,
}

impl<S: OutputSink> Factory<dyn Sink> for OutputSinkFactory<S> {
    fn info(&self) -> &Info {
        &self.info
    }

    fn make(&self, options: &[(String, String)]) -> Result<Box<dyn Sink>, Error> {
        let options = S::Options::from_pairs(options).map_err(Error::failed)?;
        let user = format!("the sink {}", S::NAME);
        let output = Output::open(&self.room, &S::destination(&options)?, &user)?;
        Ok(Box::new(InParts { sink: S::new(options, output.clone())?, output, part: 1 }))
    }
}

/// A sink whose output goes on in new files, if the options say so, and is checked at the end.
struct InParts<S> {
    sink: S,
    output: Output,
    part: u64,
}

impl<S: OutputSink> InParts<S> {
    /// Goes on in a new part if this one is over.
    fn turn(&mut self) -> Result<(), Error> {
        let Some(end) = self.output.part_end() else { return Ok(()) };
        if end != PartEnd::Truncated && self.sink.is_over() {
            return Ok(());
        }
        self.part += 1;
        // The begin of a part that somebody has truncated is gone, so there is nothing to complete.
        if end != PartEnd::Truncated {
            self.sink.end_part(self.part)?;
        }
        self.output.begin_part(end)?;
        self.sink.begin_part(self.part)?;
        self.sink.flush()?;
        self.output.end_preamble()
    }
}

impl<S: OutputSink> Sink for InParts<S> {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.turn()?;
        self.sink.write(record)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.sink.flush()
    }

    fn report(&mut self, conclusion: &Conclusion) -> Result<(), Error> {
        self.sink.report(conclusion)
    }

    fn conclude(&mut self, conclusion: &Conclusion) -> Result<(), Error> {
        self.sink.conclude(conclusion)
    }

    fn stop(&mut self) -> Result<(), Error> {
        self.sink.stop()?;
        self.output.check_at_end()
    }
}
