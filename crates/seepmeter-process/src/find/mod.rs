//! Finds running processes by their names, and waits until there are some; and the cgroups of containers.
//!
//! ```
//! use seepmeter_process::find::{NamePattern, Search};
//! use seepmeter_process::proc::ProcRoot;
//!
//! let child = std::process::Command::new("sleep").arg("5.25").spawn();
//! let mut child = child?;
//! let search = Search::new(NamePattern::Exact("sleep".into()), &ProcRoot::default());
//! let found = search.wait(None)?;
//! assert!(found.iter().all(|process| process.name == b"sleep"));
//! child.kill()?;
//! child.wait()?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod arrivals;
mod container;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

pub use self::container::{ContainerFolders, ContainerSearch, container};

use self::arrivals::{Arrivals, Arrived};
use crate::proc::{ProcError, ProcRoot, Stat};
use crate::tree::{NameFilter, Program};
use crate::{Process, ProcessKey};

/// What is kept of a command line, in bytes.
const COMMAND: usize = 4096;

/// Which names are meant.
#[derive(Clone, Debug)]
pub enum NamePattern {
    /// This one.
    Exact(String),
    /// Those that a pattern matches.
    Glob(NameFilter),
    /// Whatever executes this program: of an interpreter, the same script.
    Program(ExecutedProgram),
}

/// A program as one process executes it.
#[derive(Clone, Debug)]
pub struct ExecutedProgram {
    program: Program,
    /// Where the script of an interpreter is; none if there is no file of this name in the working directory of the
    /// process, as it is now.
    script: Option<PathBuf>,
}

impl ExecutedProgram {
    /// That of a process.
    #[must_use]
    pub fn of(process: &ListedProcess, root: &ProcRoot) -> Self {
        let script = || {
            let script = process.program.script_words().last()?;
            let folder = std::fs::read_link(root.process(process.key.pid).file("cwd")).ok()?;
            // `./x` and `x` are one path; of two others, it is the files that may be one.
            let path = folder.join(OsStr::from_bytes(script)).components().collect::<PathBuf>();
            path.is_file().then_some(path)
        };
        let is_named = process.program.script().is_some();
        let script = is_named.then(script).flatten();
        Self { program: process.program.clone(), script }
    }

    /// True of a process that executes it too. Its script may have been replaced by a newer one of the same path.
    fn is_executed_by(&self, process: &ListedProcess, root: &ProcRoot) -> bool {
        if !self.program.is_of_same_file(&process.program) {
            return false;
        }
        let other = Self::of(process, root);
        match (&self.script, &other.script) {
            (Some(one), Some(other)) => one == other || is_same_file(one, other),
            _ => self.program.script_words() == other.program.script_words(),
        }
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| path.metadata().map(|file| (file.dev(), file.ino())).ok();
    file(one).is_some_and(|one| file(other) == Some(one))
}

impl NamePattern {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Glob(filter) => filter.matches_name(name),
            // It is compared as a whole.
            Self::Program(_) => false,
        }
    }

    fn is_of_paths(&self) -> bool {
        self.to_string().contains('/')
    }
}

impl fmt::Display for NamePattern {
    /// As it was typed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(exact) => f.write_str(exact),
            Self::Glob(filter) => filter.fmt(f),
            Self::Program(executed) => executed.program.fmt(f),
        }
    }
}

/// A process, as it was when it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedProcess {
    /// What distinguishes it from every other process of this boot.
    pub key: ProcessKey,
    /// Its name: /proc/PID/comm, at most 15 bytes.
    pub name: Vec<u8>,
    /// Its command line, at most 4 KiB of it; empty if it can't be read.
    pub command: Vec<Vec<u8>>,
    /// The file that it executes; none if this user may not know.
    pub executable: Option<PathBuf>,
    /// The program that it executes.
    pub program: Program,
}

impl ListedProcess {
    /// A process that is held, as it is now.
    #[must_use]
    pub fn of(process: &Process, root: &ProcRoot) -> Self {
        Self::read(process.key(), process.name().to_vec(), root)
    }

    /// Reads what a process of this name executes.
    pub(crate) fn read(key: ProcessKey, name: Vec<u8>, root: &ProcRoot) -> Self {
        let folder = root.process(key.pid);
        let mut command = folder.cmdline().unwrap_or_default();
        let mut room = COMMAND;
        command.retain(|word| {
            room = room.saturating_sub(word.len() + 1);
            room > 0
        });
        let executable = folder.exe().ok();
        let program = Program::new(executable.as_deref(), &name, &command);
        Self { key, name, command, executable, program }
    }

