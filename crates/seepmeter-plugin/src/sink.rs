//! What consumes records.

use crate::Error;
use crate::record::Record;
use seepmeter_verdict::Conclusion;

/// Consumes the records of one stream, in their order, from the header to the footer.
///
/// Every call on one instance comes from one and the same thread. A sink that falls behind loses
/// samples, never definitions or events, and gets an event of kind `dropped` that says how many.
pub trait Sink {
    /// Takes one record.
    ///
    /// # Errors
    /// An error closes this sink; the others go on.
    fn write(&mut self, record: &Record) -> Result<(), Error>;

    /// Hands on whatever is buffered; called when no record waits.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Somebody wants to know what is known so far, which is `conclusion`, and the run goes on. Sinks that are
    /// loaded from a file do not get this.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn report(&mut self, conclusion: &Conclusion) -> Result<(), Error> {
        let _ = conclusion;
        Ok(())
    }

    /// The verdict on the run is there. Called once, after the footer and before [`Sink::stop`].
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn conclude(&mut self, conclusion: &Conclusion) -> Result<(), Error> {
        let _ = conclusion;
        Ok(())
    }

    /// The stream is over: completes the output. Called once, also when the stream was cut off, and
    /// not after an error.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn stop(&mut self) -> Result<(), Error> {
        self.flush()
    }
}
