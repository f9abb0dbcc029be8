//! What is kept of one target.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use seepmeter_analysis::{Downsampler, Series};
use seepmeter_record::conventions::{attribute, metric};
use seepmeter_record::{
    CurrentPoint, CurrentValues, Sample, SamplerId, Subject, SubjectId, SubjectKind,
};

use super::roles::RoleId;
use crate::conclusion::JudgeOptions;
use crate::growth_cause::GrowthCause;
use crate::part_table::{PartCause, PartRoom, PartTable};
use crate::run_series::LimitedSeries;
use crate::sample_clock::SampleClock;

/// Buckets for the whole: the judge lays a series on half as many cells.
pub(super) const WHOLE_BUCKETS: usize = 2048;

/// Buckets for the address space.
const ADDRESS_SPACE_BUCKETS: usize = WHOLE_BUCKETS / 4;

/// Buckets for what of the whole has a cause that is usually no leak.
const CAUSE_BUCKETS: usize = WHOLE_BUCKETS / 8;

/// Buckets for the number of threads.
const THREADS_BUCKETS: usize = WHOLE_BUCKETS / 8;

/// A series and the sampler it comes from: the one that counts at present.
#[derive(Debug)]
pub(super) struct SourceSeries {
    pub(super) source: Option<SamplerId>,
    series: Option<Downsampler>,
    buckets: usize,
}

impl SourceSeries {
    pub(super) fn new(buckets: usize) -> Self {
        Self { source: None, series: None, buckets }
    }

    pub(super) fn push(&mut self, t: u64, value: i64) {
        self.series.get_or_insert_with(|| Downsampler::new(self.buckets)).push(t, value);
    }

    /// The largest value so far.
    pub(super) fn peak(&self) -> Option<i64> {
        self.series.as_ref()?.peak()
    }

    pub(super) fn series(&self, clock: &SampleClock) -> Option<Series> {
        let series = self.series.clone()?.finish();
        Some(match self.source {
            Some(source) => clock.scheduled(series, source),
            None => series,
        })
    }
}

/// Keeps what it takes to judge one target, or one cgroup.
#[derive(Debug)]
pub(super) struct TargetCollector {
    pub(super) subject: Arc<Subject>,
    pub(super) ended: bool,
    /// It is not one that the user has named.
    pub(super) is_descendant: bool,
    pub(super) role: RoleId,
    /// When it came, in nanoseconds since the stream's start.
    pub(super) since: u64,
    /// Of what is resident at present, the pages of files and of shared memory.
    pub(super) shared: Option<i64>,
    /// Of a descendant no limits are known, and there may be a thousand.
    pub(super) limited: Option<Box<LimitedSources>>,
    pub(super) threads: SourceSeries,
    /// One for each metric of the options.
    pub(super) metrics: Vec<MetricCollector>,
}

/// What other limits apply to than that of the resident set.
#[derive(Debug)]
pub(super) struct LimitedSources {
    address_space: SourceSeries,
    data: SourceSeries,
    mappings: SourceSeries,
    shm: ShmFiles,
    shared: SourceSeries,
    swap: SourceSeries,
}

/// What the parts of a target that are files in /dev/shm hold together.
#[derive(Debug)]
struct ShmFiles {
    held: HashMap<SubjectId, i64>,
    changed: bool,
    sum: SourceSeries,
}

impl ShmFiles {
    /// Takes in the resident set of a part.
    fn observe(&mut self, point: &CurrentPoint<'_>, sample: &Sample) {
        let Subject { id, .. } = **point.subject;
        let file = || point.subject.get(attribute::FILE);
        if self.held.contains_key(&id)
            || file().is_some_and(|it| it.as_bytes().starts_with(b"/dev/shm/"))
        {
            self.held.insert(id, point.value);
            self.sum.source = Some(sample.sampler);
            self.changed = true;
        }
    }

    fn end_part(&mut self, part: SubjectId) {
        self.changed |= self.held.remove(&part).is_some();
    }

    fn end_sample(&mut self, t: u64) {
        if std::mem::take(&mut self.changed) {
            self.sum.push(t, self.held.values().copied().fold(0, i64::saturating_add));
        }
    }
}

impl LimitedSources {
    fn new(buckets: usize) -> Self {
        let new = || SourceSeries::new(buckets);
        Self {
            address_space: new(),
            data: new(),
            mappings: new(),
            shm: ShmFiles { held: HashMap::new(), changed: false, sum: new() },
            shared: new(),
            swap: new(),
        }
    }

