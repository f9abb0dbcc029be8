//! A regular file that a sink writes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use seepmeter_plugin::{Error, Size};

use super::links::{self, ResolvedPath};
use super::{
    FileId, Limit, OutputRoom, PartRules, Phase, Place, cannot_create, lock, remove, shown,
};
use crate::messages;

/// A recording has the command line of its target, and that may have a password: it is for its owner.
const MODE: u32 = 0o600;

/// How often opening is tried while others make and remove the file.
const TRIES: usize = 8;

/// Why an output goes on in a new part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartEnd {
    /// It has come to its limit.
    Rotated,
    /// A signal asks for it, and the path is not this file's any more.
    Reopened,
    /// Somebody has truncated it, as logrotate does with copytruncate.
    Truncated,
}

/// A regular file that a sink writes: locked, appended to, and emptied by the first write of the run.
#[derive(Debug)]
pub struct RegularOutput {
    room: OutputRoom,
    /// Without a link at its end.
    path: PathBuf,
    /// As the user wrote it, for messages.
    name: String,
    file: File,
    id: FileId,
    rules: PartRules,
    /// The run has begun, and what was in the file before is gone.
    emptied: bool,
    /// The bytes of this part.
    written: u64,
    /// How many of them the part begins with so that it can be read by itself. They do not count for its limit,
    /// or a small limit would be met by them alone.
    preamble: u64,
    since: Instant,
    /// As many requests to open it again were served.
    reopens: u64,
    /// Somebody may have truncated it since that was last checked.
    unchecked: bool,
}

impl RegularOutput {
    pub(super) fn open(
        room: &OutputRoom,
        target: &ResolvedPath,
        rules: PartRules,
        user: &str,
    ) -> Result<Self, Error> {
        let ResolvedPath { path, name } = target;
        if let Ok(metadata) = path.metadata() {
            // A program that runs can't even be opened.
            room.lock().check(&Place::File(FileId::of(&metadata)), name, |_| true)?;
        }
        // From before a file is made until it is noted, or removed: see `OutputRoom::abort`.
        let making = room.making.lock();
        let opened = OpenedFile::open(path).map_err(|error| cannot_create(path, &error))?;
        let noted = note(room, path, &opened, rules, user);
        let OpenedFile { file, id, created, .. } = opened;
        if let Err(error) = noted.and_then(|()| lock::lock(&file, id, name)) {
            if created {
                remove(path, id);
            }
            return Err(error);
        }
        drop(making);
        Ok(Self {
            room: room.clone(),
            path: path.clone(),
            name: name.clone(),
            file,
            id,
            rules,
            emptied: false,
            written: 0,
            preamble: 0,
            since: Instant::now(),
            reopens: room.reopens.load(Ordering::Relaxed),
            unchecked: false,
        })
    }

    /// True if this output may have more than one part.
    pub(crate) fn has_parts(&self) -> bool {
        self.rules.has_parts()
    }

    /// Why the part is over, if it is. `buffered` bytes will be written to it in any case.
    pub(crate) fn part_end(&mut self, buffered: usize) -> Option<PartEnd> {
        if !self.emptied || !self.has_parts() {
            return None;
        }
        let over = match self.rules.rotate {
            Some(Limit::Size(Size(size))) => self.written - self.preamble + buffered as u64 >= size,
            Some(Limit::Age(age)) => self.since.elapsed() >= age,
            None => false,
        };
        if over {
            return Some(PartEnd::Rotated);
        }
        let reopens = self.room.reopens.load(Ordering::Relaxed);
        if self.rules.reopen && std::mem::replace(&mut self.reopens, reopens) != reopens {
            return (!self.is_at_its_path()).then_some(PartEnd::Reopened);
        }
        (buffered == 0 && std::mem::take(&mut self.unchecked) && self.is_truncated())
            .then_some(PartEnd::Truncated)
    }

    /// Goes on with a new part, whose first byte is the next that is written.
    pub(crate) fn begin_part(&mut self, end: PartEnd) -> Result<(), Error> {
        if end != PartEnd::Truncated {
            if end == PartEnd::Rotated && self.is_at_its_path() {
                self.shift()?;
            }
            self.reopen()?;
        }
        (self.written, self.preamble) = (0, 0);
        self.since = Instant::now();
        Ok(())
    }

    /// What was written so far is what the part begins with.
    pub(crate) fn end_preamble(&mut self) {
        self.preamble = self.written;
    }

