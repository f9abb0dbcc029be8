//! The room for output files: every sink of the command that writes a file gets it here.
//!
//! A room belongs to one run, and knows what the run reads and writes: the recording on its input, its
//! standard streams, the target's program, the outputs of all sinks. It keeps three promises.
//!
//! - **No output is anything else of the run.** Files are told apart by device and inode, whichever names
//!   and links lead to them. A lock (flock(2)) keeps a second seepmeter away.
//! - **An older file is not touched until the run has begun.** Files are opened, checked and locked early,
//!   so that errors come early, and emptied by the first write after [`OutputRoom::begin`]. If the run never
//!   begins, what sinks write is discarded, and a file that was made for it is removed again.
//! - **What happens to the file later is noticed**: that it is deleted, renamed or truncated while it is
//!   written.
//!
//! Only regular files need this. Standard streams, terminals, FIFOs and devices are written to as they are.
//!
//! ```
//! use std::io::Write;
//! use seepmeter::output_files::{OutputRoom, PartRules, PendingOutputs};
//!
//! let folder = tempfile::tempdir()?;
//! let (path, recording) = (folder.path().join("table.csv"), folder.path().join("old.jsonl"));
//! std::fs::write(&path, "of an older run\n")?;
//! std::fs::write(&recording, "…\n")?;
//!
//! let room = OutputRoom::new();
//! room.protect(&recording, "the replayed recording");
//! let pending = PendingOutputs::of(&room);
//! let mut output = room.open(&path, PartRules::default(), "the sink csv").unwrap();
//! assert!(room.open(&recording, PartRules::default(), "the sink jsonl").is_err());
//!
//! // The samplers are ready, the target runs: now the older file may go.
//! assert_eq!(std::fs::read_to_string(&path)?, "of an older run\n");
//! pending.begin();
//! output.write_all(b"rss\n")?;
//! assert_eq!(std::fs::read_to_string(&path)?, "rss\n");
//! # Ok::<(), std::io::Error>(())
//! ```

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use seepmeter_plugin::Error;
use seepmeter_process::WaitingWriter;
use seepmeter_record::Bytes;

use crate::terminal::status_line::Pause;

mod links;
mod lock;
mod parts;
mod regular;

pub use parts::{Limit, PartRules};
pub(crate) use regular::{PartEnd, RegularOutput};

/// Which file it is, by whichever name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// What two outputs must not share: a file, or a name in a folder, since a sink of a plugin may not have
/// made its file yet.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    File(FileId),
    Name(FileId, OsString),
}

impl Place {
    /// The name that a path is; none if its folder can't be found.
    fn of_name(path: &Path) -> Option<Self> {
        let folder = links::folder_of(path).metadata().ok()?;
        Some(Self::Name(FileId::of(&folder), path.file_name()?.to_owned()))
    }
}

/// What a file is to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It is read: nothing may be written to it.
    Input,
    /// Standard output or standard error: only who writes to that stream may write to it.
    Stream,
    /// A sink writes it.
    Output,
}

/// A file of the run.
#[derive(Debug)]
struct UsedFile {
    place: Place,
    role: Role,
    /// What it is, for messages.
    what: String,
}

impl UsedFile {
    fn of_sink(place: Place, user: &str) -> Self {
        Self { place, role: Role::Output, what: format!("the file of {user}") }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It is not known yet whether the run begins.
    Pending,
    Begun,
    /// The run will never begin.
    Aborted,
}

#[derive(Debug)]
struct RoomState {
    phase: Phase,
    used: Vec<UsedFile>,
    /// The files that were made for this run.
    created: Vec<(PathBuf, FileId)>,
    /// An output is to be opened again if a signal asks for it.
    reopens_wanted: bool,
}

/// The room for the output files of one run; see the [module](self).
#[derive(Clone, Debug)]
pub struct OutputRoom {
    state: Arc<Mutex<RoomState>>,
    /// Held by whoever makes a file that is not noted yet.
    making: Arc<Mutex<()>>,
    /// How often the outputs were asked to open their files again.
    reopens: Arc<AtomicU64>,
}

impl Default for OutputRoom {
    fn default() -> Self {
        Self::new()
    }
}

impl OutputRoom {
    /// A room that knows the standard streams of this process.
    #[must_use]
    pub fn new() -> Self {
        let streams = [
            (of_stream(io::stdin()), Role::Input, "the file of standard input"),
            (of_stream(io::stdout()), Role::Stream, "the file of standard output"),
            (of_stream(io::stderr()), Role::Stream, "the file of standard error"),
        ];
        let used = streams.into_iter().filter_map(|(metadata, role, what)| {
            let metadata = metadata.filter(Metadata::is_file)?;
            let place = Place::File(FileId::of(&metadata));
            Some(UsedFile { place, role, what: what.to_owned() })
        });
        let state = RoomState {
            phase: Phase::Pending,
            used: used.collect(),
            created: Vec::new(),
            reopens_wanted: false,
        };
        Self { state: Arc::new(Mutex::new(state)), making: Arc::default(), reopens: Arc::default() }
    }

