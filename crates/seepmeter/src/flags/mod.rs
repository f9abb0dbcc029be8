//! What was typed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, ValueEnum};
use clap_complete::Shell;
use seepmeter_plugin::parse_duration;
use seepmeter_verdict::{Columns, Gate};

use crate::spec::Spec;

/// Watch a program's memory: does it leak, how fast, and where does it go?
#[derive(Debug, Parser)]
#[command(name = "seepmeter", version, max_term_width = 100)]
pub struct Flags {
    /// What to do.
    #[command(subcommand)]
    pub command: Subcommand,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Subcommand {
    /// Spawn a command and watch it
    ///
    /// The command's standard streams, signals and exit status are its own: seepmeter ends as it
    /// ended, with its status, or with 128+N if signal N killed it. 125 is seepmeter's own failure,
    /// 126 a command that can't be executed, 127 one that was not found.
    #[command(override_usage = "seepmeter run [OPTIONS] [--] COMMAND [ARG]...")]
    Run(RunFlags),
    /// Watch processes that run already
    ///
    /// Ends when all of them have ended, at --duration, or at Ctrl-C. The processes are left as they were.
    #[command(override_usage = "seepmeter attach [OPTIONS] PID...")]
    Attach(AttachFlags),
    /// Feed a recording to sinks
    #[command(override_usage = "seepmeter replay [OPTIONS] RECORDING")]
    Replay(ReplayFlags),
    /// Judge recordings: growing, steady or inconclusive?
    ///
    /// Reads what other tools write, too: mprof's .dat and psrecord's log are known by their first line,
    /// and any CSV by the names of its columns.
    Judge(JudgeFlags),
    /// Compare runs of a new version with runs of a base: is it worse?
    ///
    /// Give several runs of each; one run says nothing of how runs differ.
    Compare(CompareFlags),
    /// List the samplers and sinks, or describe one
    Plugins(PluginsFlags),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

/// `seepmeter run`.
#[derive(Debug, Args)]
pub struct RunFlags {
    /// How to watch.
    #[command(flatten)]
    pub watch: WatchFlags,
    /// Where the records go.
    #[command(flatten)]
    pub sinks: SinkFlags,
    /// What becomes of the command when --duration is over
    #[arg(long, value_name = "WHAT", default_value = "leave", requires = "duration")]
    pub on_stop: OnStop,
    /// How long a second TERM counts as "now", and how long --on-stop end waits after its TERM
    /// before it sends KILL
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_duration)]
    pub grace: Duration,
    /// The command and its arguments
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `seepmeter attach`.
#[derive(Debug, Args)]
pub struct AttachFlags {
    /// How to watch.
    #[command(flatten)]
    pub watch: WatchFlags,
    /// Where the records go.
    #[command(flatten)]
    pub sinks: SinkFlags,
    /// The processes
    #[arg(value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub pids: Vec<i32>,
}

/// `seepmeter replay`.
#[derive(Debug, Args)]
pub struct ReplayFlags {
    /// Where the records go.
    #[command(flatten)]
    pub sinks: SinkFlags,
    /// What `--sink jsonl` wrote, compressed or not; `-` is standard input
    pub recording: Option<PathBuf>,
}

/// `seepmeter judge`.
#[derive(Debug, Args)]
pub struct JudgeFlags {
    /// Which metric of a recording [default: rss]
    #[arg(long, value_name = "NAME")]
    pub metric: Option<String>,
    /// The columns of tables.
    #[command(flatten)]
    pub columns: ColumnFlags,
    /// What must not be true.
    #[command(flatten)]
    pub gates: GateFlags,
    /// Print one JSON object a file
    #[arg(long)]
    pub json: bool,
    /// Show the evidence: what each stage of the judging found
    #[arg(long)]
    pub explain: bool,
    /// The recordings; `-` is standard input
    #[arg(required = true, value_name = "RECORDING")]
    pub files: Vec<PathBuf>,
}

/// `seepmeter compare`.
#[derive(Debug, Args)]
pub struct CompareFlags {
    /// Which metric of the recordings; may be given several times [default: rss]
    #[arg(long, value_name = "NAME")]
    pub metric: Vec<String>,
    /// The columns of tables.
    #[command(flatten)]
    pub columns: ColumnFlags,
    /// Exit with --fail-status if the new version is so
    #[arg(long, value_name = "WHAT")]
    pub fail_on: Option<FailOn>,
    /// The exit status if --fail-on says so
    #[arg(long, value_name = "STATUS", default_value_t = FAIL_STATUS, value_parser = clap::value_parser!(u8).range(1..))]
    pub fail_status: u8,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Runs of the base
    #[arg(required = true)]
    pub base: Vec<PathBuf>,
    /// Runs of the new version
    #[arg(required = true, last = true)]
    pub new: Vec<PathBuf>,
}

/// What `compare` may fail on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Its rate, level or peak is higher, significantly and by an amount that matters
    Worse,
    /// That, or it can't be known
    CannotTell,
}

/// What to read of a table.
#[derive(Debug, Args)]
pub struct ColumnFlags {
    /// Of a CSV file: the column with the time in seconds
    #[arg(long, value_name = "COLUMN", requires = "value")]
    pub time: Option<String>,
    /// Of a CSV file: the column with the value in bytes
    #[arg(long, value_name = "COLUMN", requires = "time")]
    pub value: Option<String>,
}

