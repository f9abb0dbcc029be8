//! The files of a process that statm reads.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};

use seepmeter_plugin::Error;
use seepmeter_process::proc::{ProcError, ProcFolder, StatmFile, StatmPages, StatusFile};

/// The files of the process, or of a thread that lives on after its leader.
pub(super) struct MemoryFiles {
    pub(super) folder: ProcFolder,
    pub(super) statm: StatmFile,
    pub(super) status: StatusFile,
}

impl MemoryFiles {
    pub(super) fn open(folder: &ProcFolder) -> Result<Self, ProcError> {
        Ok(Self {
            statm: StatmFile::open(folder)?,
            status: StatusFile::open(folder)?,
            folder: folder.clone(),
        })
    }
}

/// The files of the process itself or of one of its threads, whichever still has memory. What is found
/// is asked whose it is once it is open and can't change any more: by now another process may have got
/// the pid.
pub(super) fn find_living(
    folder: &ProcFolder,
    start_time: u64,
) -> Result<(MemoryFiles, StatmPages), ProcError> {
    loop {
        let living = folder.with_memory()?;
        let read = MemoryFiles::open(&living).and_then(|files| {
            let pages = files.statm.read()?;
            Ok((files, pages))
        });
        match read {
            Ok((_, StatmPages { size: 0, .. })) => {}
            // It has ended since it was found, and another one may live.
            Err(error) if error.is_gone() => {}
            Err(error) => return Err(error),
            Ok(_) if folder.stat()?.start_time != start_time => {
                return Err(ProcError::Gone { path: folder.path().to_owned() });
            }
            Ok(found) => return Ok(found),
        }
    }
}

pub(super) fn open_clear_refs(folder: &ProcFolder) -> Result<File, Error> {
    let path = folder.file("clear_refs");
    OpenOptions::new().write(true).open(&path).map_err(|error| {
        // The thread that was found alive may be gone by now.
        if is_gone(&error) {
            return Error::gone();
        }
        let what = format!(
            "cannot open {} to reset the peak of an interval (only the process's own user and root may; peak=run needs no right)",
            path.display()
        );
        Error::io(what, &error)
    })
}

/// Sets the kernel's high-water mark to the current size: proc_pid_clear_refs(5), value 5.
pub(super) fn reset_mark(clear_refs: &mut File) -> Result<(), Error> {
    match clear_refs.write_all(b"5") {
        Err(error) if is_gone(&error) => Err(Error::gone()),
        Err(error) => Err(Error::io("cannot reset the peak in clear_refs", &error)),
        Ok(()) => Ok(()),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(nix::libc::ESRCH | nix::libc::ENOENT))
}

pub(super) fn gone_or_failed(error: ProcError) -> Error {
    if error.is_gone() { Error::gone() } else { Error::of(&error) }
}

#[cfg(test)]
mod tests {
    use seepmeter_plugin::ErrorKind;

    use seepmeter_process::proc::ProcRoot;

    use super::*;

    #[test]
    fn trap_8_a_thread_that_dies_before_its_mark_is_opened_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let error = open_clear_refs(&ProcRoot::new(folder.path()).process(17)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Gone);
    }
}
