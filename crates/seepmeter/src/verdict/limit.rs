//! Which limit is reached first, and when.

use seepmeter_analysis::{Interval, Judgement, Series, Settings, TimeToLimit, judge};
use seepmeter_record::{Attr, Subject, limit_attr};

/// The limit that is reached first.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearest {
    /// Which limit: `cgroup`, `address space`, `machine`.
    pub name: &'static str,
    /// The limit in bytes.
    pub bytes: u64,
    /// What of it others used when the watch began, in bytes; none where that was not recorded.
    pub others: Option<u64>,
    /// The rate of the address space, in bytes a second, where that is not what was judged.
    pub rate: Option<Interval>,
    /// When.
    pub time: TimeToLimit,
}

/// What is known of a watch.
pub(super) struct Seen<'a> {
    /// The target, whose attributes say how large it may become.
    pub(super) target: &'a Subject,
    /// What the judged metric was judged to be; none where its rate reaches nothing.
    pub(super) judgement: Option<&'a Judgement>,
    /// The series that was judged.
    pub(super) whole: &'a Series,
    /// True where that is resident memory.
    pub(super) resident: bool,
    /// The address space, where it bears on the metric.
    pub(super) space: Option<Space>,
}

/// The address space.
pub(super) enum Space {
    /// It is what was judged.
    Judged,
    /// It was not judged.
    Beside(Series),
}

impl Seen<'_> {
    /// The limit that is reached first. The cgroup and the machine bound what is resident, that of
    /// others too; RLIMIT_AS bounds the address space, which grows at a rate of its own.
    pub(super) fn nearest(&self) -> Option<Nearest> {
        let limits = [self.cgroup(), self.machine(), self.address_space()];
        limits.into_iter().flatten().min_by_key(|limit| limit.time.likely)
    }

    fn attr(&self, name: &str) -> Option<u64> {
        match self.target.attr(name)? {
            Attr::Int(bytes) => u64::try_from(*bytes).ok(),
            Attr::Text(_) => None,
        }
    }

    fn cgroup(&self) -> Option<Nearest> {
        let bytes = self.attr(limit_attr::CGROUP)?;
        self.bounded("cgroup", bytes, self.attr(limit_attr::CGROUP_USED))
    }

    fn machine(&self) -> Option<Nearest> {
        let bytes = self.attr(limit_attr::MACHINE)?;
        let available = self.attr(limit_attr::MACHINE_AVAILABLE);
        self.bounded("machine", bytes, available.map(|available| bytes.saturating_sub(available)))
    }

    /// A limit of what is resident, of which so much was used when the watch began.
    fn bounded(&self, name: &'static str, bytes: u64, used: Option<u64>) -> Option<Nearest> {
        let judgement = self.judgement.filter(|_| self.resident)?;
        let (_, own) = *self.whole.points().first()?;
        let own = u64::try_from(own).unwrap_or(0);
        let others = used.map(|used| used.saturating_sub(own));
        // Where there is a cycle, its peaks have to fit under the limit too.
        let amplitude = judgement.peak.map_or(0.0, |peak| peak as f64) - judgement.level?;
        let headroom = judgement.cycle.map_or(0.0, |_| amplitude.max(0.0));
        let room = bytes.saturating_sub(others.unwrap_or(0)) as f64;
        let time = from_the_end(judgement.time_to_limit(room, headroom)?, self.whole);
        Some(Nearest { name, bytes, others, rate: None, time })
    }

    fn address_space(&self) -> Option<Nearest> {
        let bytes = self.attr(limit_attr::ADDRESS_SPACE)?;
        let (time, rate) = match self.space.as_ref()? {
            Space::Judged => {
                let time = self.judgement?.time_to_limit(bytes as f64, 0.0)?;
                (from_the_end(time, self.whole), None)
            }
            Space::Beside(series) => {
                let judgement = judge(series, &Settings::default());
                let time = judgement.time_to_limit(bytes as f64, 0.0)?;
                (from_the_end(time, series), judgement.rate)
            }
        };
        Some(Nearest { name: "address space", bytes, others: None, rate, time })
    }
}

/// The level is that of the watch's last fifth, and so a tenth of the watch old at its end.
fn from_the_end(time: TimeToLimit, series: &Series) -> TimeToLimit {
    let old = series.span() / 10;
    TimeToLimit {
        soonest: time.soonest.saturating_sub(old),
        likely: time.likely.saturating_sub(old),
        latest: time.latest.map(|latest| latest.saturating_sub(old)),
    }
}
