//! From a stream of records to a verdict: does it leak, how fast, where, and when does it reach a limit?
//!
//! A [`Collector`] observes the records of one run and keeps, in bounded memory, the series that
//! matter ([`RunSeries`]). Its [`Conclusion`] is the one value that the summary, the sink `verdict`, the
//! gates and the exit status are made of: a [`Verdict`] for each metric, or the reason why there is
//! [none](NoVerdict), and what each [`Gate`] found. A [`RunFile`] reads a recording, or a series that
//! another tool has written, to the same conclusion. [`RunComparison`] compares runs of a new version
//! with runs of a base, [`ScaleReport`] judges runs of growing amounts of work, and [`WorkVerdict`] one run by
//! the work that a counter of it shows.
//!
//! All of it is typed and can be written to JSON and read back. A [`Report`] of it is rendered for people,
//! for programs and for CI, in each [`ReportFormat`]. Nothing here prints or exits.
//!
//! ```
//! use seepmeter_verdict::{Collector, JudgeOptions, NoVerdict};
//!
//! let collector = Collector::new(JudgeOptions::default());
//! assert_eq!(collector.conclude().main(), Err(&NoVerdict::NothingSampled));
//! ```
#![forbid(unsafe_code)]

mod collector;
mod comparison;
mod conclusion;
mod epoch;
mod explanation;
mod foreign;
mod gate;
mod growth_cause;
mod json;
mod limit;
#[cfg(test)]
mod made_up;
mod next_step;
mod part;
mod part_group;
mod part_rest;
mod part_table;
mod report;
mod run_file;
mod run_series;
mod sample_clock;
mod scale;
mod scale_gate;
mod settled;
mod shares;
mod text;
mod verdict;
mod work;

pub use collector::{Collector, CurrentTotal};
pub use comparison::{ComparableRun, NotComparable, RunComparison};
pub use conclusion::{Conclusion, JudgeOptions, MetricConclusion, MetricOutcome, NoVerdict};
pub use epoch::Epoch;
pub use explanation::explanation;
pub use foreign::{RowFilter, SeriesError, TableOptions, ValueUnit};
pub use gate::{Gate, GateError, GateOutcome, GateResult};
pub use growth_cause::GrowthCause;
pub use limit::{LimitForecast, LimitKind, RecordedLimits};
pub use next_step::NextStep;
pub use part::Part;
pub use report::{Report, ReportBody, ReportFormat, ReportSection};
pub use run_file::{Doubt, NoWork, RunFile, RunFileError};
pub use run_series::{CauseSeries, LimitedSeries, PartSeries, RunSeries, Scope};
pub use scale::{ClassShare, ScaleDoubt, ScaleReport, ScaleRun};
pub use scale_gate::ScaleGate;
pub use seepmeter_analysis::thresholds::settled::INTERIM_GROWTH;
pub use seepmeter_analysis::{Change, ScalingAnswer, ScalingReason};
pub use settled::SettledVerdict;
pub use text::{LineOptions, VerdictLine};
pub use verdict::{MaskedGrowth, PartGrowth, SamplingHint, StalePart, Verdict};
pub use work::{NoCounter, PartShare, WorkAnswer, WorkVerdict};