    /// What it may be called by: its name, that of its file, that of its program as people call it
    /// (`python3 worker.py`), and the script that an interpreter runs (`worker.py`).
    pub fn names(&self) -> impl Iterator<Item = String> {
        let file = self.executable.as_deref().and_then(|file| file.file_name());
        let file = file.map(|file| file.as_bytes());
        let file = file.map(|file| file.strip_suffix(b" (deleted)").unwrap_or(file));
        let names = [Some(&self.name[..]), file, self.program.script()];
        let names = names.into_iter().flatten();
        names
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .chain([self.program.to_string()])
    }
}

/// A search for processes by name. It finds no thread, nothing that has ended, no thread of the kernel, and neither
/// this process nor any that it descends from.
#[derive(Clone, Debug)]
pub struct Search {
    pattern: NamePattern,
    root: ProcRoot,
    own: HashSet<i32>,
}

impl Search {
    /// A search for processes of these names.
    #[must_use]
    pub fn new(pattern: NamePattern, root: &ProcRoot) -> Self {
        let own = std::process::id().cast_signed();
        let own = [own].into_iter().chain(ancestors(own, root)).collect();
        Self { pattern, root: root.clone(), own }
    }

    /// What is searched for.
    #[must_use]
    pub fn pattern(&self) -> &NamePattern {
        &self.pattern
    }

    /// All that match now, by pid.
    ///
    /// # Errors
    /// If processes can't be listed.
    pub fn matches(&self) -> Result<Vec<ListedProcess>, ProcError> {
        let mut pids = self.root.pids()?;
        pids.sort_unstable();
        Ok(self.among(&pids))
    }

    /// Waits until at least one matches; none if the deadline comes first.
    ///
    /// The kernel's process events say when a program is executed, if they can be had. Otherwise all processes are
    /// listed five times a second, or less often if that would take more than a twentieth of the time. With events they
    /// are listed every ten seconds all the same, and in any case at the deadline: a process that is forked by one that
    /// is there already executes nothing.
    ///
    /// # Errors
    /// If processes can't be listed, or what ppoll(2) fails with.
    pub fn wait(&self, deadline: Option<Instant>) -> io::Result<Vec<ListedProcess>> {
        let mut pending = PendingSearch::begin(self.clone());
        loop {
            let found = pending.poll()?;
            if !found.is_empty() {
                return Ok(found);
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return pending.list();
            }
            pending.arrivals.wait(deadline)?;
        }
    }

    fn among(&self, pids: &[i32]) -> Vec<ListedProcess> {
        let pids = pids.iter().filter(|pid| !self.own.contains(pid));
        pids.filter_map(|pid| self.listed(*pid)).filter(|listed| self.is_meant(listed)).collect()
    }

    /// Whether a process matches; none if it has ended.
    fn matches_now(&self, pid: i32) -> Option<bool> {
        if self.own.contains(&pid) {
            return Some(false);
        }
        self.listed(pid).map(|listed| self.is_meant(&listed))
    }

    fn listed(&self, pid: i32) -> Option<ListedProcess> {
        let stat = self.root.process(pid).stat().ok()?;
        let Stat { comm, start_time, .. } = &stat;
        // A leader that has ended while other threads run on is a zombie too, with a name and without memory.
        let has_ended = stat.has_ended() && self.root.process(pid).with_memory().is_err();
        let key = ProcessKey { pid, start_time: *start_time };
        let listed = || ListedProcess::read(key, comm.clone(), &self.root);
        (!has_ended && !stat.is_of_the_kernel()).then(listed)
    }

    fn is_meant(&self, listed: &ListedProcess) -> bool {
        if let NamePattern::Program(program) = &self.pattern {
            return program.is_executed_by(listed, &self.root);
        }
        // The path of a file is meant by a path alone: a pattern such as `*local*` is one of names.
        let file = listed.executable.as_deref().filter(|_| self.pattern.is_of_paths());
        let path = file.map(|file| file.to_string_lossy().into_owned());
        listed.names().chain(path).any(|name| self.pattern.matches(&name))
    }
}

/// A search that goes on, as [`Search::wait`], for a caller that waits for other things too: it polls
/// [`PendingSearch::fd`] until [`PendingSearch::due`], and then calls [`PendingSearch::poll`].
#[derive(Debug)]
pub struct PendingSearch {
    search: Search,
    arrivals: Arrivals,
    has_listed: bool,
}

impl PendingSearch {
    /// From now on; what is there already is found at the first poll.
    #[must_use]
    pub fn begin(search: Search) -> Self {
        // Before the first list: what comes behind it is reported.
        Self { search, arrivals: Arrivals::begin(), has_listed: false }
    }

