//! What was typed.

mod complete;
mod format;
mod heap;
mod interim;
mod marks;
mod select;
mod tree;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, CommandFactory, Parser, ValueEnum};
use clap_complete::Shell;
use seepmeter_engine::TickInterval;
use seepmeter_plugin::parse_duration;
use seepmeter_record::human::{Size, parse_size};
use seepmeter_verdict::{Gate, RowFilter, ScaleGate, TableOptions, ValueUnit};

pub use self::complete::{CompleteFlags, CompleteKind};
pub use self::format::{FormatFlags, FormatSpec};
pub use self::heap::HeapFlags;
pub(crate) use self::heap::parse_address;
pub use self::interim::InterimFlags;
pub use self::marks::{AttachMarkFlags, MarkFlags, RunMarkFlags};
pub use self::select::{SelectFlags, Selection};
pub use self::tree::{TreeFlags, TreeMode};
use crate::slips;
use crate::spec::Spec;
use crate::terminal::When;

/// Watch the memory of any program and judge whether it leaks
#[derive(Debug, Parser)]
#[command(name = "seepmeter", version, max_term_width = 100)]
pub struct Flags {
    /// When to use colour: auto, always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true,
        display_order = 990
    )]
    pub color: When,
    /// What to do.
    #[command(subcommand)]
    pub command: Subcommand,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub enum Subcommand {
    /// Spawn a command and watch it
    ///
    /// The command keeps its standard streams and gets its signals. The exit status is the command's
    /// own, or 128+N if signal N killed it; 100 if it succeeded and a gate fired; 125 if seepmeter
    /// itself failed; 126 if the command can't be executed; 127 if it was not found.
    #[command(override_usage = "seepmeter run [OPTIONS] [--] COMMAND [ARG]...")]
    Run(RunFlags),
    /// Watch running processes
    ///
    /// The watch ends when all of them have ended, after --duration, when --until-verdict has its verdict, or at
    /// Ctrl-C. It sends no signal to them and leaves them running. SIGUSR1 prints the summary so far.
    #[command(override_usage = "seepmeter attach [OPTIONS] PID|NAME...")]
    Attach(AttachFlags),
    /// Send a recording to sinks
    ///
    /// Sinks, verdicts and gates work as in a live run.
    #[command(override_usage = "seepmeter replay [OPTIONS] RECORDING")]
    Replay(ReplayFlags),
    /// Judge recordings: growing, steady or inconclusive
    ///
    /// Files of other tools can be judged too: those of mprof, psrecord, prmon, pidstat -r, duct and
    /// Procpath (as CSV), and of the sink csv, are known by their first lines. For any other table, name
    /// the columns: --time and --value.
    Judge(JudgeFlags),
    /// Write a report of a recording: one HTML file that shows why it was judged so
    ///
    /// The file has all that it shows, and loads nothing: it can be attached to a ticket or sent by mail.
    /// Files of other tools work too, as for judge. With two recordings, or several runs of each with `--`
    /// between them, it is a report on the new version beside the base.
    Report(ReportFlags),
    /// Compare runs of a new version with runs of a base version
    ///
    /// Give several runs of each: one run does not show how much runs of one version differ.
    Compare(CompareFlags),
    /// Measure bytes per unit of work: run a command with growing amounts of it
    ///
    /// An n in braces is replaced by the amount, anywhere in the command, and the variable SEEPMETER_N has
    /// it too. What each run holds at its end is read then, so runs of milliseconds count. The first line
    /// begins with leaks, constant or inconclusive.
    ///
    /// The exit status is 0; 100 if a gate fired; that of the command if a run of it failed; 125 if
    /// seepmeter itself failed; 126 if the command can't be executed; 127 if it was not found.
    #[command(override_usage = "seepmeter scale [OPTIONS] [--] COMMAND [ARG | {n}]...")]
    Scale(ScaleFlags),
    /// Show what the memory of a process is made of: its blocks, by class, and all else
    ///
    /// The process stands still for the time of one fork; what is read is the copy. Blocks that were given out
    /// before count too, and nothing has to be built or started in another way. glibc's malloc and CPython's
    /// allocator are understood, on x86-64; others are named.
    ///
    /// The exit status is 0, or 125 if the heap can't be read. With --leaks it is 1 if blocks are leaked.
    #[command(
        override_usage = "seepmeter heap [OPTIONS] PID\n       seepmeter heap [OPTIONS] --core FILE"
    )]
    Heap(HeapFlags),
    /// Send a mark to the seepmeter that watches this shell or program
    ///
    /// A mark says what work is done: `n 1000`, the value of a counter, or any text. It becomes an event of
    /// the run, and `judge --per n` judges bytes per unit of such a counter. `run --marks` sets the variable
    /// SEEPMETER_MARKS, which has the path of the socket that marks are sent to.
    ///
    /// The exit status is 0, or 125 if the mark was not sent.
    Mark(MarkFlags),
    /// List all samplers and sinks, or describe one
    Plugins(PluginsFlags),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// List what a shell may offer for a word
    #[command(hide = true)]
    Complete(CompleteFlags),
    /// Print the manual page, of all or of one subcommand
    Man {
        /// The subcommand
        subcommand: Option<String>,
    },
}

