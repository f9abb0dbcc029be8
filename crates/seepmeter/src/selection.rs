//! From what was selected to processes that are held.

use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use seepmeter_engine::TargetSpec;
use seepmeter_process::find::{
    ContainerFolders, ContainerSearch, ExecutedProgram, ListedProcess, NamePattern, Search,
    container, roots,
};
use seepmeter_process::proc::ProcRoot;
use seepmeter_process::system::since_boot;
use seepmeter_process::tree::ProcessTree;
use seepmeter_process::{AttachError, Cgroup, Process, ProcessKey};
use seepmeter_record::{Bytes, TargetOrigin, human};

use crate::flags::{SelectFlags, Selection, TreeFlags, TreeMode};
use crate::messages::{self, ErrorWithList, shown};
use crate::session::{self, target_spec};
use crate::successor::{SuccessorOf, SuccessorSearch};

/// More processes than this are not listed in a message.
const MOST_LISTED: usize = 20;

/// How often a cgroup that is waited for is searched for.
pub(crate) const SEARCH_EVERY: Duration = Duration::from_millis(100);

/// What a message shows of a command line, in characters.
const LONGEST_COMMAND: usize = 100;

/// A process that is to be watched.
#[derive(Clone, Debug)]
pub(crate) struct SelectedTarget {
    pub(crate) process: Arc<Process>,
    pub(crate) origin: TargetOrigin,
    /// All others in this cgroup are watched as its descendants are.
    pub(crate) cgroup: Option<Cgroup>,
}

impl SelectedTarget {
    /// It as the engine takes it.
    pub(crate) fn spec(&self) -> TargetSpec {
        target_spec(&self.process, self.origin.clone(), name_of(&self.process))
    }

    /// Its descendants, and all others in its cgroup, if they are to be watched.
    pub(crate) fn tree(&self, flags: &TreeFlags) -> io::Result<Option<ProcessTree>> {
        match self.cgroup.clone() {
            Some(group) => flags.of_cgroup(&self.process, group),
            None => flags.of_process(&self.process),
        }
    }
}

/// What a process is called: by its program if it has emptied its name (PR_SET_NAME of prctl(2)).
fn name_of(process: &Process) -> Bytes {
    let program = || ProcRoot::default().process(process.pid()).exe().ok();
    match process.name() {
        [] => {
            program().and_then(|path| Some(path.file_name()?.as_bytes().into())).unwrap_or_default()
        }
        name => name.into(),
    }
}

/// How processes are selected.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    flags: SelectFlags,
    tree: TreeMode,
    /// Leave arguments out of messages.
    redact: bool,
    root: ProcRoot,
    deadline: Option<Instant>,
}

impl Selector {
    /// The time for which may be waited begins now.
    pub(crate) fn new(flags: &SelectFlags, tree: TreeMode, redact: bool) -> Self {
        let limit = flags.wait.flatten();
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        Self { flags: flags.clone(), tree, redact, root: ProcRoot::default(), deadline }
    }

    /// Takes hold of what is selected, each process once. Waits for what is not there, if that is wanted.
    ///
    /// # Errors
    /// A process that there is not, or that can't be watched; several where one is meant.
    pub(crate) fn select(&self) -> Result<Vec<SelectedTarget>> {
        let mut targets: Vec<SelectedTarget> = Vec::new();
        for selection in self.flags.selections() {
            match selection {
                Selection::Pid(pid) => {
                    add(&mut targets, [Process::open(pid, &self.root)?]);
                }
                Selection::Cgroup(path) => {
                    targets.extend(self.by_cgroup(&CgroupName::Path(path), &targets)?);
                }
                Selection::Container(name) => {
                    targets.extend(self.by_cgroup(&CgroupName::Container(name), &targets)?);
                }
                Selection::Name(pattern) => add(&mut targets, self.by_name(pattern)?),
            }
        }
        Ok(targets)
    }

