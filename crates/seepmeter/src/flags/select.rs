//! Flags that say which running processes are meant.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use seepmeter_plugin::parse_duration;
use seepmeter_process::find::NamePattern;
use seepmeter_process::tree::NameFilter;

/// What one word or flag selects.
#[derive(Clone, Debug)]
pub enum Selection {
    /// The process with this pid.
    Pid(i32),
    /// Processes of these names.
    Name(NamePattern),
    /// All processes in the cgroup of this path.
    Cgroup(PathBuf),
    /// All processes of the container with this name or id.
    Container(String),
}

/// Which processes are watched.
#[derive(Clone, Debug, Args)]
pub struct SelectFlags {
    /// The pids of the processes, or their names: nginx, worker.py
    #[arg(value_name = "PID|NAME", value_parser = parse_word)]
    pub words: Vec<Selection>,
    /// The pid of a process; may be given several times
    #[arg(short, long = "pid", value_name = "PID", value_parser = parse_pid)]
    pub pids: Vec<i32>,
    /// The process whose name matches this pattern, such as 'python*'; may be given several times
    #[arg(long = "name", value_name = "GLOB", value_parser = parse_pattern)]
    pub names: Vec<NamePattern>,
    /// All processes in this cgroup and below it, those that come later too: a folder under /sys/fs/cgroup, or a
    /// path as /proc/PID/cgroup shows it; may be given several times
    #[arg(long = "cgroup", value_name = "PATH")]
    pub cgroups: Vec<PathBuf>,
    /// All processes of this container, by its name, its id, or at least 12 digits of that; its cgroup is found
    /// without asking a daemon; may be given several times
    #[arg(long = "container", value_name = "NAME|ID")]
    pub containers: Vec<String>,
    /// Watch all processes of a name, if there are several
    #[arg(long)]
    pub all: bool,
    /// Wait until there is such a process, for this time at most if one is given
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, value_parser = parse_duration)]
    #[allow(clippy::option_option, reason = "with and without a value are two things")]
    pub wait: Option<Option<Duration>>,
    /// When the target has ended, wait until it is started again, for this time at most if one is given, and watch on
    ///
    /// What is started again is what the same word or flag selects; of a PID, a process that executes the same
    /// program. Each epoch, from a start to an end, is judged apart.
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, value_parser = parse_duration)]
    #[allow(clippy::option_option, reason = "with and without a value are two things")]
    pub follow_restarts: Option<Option<Duration>>,
}

impl SelectFlags {
    /// All that is selected.
    pub(crate) fn selections(&self) -> Vec<Selection> {
        let pids = self.pids.iter().copied().map(Selection::Pid);
        let names = self.names.iter().cloned().map(Selection::Name);
        let cgroups = self.cgroups.iter().cloned().map(Selection::Cgroup);
        let containers = self.containers.iter().cloned().map(Selection::Container);
        self.words
            .iter()
            .cloned()
            .chain(pids)
            .chain(names)
            .chain(cgroups)
            .chain(containers)
            .collect()
    }
}

/// A word that is a number is a pid.
fn parse_word(text: &str) -> Result<Selection, String> {
    match text.parse::<i64>() {
        Ok(_) => parse_pid(text).map(Selection::Pid),
        Err(_) if text.is_empty() => Err("it is neither a pid nor a name".to_owned()),
        Err(_) => Ok(Selection::Name(NamePattern::Exact(text.to_owned()))),
    }
}

fn parse_pid(text: &str) -> Result<i32, String> {
    let pid = text.parse().ok().filter(|pid| *pid > 0);
    pid.ok_or_else(|| "a pid is a number above 0".to_owned())
}

fn parse_pattern(text: &str) -> Result<NamePattern, String> {
    NameFilter::new(text).map(NamePattern::Glob).map_err(|error| error.to_string())
}
