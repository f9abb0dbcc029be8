//! The target's files in procfs, and what their errors mean.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use seepmeter_plugin::{Error, Target};

/// Where to read of a target.
#[derive(Debug)]
pub(crate) struct Source {
    process: PathBuf,
    /// The process's folder, or that of one of its threads: a leader that called pthread_exit(3) is
    /// a zombie that has no memory to show, while its other threads run on.
    base: PathBuf,
}

impl Source {
    pub(crate) fn new(target: &Target) -> Self {
        let process = target.proc_file("");
        Self { base: process.clone(), process }
    }

    /// The folder with one folder for each thread.
    pub(crate) fn tasks(&self) -> PathBuf {
        self.process.join("task")
    }

    /// Opens one of its files. Never kept for long: after an exec an open file still shows the old
    /// program's memory.
    pub(crate) fn open(&self, name: &str) -> Result<File, Error> {
        let path = self.base.join(name);
        File::open(&path).map_err(|error| trouble(&path, &error))
    }

    /// The same, for a caller to whom the error's number matters.
    pub(crate) fn open_raw(&self, name: &str) -> io::Result<File> {
        File::open(self.base.join(name))
    }

    /// Reads the whole of one of its files; an empty one is that of a process that is ending.
    pub(crate) fn read(&mut self, name: &str, text: &mut Vec<u8>) -> Result<(), Error> {
        match read_whole(&self.base.join(name), text) {
            Ok(()) if !text.is_empty() => Ok(()),
            Ok(()) => self.read_of_a_thread(name, text),
            Err(error) if is_gone(&error) => self.read_of_a_thread(name, text),
            Err(error) => Err(trouble(&self.base.join(name), &error)),
        }
    }

    fn read_of_a_thread(&mut self, name: &str, text: &mut Vec<u8>) -> Result<(), Error> {
        for task in fs::read_dir(self.tasks()).map_err(|_| Error::gone())?.flatten() {
            if read_whole(&task.path().join(name), text).is_ok() && !text.is_empty() {
                self.base = task.path();
                return Ok(());
            }
        }
        Err(Error::gone())
    }

    /// Its size and its resident set, in pages: the first two numbers of statm, proc_pid_statm(5).
    /// None where the leader has ended (all zero) and threads may run on.
    pub(crate) fn statm(&mut self, text: &mut Vec<u8>) -> Result<Statm, Error> {
        self.read("statm", text)?;
        let mut statm = Statm::parse(text);
        if statm == Some(Statm::default()) {
            // Finds a live thread by its maps, which a dead one has none of.
            self.read("maps", text)?;
            self.read("statm", text)?;
            statm = Statm::parse(text);
        }
        statm.filter(|statm| *statm != Statm::default()).ok_or_else(Error::gone)
    }
}

/// What of statm matters here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statm {
    pub(crate) size: u64,
    pub(crate) resident: u64,
}

impl Statm {
    fn parse(text: &[u8]) -> Option<Self> {
        let mut numbers = text.split(u8::is_ascii_whitespace).map(seepmeter_maps::maps::decimal);
        Some(Self { size: numbers.next()??, resident: numbers.next()?? })
    }
}

fn read_whole(path: &Path, text: &mut Vec<u8>) -> io::Result<()> {
    text.clear();
    File::open(path)?.read_to_end(text).map(drop)
}

/// True where the failure means that there is no such process any more.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}

/// What a failure to read one of the files means, and what the user can do about it.
pub(crate) fn trouble(path: &Path, error: &io::Error) -> Error {
    if is_gone(error) {
        return Error::gone();
    }
    let what = format!("cannot read {}", path.display());
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => Error::failed(format!(
            "{what}: permission denied; a process's mappings are shown to its own user, unless it \
             changed its user or is not dumpable: run seepmeter as that user or as root, or give it \
             CAP_SYS_PTRACE (setcap cap_sys_ptrace+ep, in a container --cap-add SYS_PTRACE)"
        )),
        _ => Error::io(what, error),
    }
}