    /// The one that a metric is of.
    fn of_metric(&mut self, name: &str) -> Option<&mut SourceSeries> {
        match name {
            name if name == metric::VSIZE.name => Some(&mut self.address_space),
            name if name == metric::DATA.name => Some(&mut self.data),
            name if name == metric::MAPPINGS.name => Some(&mut self.mappings),
            name if name == metric::SHARED.name => Some(&mut self.shared),
            name if [metric::SWAP.name, metric::CGROUP_SWAP.name].contains(&name) => {
                Some(&mut self.swap)
            }
            _ => None,
        }
    }

    pub(super) fn series(&self, clock: &SampleClock) -> LimitedSeries {
        let Self { address_space, data, mappings, shm, shared, swap } = self;
        let extended = |source: &SourceSeries| {
            let (series, sampler) = source.series(clock).zip(source.source)?;
            Some(clock.extended(series, sampler))
        };
        LimitedSeries {
            address_space: extended(address_space),
            data: extended(data),
            mappings: extended(mappings),
            shm: extended(&shm.sum),
            shared: extended(shared),
            swap: extended(swap),
        }
    }
}

/// Keeps what it takes to judge one metric of one target.
#[derive(Debug)]
pub(super) struct MetricCollector {
    name: String,
    pub(super) whole: SourceSeries,
    /// The target's current value.
    pub(super) current: Option<i64>,
    /// The metric of what is swapped out of it, if it is one that swapping makes smaller.
    swap_metric: Option<&'static str>,
    /// What of the target is swapped out at present, as far as that is known; and of parts, if it is not 0.
    swap: i64,
    part_swap: HashMap<SubjectId, i64>,
    /// Something was swapped out.
    pub(super) has_swapped: bool,
    /// What of the target has a cause that is usually no leak.
    pub(super) causes: BTreeMap<GrowthCause, SourceSeries>,
    pub(super) kernel_peak: Option<i64>,
    pub(super) parts: PartTable,
    /// The sample that is observed now has a value of the target.
    observed: bool,
}

/// The metric of what is swapped out of memory that this metric counts only as long as it is resident.
pub(crate) fn swap_of(metric: &str) -> Option<&'static str> {
    match metric {
        name if name == metric::PSS.name => Some(metric::SWAP_PSS.name),
        name if [metric::RSS, metric::ANONYMOUS, metric::PRIVATE_DIRTY]
            .iter()
            .any(|it| it.name == name) =>
        {
            Some(metric::SWAP.name)
        }
        name if [metric::CGROUP_CURRENT, metric::CGROUP_ANON].iter().any(|it| it.name == name) => {
            Some(metric::CGROUP_SWAP.name)
        }
        _ => None,
    }
}

impl MetricCollector {
    fn new(name: &str, buckets: usize) -> Self {
        Self {
            name: name.to_owned(),
            whole: SourceSeries::new(buckets),
            current: None,
            swap_metric: swap_of(name),
            swap: 0,
            part_swap: HashMap::new(),
            has_swapped: false,
            causes: BTreeMap::new(),
            kernel_peak: None,
            parts: PartTable::default(),
            observed: false,
        }
    }

    fn observe_target(&mut self, point: &CurrentPoint<'_>, sample: &Sample) {
        let name = &*point.metric.name;
        let of_rss = self.name == metric::RSS.name;
        if name == self.name {
            self.whole.source = Some(sample.sampler);
            self.current = Some(point.value);
            self.observed = true;
        } else if self.swap_metric == Some(name) {
            // Swapping hides growth.
            self.swap = point.value;
            self.has_swapped |= point.value > 0;
        } else if let Some(cause) = GrowthCause::measured_by(name).filter(|_| self.is_resident()) {
            let new = || SourceSeries::new(CAUSE_BUCKETS);
            let series = self.causes.entry(cause).or_insert_with(new);
            series.source = Some(sample.sampler);
            series.push(sample.t, point.value);
        } else if of_rss && name == metric::PEAK.name {
            self.kernel_peak = self.kernel_peak.max(Some(point.value));
        }
    }