    /// Renames the file to PATH.1, and those that have such a name already to the next.
    fn shift(&self) -> Result<(), Error> {
        let numbered = |number: u32| numbered(&self.path, number);
        let older =
            (1..self.rules.keep).rev().map(|number| (numbered(number), numbered(number + 1)));
        for (from, to) in older.chain([(self.path.clone(), numbered(1))]) {
            match fs::rename(&from, &to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && from != self.path => {}
                Err(error) => {
                    let (from, to) = (shown(&from), shown(&to));
                    return Err(Error::io(format!("cannot rename {from} to {to}"), &error));
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Opens a new file at the path.
    fn reopen(&mut self) -> Result<(), Error> {
        let target = links::resolve(&self.path)?;
        let opened = OpenedFile::open(&target.path);
        let OpenedFile { file, id, length, created } =
            opened.map_err(|error| cannot_create(&self.path, &error))?;
        if length > 0 {
            return Err(Error::failed(format!(
                "{} was opened again and is not empty; it is left as it is",
                self.name
            )));
        }
        lock::lock(&file, id, &self.name)?;
        if self.is_deleted() {
            messages::notice(&format!(
                "{} was deleted before it was opened again, and what was in it is lost",
                self.name
            ));
        }
        let mut state = self.room.lock();
        let (before, place) = (Place::File(self.id), Place::File(id));
        if !created {
            state.check(&place, &self.name, |_| true)?;
        }
        let own = state.used.iter_mut().find(|used| used.place == before);
        own.into_iter().for_each(|used| used.place = place.clone());
        drop(state);
        (self.file, self.id) = (file, id);
        Ok(())
    }

    /// Makes sure at the end that what was written can be found: a file that was deleted is an error.
    pub(crate) fn check_at_end(&self) -> Result<(), Error> {
        let name = &self.name;
        if !self.emptied {
            return Ok(());
        }
        if self.is_deleted() {
            return Err(Error::failed(format!(
                "{name} was deleted while it was written, and what was recorded is lost; record again, and if it should be moved away meanwhile, use reopen=yes or rotate="
            )));
        }
        if self.is_truncated() {
            return Err(Error::failed(format!(
                "{name} was truncated by another program while it was written, and its beginning is lost; use reopen=yes or rotate= instead"
            )));
        }
        if !self.is_at_its_path() {
            messages::notice(&format!(
                "{name} was renamed or replaced while it was written; what was recorded is in the renamed file"
            ));
        }
        Ok(())
    }

    fn is_at_its_path(&self) -> bool {
        self.path.symlink_metadata().is_ok_and(|metadata| FileId::of(&metadata) == self.id)
    }

    fn is_deleted(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    fn is_truncated(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.len() < self.written)
    }

    /// True if the run has begun; then what was in the file before is gone.
    fn is_ready(&mut self) -> io::Result<bool> {
        if !self.emptied && self.room.lock().phase == Phase::Begun {
            self.file.set_len(0)?;
            self.emptied = true;
            self.since = Instant::now();
        }
        Ok(self.emptied)
    }
}

impl Write for RegularOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_ready()? {
            // The run was aborted: nobody is to find anything of it.
            return Ok(bytes.len());
        }
        let count = self.file.write(bytes)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unchecked = true;
        self.is_ready().map(drop)
    }
}

/// Notes an output in its room, with the names that its older parts will have.
fn note(
    room: &OutputRoom,
    path: &Path,
    opened: &OpenedFile,
    rules: PartRules,
    user: &str,
) -> Result<(), Error> {
    let mut state = room.lock();
    if state.phase == Phase::Aborted {
        return Err(Error::failed("the run was aborted"));
    }
    let mut places = vec![Place::File(opened.id)];
    places.extend(Place::of_name(path));
    if rules.rotate.is_some() {
        for older in (1..=rules.keep).map(|number| numbered(path, number)) {
            places.extend(older.metadata().ok().map(|it| Place::File(FileId::of(&it))));
            places.extend(Place::of_name(&older));
        }
    }
    state.add_output(places, path, user)?;
    state.reopens_wanted |= rules.reopen;
    if opened.created {
        state.created.push((path.to_owned(), opened.id));
    }
    Ok(())
}

/// `PATH.1`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// A regular file that was opened for appending, as it is.
struct OpenedFile {
    file: File,
    id: FileId,
    length: u64,
    /// It was not there before.
    created: bool,
}

impl OpenedFile {
    /// No link at the end of the path is followed.
    fn open(path: &Path) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for _ in 0..TRIES {
            let mut options = File::options();
            // Not to be held up by a FIFO that has come into its place; regular files do not care.
            options.append(true).mode(MODE).custom_flags(O_NOFOLLOW | O_NONBLOCK);
            match options.open(path) {
                Ok(file) => return Self::of(file, false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            match options.create_new(true).open(path) {
                Ok(file) => return Self::of(file, true),
                // Somebody else was faster: it is there now.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    fn of(file: File, created: bool) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other(
                "it has just become something else than a file; try again",
            ));
        }
        Ok(Self { file, id: FileId::of(&metadata), length: metadata.len(), created })
    }
}