/// `seepmeter run`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("end of the watch").args(["duration", "until_verdict"]).multiple(true))]
pub struct RunFlags {
    /// How to watch.
    #[command(flatten)]
    pub watch: WatchFlags,
    /// What becomes of the verdict while it forms.
    #[command(flatten)]
    pub interim: InterimFlags,
    /// Where the records go.
    #[command(flatten)]
    pub sinks: SinkFlags,
    /// What happens to the command when --duration is over or --until-verdict has its verdict
    #[arg(long, value_name = "WHAT", default_value = "leave", requires = "end of the watch")]
    pub on_stop: OnStop,
    /// How long --on-stop end waits from SIGTERM to SIGKILL; also, a second SIGTERM to seepmeter
    /// within this time is passed on as SIGKILL
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_duration)]
    pub grace: Duration,
    /// How the command can write marks.
    #[command(flatten)]
    pub marks: RunMarkFlags,
    /// The command and its arguments
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
    /// True if `--` stands before the command, so that nobody takes what follows for flags of seepmeter.
    #[arg(skip)]
    pub separated: bool,
}

/// `seepmeter attach`.
#[derive(Debug, Args)]
pub struct AttachFlags {
    /// How to watch.
    #[command(flatten)]
    pub watch: WatchFlags,
    /// What becomes of the verdict while it forms.
    #[command(flatten)]
    pub interim: InterimFlags,
    /// Where the records go.
    #[command(flatten)]
    pub sinks: SinkFlags,
    /// How the processes can send marks.
    #[command(flatten)]
    pub marks: AttachMarkFlags,
    /// Which processes.
    #[command(flatten)]
    pub select: SelectFlags,
}

/// `seepmeter replay`.
#[derive(Debug, Args)]
pub struct ReplayFlags {
    /// Where the records go.
    #[command(flatten)]
    pub sinks: SinkFlags,
    /// A recording of `--sink jsonl`, compressed or not; `-` is standard input
    pub recording: Option<PathBuf>,
}

/// `seepmeter judge`.
#[derive(Debug, Args)]
pub struct JudgeFlags {
    /// The metric to judge [default: rss]
    #[arg(long, value_name = "NAME")]
    pub metric: Option<String>,
    /// Judge by work instead of time: bytes per unit of this counter, of which the recording has marks
    #[arg(long, value_name = "COUNTER", conflicts_with = "explain")]
    pub per: Option<String>,
    /// What to read of tables.
    #[command(flatten)]
    pub table: TableFlags,
    /// What must not be true.
    #[command(flatten)]
    pub gates: GateFlags,
    /// In which formats the answer is given.
    #[command(flatten)]
    pub format: FormatFlags,
    /// Print JSON, as --format json does
    #[arg(long)]
    pub json: bool,
    /// Print what each stage of the analysis found
    #[arg(long)]
    pub explain: bool,
    /// Recordings or tables; `-` is standard input
    #[arg(required = true, value_name = "RECORDING")]
    pub files: Vec<PathBuf>,
}

/// `seepmeter report`.
#[derive(Debug, Args)]
pub struct ReportFlags {
    /// The report's file; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    pub output: PathBuf,
    /// Open the report in the browser
    #[arg(long)]
    pub open: bool,
    /// For sharing: replace paths, arguments, marks and the host by tokens
    #[arg(long)]
    pub redact: bool,
    /// The metric to show [default: rss]
    #[arg(long, value_name = "NAME")]
    pub metric: Option<String>,
    /// What to read of tables.
    #[command(flatten)]
    pub table: TableFlags,
    /// A recording or a table; `-` is standard input. Of two, the first is the base that the second is compared
    /// with
    #[arg(required = true, value_name = "RECORDING")]
    pub recordings: Vec<PathBuf>,
    /// Several runs of a new version, which are compared with those before `--`; the report is on the first
    #[arg(last = true)]
    pub new: Vec<PathBuf>,
}

