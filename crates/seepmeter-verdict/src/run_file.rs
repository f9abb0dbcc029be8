//! Runs in files: recordings, and series that other tools have written.

use std::fmt;
use std::io;
use std::path::Path;

use seepmeter_record::conventions::metric;
use seepmeter_record::human;
use seepmeter_record::jsonl::{self, Ending, ReadError, UNFINISHED};

use crate::collector::Collector;
use crate::conclusion::{Conclusion, JudgeOptions, NoVerdict};
use crate::foreign::{Columns, PeekedFile, SeriesError};
use crate::run_series::RunSeries;

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
    Series(JudgeOptions, Box<RunSeries>),
}

/// What is odd about a recording that can be judged all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    Recording(#[from] ReadError),
    /// It is a series of another tool, and can't be read.
    #[error(transparent)]
    Series(#[from] SeriesError),
    /// It is a series of another tool, which has one metric.
    #[error("it is a single series and has no metric `{metric}`; leave out --metric")]
    NoSuchMetric {
        /// The metric that was asked for.
        metric: String,
    },
}

impl RunFile {
    /// Reads a file; `-` is standard input. `name` is what its series is called, if it is one of another
    /// tool, and `columns` are those of a table.
    ///
    /// # Errors
    /// A file that can't be read, or has nothing of what the options ask for.
    pub fn read(
        path: &Path,
        name: &str,
        options: JudgeOptions,
        columns: Option<&Columns>,
    ) -> Result<Self, RunFileError> {
        let mut file = PeekedFile::open(path)?;
        if let Some(series) = file.series(columns)? {
            if let Some(other) = options.metrics.iter().find(|name| *name != metric::RSS.name) {
                return Err(RunFileError::NoSuchMetric { metric: other.clone() });
            }
            let run = Box::new(RunSeries::of_resident(name, series));
            return Ok(Self { content: Content::Series(options, run), doubts: Vec::new() });
        }
        let mut recording = jsonl::read(Box::new(file))?;
        let mut collector = Box::new(Collector::new(options));
        while let Some(record) = recording.next_record()? {
            collector.observe(&record);
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
            Content::Series(options, run) => Conclusion::of(options, |_| Ok(vec![(**run).clone()])),
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
            Content::Series(_, run) => Ok((**run).clone()),
        }
    }
}
