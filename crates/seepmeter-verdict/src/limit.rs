//! Which limit is reached first, and when.

use std::fmt;

use seepmeter_analysis::{Interval, Judgement, Series, Settings, TimeToLimit, judge};
use seepmeter_record::conventions::{attribute, metric};
use seepmeter_record::{MetricSpec, Subject};
use serde::{Deserialize, Serialize};

use crate::run_series::RunSeries;

/// The limits of a process or of a cgroup; none where there is no such limit, or it was not recorded.
/// Those of memory are in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordedLimits {
    /// The memory limit of its cgroup.
    pub cgroup: Option<u64>,
    /// What of that was used at the start, by all processes of the cgroup together.
    pub cgroup_used: Option<u64>,
    /// RLIMIT_AS.
    pub address_space: Option<u64>,
    /// The machine's memory.
    pub machine: Option<u64>,
    /// What of that was available at the start.
    pub machine_available: Option<u64>,
    /// RLIMIT_NOFILE.
    pub descriptors: Option<u64>,
    /// vm.max_map_count.
    pub mappings: Option<u64>,
    /// pids.max of the cgroup.
    pub tasks: Option<u64>,
    /// How many threads all processes of the cgroup had at the start.
    pub tasks_used: Option<u64>,
    /// RLIMIT_NPROC.
    pub user_tasks: Option<u64>,
}

impl RecordedLimits {
    /// What the attributes of a process or of a cgroup say.
    pub(crate) fn of(subject: &Subject) -> Self {
        Self {
            cgroup: subject.get(attribute::CGROUP_LIMIT),
            cgroup_used: subject.get(attribute::CGROUP_USED),
            address_space: subject.get(attribute::ADDRESS_SPACE_LIMIT),
            machine: subject.get(attribute::MACHINE_LIMIT),
            machine_available: subject.get(attribute::MACHINE_AVAILABLE),
            descriptors: subject.get(attribute::DESCRIPTOR_LIMIT),
            mappings: subject.get(attribute::MAPPING_LIMIT),
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
    /// RLIMIT_AS.
    #[serde(rename = "address space")]
    AddressSpace,
    /// The machine's memory.
    #[serde(rename = "machine")]
    Machine,
    /// RLIMIT_NOFILE.
    #[serde(rename = "open files")]
    Descriptors,
    /// vm.max_map_count.
    #[serde(rename = "mappings")]
    Mappings,
    /// pids.max of the cgroup.
    #[serde(rename = "threads of the cgroup")]
    Tasks,
    /// RLIMIT_NPROC.
    #[serde(rename = "threads of the user")]
    UserTasks,
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cgroup => "cgroup",
            Self::AddressSpace => "address space",
            Self::Machine => "machine",
            Self::Descriptors => "open files",
            Self::Mappings => "mappings",
            Self::Tasks => "threads of the cgroup",
            Self::UserTasks => "threads of the user",
        })
    }
}

/// When a limit will be reached at the present rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitForecast {
    /// Which limit.
    #[serde(rename = "name")]
    pub kind: LimitKind,
    /// The limit in the unit of the metric.
    pub amount: u64,
    /// What of it others used at the start, in that unit; none if that was not recorded.
    pub others: Option<u64>,
    /// The rate of the address space in bytes a second, if that is not what was judged.
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

/// The limit that is reached first; `grows` is the judgement on the whole, unless its growth is masked.
/// The cgroup and the machine bound what is resident, of other processes too; RLIMIT_AS bounds the
/// address space, which grows at a rate of its own.
pub(crate) fn nearest(run: &RunSeries, grows: Option<&Judgement>) -> Option<LimitForecast> {
    let forecast = |limit: &UsedLimit| of_whole(run, grows?, limit);
    let of_whole = limits_of(run).iter().filter_map(forecast).min_by_key(|it| it.time.likely);
    let of_space = run.bounds.address_space.and_then(|bytes| of_address_space(run, grows, bytes));
    of_whole.into_iter().chain(of_space).min_by_key(|limit| limit.time.likely)
}

/// What bounds the metric itself.
fn limits_of(run: &RunSeries) -> Vec<UsedLimit> {
    let bounds = &run.bounds;
    let limit = |kind, amount: Option<u64>, used| Some(UsedLimit { kind, amount: amount?, used });
    let is = |spec: &MetricSpec<'_>| run.metric == spec.name;
    let machine_used = bounds
        .machine_available
        .and_then(|available| bounds.machine.map(|bytes| bytes.saturating_sub(available)));
    let limits = if run.is_resident() || CHARGED.iter().any(is) {
        [
            limit(LimitKind::Cgroup, bounds.cgroup, bounds.cgroup_used),
            limit(LimitKind::Machine, bounds.machine, machine_used),
        ]
    } else if is(&metric::THREADS) {
        [
            limit(LimitKind::Tasks, bounds.tasks, bounds.tasks_used),
            limit(LimitKind::UserTasks, bounds.user_tasks, None),
        ]
    } else if is(&metric::FDS) {
        [limit(LimitKind::Descriptors, bounds.descriptors, Some(0)), None]
    } else if is(&metric::MAPPINGS) {
        [limit(LimitKind::Mappings, bounds.mappings, Some(0)), None]
    } else {
        [None, None]
    };
    limits.into_iter().flatten().collect()
}

/// A limit, and what of it was used at the start, in the metric's unit.
struct UsedLimit {
    kind: LimitKind,
    amount: u64,
    used: Option<u64>,
}

fn of_whole(run: &RunSeries, judgement: &Judgement, limit: &UsedLimit) -> Option<LimitForecast> {
    let UsedLimit { kind, amount, used } = *limit;
    let (_, own) = *run.whole.points().first()?;
    let own = u64::try_from(own).unwrap_or(0);
    let others = used.map(|used| used.saturating_sub(own));
    // If there is a cycle, its peaks have to fit under the limit too.
    let amplitude = judgement.peak.map_or(0.0, |peak| peak as f64) - judgement.level?;
    let headroom = judgement.cycle.map_or(0.0, |_| amplitude.max(0.0));
    let room = amount.saturating_sub(others.unwrap_or(0)) as f64;
    let time = from_the_end(judgement.time_to_limit(room, headroom)?, &run.whole);
    Some(LimitForecast { kind, amount, others, rate: None, time })
}

fn of_address_space(
    run: &RunSeries,
    grows: Option<&Judgement>,
    bytes: u64,
) -> Option<LimitForecast> {
    let (time, rate) = if run.metric == metric::VSIZE.name {
        let time = grows?.time_to_limit(bytes as f64, 0.0)?;
        (from_the_end(time, &run.whole), None)
    } else {
        let series = run.address_space.as_ref()?;
        let judgement = judge(series, &Settings::default());
        let time = judgement.time_to_limit(bytes as f64, 0.0)?;
        (from_the_end(time, series), judgement.rate)
    };
    let (kind, amount) = (LimitKind::AddressSpace, bytes);
    Some(LimitForecast { kind, amount, others: None, rate, time })
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
