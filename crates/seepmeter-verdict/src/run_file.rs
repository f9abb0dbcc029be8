//! Runs in files: recordings, and series that other tools have written.

use std::fmt;
use std::io;
use std::path::Path;

use seepmeter_record::jsonl::{self, Ending, ReadError, UNFINISHED};
use seepmeter_record::{Record, human};

use crate::collector::Collector;
use crate::conclusion::{Conclusion, JudgeOptions, NoVerdict};
use crate::foreign::{
    ForeignSeries, PeekedFile, SeriesError, TableOptions, ValueUnit, known_tools,
};
use crate::run_series::RunSeries;
use crate::work::{NoCounter, WorkVerdict};

/// A run that was read from a file.
#[derive(Debug)]
pub struct RunFile {
    content: Content,
    /// What is odd about it.
    pub doubts: Vec<Doubt>,
}

#[derive(Debug)]
enum Content {
    Recording(Box<Collector>),
    Series(JudgeOptions, Vec<RunSeries>),
}

/// What is odd about a file that can be judged all the same.
#[derive(Clone, Debug, PartialEq)]
pub enum Doubt {
    /// It has no footer.
    NoEnd,
    /// Its last line is cut off, and was left out.
    CutOff {
        /// The number of that line, from 1.
        line: u64,
    },
    /// Samples have a time before that of the sample before them.
    Backwards {
        /// How many.
        times: u64,
    },
    /// Rows of a table have no time or no value.
    Gaps {
        /// How many.
        rows: u64,
    },
    /// Rows of a table have the time of another.
    RepeatedTimes {
        /// How many.
        rows: u64,
    },
    /// Nothing says of which unit a column is.
    TakenForBytes {
        /// The column.
        column: String,
    },
    /// A heading names a unit that means this to some and something else to others.
    HeadingUnit {
        /// The column.
        column: String,
        /// The unit that it was read in.
        unit: ValueUnit,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEnd => {
                write!(f, "the recording has no end: {UNFINISHED}; it is judged as far as it goes")
            }
            Self::CutOff { line } => write!(f, "line {line} is cut off and was left out"),
            Self::Backwards { times } => write!(
                f,
                "its time goes backwards {}; such a sample gets the time of the sample before it",
                human::count(*times, "time")
            ),
            Self::Gaps { rows } => {
                write!(f, "{} without a time or a value", human::count(*rows, "row"))
            }
            Self::RepeatedTimes { rows } => write!(
                f,
                "{} of a time that another row has; if they are of several processes, choose one: --where COLUMN=VALUE",
                human::count(*rows, "row")
            ),
            Self::TakenForBytes { column } => write!(
                f,
                "no unit is known of `{column}`, so its values are taken for bytes; --unit names another, and --unit B confirms it"
            ),
            Self::HeadingUnit { column, unit } => write!(
                f,
                "the values of `{column}` are taken for decimal {unit} (1000, not 1024); --unit names another, and --unit {unit} confirms it"
            ),
        }
    }
}

/// Why a file can't be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunFileError {
    /// It can't be opened or read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no recording, or a broken one.
    #[error(transparent)]
    Recording(ReadError),
    /// It is neither a recording nor a series of another tool.
    #[error(
        "{0}; the files of these tools are known by their first lines: {tools}; a table of any other has a line of headings, and a time in each row: --time COLUMN --value COLUMN",
        tools = known_tools()
    )]
    Unknown(ReadError),
    /// It is a series of another tool, and can't be read.
    #[error(transparent)]
    Series(#[from] SeriesError),
}

/// Why a file can't be judged by work.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoWork {
    /// It has no such counter.
    #[error(transparent)]
    Counter(#[from] NoCounter),
    /// It has nothing else to judge.
    #[error(transparent)]
    Verdict(#[from] NoVerdict),
    /// It was written by another tool.
    #[error(
        "it is a series of another tool, which has no marks; record the run with `-o jsonl,path=FILE`"
    )]
    NoRecording,
}

impl From<ReadError> for RunFileError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NoHeader(_) => Self::Unknown(error),
            _ => Self::Recording(error),
        }
    }
}

impl RunFile {
    /// Reads a file; `-` is standard input. `name` is what its series is called, if it is one of another
    /// tool, and `table` says what to read of a table.
    ///
    /// # Errors
    /// A file that can't be read, or has nothing of what the options ask for.
    pub fn read(
        path: &Path,
        name: &str,
        options: JudgeOptions,
        table: &TableOptions,
    ) -> Result<Self, RunFileError> {
        Self::read_observed(path, (name, table), options, |_| {})
    }

