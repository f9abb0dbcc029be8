//! The thread that receives marks and puts them into the stream.
//!
//! [`lines`] makes marks of bytes, and [`pace`] decides which of them become events, so that a target that
//! writes a million a second makes neither the recording large nor a sink slow.

mod lines;
mod pace;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use seepmeter_process::marks::{MarkSource, MarkStopper, ReceivedMarks};
use seepmeter_record::{Event, EventKind, Record};

use self::lines::{LineBuffer, Refusal};
use self::pace::MarkPace;
use crate::failures::Failures;
use crate::stream::StreamWriter;

/// What failures are called.
const LABEL: &str = "marks";

/// How long the last marks may take after the end of the run.
const LAST_MARKS: Duration = Duration::from_secs(5);

/// A mark.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    /// The name of a counter, or a text.
    text: String,
    /// The counter's value.
    number: Option<i64>,
}

/// The running thread.
pub(crate) struct MarkThread {
    stopper: MarkStopper,
    /// The end of the marks is what was asked for.
    stopping: Arc<AtomicBool>,
    done: Receiver<()>,
}

impl MarkThread {
    pub(crate) fn start(
        source: MarkSource,
        writer: StreamWriter,
        failures: Arc<Failures>,
    ) -> io::Result<Self> {
        let stopper = source.stopper()?;
        let (sender, done) = bounded(1);
        let marks =
            Marks { source, writer, pace: MarkPace::default(), pipe: LineBuffer::default() };
        let stopping = Arc::<AtomicBool>::default();
        let seen = Arc::clone(&stopping);
        let run = move || marks.run(&failures, &sender, &seen);
        thread::Builder::new().name(LABEL.to_owned()).spawn(run)?;
        Ok(Self { stopper, stopping, done })
    }

    /// Waits until all that was written has gone into the stream.
    pub(crate) fn stop(self, failures: &Failures) {
        self.stopping.store(true, Ordering::Release);
        self.stopper.stop();
        if self.done.recv_timeout(LAST_MARKS).is_err() {
            failures
                .report(LABEL, "the last marks did not come in time and are missing".to_owned());
        }
    }
}

/// What the thread has.
struct Marks {
    source: MarkSource,
    writer: StreamWriter,
    pace: MarkPace,
    /// The line of the pipe that has not ended yet.
    pipe: LineBuffer,
}

impl Marks {
    fn run(mut self, failures: &Failures, done: &Sender<()>, stopping: &AtomicBool) {
        let begin = Instant::now();
        let outcome = loop {
            let Self { source, pace, pipe, .. } = &mut self;
            let deadline = pace.due().map(|due| begin + due);
            let received = source.receive(deadline);
            let now = begin.elapsed();
            match received {
                Ok(ReceivedMarks::Pipe { bytes, lost }) => {
                    if lost > 0 {
                        pace.refuse(Refusal::TooSlow, lost, now);
                        pipe.skip_line();
                    }
                    pipe.read(bytes, |line| pace.take(line, now));
                }
                Ok(ReceivedMarks::Message { bytes, cut }) => {
                    let mut message = LineBuffer::default();
                    message.read(bytes, |line| pace.take(line, now));
                    message.end(|line| pace.take(line, now));
                    if cut {
                        pace.refuse(Refusal::TooLong, 1, now);
                    }
                }
                Ok(ReceivedMarks::Nothing) => {}
                Ok(ReceivedMarks::End) if stopping.load(Ordering::Acquire) => break Ok(()),
                Ok(ReceivedMarks::End) => {
                    break Err(io::Error::other("the process that reads the pipe has ended"));
                }
                Err(error) => break Err(error),
            }
            self.pace.pass(now);
            self.emit();
        };
        let now = begin.elapsed();
        self.pipe.end(|line| self.pace.take(line, now));
        self.pace.finish();
        self.emit();
        if let Err(error) = outcome {
            failures.report(LABEL, format!("marks: cannot receive any more: {error}"));
        }
        // Whoever waits may have given up.
        let _ = done.send(());
    }

    fn emit(&mut self) {
        for kind in self.pace.ready() {
            self.writer.send(Record::Event(Event::new(self.writer.now(), kind)));
        }
    }
}

impl From<Mark> for EventKind {
    fn from(Mark { text, number }: Mark) -> Self {
        Self::Marker { number, text: text.as_str().into() }
    }
}