/// `seepmeter compare`.
#[derive(Debug, Args)]
pub struct CompareFlags {
    /// The metric to compare; may be given several times [default: rss]
    #[arg(long, value_name = "NAME")]
    pub metric: Vec<String>,
    /// What to read of tables.
    #[command(flatten)]
    pub table: TableFlags,
    /// When to exit with --fail-status
    #[arg(long, value_name = "WHAT")]
    pub fail_on: Option<FailOn>,
    /// The exit status for --fail-on
    #[arg(long, value_name = "STATUS", default_value_t = FAIL_STATUS, value_parser = clap::value_parser!(u8).range(1..))]
    pub fail_status: u8,
    /// In which formats the answer is given.
    #[command(flatten)]
    pub format: FormatFlags,
    /// Print JSON, as --format json does
    #[arg(long)]
    pub json: bool,
    /// Runs of the base
    #[arg(required = true)]
    pub base: Vec<PathBuf>,
    /// Runs of the new version
    #[arg(required = true, last = true)]
    pub new: Vec<PathBuf>,
}

/// `seepmeter scale`.
#[derive(Debug, Args)]
pub struct ScaleFlags {
    /// The amounts of work, at least three, separated by commas [default: found by doubling]
    #[arg(short = 'n', long = "amounts", value_name = "N,N,N…", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..))]
    pub amounts: Vec<u64>,
    /// Answer after this time at the latest
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    pub time: Duration,
    /// A rate of at most this for each unit counts as none
    #[arg(long, value_name = "SIZE", default_value = "16B", value_parser = parse_size)]
    pub negligible: Size,
    /// Let the command use seepmeter's standard streams, and show what it prints
    #[arg(long)]
    pub show_output: bool,
    /// Fail if this is true: growing, inconclusive, constant, 'per-unit>16B'; may be given several times
    #[arg(long, value_name = "GATE")]
    pub fail_on: Vec<ScaleGate>,
    /// The exit status if a gate fires
    #[arg(long, value_name = "STATUS", default_value_t = FAIL_STATUS, value_parser = clap::value_parser!(u8).range(1..))]
    pub fail_status: u8,
    /// Fail also if a gate cannot decide, because the answer is inconclusive
    #[arg(long, requires = "fail_on")]
    pub strict: bool,
    /// In which formats the answer is given.
    #[command(flatten)]
    pub format: FormatFlags,
    /// Print JSON, as --format json does
    #[arg(long)]
    pub json: bool,
    /// The command and its arguments
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// What `compare` may fail on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// If the new version is worse: its rate, level or peak is significantly higher, by at least 1 %
    Worse,
    /// If it is worse, and also if that is not known
    Inconclusive,
}

/// What to read of a table.
#[derive(Debug, Args)]
pub struct TableFlags {
    /// Of a table: the column with the time
    #[arg(long, value_name = "COLUMN", requires = "value")]
    pub time: Option<String>,
    /// Of a table: the column with the value
    #[arg(long, value_name = "COLUMN", requires = "time")]
    pub value: Option<String>,
    /// Of a table: what the values are, if the heading does not say it: B, kB, MB, MiB, GB, GiB,
    /// pages, count
    #[arg(long, value_name = "UNIT")]
    pub unit: Option<ValueUnit>,
    /// Of a table: only the rows with this value in this column, such as pid=11; may be given
    /// several times
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    pub rows: Vec<RowFilter>,
}

impl TableFlags {
    pub(crate) fn options(&self) -> TableOptions {
        let Self { time, value, unit, rows } = self;
        TableOptions { time: time.clone(), value: value.clone(), unit: *unit, rows: rows.clone() }
    }
}

/// The exit status if a gate fires.
const FAIL_STATUS: u8 = 100;

/// What must not be.
#[derive(Debug, Args)]
pub struct GateFlags {
    /// Fail if this is true: growing, 'rate>1MiB/min', 'peak>512MiB', 'subject(heap).rate>0', …;
    /// may be given several times
    #[arg(long, value_name = "GATE")]
    pub fail_on: Vec<Gate>,
    /// The exit status if a gate fires and the target itself succeeded
    #[arg(long, value_name = "STATUS", default_value_t = FAIL_STATUS, value_parser = clap::value_parser!(u8).range(1..))]
    pub fail_status: u8,
    /// Fail also if a gate cannot decide, because the verdict is inconclusive or what it names is not there
    #[arg(long, requires = "fail_on")]
    pub strict: bool,
}