    /// How to find what this target is started again as, which this has selected alone.
    ///
    /// # Errors
    /// There are several targets, so that it would not be clear which epoch a restart begins; or processes can't be
    /// listed.
    pub(crate) fn successors(&self, targets: &[SelectedTarget]) -> Result<SuccessorSearch> {
        let (true, [selection], [target]) =
            (!self.flags.all, &self.flags.selections()[..], targets)
        else {
            bail!(
                "--follow-restarts goes on with one target; name one, without --all, and start another seepmeter for each of the others"
            );
        };
        let by = match selection {
            Selection::Pid(_) => {
                let listed = ListedProcess::of(&target.process, &self.root);
                if listed.program.has_title(&listed.command) {
                    messages::notice(&format!(
                        "process {} has overwritten its command line, so it is not known what {} runs: only one with the same title is taken for its successor; --name follows it better",
                        listed.key.pid, listed.program
                    ));
                }
                let program = ExecutedProgram::of(&listed, &self.root);
                SuccessorOf::Program(program, listed.command)
            }
            Selection::Name(pattern) => SuccessorOf::Name(pattern.clone()),
            Selection::Cgroup(path) => SuccessorOf::Cgroup(CgroupName::Path(path.clone())),
            Selection::Container(name) => SuccessorOf::Cgroup(CgroupName::Container(name.clone())),
        };
        SuccessorSearch::begin(self.clone(), by, &target.process)
    }

    /// What a cgroup of this name has now: none if there is none, or no process in it that could be held.
    pub(crate) fn in_cgroup(&self, name: &CgroupName) -> Result<Option<SelectedTarget>> {
        let (found, _) = self.search_in_cgroup(name, &[])?;
        Ok(found)
    }

    /// Takes hold of a process that was found by name.
    pub(crate) fn open(&self, listed: &ListedProcess) -> Option<SelectedTarget> {
        let process = Process::open(listed.key.pid, &self.root).ok()?;
        (process.key() == listed.key).then(|| target(process))
    }

    /// Where procfs is.
    pub(crate) fn root(&self) -> &ProcRoot {
        &self.root
    }

    fn by_name(&self, pattern: NamePattern) -> Result<Vec<Process>> {
        let search = Search::new(pattern, &self.root);
        loop {
            let found = match self.flags.wait {
                Some(_) => search.wait(self.deadline).context("cannot wait for a process")?,
                None => search.matches().context("cannot list processes")?,
            };
            let chosen = self.chosen(search.pattern(), found)?;
            let opened: Vec<_> =
                chosen.iter().map(|listed| Process::open(listed.key.pid, &self.root)).collect();
            if !opened.iter().all(has_ended) {
                let alive = opened.into_iter().filter(|opened| !has_ended(opened));
                return Ok(alive.collect::<Result<_, _>>()?);
            }
        }
    }

    /// The oldest process in a cgroup, but for those that are targets already: it stands for all of it. None if the
    /// cgroup is selected already.
    fn by_cgroup(
        &self,
        name: &CgroupName,
        others: &[SelectedTarget],
    ) -> Result<Option<SelectedTarget>> {
        if self.tree == TreeMode::Off {
            bail!("--cgroup and --container watch all processes; leave --tree=off out");
        }
        let is_selected = |group: &Cgroup| {
            let mut groups = others.iter().filter_map(|other| other.cgroup.as_ref());
            groups.any(|other| other.folder() == group.folder())
        };
        let others: Vec<_> = others.iter().map(|it| it.process.key()).collect();
        loop {
            let mounts = self.mounts()?;
            if name.cgroups(&mounts)?.iter().any(is_selected) {
                return Ok(None);
            }
            match self.search_in_cgroup(name, &others)? {
                (Some(found), _) => return Ok(Some(found)),
                (None, is_there) => self.wait_for_cgroup(name, is_there)?,
            }
        }
    }

