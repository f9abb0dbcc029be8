//! A target of this bench with its tree.

use std::error::Error;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write, pipe};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use seepmeter_process::tree::{BATCH, CgroupUse, Discovery, ProcessTree, TreeOptions};
use seepmeter_process::wait::{wait_one_readable, wait_readable};
use seepmeter_process::{Child, ChildSignals, Command, Streams};

/// How processes are found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Events,
    Cgroup,
    NewPids,
    /// Not at all: the target alone.
    Plain,
}

pub(crate) struct Followed {
    pub(crate) tree: Option<ProcessTree>,
    child: Child,
    input: PipeWriter,
    output: BufReader<PipeReader>,
}

impl Followed {
    /// None if this way can't be had here.
    pub(crate) fn start(way: Way, words: &[&str]) -> Result<Option<Self>, Box<dyn Error>> {
        let program = std::env::current_exe()?;
        let words = [program.as_os_str()].into_iter().chain(words.iter().map(|word| word.as_ref()));
        let ((reader, input), (output, writer)) = (pipe()?, pipe()?);
        let streams = Streams { input: reader.into(), output: writer.into() };
        let command = Command::new(words)?.with_streams(streams);
        let held = command.spawn(&ChildSignals::as_they_are()?)?;
        let options = TreeOptions {
            events: way == Way::Events,
            cgroup: if way == Way::Cgroup { CgroupUse::Always } else { CgroupUse::Never },
            subreaper: false,
            ..TreeOptions::default()
        };
        let tree = match way {
            Way::Plain => None,
            _ => Some(ProcessTree::of_child(&held, options)?),
        };
        let in_use = |discovery: &Discovery| match way {
            Way::Events => discovery.events.is_in_use(),
            Way::Cgroup => discovery.cgroup.is_in_use(),
            Way::NewPids | Way::Plain => true,
        };
        let is_in_use = tree.as_ref().is_none_or(|tree| in_use(tree.discovery()));
        let child = held.release()?;
        let mut followed = Self { tree, child, input, output: BufReader::new(output) };
        followed.line()?;
        Ok(is_in_use.then_some(followed))
    }

    pub(crate) fn say(&mut self, line: &str) -> Result<(), Box<dyn Error>> {
        Ok(writeln!(self.input, "{line}")?)
    }

    pub(crate) fn line(&mut self) -> Result<String, Box<dyn Error>> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("the target has ended early".into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// What it says next; its tree is followed meanwhile.
    pub(crate) fn line_while_followed(&mut self) -> Result<String, Box<dyn Error>> {
        let Some(tree) = &mut self.tree else { return self.line() };
        loop {
            let output = self.output.get_ref();
            let begin = Instant::now();
            let next_tick = begin + Duration::from_millis(100);
            let next_tick = Some(tree.due().map_or(next_tick, |due| due.min(next_tick)));
            let ready = wait_readable(&[output.as_fd(), tree.as_fd()], next_tick)?;
            if ready[0] {
                return self.line();
            }
            tree.refresh()?;
            // The descriptor of the tree is readable all the time.
            wait_one_readable(output.as_fd(), Some(begin + BATCH))?;
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        match &mut self.tree {
            Some(tree) => drop(tree.end(Duration::from_secs(1))),
            None => drop(self.child.process().signal(nix::sys::signal::Signal::SIGTERM)),
        }
        let _ = self.child.process().wait();
        let _ = self.child.reap();
    }
}