impl ColumnFlags {
    /// The columns, if both are named.
    pub(crate) fn columns(&self) -> Option<Columns> {
        let (time, value) = self.time.clone().zip(self.value.clone())?;
        Some(Columns { time, value })
    }
}

/// The exit status if a gate fires.
const FAIL_STATUS: u8 = 100;

/// What must not be.
#[derive(Debug, Args)]
pub struct GateFlags {
    /// Fail if this is so: growing, 'rate>1MiB/min', 'peak>512MiB', 'subject(heap).rate>0', …;
    /// may be given several times
    #[arg(long, value_name = "GATE")]
    pub fail_on: Vec<Gate>,
    /// The exit status if a gate fires and the target itself ended well
    #[arg(long, value_name = "STATUS", default_value_t = FAIL_STATUS, value_parser = clap::value_parser!(u8).range(1..))]
    pub fail_status: u8,
}

/// `seepmeter plugins`.
#[derive(Debug, Args)]
pub struct PluginsFlags {
    /// Where to look for plugins.
    #[command(flatten)]
    pub folders: FolderFlags,
    /// Print one JSON array
    #[arg(long)]
    pub json: bool,
    /// A plugin's name or file
    pub name: Option<String>,
}

/// Where to look for plugins.
#[derive(Debug, Args)]
pub struct FolderFlags {
    /// A folder to look for plugins in, before all others; may be given several times
    #[arg(long = "plugin-dir", value_name = "FOLDER")]
    pub folders: Vec<PathBuf>,
}

/// How to watch.
#[derive(Debug, Args)]
pub struct WatchFlags {
    /// A sampler and its options; may be given several times [default: statm]
    ///
    /// A name with a `/` in it is a plugin's file. `every=DURATION` sets one sampler's own interval. A
    /// comma inside a value is written twice. `NAME,help` lists its options.
    #[arg(short, long = "sampler", value_name = "NAME[,KEY=VALUE…]")]
    pub samplers: Vec<Spec>,
    /// From one sample to the next
    #[arg(short, long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    pub interval: Duration,
    /// How much of its interval a sampler that pauses or blocks the target may take; if its samples
    /// cost more, sampling is slowed down
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = parse_share)]
    pub budget: f64,
    /// Stop watching after this time
    #[arg(short, long, value_name = "DURATION", value_parser = parse_duration)]
    pub duration: Option<Duration>,
}

/// Where the records go.
#[derive(Debug, Args)]
pub struct SinkFlags {
    /// A sink and its options; may be given several times [default: text]
    ///
    /// A name with a `/` in it is a plugin's file. A comma inside a value is written twice. `NAME,help`
    /// lists its options.
    #[arg(short = 'o', long = "sink", value_name = "NAME[,KEY=VALUE…]")]
    pub sinks: Vec<Spec>,
    /// No live lines, only the summary
    #[arg(short, long)]
    pub quiet: bool,
    /// No summary at the end
    #[arg(long)]
    pub no_summary: bool,
    /// Which metric is judged; may be given several times, and gates are on the first [default: rss]
    #[arg(long = "metric", value_name = "NAME")]
    pub metrics: Vec<String>,
    /// What must not be true.
    #[command(flatten)]
    pub gates: GateFlags,
    /// Where to look for plugins.
    #[command(flatten)]
    pub folders: FolderFlags,
}

/// What becomes of a spawned command when the watching stops before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnStop {
    /// It goes on, unwatched
    Leave,
    /// It gets TERM, and KILL after the grace period; that it dies of them is no failure
    End,
}

/// Reads a percentage as a share of 1.
fn parse_share(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').unwrap_or(text).trim();
    match number.parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent / 100.0),
        _ => Err(format!("`{text}` is not a percentage over 0% and up to 100%, as 1% or 0.5%")),
    }
}

impl Flags {
    /// Reads the command line.
    ///
    /// # Errors
    /// What clap reports, help and version included.
    pub fn read() -> Result<Self, clap::Error> {
        Self::try_parse()
    }

    /// What clap reports if a subcommand lacks its main argument, which can't be required: with
    /// `NAME,help` there is none.
    #[must_use]
    pub fn missing(subcommand: &str, argument: &str) -> clap::Error {
        let mut command = Self::command();
        command.build();
        let message = format!("{argument} is missing");
        let kind = clap::error::ErrorKind::MissingRequiredArgument;
        match command.find_subcommand_mut(subcommand) {
            Some(subcommand) => subcommand.error(kind, message),
            None => command.error(kind, message),
        }
    }

    /// The command as clap knows it, for completions and the manual page.
    #[must_use]
    pub fn command() -> clap::Command {
        <Self as CommandFactory>::command()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_sound() {
        Flags::command().debug_assert();
    }

    #[test]
    fn a_commands_own_flags_are_its_own_with_and_without_two_dashes() {
        for typed in ["seepmeter run -q -- ls -i -q", "seepmeter run -q ls -i -q"] {
            let flags = Flags::try_parse_from(typed.split(' ')).unwrap();
            let Subcommand::Run(run) = flags.command else { panic!("{typed} is no run") };
            assert_eq!(run.command, ["ls", "-i", "-q"], "{typed}");
            assert!(run.sinks.quiet);
        }
    }
}
