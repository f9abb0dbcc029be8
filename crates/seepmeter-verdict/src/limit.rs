//! Which limit is reached first, and when.

use std::fmt;

use seepmeter_analysis::thresholds::limits::{SHARED, SWAPPED};
use seepmeter_analysis::{Interval, Judgement, Series, Settings, TimeToLimit, judge};
use seepmeter_record::conventions::{attribute, metric};
use seepmeter_record::{MetricSpec, Subject, Unit};
use serde::{Deserialize, Serialize};

use crate::part_group::Growth;
use crate::run_series::RunSeries;

/// The limits of a process or of a cgroup; none if there is no such limit, or it was not recorded.
/// Those of memory are in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordedLimits {
    /// The memory limit of its cgroup.
    pub cgroup: Option<u64>,
    /// What of that was used at the start, by all processes of the cgroup together.
    pub cgroup_used: Option<u64>,
    /// The `memory.high` of its cgroup.
    pub cgroup_high: Option<u64>,
    /// What of that was used at the start.
    pub cgroup_high_used: Option<u64>,
    /// RLIMIT_AS.
    pub address_space: Option<u64>,
    /// RLIMIT_DATA.
    pub data: Option<u64>,
    /// vm.max_map_count, a number of mappings.
    pub mappings: Option<u64>,
    /// The size of the tmpfs at its /dev/shm.
    pub shm: Option<u64>,
    /// What of that was used at the start, by all processes together.
    pub shm_used: Option<u64>,
    /// The machine's memory.
    pub machine: Option<u64>,
    /// What of that was available at the start.
    pub machine_available: Option<u64>,
    /// RLIMIT_NOFILE.
    pub descriptors: Option<u64>,
    /// pids.max of the cgroup.
    pub tasks: Option<u64>,
    /// How many threads all processes of the cgroup had at the start.
    pub tasks_used: Option<u64>,
    /// RLIMIT_NPROC.
    pub user_tasks: Option<u64>,
}

impl RecordedLimits {
    /// Those that apply to all processes of a tree together.
    pub(crate) fn of_tree(self) -> Self {
        Self {
            address_space: None,
            data: None,
            mappings: None,
            shm: None,
            descriptors: None,
            ..self
        }
    }

    /// What the attributes of a process or of a cgroup say.
    pub(crate) fn of(subject: &Subject) -> Self {
        Self {
            cgroup: subject.get(attribute::CGROUP_LIMIT),
            cgroup_used: subject.get(attribute::CGROUP_USED),
            cgroup_high: subject.get(attribute::CGROUP_HIGH),
            cgroup_high_used: subject.get(attribute::CGROUP_HIGH_USED),
            address_space: subject.get(attribute::ADDRESS_SPACE_LIMIT),
            data: subject.get(attribute::DATA_LIMIT),
            mappings: subject.get(attribute::MAPPINGS_LIMIT),
            shm: subject.get(attribute::SHM_LIMIT),
            shm_used: subject.get(attribute::SHM_USED),
            machine: subject.get(attribute::MACHINE_LIMIT),
            machine_available: subject.get(attribute::MACHINE_AVAILABLE),
            descriptors: subject.get(attribute::DESCRIPTOR_LIMIT),
            tasks: subject.get(attribute::TASK_LIMIT),
            tasks_used: subject.get(attribute::TASKS_USED),
            user_tasks: subject.get(attribute::USER_TASK_LIMIT),
        }
    }
}

/// A kind of limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LimitKind {
    /// The memory limit of the cgroup.
    #[serde(rename = "cgroup")]
    Cgroup,
    /// The `memory.high` of the cgroup: what is above it is slowed down.
    #[serde(rename = "memory.high")]
    CgroupHigh,
    /// RLIMIT_AS.
    #[serde(rename = "address space")]
    AddressSpace,
    /// RLIMIT_DATA.
    #[serde(rename = "data")]
    Data,
    /// vm.max_map_count.
    #[serde(rename = "mappings")]
    Mappings,
    /// The size of the tmpfs at /dev/shm.
    #[serde(rename = "/dev/shm")]
    Shm,
    /// The machine's memory.
    #[serde(rename = "machine")]
    Machine,
    /// RLIMIT_NOFILE.
    #[serde(rename = "open files")]
    Descriptors,
    /// pids.max of the cgroup.
    #[serde(rename = "threads of the cgroup")]
    Tasks,
    /// RLIMIT_NPROC.
    #[serde(rename = "threads of the user")]
    UserTasks,
}

impl LimitKind {
    /// Those of something that grows at a rate of its own.
    const OF_ITS_OWN: [Self; 5] =
        [Self::AddressSpace, Self::Data, Self::Mappings, Self::Shm, Self::Descriptors];

