//! Where procfs is mounted, and the folder of a process or a thread in it.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use super::text::decimal;
use super::{ProcError, SmapsRollup, Stat, StatmPages, Status};

/// No read(2) of a file asks for less than this: most of them are read by one.
const LEAST_READ: usize = 1024;

/// Where procfs is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcRoot {
    path: PathBuf,
}

impl Default for ProcRoot {
    /// `/proc`.
    fn default() -> Self {
        Self::new("/proc")
    }
}

impl ProcRoot {
    /// Procfs as it is mounted at `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of a process, whether there is one or not.
    #[must_use]
    pub fn process(&self, pid: i32) -> ProcFolder {
        ProcFolder { path: self.path.join(pid.to_string()) }
    }

    /// The folder of this process.
    #[must_use]
    pub fn own(&self) -> ProcFolder {
        self.process(std::process::id().cast_signed())
    }

    /// The pids of all processes that it shows.
    ///
    /// # Errors
    /// If it can't be listed.
    pub fn pids(&self) -> Result<Vec<i32>, ProcError> {
        numbered(&self.path)
    }

    /// False if it belongs to another pid namespace, whose numbers name other processes.
    #[must_use]
    pub fn is_of_our_namespace(&self) -> bool {
        // An unreadable link is a made-up tree's.
        let own = fs::read_link(self.path.join("self"));
        own.map_or(true, |own| own.as_os_str() == std::process::id().to_string().as_str())
    }
}

/// The folder of a process, or of one of its threads: both hold files of the same names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcFolder {
    path: PathBuf,
}

impl ProcFolder {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One of its files.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A file by its absolute path in the root folder that the process has.
    #[must_use]
    pub fn within_root(&self, path: &Path) -> PathBuf {
        self.path.join("root").join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Opens one of its files.
    ///
    /// # Errors
    /// If the process has ended, or the file can't be opened.
    pub fn open(&self, name: &str) -> Result<File, ProcError> {
        let path = self.file(name);
        File::open(&path).map_err(|error| ProcError::io(&path, error))
    }

    /// Reads the whole of one of its files.
    ///
    /// # Errors
    /// If the process has ended, or the file can't be read.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, ProcError> {
        let mut text = Vec::new();
        self.read_into(name, &mut text)?;
        Ok(text)
    }

