//! What went wrong with instances while they ran.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use seepmeter_plugin::Error;

use crate::Notices;

/// Reports failures to the user at once, and keeps them for the run's report.
pub(crate) struct Failures {
    notices: Notices,
    kept: Mutex<Vec<Failure>>,
}

struct Failure {
    label: String,
    sentence: String,
}

impl Failures {
    pub(crate) fn new(notices: Notices) -> Self {
        Self { notices, kept: Mutex::default() }
    }

    /// The instance of this label has failed.
    pub(crate) fn report(&self, label: &str, sentence: String) {
        (self.notices)(&sentence);
        self.lock().push(Failure { label: label.to_owned(), sentence });
    }

    /// The last failure of the instance of this label.
    pub(crate) fn of(&self, label: &str) -> Option<String> {
        let kept = self.lock();
        kept.iter()
            .rev()
            .find(|failure| failure.label == label)
            .map(|failure| failure.sentence.clone())
    }

    /// All failures.
    pub(crate) fn all(&self) -> Vec<String> {
        self.lock().iter().map(|failure| failure.sentence.clone()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Failure>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long an instance may take to be made, and to start, before the run is aborted.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Waits for an instance's answer; `what` says what it did not do in time.
pub(crate) fn answer(channel: &Receiver<Result<(), Error>>, what: &str) -> Result<(), Error> {
    channel.recv_timeout(START_LIMIT).unwrap_or_else(|error| {
        Err(match error {
            RecvTimeoutError::Timeout => Error::failed(format!(
                "it {what} within {} seconds, so the run was aborted",
                START_LIMIT.as_secs()
            )),
            RecvTimeoutError::Disconnected => Error::failed("it panicked before the run began"),
        })
    })
}
