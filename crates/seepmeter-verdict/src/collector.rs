//! What is collected of a stream of records; [`series`] is what is judged of it.

mod epochs;
#[cfg(test)]
mod made_up;
mod roles;
mod series;
mod target;

use std::collections::BTreeMap;
use std::sync::Arc;

use seepmeter_analysis::Series;
use seepmeter_record::{
    CurrentValues, Event, EventKind, Record, Restart, RestartLog, Sample, Subject, SubjectId,
    SubjectKind, Unit,
};

use self::epochs::EpochTable;
use self::roles::{ProcessSum, RoleId, RoleTable};
pub(crate) use self::target::swap_of;
use self::target::{SourceSeries, TargetCollector, WHOLE_BUCKETS};
use crate::conclusion::{Conclusion, JudgeOptions};
use crate::part_table::PartRoom;
use crate::sample_clock::SampleClock;
use crate::work::{Counters, NoCounter};

/// So many targets are kept as finely as that, in 50 MB at most. A series of any later one has an eighth of
/// the buckets, and parts have series of their own as long as there is room for them.
const FINE_TARGETS: usize = 256;
const COARSER: usize = 8;

/// So many processes are kept finely when a descendant comes; any later one has as few buckets as a judgement
/// can do with, 5 kB.
const FINE_DESCENDANTS: usize = 16;
const COARSE_DESCENDANTS: usize = 128;
const COARSEST: usize = 32;

/// So many descendants that have ended are kept; then the smaller half of them is forgotten, but for what they
/// add to the sums.
const MOST_ENDED: usize = 64;

/// Keeps of a stream what a verdict needs, in bounded memory.
///
/// If a target is started again, it concludes from the epoch that has ended and begins anew: all series are those of
/// the epoch that goes on.
#[derive(Debug)]
pub struct Collector {
    options: JudgeOptions,
    values: CurrentValues,
    clock: SampleClock,
    restarts: RestartLog,
    epochs: EpochTable,
    /// And the cgroups that are watched, in the order in which they came; those that have ended stay, if the user has
    /// named them.
    targets: BTreeMap<SubjectId, TargetCollector>,
    /// How many there were so far, without cgroups.
    count: usize,
    /// The descendants that have ended, of those above.
    ended: Vec<SubjectId>,
    roles: RoleTable,
    /// There are processes that are not followed.
    not_all_followed: bool,
    room: PartRoom,
    /// The time of the last record.
    t: u64,
    /// The sum of all targets, one for each metric of the options.
    sums: Vec<SourceSeries>,
    counters: Counters,
}

/// What all targets hold together at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentTotal {
    /// The metric.
    pub metric: String,
    /// Its value, in base units.
    pub value: i64,
    /// What that counts.
    pub unit: Unit,
}

impl Collector {
    /// Collects what it takes to judge the metrics of the options. With `rss`, `pss`, `anonymous`,
    /// `private_dirty`, `cgroup_current` and `cgroup_anon`, what is swapped out counts in, of the whole and of parts: swapping hides growth.
    #[must_use]
    pub fn new(options: JudgeOptions) -> Self {
        let sums = options.metrics.iter().map(|_| SourceSeries::new(WHOLE_BUCKETS)).collect();
        Self {
            options,
            values: CurrentValues::default(),
            clock: SampleClock::default(),
            restarts: RestartLog::default(),
            epochs: EpochTable::default(),
            targets: BTreeMap::new(),
            count: 0,
            ended: Vec::new(),
            roles: RoleTable::default(),
            not_all_followed: false,
            room: PartRoom::default(),
            t: 0,
            sums,
            counters: Counters::default(),
        }
    }

    /// Observes one record of the stream.
    pub fn observe(&mut self, record: &Record) {
        self.values.apply(record);
        self.t = record.time().unwrap_or(self.t);
        if let Some(restart) = self.restarts.apply(record, &self.values) {
            self.begin_epoch(&restart);
        }
        match record {
            Record::Header(header) => self.clock.begin(header),
            Record::Subject(subject) => self.add_target(subject.id),
            Record::Sample(sample) => self.observe_sample(sample),
            Record::Event(event) => self.observe_event(event),
            Record::Metric(_)
            | Record::Image(_)
            | Record::Frame(_)
            | Record::Stack(_)
            | Record::Footer(_) => {}
        }
    }

