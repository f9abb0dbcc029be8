//! The target's files in procfs, and what their errors mean.

use std::fs::File;
use std::io;

use seepmeter_plugin::{Error, Target};
use seepmeter_process::proc::{ProcError, ProcFolder, ProcRoot, Statm};

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
    pub(crate) fn open(&self, name: &str) -> Result<File, ProcError> {
        self.base.open(name)
    }

    /// Reads the whole of one of its memory files; an empty one is that of a leader that has ended, and
    /// then a thread's is read.
    pub(crate) fn read(&mut self, name: &str, text: &mut Vec<u8>) -> Result<(), ProcError> {
        loop {
            match self.base.read_into(name, text) {
                Ok(()) if !text.is_empty() => return Ok(()),
                Err(error) if !error.is_gone() => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let living = self.process.with_memory()?;
            if living == self.base {
                // It has memory and nothing to show of it, so it is just ending.
                return Err(ProcError::Gone { path: living.file(name) });
            }
            self.base = living;
        }
    }

    /// How large it is.
    pub(crate) fn statm(&mut self) -> Result<Statm, ProcError> {
        loop {
            match self.base.statm() {
                Ok(statm) if statm.size > 0 => return Ok(statm),
                Err(error) if !error.is_gone() => return Err(error),
                // What was found alive may have ended since: this ends when nothing lives any more.
                Ok(_) | Err(_) => self.base = self.process.with_memory()?,
            }
        }
    }
}

/// What a failure to read one of the files means, and what the user can do about it.
pub(crate) fn meaning(error: ProcError) -> Error {
    if error.is_gone() {
        return Error::gone();
    }
    match &error {
        ProcError::Io { path, .. } if error.is_denied() => Error::failed(format!(
            "cannot read {}: permission denied; a process's mappings are shown to its own user, unless it \
             changed its user or is not dumpable: run seepmeter as that user or as root, or give it \
             CAP_SYS_PTRACE (setcap cap_sys_ptrace+ep, in a container --cap-add SYS_PTRACE)",
            path.display()
        )),
        _ => Error::failed(error),
    }
}

/// What a failure to read a file that is open already means.
pub(crate) fn meaning_of_read(what: &str, error: &io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::ESRCH | libc::ENOENT) => Error::gone(),
        _ => Error::io(what, error),
    }
}