    /// Keeps every output away from a file that the run reads or executes; `what` it is, for messages. One that
    /// can't be found needs no protection.
    pub fn protect(&self, path: &Path, what: &str) {
        let Ok(metadata) = path.metadata() else { return };
        if metadata.is_file() {
            let place = Place::File(FileId::of(&metadata));
            self.lock().used.push(UsedFile { place, role: Role::Input, what: what.to_owned() });
        }
    }

    /// Checks the path of a sink that opens its file itself, as a plugin in a file does.
    ///
    /// # Errors
    /// A path that leads to another file of the run, or over a link that somebody has planted.
    pub fn check(&self, path: &Path, user: &str) -> Result<(), Error> {
        match standard_stream(path) {
            Some(StandardStream::Output) => return self.use_stdout(user),
            Some(StandardStream::Error) => return self.use_stderr(),
            None => {}
        }
        let target = links::resolve(path)?.path;
        let metadata = target.metadata().ok();
        if metadata.as_ref().is_some_and(|metadata| !is_told_apart(metadata)) {
            return Ok(());
        }
        let file = metadata.map(|metadata| Place::File(FileId::of(&metadata)));
        let places = file.into_iter().chain(Place::of_name(&target)).collect();
        self.lock().add_output(places, path, user)
    }

    /// Opens a file for a sink, `user`. It is emptied when the run begins.
    ///
    /// # Errors
    /// What opening it fails with, a file that is something else of the run, a file that another seepmeter
    /// writes, or one that somebody has planted in a shared folder.
    pub fn open(&self, path: &Path, rules: PartRules, user: &str) -> Result<OutputFile, Error> {
        let target = links::resolve(path)?;
        if target.path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            return self
                .open_stream(&target, path, user)
                .map(WaitingWriter)
                .map(OutputFile::Stream);
        }
        RegularOutput::open(self, &target, rules, user).map(OutputFile::Regular)
    }

    /// Opens what is no regular file: a FIFO, which waits for its reader, a terminal or another device.
    fn open_stream(
        &self,
        target: &links::ResolvedPath,
        path: &Path,
        user: &str,
    ) -> Result<File, Error> {
        let file = File::options().write(true).open(&target.path);
        let file = file.map_err(|error| cannot_create(path, &error))?;
        let metadata = file.metadata().map_err(|error| cannot_create(path, &error))?;
        if is_told_apart(&metadata) {
            let place = Place::File(FileId::of(&metadata));
            self.lock().add_output(vec![place], path, user)?;
        }
        Ok(file)
    }

    /// Notes that a sink writes to standard output.
    ///
    /// # Errors
    /// Another sink does so, or it is a file that the run reads.
    pub(crate) fn use_stdout(&self, user: &str) -> Result<(), Error> {
        let Some(metadata) = of_stream(io::stdout()) else { return Ok(()) };
        let place = Place::File(FileId::of(&metadata));
        let mut state = self.lock();
        state.check(&place, "standard output", |role| role != Role::Stream)?;
        state.used.push(UsedFile::of_sink(place, user));
        Ok(())
    }

    /// Unless the run has begun, removes the files that were made for it; older ones stay as they were. Who is
    /// about to make one just now has a moment to find out that the run is aborted, and to remove it.
    pub(crate) fn abort(&self) {
        const MOMENT: Duration = Duration::from_millis(20);
        let mut state = self.lock();
        if state.phase == Phase::Begun {
            return;
        }
        state.phase = Phase::Aborted;
        for (path, id) in std::mem::take(&mut state.created) {
            remove(&path, id);
        }
        drop(state);
        let until = Instant::now() + MOMENT;
        while matches!(self.making.try_lock(), Err(TryLockError::WouldBlock))
            && Instant::now() < until
        {
            std::thread::sleep(MOMENT / 20);
        }
    }

    /// Notes that a sink writes to standard error, which several may do.
    ///
    /// # Errors
    /// It is a file that the run reads.
    pub(crate) fn use_stderr(&self) -> Result<(), Error> {
        let Some(metadata) = of_stream(io::stderr()) else { return Ok(()) };
        let place = Place::File(FileId::of(&metadata));
        self.lock().check(&place, "standard error", |role| role == Role::Input)
    }

    /// Asks all outputs with `reopen=yes` to open their files again. False if there is none.
    pub fn reopen(&self) -> bool {
        let wanted = self.lock().reopens_wanted;
        if wanted {
            self.reopens.fetch_add(1, Ordering::Relaxed);
        }
        wanted
    }