    /// What is readable when there may be new ones; none if the kernel's events can't be had.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.arrivals.fd()
    }

    /// When to poll although nothing is readable.
    #[must_use]
    pub fn due(&self) -> Instant {
        if self.has_listed { self.arrivals.due() } else { Instant::now() }
    }

    /// All that match, if there may be one that did not at the last poll; else none. It waits for nothing.
    ///
    /// # Errors
    /// If processes can't be listed, or events can't be read.
    pub fn poll(&mut self) -> io::Result<Vec<ListedProcess>> {
        if self.has_listed {
            let arrived = match self.arrivals.take()? {
                Arrived::Processes(pids) => self.any_matches(&pids),
                Arrived::Unknown => true,
            };
            if !arrived {
                return Ok(Vec::new());
            }
        }
        self.list()
    }

    /// As [`PendingSearch::poll`], and what was forked by a process that matches is found too, although it has executed
    /// nothing.
    ///
    /// # Errors
    /// If processes can't be listed, or events can't be read.
    pub fn poll_with_forks(&mut self) -> io::Result<Vec<ListedProcess>> {
        let found = self.poll()?;
        if found.is_empty() && self.arrivals.have_forked() { self.list() } else { Ok(found) }
    }

    /// All that match now, whatever events say.
    ///
    /// # Errors
    /// If processes can't be listed.
    pub fn list(&mut self) -> io::Result<Vec<ListedProcess>> {
        self.arrivals.begin_list();
        let found = self.search.matches()?;
        self.arrivals.end_list(found.iter().map(|listed| listed.key.pid));
        self.has_listed = true;
        Ok(found)
    }

    /// Something has ended before it could be used: the next poll lists all that match, and is due at once.
    pub fn list_at_next_poll(&mut self) {
        self.has_listed = false;
    }

    fn any_matches(&mut self, pids: &[i32]) -> bool {
        let mut any = false;
        for pid in pids {
            match self.search.matches_now(*pid) {
                Some(true) => any = true,
                Some(false) => self.arrivals.set_known(*pid),
                // What it has forked may still match.
                None => {}
            }
        }
        any
    }
}

/// Those of the processes that descend from no other of them: a server without its workers.
#[must_use]
pub fn roots(processes: &[ListedProcess], root: &ProcRoot) -> Vec<ListedProcess> {
    let pids: HashSet<i32> = processes.iter().map(|process| process.key.pid).collect();
    let descends = |process: &&ListedProcess| {
        ancestors(process.key.pid, root).any(|ancestor| pids.contains(&ancestor))
    };
    processes.iter().filter(|process| !descends(process)).cloned().collect()
}