/// `seepmeter plugins`.
#[derive(Debug, Args)]
pub struct PluginsFlags {
    /// Where to look for plugins.
    #[command(flatten)]
    pub folders: FolderFlags,
    /// Print a JSON array
    #[arg(long)]
    pub json: bool,
    /// The name or the file of a plugin
    pub name: Option<String>,
}

/// Where to look for plugins.
#[derive(Debug, Args)]
pub struct FolderFlags {
    /// A folder to search for plugins, before all others; may be given several times
    #[arg(long = "plugin-dir", value_name = "FOLDER")]
    pub folders: Vec<PathBuf>,
}

/// How to watch.
#[derive(Debug, Args)]
pub struct WatchFlags {
    /// A sampler and its options; may be given several times [default: statm]
    ///
    /// If NAME contains a `/`, it is the file of a plugin. `every=DURATION` gives this sampler an
    /// interval of its own. In a value, write a comma twice. `NAME,help` lists the options.
    #[arg(short, long = "sampler", value_name = "NAME[,KEY=VALUE…]")]
    pub samplers: Vec<Spec>,
    /// The time from one sample to the next; `auto` is 20ms at first, and grows to 1s in five minutes
    #[arg(short, long, value_name = "DURATION", default_value = "auto", value_parser = parse_interval)]
    pub interval: TickInterval,
    /// For how much of its interval a sampler may pause or block the target; if its samples take
    /// longer, sampling is slowed down
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = parse_share)]
    pub budget: f64,
    /// Stop watching after this time
    #[arg(short, long, value_name = "DURATION", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Which descendants are watched too.
    #[command(flatten)]
    pub descendants: TreeFlags,
}

/// Where the records go.
#[derive(Debug, Args)]
pub struct SinkFlags {
    /// A sink and its options; may be given several times [default: text]
    ///
    /// If NAME contains a `/`, it is the file of a plugin. In a value, write a comma twice. `NAME,help`
    /// lists the options.
    #[arg(short = 'o', long = "sink", value_name = "NAME[,KEY=VALUE…]")]
    pub sinks: Vec<Spec>,
    /// Print no live lines, only the summary
    #[arg(short, long)]
    pub quiet: bool,
    /// Leave the arguments of the command out of all that is written: they may hold a password
    #[arg(long)]
    pub redact_args: bool,
    /// Print no summary at the end
    #[arg(long)]
    pub no_summary: bool,
    /// When the summary has a small chart: auto (on a terminal), always or never
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub chart: When,
    /// In which formats the verdict is given as well.
    #[command(flatten)]
    pub format: FormatFlags,
    /// The metric to judge; may be given several times, and gates apply to the first [default: rss]
    #[arg(long = "metric", value_name = "NAME")]
    pub metrics: Vec<String>,
    /// What must not be true.
    #[command(flatten)]
    pub gates: GateFlags,
    /// Where to look for plugins.
    #[command(flatten)]
    pub folders: FolderFlags,
}

/// What happens to a spawned command when the duration is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnStop {
    /// It keeps running, unwatched
    Leave,
    /// It and its descendants get SIGTERM, and SIGKILL after --grace; if these end it, that is not a failure
    End,
}

/// Reads the interval of a sampler.
pub(crate) fn parse_interval(text: &str) -> Result<TickInterval, String> {
    match text.trim() {
        "auto" => Ok(TickInterval::Auto),
        text => parse_duration(text).map(TickInterval::Fixed),
    }
}

/// Reads a percentage as a share of 1.
fn parse_share(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').unwrap_or(text).trim();
    match number.parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent / 100.0),
        _ => {
            Err(format!("`{text}` is not a percentage above 0% and up to 100%, such as 1% or 0.5%"))
        }
    }
}

impl Flags {
    /// Reads the command line.
    ///
    /// # Errors
    /// What clap reports, help and version included.
    pub fn read() -> Result<Self, clap::Error> {
        let words: Vec<OsString> = std::env::args_os().collect();
        When::apply_from(&words);
        let mut flags =
            Self::try_parse_from(&words).map_err(|error| slips::explained(error, &words))?;
        if let Subcommand::Run(run) = &mut flags.command {
            let before = words.len() - run.command.len().min(words.len());
            run.separated = words[..before].last().is_some_and(|word| word == "--");
        }
        Ok(flags)
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