    fn mounts(&self) -> Result<Vec<u8>> {
        self.root.own().read("mountinfo").context("cannot find cgroups")
    }

    /// The oldest process in a cgroup of this name but for `others`, and whether there is such a cgroup.
    fn search_in_cgroup(
        &self,
        name: &CgroupName,
        others: &[ProcessKey],
    ) -> Result<(Option<SelectedTarget>, bool)> {
        let groups = name.cgroups(&self.mounts()?)?;
        let is_there = !groups.is_empty();
        for group in groups {
            let Some(process) = self.oldest(&group, others)? else { continue };
            let origin = TargetOrigin::Cgroup(group.path.as_os_str().as_bytes().into());
            let found = SelectedTarget { process: process.into(), origin, cgroup: Some(group) };
            return Ok((Some(found), is_there));
        }
        Ok((None, is_there))
    }

    fn oldest(&self, group: &Cgroup, others: &[ProcessKey]) -> Result<Option<Process>> {
        let own = std::process::id().cast_signed();
        // A cgroup may go at any time.
        let pids = group.pids().unwrap_or_default().into_iter().filter(|pid| *pid != own);
        let opened = pids.map(|pid| Process::open(pid, &self.root));
        let (mut oldest, mut refused): (Option<Process>, _) = (None, None);
        for process in opened.filter(|opened| !has_ended(opened)) {
            match process {
                Ok(process) if others.contains(&process.key()) => {}
                Ok(process) => {
                    let age = |it: &Process| (it.start_time(), it.pid());
                    if oldest.as_ref().is_none_or(|oldest| age(&process) < age(oldest)) {
                        oldest = Some(process);
                    }
                }
                Err(error) => refused = Some(error),
            }
        }
        match (oldest, refused) {
            (None, Some(error)) => Err(error.into()),
            (oldest, _) => Ok(oldest),
        }
    }

    /// Waits for a moment, if that is wanted.
    fn wait_for_cgroup(&self, name: &CgroupName, is_there: bool) -> Result<()> {
        let wrong = match is_there {
            true => format!("there is no process in {name}"),
            false => format!("there is no {name}"),
        };
        match self.flags.wait {
            None => bail!("{wrong}; --wait waits for one, and {}", name.next_step()),
            Some(Some(limit)) if self.deadline.is_some_and(|at| at <= Instant::now()) => {
                let limit = human::duration(limit.as_nanos() as u64);
                bail!("{wrong}, and none has appeared in {limit}; {}", name.next_step())
            }
            Some(_) => std::thread::sleep(SEARCH_EVERY),
        }
        Ok(())
    }

    /// Those of what was found that are to be watched: one, or all that no other is the ancestor of.
    fn chosen(
        &self,
        pattern: &NamePattern,
        found: Vec<ListedProcess>,
    ) -> Result<Vec<ListedProcess>> {
        if found.is_empty() {
            return Err(self.nothing_found(pattern));
        }
        let roots = roots(&found, &self.root);
        match (self.flags.all, self.tree) {
            (true, TreeMode::Off) => Ok(found),
            (true, _) => Ok(roots),
            (false, _) if roots.len() == 1 => Ok(roots),
            (false, _) => {
                let sentence = format!(
                    "{} processes match {pattern}; choose by pid, or give --all",
                    found.len()
                );
                Err(ErrorWithList { sentence, list: self.list(&found) }.into())
            }
        }
    }

    fn nothing_found(&self, pattern: &NamePattern) -> anyhow::Error {
        match self.flags.wait.flatten() {
            Some(limit) => {
                let limit = human::duration(limit.as_nanos() as u64);
                anyhow::anyhow!("no process whose name matches {pattern} has appeared in {limit}")
            }
            None => anyhow::anyhow!(
                "there is no process whose name matches {pattern}; --wait waits for one, --name takes a pattern ('*{pattern}*'), and `ps` lists what runs"
            ),
        }
    }