    /// A target was started again. What was collected of the one before is concluded and forgotten. If another target
    /// that the user has named runs on, there is no epoch: what all have together would have no end.
    fn begin_epoch(&mut self, restart: &Restart) {
        let is_another = |(id, target): (&SubjectId, &TargetCollector)| {
            let runs = !target.ended && !target.is_descendant && !target.is_cgroup();
            runs && *id != restart.predecessor
        };
        if self.targets.iter().any(is_another) {
            return;
        }
        self.epochs.set_several();
        let ended = self.conclude_epoch();
        self.epochs.begin_next(self.t, restart, ended, &self.options.gates);
        self.clock.begin_epoch();
        let Self { options, values, clock, restarts, epochs, t, .. } =
            std::mem::replace(self, Self::new(JudgeOptions::default()));
        *self = Self { values, clock, restarts, epochs, t, ..Self::new(options) };
        // A cgroup may outlive its processes.
        let is_cgroup = |subject: &&Arc<Subject>| subject.kind == SubjectKind::Cgroup;
        let cgroups: Vec<_> = self.values.subjects().filter(is_cgroup).map(|it| it.id).collect();
        cgroups.into_iter().for_each(|cgroup| self.add_target(cgroup));
    }

    /// Begins to collect of a subject if it is a target, or a cgroup that is no part of one, once.
    fn add_target(&mut self, id: SubjectId) {
        if self.targets.contains_key(&id) {
            return;
        }
        let Some(subject) = self.values.subject(id).map(Arc::clone) else { return };
        let is_target = self.values.is_target(id);
        let is_cgroup =
            || subject.kind == SubjectKind::Cgroup && self.values.target_of(id).is_none();
        if !(is_target || is_cgroup()) {
            return;
        }
        let role = self.role_of(&subject);
        self.roles.get_mut(role).processes += 1;
        let coarser = match (is_target && subject.parent.is_some(), self.targets.len()) {
            (true, 0..FINE_DESCENDANTS) | (false, 0..FINE_TARGETS) => 1,
            (true, 0..COARSE_DESCENDANTS) | (false, _) => COARSER,
            (true, _) => COARSEST,
        };
        let target = TargetCollector::new(subject, role, self.t, &self.options, coarser);
        self.targets.insert(id, target);
        self.count += usize::from(is_target);
    }

    fn role_of(&mut self, subject: &Subject) -> RoleId {
        let (name, metrics) = (subject.name.to_string(), self.options.metrics.len());
        match subject.parent {
            None => self.roles.of_target(&name, metrics),
            Some(parent) => {
                let parent = self.targets.get(&parent).map(|parent| parent.role);
                self.roles.of_descendant(&name, parent, metrics)
            }
        }
    }

    /// A process executes another program, and may have another role then.
    fn rename(&mut self, id: SubjectId) {
        let Some(subject) = self.values.subject(id).map(Arc::clone) else { return };
        let Some(before) = self.targets.get(&id).map(|target| target.role) else { return };
        let role = match subject.parent {
            None => {
                self.roles.get_mut(before).name = subject.name.to_string();
                before
            }
            Some(_) => self.role_of(&subject),
        };
        self.roles.get_mut(before).processes -= 1;
        self.roles.get_mut(role).processes += 1;
        if let Some(target) = self.targets.get_mut(&id) {
            target.role = role;
            target.subject = subject;
        }
    }

    fn observe_event(&mut self, event: &Event) {
        if let EventKind::Marker { number: Some(number), text } = &event.kind {
            self.counters.push(&text.to_string(), event.t, *number);
        }
        let Some(subject) = event.subject else { return };
        match &event.kind {
            EventKind::NotFollowed { .. } => self.not_all_followed = true,
            EventKind::Attached {} => self.add_target(subject),
            EventKind::Exec { name: Some(_) } => self.rename(subject),
            kind if kind.ends_subject() => {
                let is_process = self.targets.get(&subject).is_some_and(|it| !it.is_cgroup());
                if is_process && event.kind != (EventKind::Detached {}) {
                    self.epochs.process_ended(event.t);
                }
                self.end(subject, event.t);
            }
            _ => {}
        }
    }