    /// Reads the whole of one of its files into `text`, whose room is used again.
    ///
    /// # Errors
    /// If the process has ended, or the file can't be read.
    pub fn read_into(&self, name: &str, text: &mut Vec<u8>) -> Result<(), ProcError> {
        text.clear();
        let file = self.open(name)?;
        loop {
            // Its size is not known before, so std would ask for that in vain.
            text.reserve(LEAST_READ);
            match rustix::io::read(&file, spare_capacity(text)) {
                Ok(0) => return Ok(()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(ProcError::io(&self.file(name), error.into())),
            }
        }
    }

    /// How large it is: see [`StatmPages`].
    ///
    /// # Errors
    /// If the process has ended, or the file can't be read.
    pub fn statm(&self) -> Result<StatmPages, ProcError> {
        StatmPages::parse(&self.read("statm")?, &self.file("statm"))
    }

    /// What it is: see [`Stat`].
    ///
    /// # Errors
    /// If the process has ended, or the file can't be read.
    pub fn stat(&self) -> Result<Stat, ProcError> {
        Stat::parse(&self.read("stat")?, &self.file("stat"))
    }

    /// Its marks and rights: see [`Status`].
    ///
    /// # Errors
    /// If the process has ended, or the file can't be read.
    pub fn status(&self) -> Result<Status, ProcError> {
        Status::parse(&self.read("status")?, &self.file("status"))
    }

    /// How many mappings it has; 0 of a leader that has ended. Read of [a thread that lives](Self::with_memory).
    ///
    /// # Errors
    /// If the process has ended, or the file can't be read.
    pub fn mapping_count(&self) -> Result<u64, ProcError> {
        let (mut file, mut piece, mut lines) = (self.open("maps")?, vec![0; 32 << 10], 0);
        loop {
            match file.read(&mut piece) {
                Ok(0) => return Ok(lines),
                // A mapping a line: a newline in a name is written `\012`.
                Ok(length) => lines += memchr::memchr_iter(b'\n', &piece[..length]).count() as u64,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(ProcError::io(&self.file("maps"), error)),
            }
        }
    }

    /// The sums of all its mappings: see [`SmapsRollup`]. It walks the page tables of the process, which
    /// takes milliseconds for each GiB and holds up its mmap and munmap.
    ///
    /// # Errors
    /// If the process has ended, or the file can't be read. A leader that has ended is
    /// [`ProcError::Gone`], even if other threads run on: read it of [a thread that
    /// lives](Self::with_memory).
    pub fn smaps_rollup(&self) -> Result<SmapsRollup, ProcError> {
        SmapsRollup::parse(&self.read("smaps_rollup")?, &self.file("smaps_rollup"))
    }

    /// Its name, at most 15 bytes, which may be empty.
    ///
    /// ```text
    /// NAME\n
    /// ```
    ///
    /// # Errors
    /// If the process has ended, or the file can't be read.
    pub fn comm(&self) -> Result<Vec<u8>, ProcError> {
        let mut name = self.read("comm")?;
        name.pop_if(|last| *last == b'\n');
        Ok(name)
    }

    /// Its command line, a word each; none of a zombie or a thread of the kernel. A process may have
    /// overwritten it.
    ///
    /// ```text
    /// WORD\0WORD\0WORD\0
    /// ```
    ///
    /// # Errors
    /// If the process has ended, or the file can't be read.
    pub fn cmdline(&self) -> Result<Vec<Vec<u8>>, ProcError> {
        let mut text = self.read("cmdline")?;
        if text.is_empty() {
            return Ok(Vec::new());
        }
        text.pop_if(|last| *last == 0);
        Ok(text.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect())
    }

    /// The program that it executes, by its path in its own mount namespace; ` (deleted)` follows the
    /// path of a file that has been removed.
    ///
    /// # Errors
    /// If the process has ended, or this user may not know. A thread of the kernel has none, which
    /// reads as [a file that there is not](ProcError::is_unsupported).
    pub fn exe(&self) -> Result<PathBuf, ProcError> {
        let path = self.file("exe");
        fs::read_link(&path).map_err(|error| ProcError::io(&path, error))
    }

    /// The stack pointer of a thread that waits; none of one that runs, or has none in user space.
    /// Reading it takes the right to trace the process.
    ///
    /// The kernel's format (fs/proc/base.c, `proc_pid_syscall`), in which all but the number are
    /// hexadecimal:
    ///
    /// ```text
    /// running
    /// NUMBER ARGUMENT×6 STACK-POINTER PROGRAM-COUNTER      in a system call
    /// -1 STACK-POINTER PROGRAM-COUNTER                     blocked elsewhere
    /// ```
    ///
    /// # Errors
    /// If the thread has ended, or the file can't be read.
    pub fn stack_pointer(&self) -> Result<Option<u64>, ProcError> {
        Ok(stack_pointer(&self.read("syscall")?))
    }

    /// The folders of its threads.
    ///
    /// # Errors
    /// If the process has ended, or they can't be listed.
    pub fn threads(&self) -> Result<impl Iterator<Item = (i32, Self)>, ProcError> {
        let folder = self.file("task");
        let tids = numbered(&folder)?;
        Ok(tids.into_iter().map(move |tid| {
            let path = folder.join(tid.to_string());
            (tid, Self { path })
        }))
    }

    /// The folder of one of its threads, whether there is one or not.
    #[must_use]
    pub fn thread(&self, tid: i32) -> Self {
        Self { path: self.path.join("task").join(tid.to_string()) }
    }

    /// This folder, if it has memory to show, and otherwise that of a thread which has.
    ///
    /// A leader that called pthread_exit(3) is a zombie, and its memory files are empty or all zero, while
    /// its other threads run on; their files show the memory that all of them share.
    ///
    /// # Errors
    /// [`ProcError::Gone`] if no thread of it has memory any more, or statm can't be read.
    pub fn with_memory(&self) -> Result<Self, ProcError> {
        let has_memory = |folder: &Self| match folder.statm() {
            Ok(statm) => Ok(statm.size > 0),
            Err(error) if error.is_gone() => Ok(false),
            Err(error) => Err(error),
        };
        if has_memory(self)? {
            return Ok(self.clone());
        }
        // Threads end between being listed and being read: then the next one serves.
        for (_, thread) in self.threads()? {
            if has_memory(&thread)? {
                return Ok(thread);
            }
        }
        Err(ProcError::Gone { path: self.path.clone() })
    }
}

/// The entries of a folder that are numbers.
fn numbered(folder: &Path) -> Result<Vec<i32>, ProcError> {
    let failed = |error| ProcError::io(folder, error);
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        // The folder of a process that ends while it is listed reads as ended.
        let name = entry.map_err(failed)?.file_name().into_vec();
        numbers.extend(decimal(&name).and_then(|number| i32::try_from(number).ok()));
    }
    Ok(numbers)
}

