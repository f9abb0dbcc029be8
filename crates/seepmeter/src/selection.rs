//! From what was selected to processes that are held.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use seepmeter_process::find::{ListedProcess, NamePattern, Search, roots};
use seepmeter_process::proc::ProcRoot;
use seepmeter_process::system::since_boot;
use seepmeter_process::{AttachError, Process};
use seepmeter_record::{TargetOrigin, human};

use crate::flags::{SelectFlags, Selection, TreeMode};
use crate::messages::ErrorWithList;
use crate::session;

/// More processes than this are not listed in a message.
const MOST_LISTED: usize = 20;

/// What a message shows of a command line, in characters.
const LONGEST_COMMAND: usize = 100;

/// A process that is to be watched.
#[derive(Clone, Debug)]
pub(crate) struct SelectedTarget {
    pub(crate) process: Arc<Process>,
    pub(crate) origin: TargetOrigin,
}

/// How processes are selected.
pub(crate) struct Selector<'a> {
    flags: &'a SelectFlags,
    tree: TreeMode,
    /// Leave arguments out of messages.
    redact: bool,
    root: ProcRoot,
    deadline: Option<Instant>,
}

impl<'a> Selector<'a> {
    /// The time for which may be waited begins now.
    pub(crate) fn new(flags: &'a SelectFlags, tree: TreeMode, redact: bool) -> Self {
        let limit = flags.wait.flatten();
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        Self { flags, tree, redact, root: ProcRoot::default(), deadline }
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
                    if targets.iter().any(|target| target.process.pid() == pid) {
                        bail!("process {pid} is given twice; give each process once");
                    }
                    targets.push(target(Process::open(pid, &self.root)?));
                }
                Selection::Name(pattern) => {
                    let found = self.by_name(pattern)?;
                    // What another word has selected as well is watched once.
                    found.into_iter().for_each(|process| {
                        if targets.iter().all(|other| other.process.key() != process.key()) {
                            targets.push(target(process));
                        }
                    });
                }
            }
        }
        Ok(targets)
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
            // They may have ended since they were listed: then it is as if they had not been there.
            let has_ended = |opened: &Result<Process, AttachError>| {
                matches!(opened, Err(AttachError::NoSuchProcess { .. } | AttachError::Ended { .. }))
            };
            if !opened.iter().all(has_ended) {
                let alive = opened.into_iter().filter(|opened| !has_ended(opened));
                return Ok(alive.collect::<Result<_, _>>()?);
            }
        }
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

/// A process that the user has named.
fn target(process: Process) -> SelectedTarget {
    SelectedTarget { origin: TargetOrigin::Pid(process.pid()), process: process.into() }
}

/// The name of a user; the number of one that has none.
fn user_name(uid: u32) -> String {
    let user = nix::unistd::User::from_uid(uid.into());
    user.ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}