    /// A line for each process, by pid.
    fn list(&self, found: &[ListedProcess]) -> Vec<String> {
        let head = format!("{:>9}  {:<12}  {:>12}  {:>9}  COMMAND", "PID", "USER", "AGE", "RSS");
        let lines = found.iter().take(MOST_LISTED).map(|listed| self.line(listed));
        let more = found.len().checked_sub(MOST_LISTED).filter(|more| *more > 0);
        let more = more.map(|more| format!("{:>9}  {more} more", "…"));
        [head].into_iter().chain(lines).chain(more).collect()
    }

    fn line(&self, listed: &ListedProcess) -> String {
        let pid = listed.key.pid;
        let status = self.root.process(pid).status().ok();
        let unknown = || "?".to_owned();
        let user = status.and_then(|status| status.uid).map_or_else(unknown, user_name);
        let rss = status.and_then(|status| status.rss);
        let rss = rss.map_or_else(unknown, |rss| human::bytes(rss.cast_signed()));
        let age = since_boot().saturating_sub(listed.key.since_boot());
        let age = human::duration(age.as_nanos() as u64);
        let command = match self.redact || listed.command.is_empty() {
            true => session::program_of(&listed.program.to_string()).to_owned(),
            false => String::from_utf8_lossy(&listed.command.join(&b' ')).into_owned(),
        };
        let command: String = command.chars().take(LONGEST_COMMAND).collect();
        format!("{pid:>9}  {user:<12}  {age:>12}  {rss:>9}  {command}")
    }
}

/// How the user names a cgroup.
#[derive(Clone, Debug)]
pub(crate) enum CgroupName {
    Path(PathBuf),
    Container(String),
}

impl CgroupName {
    /// Those of this name, one of each hierarchy.
    fn cgroups(&self, mounts: &[u8]) -> Result<Vec<Cgroup>> {
        match self {
            Self::Path(path) => Ok(Cgroup::at(path, mounts)),
            Self::Container(name) => match container(name, &container_folders(), mounts) {
                ContainerSearch::Found(groups) => Ok(groups),
                ContainerSearch::None => Ok(Vec::new()),
                ContainerSearch::Several(list) => {
                    let sentence = format!("{} containers match {name}; choose one", list.len());
                    Err(ErrorWithList { sentence, list }.into())
                }
            },
        }
    }

    fn next_step(&self) -> String {
        match self {
            Self::Path(_) => "/proc/PID/cgroup shows the cgroups of a process".to_owned(),
            Self::Container(_) => format!(
                "the names of cgroups and {} were searched; the pid that `docker inspect -f '{{{{.State.Pid}}}}' NAME` prints can be attached to",
                container_folders()
            ),
        }
    }
}

impl fmt::Display for CgroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "cgroup {}", shown(path)),
            Self::Container(name) => write!(f, "container {name}"),
        }
    }
}

fn container_folders() -> ContainerFolders {
    ContainerFolders::usual(std::env::home_dir().as_deref())
}

/// It may have ended since it was listed: then it is as if it had not been there.
fn has_ended(opened: &Result<Process, AttachError>) -> bool {
    matches!(opened, Err(AttachError::NoSuchProcess { .. } | AttachError::Ended { .. }))
}

/// What another word has selected as well is watched once.
fn add(targets: &mut Vec<SelectedTarget>, found: impl IntoIterator<Item = Process>) {
    for process in found {
        if targets.iter().all(|other| other.process.key() != process.key()) {
            targets.push(target(process));
        }
    }
}

/// A process that the user has named.
fn target(process: Process) -> SelectedTarget {
    let origin = TargetOrigin::Pid(process.pid());
    SelectedTarget { origin, process: process.into(), cgroup: None }
}

/// The name of a user; the number of one that has none.
fn user_name(uid: u32) -> String {
    let user = nix::unistd::User::from_uid(uid.into());
    user.ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}