fn stack_pointer(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let pointer = words.get(words.len().checked_sub(2)?)?.strip_prefix("0x")?;
    u64::from_str_radix(pointer, 16).ok().filter(|pointer| *pointer != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> ProcFolder {
        ProcRoot::default().own()
    }

    #[test]
    fn a_waiting_threads_stack_pointer_is_the_last_but_one_word() {
        let waiting = b"202 0x1 0x80 0x2 0x0 0x0 0x0 0x7f22deadbee0 0x7f22aaaa0000\n";
        assert_eq!(stack_pointer(waiting), Some(0x7f22_dead_bee0));
        assert_eq!(stack_pointer(b"-1 0x7ffc00 0x40\n"), Some(0x7ffc00));
        for none in [&b"running\n"[..], b"", b"x", b"-1 0x0 0x0", b"1 zz 0x2", b"\xff \xff"] {
            assert_eq!(stack_pointer(none), None);
        }
    }

    #[test]
    fn this_processs_words_and_program_are_what_the_standard_library_says() {
        let words: Vec<Vec<u8>> =
            std::env::args_os().map(std::ffi::OsString::into_encoded_bytes).collect();
        assert_eq!(own().cmdline().unwrap(), words);
        assert_eq!(own().exe().unwrap(), std::env::current_exe().unwrap());
    }

    #[test]
    fn a_process_that_there_is_not_is_gone_and_a_file_that_there_is_not_is_unsupported() {
        let none = ProcRoot::default().process(i32::MAX);
        assert!(none.statm().unwrap_err().is_gone());
        assert!(none.threads().err().unwrap().is_gone());
        let error = own().read("no-such-file").unwrap_err();
        assert!(error.is_unsupported() && !error.is_gone(), "{error}");
    }

    #[test]
    fn an_error_names_the_path_the_line_and_the_item() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("7")).unwrap();
        fs::write(root.path().join("7/statm"), "12 x\n").unwrap();
        let error = ProcRoot::new(root.path()).process(7).statm().unwrap_err();
        let said = error.to_string();
        assert!(said.ends_with("7/statm, line 1: cannot parse resident in \"12 x\""), "{said}");
    }

    #[test]
    fn a_word_of_a_command_line_may_be_empty() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("7")).unwrap();
        let folder = ProcRoot::new(root.path()).process(7);
        for (text, words) in
            [("a\0\0b\0", vec!["a", "", "b"]), ("", vec![]), ("title", vec!["title"])]
        {
            fs::write(folder.file("cmdline"), text).unwrap();
            let read = folder.cmdline().unwrap();
            assert_eq!(read, words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>());
        }
    }
}