    fn lock(&self) -> MutexGuard<'_, RoomState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RoomState {
    /// Notes that a sink writes to these places.
    fn add_output(&mut self, places: Vec<Place>, path: &Path, user: &str) -> Result<(), Error> {
        places.iter().try_for_each(|place| self.check(place, &shown(path), |_| true))?;
        self.used.extend(places.into_iter().map(|place| UsedFile::of_sink(place, user)));
        Ok(())
    }

    fn check(
        &self,
        place: &Place,
        name: &str,
        clashes: impl Fn(Role) -> bool,
    ) -> Result<(), Error> {
        match self.used.iter().find(|used| used.place == *place && clashes(used.role)) {
            Some(used) => Err(Error::failed(format!(
                "it would write to {name}, which is {}; give it another file",
                used.what
            ))),
            None => Ok(()),
        }
    }
}

/// A file that a sink writes.
#[derive(Debug)]
pub enum OutputFile {
    /// A stream or a device, written to as it is.
    Stream(WaitingWriter<File>),
    /// A regular file.
    Regular(RegularOutput),
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stream(file) => {
                let mut pause = Pause::before_writing_to(&file.0);
                let written = file.write(bytes)?;
                pause.iter_mut().for_each(|pause| pause.wrote(&bytes[..written]));
                Ok(written)
            }
            Self::Regular(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stream(file) => file.flush(),
            Self::Regular(file) => file.flush(),
        }
    }
}

/// The outputs of a run that has not begun. If this is dropped before, the run was aborted: the files that
/// were made for it are removed, and older ones stay as they were.
#[derive(Debug)]
pub struct PendingOutputs {
    room: OutputRoom,
}

impl PendingOutputs {
    /// The outputs of this room.
    #[must_use]
    pub fn of(room: &OutputRoom) -> Self {
        Self { room: room.clone() }
    }

    /// The run begins: from now on outputs are written.
    pub fn begin(&self) {
        self.room.lock().phase = Phase::Begun;
    }
}

impl Drop for PendingOutputs {
    fn drop(&mut self) {
        self.room.abort();
    }
}

/// Removes a file if the path still leads to it.
fn remove(path: &Path, id: FileId) {
    if path.symlink_metadata().is_ok_and(|metadata| FileId::of(&metadata) == id) {
        // If it can't be removed, an empty file stays; why the run was aborted is reported in any case.
        let _ = fs::remove_file(path);
    }
}

/// What a stream of this process is; none if it is closed.
fn of_stream(stream: impl AsFd) -> Option<Metadata> {
    File::from(stream.as_fd().try_clone_to_owned().ok()?).metadata().ok()
}

/// A stream of this process that sinks write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StandardStream {
    Output,
    Error,
}

/// The stream that a path means. It is not opened by its path, which would begin a regular file anew.
pub(crate) fn standard_stream(path: &Path) -> Option<StandardStream> {
    match path.to_str()? {
        "-" | "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => Some(StandardStream::Output),
        "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" => Some(StandardStream::Error),
        _ => None,
    }
}

/// Two sinks may write to one device: /dev/null takes anything from anybody.
fn is_told_apart(metadata: &Metadata) -> bool {
    !metadata.file_type().is_char_device()
}

/// A path as messages show it.
fn shown(path: &Path) -> String {
    Bytes::from(path.as_os_str().as_encoded_bytes()).to_string()
}

fn cannot_create(path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => " (does the folder exist?)",
        io::ErrorKind::ExecutableFileBusy => " (it is a program that runs; give another path=)",
        io::ErrorKind::PermissionDenied => " (do you have the right to write there?)",
        _ => "",
    };
    Error::io(format!("cannot create {}{hint}", shown(path)), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_sink_that_opens_its_file_itself_is_checked_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("recording"), "").unwrap();
        std::os::unix::fs::symlink("recording", path("link")).unwrap();
        let room = OutputRoom::new();
        room.protect(&path("recording"), "the recording that is replayed");
        let refused = |path: &Path| room.check(path, "the sink two").unwrap_err().to_string();
        assert!(refused(&path("link")).contains("which is the recording that is replayed"));
        // It may make its file later than another one.
        room.check(&path("new"), "the sink one").unwrap();
        assert!(refused(&path("new")).contains("which is the file of the sink one"));
        let opened = room.open(&path("new"), PartRules::default(), "the sink csv");
        assert!(opened.is_err() && !path("new").exists());
        room.check(Path::new("/dev/null"), "the sink one").unwrap();
        room.check(Path::new("/dev/null"), "the sink two").unwrap();
    }

    #[test]
    fn a_sink_that_comes_after_the_run_was_aborted_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        let room = OutputRoom::new();
        drop(PendingOutputs::of(&room));
        assert!(room.open(&path, PartRules::default(), "the sink csv").is_err());
        assert!(!path.exists());
    }
}