    /// What the numbers of the limit count.
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Self::Mappings | Self::Descriptors | Self::Tasks | Self::UserTasks => Unit::Count,
            Self::Cgroup
            | Self::CgroupHigh
            | Self::AddressSpace
            | Self::Data
            | Self::Shm
            | Self::Machine => Unit::Bytes,
        }
    }

    /// What grows towards it at a rate of its own, for people.
    pub(crate) fn subject(self) -> &'static str {
        match self {
            Self::Cgroup | Self::CgroupHigh | Self::Machine => "the resident set",
            Self::AddressSpace => "the address space",
            Self::Data => "the data segment (private writable address space)",
            Self::Mappings => "the number of mappings",
            Self::Descriptors => "the number of open descriptors",
            Self::Tasks | Self::UserTasks => "the number of threads",
            Self::Shm => "shared memory in /dev/shm",
        }
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cgroup => "cgroup",
            Self::CgroupHigh => "memory.high of the cgroup, above which it is slowed down",
            Self::AddressSpace => "address space",
            Self::Data => "RLIMIT_DATA",
            Self::Mappings => "vm.max_map_count",
            Self::Shm => "/dev/shm",
            Self::Machine => "machine",
            Self::Descriptors => "RLIMIT_NOFILE",
            Self::Tasks => "pids.max of the cgroup",
            Self::UserTasks => "RLIMIT_NPROC, of all threads of the user",
        })
    }
}

/// When a limit will be reached at the present rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitForecast {
    /// Which limit.
    #[serde(rename = "name")]
    pub kind: LimitKind,
    /// The limit: in bytes, or the number of what it bounds.
    pub amount: u64,
    /// What of it others used at the start, likewise; none if that was not recorded.
    pub others: Option<u64>,
    /// The rate of what it applies to, a second, if that is not what was judged.
    pub rate: Option<Interval>,
    /// When, from the end of the run on.
    #[serde(flatten)]
    pub time: TimeToLimit,
}

/// Of what the limit of a cgroup bounds, all but pages of files, which the kernel takes back.
const CHARGED: [MetricSpec<'_>; 5] = [
    metric::CGROUP_CURRENT,
    metric::CGROUP_ANON,
    metric::CGROUP_KERNEL,
    metric::CGROUP_SHMEM,
    metric::CGROUP_SLAB,
];

/// Why no time to a limit is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoForecast {
    /// No limit of what was judged is known.
    NoLimit,
    /// What grows are pages of files or of shared memory.
    Shared,
    /// A part of what was judged was swapped out, which limits of what is resident do not count.
    Swapped,
    /// Nothing that has a limit certainly grows.
    NoGrowth,
}

/// The limit that is reached first; `grows` is the judgement on the whole, unless its growth is masked.
/// The cgroup, the machine and limits of threads bound what other processes have too; the other limits bound
/// what grows at a rate of its own.
pub(crate) fn nearest(run: &RunSeries, grows: Option<&Judgement>) -> Option<LimitForecast> {
    let of_all = grows.filter(|judgement| !was_swapped(run) && !is_mostly_shared(run, judgement));
    let of_all = shared_limits(run).into_iter().filter_map(|limit| of_whole(run, of_all?, limit));
    let of_own = LimitKind::OF_ITS_OWN.into_iter().filter_map(|kind| of_its_own(run, grows, kind));
    of_all.chain(of_own).min_by_key(|limit| limit.time.likely)
}

/// Why there is no forecast, if [`nearest`] has found none.
pub(crate) fn why_none(run: &RunSeries, judgement: &Judgement) -> NoForecast {
    let of_its_own = |kind| OwnLimit::of(run, kind).is_some();
    let is_limited = !shared_limits(run).is_empty();
    if !is_limited && !LimitKind::OF_ITS_OWN.into_iter().any(of_its_own) {
        NoForecast::NoLimit
    } else if is_limited && was_swapped(run) {
        NoForecast::Swapped
    } else if is_limited && is_mostly_shared(run, judgement) {
        NoForecast::Shared
    } else {
        NoForecast::NoGrowth
    }
}

/// True if most of the growth is of pages of files and of shared memory: whoever had them first has them
/// already, so that no memory may be taken at all, and the kernel can take those of files back.
pub(crate) fn is_mostly_shared(run: &RunSeries, judgement: &Judgement) -> bool {
    let (Some(shared), Some(span)) = (&run.limited.shared, judgement.span) else { return false };
    let growth = Growth { whole: &run.whole, span, cycle: judgement.cycle };
    // In the PSS, shared pages are divided already.
    *run.metric == *metric::RSS.name && growth.share_of(shared) > Some(SHARED)
}

/// True if so much was swapped out at some time that the judged sum says little of what is resident.
fn was_swapped(run: &RunSeries) -> bool {
    let peak = |series: &Series| series.peak().unwrap_or(0) as f64;
    run.limited.swap.as_ref().is_some_and(|swap| peak(swap) > SWAPPED * peak(&run.whole))
}

/// A limit, and what of it was used at the start, in the metric's unit.
struct UsedLimit {
    kind: LimitKind,
    amount: u64,
    used: Option<u64>,
}

/// True if the metric is one that limits of the cgroup's memory and the machine's bound.
pub(crate) fn is_bounded_memory(run: &RunSeries) -> bool {
    run.is_resident() || CHARGED.iter().any(|spec| run.metric == spec.name)
}