    fn end(&mut self, subject: SubjectId, t: u64) {
        // What the parts of a target held at its end is part of the verdict on it.
        if let Some(target) = self.targets.get_mut(&subject) {
            target.end();
            if target.is_descendant {
                self.ended.push(subject);
                self.forget_ended();
            }
            return;
        }
        let of = self.values.target_of(subject);
        let Some(target) = of.and_then(|target| self.targets.get_mut(&target)) else { return };
        let parts = self.values.with_parts(subject);
        parts.iter().for_each(|part| target.end_part(t, *part, &mut self.room));
    }

    /// If many descendants have ended, the smaller half of them is forgotten.
    fn forget_ended(&mut self) {
        if self.ended.len() < MOST_ENDED {
            return;
        }
        let targets = &self.targets;
        self.ended.sort_by_cached_key(|id| targets.get(id).and_then(TargetCollector::peak));
        for id in self.ended.drain(..MOST_ENDED / 2) {
            if let Some(target) = self.targets.remove(&id) {
                let role = self.roles.get_mut(target.role);
                let peaks = target.metrics.iter().filter_map(|metric| metric.kernel_peak);
                role.forgotten_peak = role.forgotten_peak.max(peaks.max());
                target.metrics.iter().for_each(|metric| metric.parts.give_back(&mut self.room));
            }
        }
    }

    fn observe_sample(&mut self, sample: &Sample) {
        let Self { values, clock, targets, room, .. } = self;
        clock.observe(sample);
        for point in values.points(sample) {
            let whole = values.target_of(point.subject.id).unwrap_or(point.subject.id);
            if let Some(target) = targets.get_mut(&whole) {
                target.observe(&point, sample, values, room);
            }
        }
        for target in targets.values_mut().filter(|target| !target.ended) {
            target.end_sample(sample);
        }
        self.sum_up(sample);
    }

    /// The sum of all targets after a sample.
    fn sum_up(&mut self, sample: &Sample) {
        let Self { targets, roles, sums, count, .. } = self;
        if *count < 2 {
            return;
        }
        let now = (sample.t, sample.sampler);
        for (place, sum) in sums.iter_mut().enumerate() {
            let targets = || targets.values().filter(|target| !target.is_cgroup());
            let is_source =
                |it: &TargetCollector| it.metrics[place].whole.source == Some(sample.sampler);
            if !targets().any(is_source) {
                continue;
            }
            if let Some(total) = roles.sum_up(targets(), place, now) {
                sum.source = Some(sample.sampler);
                sum.push(sample.t, total);
            }
        }
    }

    /// How many samples have a time before that of the same sampler's sample before them, which no clock
    /// that only goes forwards has given. They are taken as at the time of that.
    #[must_use]
    pub fn backwards(&self) -> u64 {
        self.clock.backwards()
    }

    /// What all targets hold together now, of the main metric; none if that is not known of one of them, or none is
    /// left. Several cgroups hold nothing together: one may be within another.
    #[must_use]
    pub fn current(&self) -> Option<CurrentTotal> {
        let name = self.options.metrics.first()?;
        let unit = self.values.metrics().find(|known| *known.name == **name)?.unit;
        let (mut sum, mut running) = (ProcessSum::default(), 0);
        for target in self.targets_of(name).filter(|target| !target.ended) {
            sum.add(target, 0, self.t);
            running += 1;
        }
        let has_sum = running == 1 || (running > 1 && !self.is_of_cgroups(name));
        let value = sum.plain_total().filter(|_| has_sum)?;
        Some(CurrentTotal { metric: name.clone(), value, unit })
    }

    /// What is concluded from all that was observed so far.
    #[must_use]
    pub fn conclude(&self) -> Conclusion {
        self.epochs.with_ended(self.conclude_epoch())
    }

    fn conclude_epoch(&self) -> Conclusion {
        Conclusion::of(&self.options, |metric| self.series(metric))
    }

    /// How often the target was started again. [`Collector::series`] and [`Collector::counter`] are of what came
    /// behind the last time.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.epochs.current().map_or(0, |current| current.number - 1)
    }

    /// The series of a counter, of which the run has marks.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn counter(&self, name: &str) -> Result<Series, NoCounter> {
        self.counters.series(name)
    }
}
