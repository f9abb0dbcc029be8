//! The target's files in procfs, and what their errors mean.

use std::fs::File;
use std::io;

use seepmeter_plugin::{Error, Target};
use seepmeter_process::proc::{ProcError, ProcFolder, ProcRoot, SmapsRollup, StatmPages};

/// Where to read of a target.
#[derive(Debug)]
pub(crate) struct Source {
    process: ProcFolder,
    /// The process's folder, or that of one of its threads: a leader that called pthread_exit(3) is
    /// a zombie that has no memory to show, while its other threads run on.
    base: ProcFolder,
}

impl Source {
    pub(crate) fn new(target: &Target) -> Self {
        let process = ProcRoot::new(&target.proc_root).process(target.pid);
        Self { base: process.clone(), process }
    }

    /// The folder of the process.
    pub(crate) fn process(&self) -> &ProcFolder {
        &self.process
    }

    /// Opens one of its files. Never kept for long: after an exec an open file still shows the old
    /// program's memory.
    pub(crate) fn open(&mut self, name: &str) -> Result<File, Error> {
        self.of_the_living(|base| base.open(name).map(Some))
    }

    /// Reads maps; an empty one is that of a leader that has ended, and then a thread's is read.
    pub(crate) fn maps(&mut self, text: &mut Vec<u8>) -> Result<(), Error> {
        self.of_the_living(|base| {
            base.read_into("maps", text)?;
            Ok((!text.is_empty()).then_some(()))
        })
    }

    /// How large it is.
    pub(crate) fn statm(&mut self) -> Result<StatmPages, Error> {
        self.of_the_living(|base| Ok(Some(base.statm()?).filter(|statm| statm.size > 0)))
    }

    /// The sums of all mappings; none if this kernel has no such file.
    pub(crate) fn smaps_rollup(&mut self) -> Result<Option<SmapsRollup>, Error> {
        self.of_the_living(|base| match base.smaps_rollup() {
            Err(error) if error.is_unsupported() => Ok(Some(None)),
            outcome => outcome.map(Some).map(Some),
        })
    }

    /// Reads one of the files that say nothing of a leader that has ended: then it is read of a thread.
    fn of_the_living<T>(
        &mut self,
        mut read: impl FnMut(&ProcFolder) -> Result<Option<T>, ProcError>,
    ) -> Result<T, Error> {
        loop {
            match read(&self.base) {
                Ok(Some(value)) => return Ok(value),
                Err(error) if !error.is_gone() => return Err(meaning(error)),
                Ok(None) | Err(_) => {}
            }
            let living = self.process.with_memory().map_err(meaning)?;
            if living == self.base {
                // It has memory and nothing to show of it, so it is just ending.
                return Err(Error::gone());
            }
            self.base = living;
        }
    }
}

/// What a failure to read a file that is open already means.
pub(crate) fn read_failed(what: &str, error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::ESRCH | libc::ENOENT) => Error::gone(),
        _ => Error::io(what, error),
    }
}

/// What a failure to read one of the files means, and what the user can do about it.
pub(crate) fn meaning(error: ProcError) -> Error {
    if error.is_gone() {
        return Error::gone();
    }
    match &error {
        ProcError::Io { path, .. } if error.is_denied() => {
            Error::shown_to_its_user(path, "mappings")
        }
        _ => Error::of(&error),
    }
}