    fn observe_part(
        &mut self,
        point: &CurrentPoint<'_>,
        sample: &Sample,
        values: &CurrentValues,
        room: &mut PartRoom,
    ) {
        let (name, id) = (&*point.metric.name, point.subject.id);
        if name == self.name {
            let swap = self.part_swap.get(&id).copied().unwrap_or(0);
            let with_swap = CurrentPoint { value: point.value.saturating_add(swap), ..*point };
            self.parts.set(&with_swap, sample, values, room);
        } else if self.swap_metric == Some(name) {
            let before = match point.value {
                0 => self.part_swap.remove(&id),
                swap => self.part_swap.insert(id, swap),
            };
            let change = point.value.saturating_sub(before.unwrap_or(0));
            if let Some(current) = self.parts.current(id).filter(|_| change != 0) {
                let value = current.saturating_add(change);
                self.parts.set(&CurrentPoint { value, ..*point }, sample, values, room);
            }
        } else if let Some(cause) = GrowthCause::measured_by(name).filter(|_| self.is_resident()) {
            self.parts.set_cause(sample.t, PartCause { part: id, cause }, point.value, room);
        }
    }

    fn is_resident(&self) -> bool {
        metric::is_resident(&self.name)
    }

    /// A part has ended.
    fn end_part(&mut self, t: u64, part: SubjectId, room: &mut PartRoom) {
        self.part_swap.remove(&part);
        self.parts.end(t, part, room);
    }

    /// All points of a sample have been observed.
    fn end_sample(&mut self, sample: &Sample) {
        let of_source = self.whole.source == Some(sample.sampler);
        let observed = std::mem::take(&mut self.observed) || !sample.partial;
        if let (true, true, Some(total)) = (of_source, observed, self.total()) {
            self.whole.push(sample.t, total);
        }
        self.parts.end_sample(sample);
    }

    /// True if pages that several processes map count in each of them.
    pub(super) fn counts_shared_pages(&self) -> bool {
        self.name == metric::RSS.name
    }

    /// What the target holds at present.
    pub(super) fn total(&self) -> Option<i64> {
        Some(self.current?.saturating_add(self.swap))
    }
}

impl TargetCollector {
    /// One that has come at `since`, and whose series have so many times fewer buckets than those of the first.
    pub(super) fn new(
        subject: Arc<Subject>,
        role: RoleId,
        since: u64,
        options: &JudgeOptions,
        coarser: usize,
    ) -> Self {
        let metric = |name: &String| MetricCollector::new(name, WHOLE_BUCKETS / coarser);
        let is_descendant = subject.kind == SubjectKind::Process && subject.parent.is_some();
        let limited = || Box::new(LimitedSources::new(ADDRESS_SPACE_BUCKETS / coarser));
        Self {
            is_descendant,
            role,
            since,
            shared: None,
            limited: (!is_descendant).then(limited),
            subject,
            ended: false,
            threads: SourceSeries::new(THREADS_BUCKETS / coarser),
            metrics: options.metrics.iter().map(metric).collect(),
        }
    }

    pub(super) fn is_cgroup(&self) -> bool {
        self.subject.kind == SubjectKind::Cgroup
    }

    pub(super) fn observe(
        &mut self,
        point: &CurrentPoint<'_>,
        sample: &Sample,
        values: &CurrentValues,
        room: &mut PartRoom,
    ) {
        let of_target = point.subject.id == self.subject.id;
        for metric in &mut self.metrics {
            match of_target {
                true => metric.observe_target(point, sample),
                false => metric.observe_part(point, sample, values, room),
            }
        }
        if !of_target {
            if let Some(limited) =
                self.limited.as_mut().filter(|_| *point.metric.name == *metric::RSS.name)
            {
                limited.shm.observe(point, sample);
            }
            return;
        }
        let name = &*point.metric.name;
        let limited = self.limited.as_mut().and_then(|limited| limited.of_metric(name));
        if let Some(limited) = limited {
            limited.source = Some(sample.sampler);
            limited.push(sample.t, point.value);
        }
        if name == metric::THREADS.name {
            self.threads.push(sample.t, point.value);
        } else if name == metric::SHARED.name {
            self.shared = Some(point.value);
        }
    }

    /// The largest value of the main metric so far.
    pub(super) fn peak(&self) -> Option<i64> {
        self.metrics.first()?.whole.peak()
    }

    /// A part of it, or of another target, has ended.
    pub(super) fn end_part(&mut self, t: u64, part: SubjectId, room: &mut PartRoom) {
        self.limited.iter_mut().for_each(|limited| limited.shm.end_part(part));
        self.metrics.iter_mut().for_each(|metric| metric.end_part(t, part, room));
    }

    /// All points of a sample have been observed.
    pub(super) fn end_sample(&mut self, sample: &Sample) {
        self.limited.iter_mut().for_each(|limited| limited.shm.end_sample(sample.t));
        self.metrics.iter_mut().for_each(|metric| metric.end_sample(sample));
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
        self.shared = None;
        for metric in &mut self.metrics {
            metric.current = None;
            metric.swap = 0;
        }
    }
}