/// The known limits of what the metric and others share.
fn shared_limits(run: &RunSeries) -> Vec<UsedLimit> {
    let bounds = run.bounds;
    let machine_used = bounds
        .machine_available
        .and_then(|available| bounds.machine.map(|bytes| bytes.saturating_sub(available)));
    let all: &[_] = if is_bounded_memory(run) {
        &[
            (LimitKind::Cgroup, bounds.cgroup, bounds.cgroup_used),
            (LimitKind::CgroupHigh, bounds.cgroup_high, bounds.cgroup_high_used),
            (LimitKind::Machine, bounds.machine, machine_used),
        ]
    } else if run.metric == metric::THREADS.name {
        &[
            (LimitKind::Tasks, bounds.tasks, bounds.tasks_used),
            (LimitKind::UserTasks, bounds.user_tasks, None),
        ]
    } else {
        &[]
    };
    let known = |(kind, amount, used): &(LimitKind, Option<u64>, Option<u64>)| {
        Some(UsedLimit { kind: *kind, amount: (*amount)?, used: *used })
    };
    all.iter().filter_map(known).collect()
}

fn of_whole(run: &RunSeries, judgement: &Judgement, limit: UsedLimit) -> Option<LimitForecast> {
    let UsedLimit { kind, amount, used } = limit;
    let (_, own) = *run.whole.points().first()?;
    let own = u64::try_from(own).unwrap_or(0);
    let others = used.map(|used| used.saturating_sub(own));
    let room = amount.saturating_sub(others.unwrap_or(0)) as f64;
    let time = from_the_end(judgement.time_to_limit(room, headroom(judgement)?)?, &run.whole);
    Some(LimitForecast { kind, amount, others, rate: None, time })
}

/// What has to fit under a limit above the level: if there is a cycle, its peaks.
fn headroom(judgement: &Judgement) -> Option<f64> {
    let amplitude = judgement.peak.map_or(0.0, |peak| peak as f64) - judgement.level?;
    Some(judgement.cycle.map_or(0.0, |_| amplitude.max(0.0)))
}

/// A limit of something that grows at a rate of its own.
struct OwnLimit<'a> {
    amount: u64,
    /// What of it others used at the start.
    others: Option<u64>,
    series: &'a Series,
    /// That is what is judged.
    is_judged: bool,
}

impl<'a> OwnLimit<'a> {
    fn of(run: &'a RunSeries, kind: LimitKind) -> Option<Self> {
        let RunSeries { bounds, limited, .. } = run;
        let (amount, name, series) = match kind {
            LimitKind::AddressSpace => {
                (bounds.address_space, metric::VSIZE.name, &limited.address_space)
            }
            LimitKind::Data => (bounds.data, metric::DATA.name, &limited.data),
            LimitKind::Mappings => (bounds.mappings, metric::MAPPINGS.name, &limited.mappings),
            LimitKind::Shm => return Self::of_shm(run),
            LimitKind::Descriptors => (bounds.descriptors, metric::FDS.name, &None),
            LimitKind::Cgroup
            | LimitKind::CgroupHigh
            | LimitKind::Machine
            | LimitKind::Tasks
            | LimitKind::UserTasks => return None,
        };
        let is_judged = run.metric == name;
        let series = if is_judged { &run.whole } else { series.as_ref()? };
        Some(Self { amount: amount?, others: None, series, is_judged })
    }

    fn of_shm(run: &'a RunSeries) -> Option<Self> {
        let series = run.limited.shm.as_ref()?;
        let (_, own) = *series.points().first()?;
        let own = u64::try_from(own).unwrap_or(0);
        let others = run.bounds.shm_used.map(|used| used.saturating_sub(own));
        Some(Self { amount: run.bounds.shm?, others, series, is_judged: false })
    }
}

fn of_its_own(
    run: &RunSeries,
    grows: Option<&Judgement>,
    kind: LimitKind,
) -> Option<LimitForecast> {
    let OwnLimit { amount, others, series, is_judged } = OwnLimit::of(run, kind)?;
    let room = amount.saturating_sub(others.unwrap_or(0)) as f64;
    let (time, rate) = if is_judged {
        let grows = grows?;
        (grows.time_to_limit(room, headroom(grows)?)?, None)
    } else {
        let settings = match kind.unit() {
            Unit::Bytes => Settings::default(),
            _ => Settings::for_counts(),
        };
        let judgement = judge(series, &settings);
        (judgement.time_to_limit(room, headroom(&judgement)?)?, judgement.rate)
    };
    Some(LimitForecast { kind, amount, others, rate, time: from_the_end(time, series) })
}

/// The level is that of the run's last fifth, and so a tenth of the run old at its end.
fn from_the_end(time: TimeToLimit, series: &Series) -> TimeToLimit {
    let old = series.span() / 10;
    TimeToLimit {
        soonest: time.soonest.saturating_sub(old),
        likely: time.likely.saturating_sub(old),
        latest: time.latest.map(|latest| latest.saturating_sub(old)),
    }
}
