//! The metrics of a process, of a mapping and of a group of mappings.

use seepmeter_plugin::record::conventions::metric;
use seepmeter_plugin::record::{MetricId, MetricSpec, SubjectId, SubjectKind};
use seepmeter_plugin::{SampleBuilder, Stream, point_value};
use seepmeter_process::proc::SmapsRollup;

use crate::counts::{Counts, ReadCounts};
use crate::options::Detail;

const MAPPING_METRICS: usize = 10;

/// Of a mapping or a group: those of [`Counts`], then those of [`ReadCounts`].
const OF_MAPPINGS: [&MetricSpec<'static>; MAPPING_METRICS] = [
    &metric::RSS,
    &metric::ANONYMOUS,
    &metric::SWAP,
    &metric::THP,
    &metric::HUGETLB,
    &metric::PSS,
    &metric::PRIVATE_DIRTY,
    &metric::SWAP_PSS,
    &metric::LAZYFREE,
    &metric::LOCKED,
];

const PROCESS_METRICS: usize = 10;

/// Of a process: what statm says, what smaps_rollup says, and what maps says.
const OF_PROCESSES: [&MetricSpec<'static>; PROCESS_METRICS] = [
    &metric::RSS,
    &metric::PSS,
    &metric::PRIVATE_DIRTY,
    &metric::ANONYMOUS,
    &metric::SWAP,
    &metric::SWAP_PSS,
    &metric::LAZYFREE,
    &metric::LOCKED,
    &metric::MAPPINGS,
    &metric::THREADS,
];

/// The metrics' numbers in the stream.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    process: [MetricId; PROCESS_METRICS],
    /// Of a mapping or a group, in the order of [`mapping_values`].
    pub(crate) mapping: Vec<MetricId>,
}

impl Metrics {
    pub(crate) fn define(detail: Detail, stream: &mut dyn Stream) -> Self {
        let process = OF_PROCESSES.map(|spec| stream.metric(spec));
        let kind = subject_kind(detail);
        let mapping = OF_MAPPINGS.iter().map(|spec| stream.metric(&spec.of(kind.clone())));
        Self { process, mapping: mapping.collect() }
    }
}

/// What the subjects of mappings are.
pub(crate) fn subject_kind(detail: Detail) -> SubjectKind {
    match detail {
        Detail::Group => SubjectKind::MappingGroup,
        Detail::Mapping => SubjectKind::Mapping,
    }
}

/// The values of a mapping or a group, in the order of its metrics. What is not known is none, and so is
/// `hugetlb` as long as there is none of it.
pub(crate) fn mapping_values(
    counts: Option<Counts>,
    read: Option<ReadCounts>,
) -> [Option<i64>; MAPPING_METRICS] {
    let counts = |of: fn(Counts) -> u64| counts.map(of).map(point_value);
    let read = |of: fn(ReadCounts) -> u64| read.map(of).map(point_value);
    [
        counts(|counts| counts.rss),
        counts(|counts| counts.anonymous),
        counts(|counts| counts.swap),
        counts(|counts| counts.thp),
        counts(|counts| counts.hugetlb).filter(|bytes| *bytes > 0),
        read(|read| read.pss),
        read(|read| read.private_dirty),
        read(|read| read.swap_pss),
        read(|read| read.lazyfree),
        read(|read| read.locked),
    ]
}

/// How large a process is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessSizes {
    /// Its resident set in bytes.
    pub(crate) rss: u64,
    /// How many mappings it has.
    pub(crate) mappings: u64,
    /// How many threads, if that is known.
    pub(crate) threads: Option<u64>,
}

/// What was last emitted of a process.
#[derive(Debug)]
pub(crate) struct ProcessValues {
    subject: SubjectId,
    metrics: [MetricId; PROCESS_METRICS],
    last_emitted: [Option<i64>; PROCESS_METRICS],
}

impl ProcessValues {
    pub(crate) fn new(subject: SubjectId, metrics: &Metrics) -> Self {
        Self { subject, metrics: metrics.process, last_emitted: [None; PROCESS_METRICS] }
    }

    /// Emits the sizes, and what smaps_rollup said if it was read since the last sample: in a whole sample what
    /// has changed, in a partial one all of it.
    pub(crate) fn emit(
        &mut self,
        sizes: ProcessSizes,
        rollup: SmapsRollup,
        whole: bool,
        sample: &mut SampleBuilder<'_>,
    ) {
        let SmapsRollup { rss: _, pss, private_dirty, anonymous, swap, swap_pss, lazyfree, locked } =
            rollup;
        let ProcessSizes { rss, mappings, threads } = sizes;
        let (rss, mappings) = (Some(rss), Some(mappings));
        let sums = [rss, pss, private_dirty, anonymous, swap, swap_pss, lazyfree, locked];
        let values = sums.into_iter().chain([mappings, threads]);
        let last = self.last_emitted.iter_mut();
        for ((value, last_emitted), metric) in values.zip(last).zip(self.metrics) {
            let Some(value) = value.map(point_value) else { continue };
            if last_emitted.replace(value) != Some(value) || !whole {
                sample.point(self.subject, metric, value);
            }
        }
    }
}
