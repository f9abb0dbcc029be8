//! Which limit is reached first, and when.

use std::fmt;

use seepmeter_analysis::{Interval, Judgement, Series, Settings, TimeToLimit, judge};
use seepmeter_record::Subject;
use seepmeter_record::conventions::{attribute, metric};
use serde::{Deserialize, Serialize};

use crate::run_series::RunSeries;

/// The limits of a process in bytes; none where there is no such limit, or it was not recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryBounds {
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
}

impl MemoryBounds {
    /// What the attributes of a process say.
    pub(crate) fn of(subject: &Subject) -> Self {
        Self {
            cgroup: subject.get(attribute::CGROUP_LIMIT),
            cgroup_used: subject.get(attribute::CGROUP_USED),
            address_space: subject.get(attribute::ADDRESS_SPACE_LIMIT),
            machine: subject.get(attribute::MACHINE_LIMIT),
            machine_available: subject.get(attribute::MACHINE_AVAILABLE),
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
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cgroup => "cgroup",
            Self::AddressSpace => "address space",
            Self::Machine => "machine",
        })
    }
}

/// When a limit will be reached at the present rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitForecast {
    /// Which limit.
    #[serde(rename = "name")]
    pub kind: LimitKind,
    /// The limit in bytes.
    pub bytes: u64,
    /// What of it others used at the start, in bytes; none if that was not recorded.
    pub others: Option<u64>,
    /// The rate of the address space in bytes a second, if that is not what was judged.
    pub rate: Option<Interval>,
    /// When, from the end of the run on.
    #[serde(flatten)]
    pub time: TimeToLimit,
}

/// The limit that is reached first; `grows` is the judgement on the whole, unless its growth is masked.
/// The cgroup and the machine bound what is resident, of other processes too; RLIMIT_AS bounds the
/// address space, which grows at a rate of its own.
pub(crate) fn nearest(run: &RunSeries, grows: Option<&Judgement>) -> Option<LimitForecast> {
    let MemoryBounds { cgroup, cgroup_used, address_space, machine, machine_available } =
        run.bounds;
    let machine_used = machine_available
        .and_then(|available| machine.map(|bytes| bytes.saturating_sub(available)));
    let resident = grows.filter(|_| run.is_resident());
    let of_resident = |kind, bytes: Option<u64>, used| {
        of_resident(run, resident?, UsedLimit { kind, bytes: bytes?, used })
    };
    let limits = [
        of_resident(LimitKind::Cgroup, cgroup, cgroup_used),
        of_resident(LimitKind::Machine, machine, machine_used),
        address_space.and_then(|bytes| of_address_space(run, grows, bytes)),
    ];
    limits.into_iter().flatten().min_by_key(|limit| limit.time.likely)
}

/// A limit of what is resident, and what of it was used at the start, in bytes.
struct UsedLimit {
    kind: LimitKind,
    bytes: u64,
    used: Option<u64>,
}

fn of_resident(run: &RunSeries, judgement: &Judgement, limit: UsedLimit) -> Option<LimitForecast> {
    let UsedLimit { kind, bytes, used } = limit;
    let (_, own) = *run.whole.points().first()?;
    let own = u64::try_from(own).unwrap_or(0);
    let others = used.map(|used| used.saturating_sub(own));
    // If there is a cycle, its peaks have to fit under the limit too.
    let amplitude = judgement.peak.map_or(0.0, |peak| peak as f64) - judgement.level?;
    let headroom = judgement.cycle.map_or(0.0, |_| amplitude.max(0.0));
    let room = bytes.saturating_sub(others.unwrap_or(0)) as f64;
    let time = from_the_end(judgement.time_to_limit(room, headroom)?, &run.whole);
    Some(LimitForecast { kind, bytes, others, rate: None, time })
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
    Some(LimitForecast { kind: LimitKind::AddressSpace, bytes, others: None, rate, time })
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