    /// The same, and `observe` is shown each record of a recording.
    ///
    /// # Errors
    /// As [`RunFile::read`].
    pub fn read_observed(
        path: &Path,
        (name, table): (&str, &TableOptions),
        options: JudgeOptions,
        mut observe: impl FnMut(&Record),
    ) -> Result<Self, RunFileError> {
        let mut file = PeekedFile::open(path)?;
        if let Some(table) = file.table(table, &options.metrics)? {
            let series: Vec<RunSeries> =
                table.series.into_iter().map(|series| run_of(name, series)).collect();
            let mut metrics: Vec<String> = series.iter().map(|run| run.metric.clone()).collect();
            metrics.dedup();
            let options = JudgeOptions { metrics, ..options };
            return Ok(Self { content: Content::Series(options, series), doubts: table.doubts });
        }
        let mut recording = jsonl::read(Box::new(file))?;
        let mut collector = Box::new(Collector::new(options));
        while let Some(record) = recording.next_record()? {
            collector.observe(&record);
            observe(&record);
        }
        let end = match recording.ending() {
            Ending::Whole | Ending::Continued => None,
            Ending::NoFooter => Some(Doubt::NoEnd),
            Ending::CutOff { line } => Some(Doubt::CutOff { line }),
        };
        let times = collector.backwards();
        let backwards = (times > 0).then_some(Doubt::Backwards { times });
        let doubts = end.into_iter().chain(backwards).collect();
        Ok(Self { content: Content::Recording(collector), doubts })
    }

    /// What is concluded from it.
    #[must_use]
    pub fn conclude(&self) -> Conclusion {
        match &self.content {
            Content::Recording(collector) => collector.conclude(),
            Content::Series(options, runs) => Conclusion::of(options, |metric| {
                Ok(runs.iter().filter(|run| run.metric == metric).cloned().collect())
            }),
        }
    }

    /// How often its target was started again. What is judged by work, and [`RunFile::series`], is of what came behind
    /// the last time.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        match &self.content {
            Content::Recording(collector) => collector.restarts(),
            Content::Series(..) => 0,
        }
    }

    /// What is concluded from it with a counter as the axis, in place of time: a verdict for each target and, if
    /// there are several, for their sum, which is the last.
    ///
    /// # Errors
    /// Why there are none.
    pub fn judge_by_work(&self, metric: &str, counter: &str) -> Result<Vec<WorkVerdict>, NoWork> {
        match &self.content {
            Content::Recording(collector) => {
                let series = collector.counter(counter)?;
                let runs = collector.series(metric)?;
                Ok(runs.iter().map(|run| run.judge_by_work(counter, &series)).collect())
            }
            Content::Series(..) => Err(NoWork::NoRecording),
        }
    }

    /// All series of one of the metrics, as [`Collector::series`] has them.
    ///
    /// # Errors
    /// Why there are none.
    pub fn all_series(&self, metric: &str) -> Result<Vec<RunSeries>, NoVerdict> {
        match &self.content {
            Content::Recording(collector) => collector.series(metric),
            Content::Series(_, runs) => {
                Ok(runs.iter().filter(|run| run.metric == metric).cloned().collect())
            }
        }
    }

    /// The series of one of the metrics: of the sum of all targets, or of the only one.
    ///
    /// # Errors
    /// Why there is none.
    pub fn series(&self, metric: &str) -> Result<RunSeries, NoVerdict> {
        match &self.content {
            Content::Recording(collector) => {
                collector.series(metric)?.pop().ok_or(NoVerdict::NothingSampled)
            }
            Content::Series(_, runs) => match &runs[..] {
                // A table whose columns were named has one metric, of their name.
                [only] => Ok(only.clone()),
                _ => {
                    let mut of_metric = runs.iter().filter(|run| run.metric == metric);
                    match (of_metric.next(), of_metric.next()) {
                        (Some(only), None) => Ok(only.clone()),
                        (None, _) => Err(NoVerdict::NothingSampled),
                        (Some(_), Some(_)) => Err(NoVerdict::SeveralSeries {
                            known: runs.iter().map(|run| run.target.clone()).collect(),
                        }),
                    }
                }
            },
        }
    }
}

/// A series of another tool in a file of this name.
fn run_of(name: &str, read: ForeignSeries) -> RunSeries {
    let ForeignSeries { metric, unit, process, pid, series, plus_swap } = read;
    let run = RunSeries::of_resident(process.as_deref().unwrap_or(name), series);
    RunSeries { metric, unit, pid, plus_swap, ..run }
}