/// The parent of a process, its parent, and so on.
pub fn ancestors(pid: i32, root: &ProcRoot) -> impl Iterator<Item = i32> {
    /// More than a pid namespace nests; a parent may be replaced while it is read.
    const DEEPEST: usize = 10_000;
    let parent = |pid: &i32| {
        let parent = root.process(*pid).stat().ok()?.ppid;
        (parent > 0).then_some(parent)
    };
    std::iter::successors(parent(&pid), parent).take(DEEPEST)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::*;
    use crate::testing::TestFolder;

    /// A procfs of a few processes.
    struct Processes(TestFolder);

    impl Processes {
        fn new() -> Self {
            Self(TestFolder::new())
        }

        fn add(&self, (pid, parent): (i32, i32), state: char, file: &str, command: &str) {
            let name = command.split([' ', ':']).next().unwrap().rsplit('/').next().unwrap();
            let name = &name[..name.len().min(15)];
            let numbers = "0 ".repeat(30);
            let stat = format!("{pid} ({name}) {state} {parent} {numbers}\n");
            self.0.write(&format!("{pid}/stat"), &stat);
            self.0.write(&format!("{pid}/cmdline"), &(command.replace(' ', "\0") + "\0"));
            symlink(file, self.0.path().join(format!("{pid}/exe"))).unwrap();
        }

        fn search(&self, pattern: NamePattern) -> Vec<i32> {
            let search = Search::new(pattern, &ProcRoot::new(self.0.path()));
            search.matches().unwrap().iter().map(|process| process.key.pid).collect()
        }

        fn exact(&self, name: &str) -> Vec<i32> {
            self.search(NamePattern::Exact(name.to_owned()))
        }

        fn glob(&self, pattern: &str) -> Vec<i32> {
            self.search(NamePattern::Glob(NameFilter::new(pattern).unwrap()))
        }
    }

    #[test]
    fn a_process_is_found_by_its_name_its_file_its_script_and_as_people_call_it() {
        let root = Processes::new();
        root.add((7, 1), 'S', "/usr/sbin/nginx", "nginx: master");
        root.add((8, 1), 'S', "/usr/bin/python3.11", "python3 /srv/worker.py 1");
        root.add((9, 1), 'S', "/opt/a-name-longer-than-comm", "a-name-longer-than-comm");
        root.add((10, 1), 'Z', "/usr/sbin/nginx", "nginx");
        root.add((11, 1), 'S', "/usr/bin/python3.11", "python3 -c import(worker.py)");
        assert_eq!(root.exact("nginx"), [7]);
        assert_eq!(root.exact("worker.py"), [8]);
        assert_eq!(root.exact("python3 worker.py"), [8]);
        assert_eq!(root.exact("python3.11"), [8, 11]);
        assert_eq!(root.exact("a-name-longer-than-comm"), [9]);
        assert_eq!(root.exact("/usr/sbin/nginx"), [7]);
        assert_eq!(root.exact("python"), [0; 0], "a part of a name is no name");
        assert_eq!(root.exact("-c"), [0; 0], "an option is no name");
        assert_eq!(root.glob("python*"), [8, 11]);
        assert_eq!(root.glob("*.py"), [8]);
        assert_eq!(root.glob("/usr/bin/*"), [8, 11]);
        assert_eq!(root.glob("*sbin*"), [0; 0], "a folder is no name");
    }

    #[test]
    fn the_roots_are_those_with_no_ancestor_among_them_also_if_another_program_stands_between() {
        let root = Processes::new();
        for (pid, parent) in [(7, 1), (8, 7), (10, 9)] {
            root.add((pid, parent), 'S', "/bin/x", "x");
        }
        root.add((9, 8), 'S', "/bin/sh", "sh -c x");
        root.add((20, 1), 'S', "/bin/x", "x");
        let proc_root = ProcRoot::new(root.0.path());
        let search = Search::new(NamePattern::Exact("x".to_owned()), &proc_root);
        let found = search.matches().unwrap();
        assert_eq!(found.len(), 4);
        let pids: Vec<i32> = roots(&found, &proc_root).iter().map(|root| root.key.pid).collect();
        assert_eq!(pids, [7, 20]);
    }

    #[test]
    fn neither_this_process_nor_what_has_started_it_is_found() {
        let root = ProcRoot::default();
        let everything = NamePattern::Glob(NameFilter::new("*").unwrap());
        let found = Search::new(everything, &root).matches().unwrap();
        let own = std::process::id().cast_signed();
        let parent = root.own().stat().unwrap().ppid;
        assert!(found.iter().all(|process| process.key.pid != own && process.key.pid != parent));
    }

    #[test]
    fn what_executes_the_same_program_is_found_whatever_it_is_called() {
        let root = Processes::new();
        root.add((7, 1), 'S', "/usr/bin/python3.11", "python3 /srv/worker.py 1");
        root.add((8, 1), 'S', "/usr/bin/python3.11", "python3 /srv/other.py 1");
        root.add((9, 1), 'S', "/usr/bin/python3.11 (deleted)", "python3 /srv/worker.py 2");
        let search =
            Search::new(NamePattern::Exact("worker.py".into()), &ProcRoot::new(root.0.path()));
        let proc_root = ProcRoot::new(root.0.path());
        let program = ExecutedProgram::of(&search.matches().unwrap()[0], &proc_root);
        assert_eq!(root.search(NamePattern::Program(program)), [7, 9]);
    }

    #[test]
    fn a_script_is_known_by_where_it_is_and_an_interpreter_by_its_file() {
        let (root, scripts) = (Processes::new(), TestFolder::new());
        let folder = |name: &str| scripts.path().canonicalize().unwrap().join(name);
        ["a/main.py", "b/main.py"].iter().for_each(|it| scripts.write(it, ""));
        let add = |pid, place: &str, command: &str| {
            root.add((pid, 1), 'S', "/usr/bin/python3.11", command);
            symlink(folder(place), root.0.path().join(format!("{pid}/cwd"))).unwrap();
        };
        add(7, "a", "python3 main.py");
        add(8, "b", "python3 main.py");
        add(9, "a", "python3.11 -u ./main.py");
        add(10, "", &format!("python3 {}", folder("a/main.py").display()));
        add(11, "b", "python3 ../a/main.py");
        add(12, "a", "python3 -c main.py");
        // It has left the folder of its script.
        add(13, "", "python3 main.py");
        let proc_root = ProcRoot::new(root.0.path());
        let search = Search::new(NamePattern::Exact("main.py".into()), &proc_root);
        let program = ExecutedProgram::of(&search.matches().unwrap()[0], &proc_root);
        assert_eq!(root.search(NamePattern::Program(program)), [7, 9, 10, 11, 13]);
    }

    #[test]
    fn a_deadline_ends_the_wait() {
        let pattern = NamePattern::Exact("no such process".to_owned());
        let search = Search::new(pattern, &ProcRoot::default());
        let deadline = Instant::now() + Duration::from_millis(50);
        assert_eq!(search.wait(Some(deadline)).unwrap(), []);
        assert!(Instant::now() >= deadline);
    }
}
