//! What the stacks of a stream weigh, over time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::conventions::{attribute, metric};
use crate::{
    Bytes, CurrentValues, Event, Frame, Metric, Record, Sample, SamplerId, StackDefinitions,
    StackId, SubjectId, SubjectKind, Unit,
};

/// No more bins than this are kept of a run: if it is longer, they become twice as wide.
const MOST_BINS: u64 = 64;

/// At first a bin is 2²⁰ ns wide, about a millisecond.
const FIRST_SHIFT: u32 = 20;

/// So many names of threads are told apart; all others are as one thread.
const MOST_THREAD_NAMES: usize = 4096;

/// What a stack weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackWeight {
    /// Samples in which a thread had this stack.
    Samples,
    /// Bytes of address space that were mapped from this stack and not unmapped since.
    Mapped,
}

/// What each stack of a stream weighs, in at most 64 bins of time.
///
/// Memory is bounded by the number of stacks, not by that of samples.
#[derive(Debug)]
pub struct StackProfile {
    values: CurrentValues,
    definitions: StackDefinitions,
    /// A bin is `1 << shift` ns wide; the first one begins at 0.
    shift: u32,
    /// The processes that have not ended.
    living: HashSet<SubjectId>,
    /// The time of the last sample or end while there were any.
    end: u64,
    /// Which sampler samples stacks: its samples are counted.
    sampler: Option<SamplerId>,
    /// The threads that have not ended.
    threads: HashMap<SubjectId, Thread>,
    /// The names that threads had, each with its place.
    thread_names: HashMap<Bytes, usize>,
    /// How often a thread of this name was in this stack: bins that have any, in their order.
    samples: HashMap<(usize, StackId), Vec<(u64, u64)>>,
    /// What is mapped from stacks of processes that have not ended.
    mapped: HashMap<SubjectId, MappedStack>,
    /// What processes that have ended had mapped at their end.
    mapped_at_end: HashMap<StackId, u64>,
    held: HashMap<StackId, HeldBytes>,
}

#[derive(Debug)]
struct Thread {
    process: Option<SubjectId>,
    /// The place of its name.
    name: usize,
    /// Its stack when it was last sampled, and when that was.
    stack: StackId,
    sampled: u64,
}

#[derive(Debug)]
struct MappedStack {
    process: Option<SubjectId>,
    stack: StackId,
    bytes: u64,
}

/// What living processes have mapped from a stack: now, and at the end of each bin in which that has changed.
#[derive(Debug, Default)]
struct HeldBytes {
    now: u64,
    changes: Vec<(u64, u64)>,
}

/// A stack, with what it weighs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfiledStack {
    /// The name of the thread; none of bytes, which belong to the process.
    pub thread: Option<Bytes>,
    /// Its functions, the outermost first. Before them stands why it is not whole, as `[cut]`; inlined calls are
    /// functions too, and an address without a known function is `libc.so.6+0x9f2d0`.
    pub frames: Vec<Bytes>,
    /// Samples of the whole run; bytes at its end, or for processes that have ended before, at their end.
    pub total: u64,
    /// Of each bin the samples in it; the bytes that living processes hold at its end. What a process holds at its
    /// end counts up to the end of that bin.
    pub bins: Vec<u64>,
}

impl Default for StackProfile {
    fn default() -> Self {
        Self {
            values: CurrentValues::default(),
            definitions: StackDefinitions::default(),
            shift: FIRST_SHIFT,
            living: HashSet::new(),
            end: 0,
            sampler: None,
            threads: HashMap::new(),
            thread_names: HashMap::new(),
            samples: HashMap::new(),
            mapped: HashMap::new(),
            mapped_at_end: HashMap::new(),
            held: HashMap::new(),
        }
    }
}

impl StackProfile {
    /// Takes in a record.
    pub fn apply(&mut self, record: &Record) {
        self.values.apply(record);
        self.definitions.apply(record);
        match record {
            Record::Subject(subject) if subject.kind == SubjectKind::Process => {
                self.living.insert(subject.id);
            }
            Record::Sample(sample) => {
                self.advance(sample.t);
                self.apply_sample(sample);
            }
            Record::Event(event) if event.kind.ends_subject() => {
                self.advance(event.t);
                self.end(event);
            }
            _ => {}
        }
    }

    /// True if a sampler of the stream measures this.
    #[must_use]
    pub fn has(&self, weight: StackWeight) -> bool {
        let is_it = |metric: &Arc<Metric>| match weight {
            StackWeight::Mapped => {
                *metric.name == *metric::MAPPED.name && metric.subject_kind == SubjectKind::Stack
            }
            StackWeight::Samples => metric.unit == Unit::Stack,
        };
        self.values.metrics().any(is_it)
    }

    /// The width of a bin in ns; the first one begins at 0.
    #[must_use]
    pub fn bin_width(&self) -> u64 {
        1 << self.shift
    }

    /// The stacks that weigh or have weighed anything, those that read alike taken together.
    #[must_use]
    pub fn stacks(&self, weight: StackWeight) -> Vec<ProfiledStack> {
        match weight {
            StackWeight::Samples => self.sampled_stacks(),
            StackWeight::Mapped => self.mapped_stacks(),
        }
    }

    fn advance(&mut self, t: u64) {
        if self.living.is_empty() {
            return;
        }
        self.end = self.end.max(t);
        while self.end >> self.shift >= MOST_BINS {
            self.shift += 1;
            for bins in self.samples.values_mut() {
                merge_pairs(bins, |sum, more| sum + more);
            }
            for held in self.held.values_mut() {
                merge_pairs(&mut held.changes, |_, later| later);
            }
        }
    }

    fn apply_sample(&mut self, sample: &Sample) {
        let bin = sample.t >> self.shift;
        let Self { values, threads, thread_names, mapped, held, sampler, .. } = self;
        for point in values.points(sample) {
            let subject = point.subject;
            if point.metric.unit == Unit::Stack && subject.kind == SubjectKind::Thread {
                *sampler = Some(sample.sampler);
                let Ok(stack) = u32::try_from(point.value).map(StackId) else { continue };
                let thread = threads.entry(subject.id).or_insert_with(|| Thread {
                    process: subject.parent,
                    name: place_of(&subject.name, thread_names),
                    stack,
                    sampled: sample.t,
                });
                (thread.stack, thread.sampled) = (stack, sample.t);
            } else if *point.metric.name == *metric::MAPPED.name
                && let Some(stack) = subject.get(attribute::STACK)
            {
                let bytes = u64::try_from(point.value).unwrap_or(0);
                let now = MappedStack { process: subject.parent, stack, bytes };
                let before = mapped.insert(subject.id, now).map_or(0, |known| known.bytes);
                held.entry(stack).or_default().change(before, bytes, bin);
            }
        }
        if self.sampler == Some(sample.sampler) {
            self.count(sample, bin);
        }
    }

    /// Counts a sample of stacks.
    fn count(&mut self, sample: &Sample, bin: u64) {
        for thread in self.threads.values() {
            // A partial sample has not observed a thread that it has no point of.
            if sample.partial && thread.sampled != sample.t {
                continue;
            }
            let bins = self.samples.entry((thread.name, thread.stack)).or_default();
            match bins.last_mut() {
                Some((last, count)) if *last == bin => *count += 1,
                _ => bins.push((bin, 1)),
            }
        }
    }

    /// A subject ends: nothing more is counted for it.
    fn end(&mut self, event: &Event) {
        let Some(ended) = event.subject else { return };
        // What was read of it last may have been read behind its end.
        let next_bin = (event.t.max(self.end) >> self.shift) + 1;
        self.threads.remove(&ended);
        self.living.remove(&ended);
        if let Some(MappedStack { stack, bytes, .. }) = self.mapped.remove(&ended) {
            self.held.entry(stack).or_default().change(bytes, 0, next_bin);
        }
        if self.values.subject(ended).is_none_or(|it| it.kind != SubjectKind::Process) {
            return;
        }
        self.threads.retain(|_, thread| thread.process != Some(ended));
        for (_, it) in self.mapped.extract_if(|_, it| it.process == Some(ended)) {
            *self.mapped_at_end.entry(it.stack).or_default() += it.bytes;
            self.held.entry(it.stack).or_default().change(it.bytes, 0, next_bin);
        }
    }

    fn sampled_stacks(&self) -> Vec<ProfiledStack> {
        let places = self.thread_names.iter().map(|(name, place)| (*place, name));
        let names: HashMap<usize, &Bytes> = places.collect();
        let stacks = self.samples.iter().map(|((name, stack), counts)| {
            let mut bins = vec![0; self.bin_count()];
            counts.iter().for_each(|(bin, count)| add_at(&mut bins, *bin, *count));
            let thread =
                names.get(name).map_or_else(|| "[other threads]".into(), |it| (*it).clone());
            let total = bins.iter().sum();
            ProfiledStack { thread: Some(thread), frames: self.frames(*stack), total, bins }
        });
        merged(stacks)
    }

    fn mapped_stacks(&self) -> Vec<ProfiledStack> {
        let mut totals = self.mapped_at_end.clone();
        for mapped in self.mapped.values() {
            *totals.entry(mapped.stack).or_default() += mapped.bytes;
        }
        let stacks = self.held.iter().map(|(stack, held)| {
            let mut bins = vec![0; self.bin_count()];
            for (bin, bytes) in &held.changes {
                let from = usize::try_from(*bin).unwrap_or(usize::MAX).min(bins.len());
                bins[from..].fill(*bytes);
            }
            let total = totals.get(stack).copied().unwrap_or(0);
            ProfiledStack { thread: None, frames: self.frames(*stack), total, bins }
        });
        merged(stacks)
    }

    fn bin_count(&self) -> usize {
        // At most MOST_BINS.
        (self.end >> self.shift) as usize + 1
    }

    /// The functions of a stack, the outermost first.
    fn frames(&self, stack: StackId) -> Vec<Bytes> {
        let Some(stack) = self.definitions.stack(stack) else { return vec!["[unknown]".into()] };
        let why = stack.truncated.iter().map(|why| format!("[{why}]").into());
        let frames = self.definitions.frames(stack).rev().flat_map(|frame| self.functions(frame));
        why.chain(frames).collect()
    }

    /// The functions at a frame's address, the outermost first; the address if none is known.
    fn functions(&self, frame: &Frame) -> Vec<Bytes> {
        let outermost = match &frame.function {
            Some(function) => function.clone(),
            None => {
                let image = self.definitions.image(frame).map(|image| image.path.as_bytes());
                let path = image.unwrap_or(b"[jit]");
                let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
                [name, format!("+{:#x}", frame.address).as_bytes()].concat().into()
            }
        };
        let inlined = frame.inlined.iter().rev().map(|call| call.function.clone());
        std::iter::once(outermost).chain(inlined).collect()
    }
}

impl HeldBytes {
    fn change(&mut self, before: u64, bytes: u64, bin: u64) {
        self.now = self.now.saturating_sub(before).saturating_add(bytes);
        let now = self.now;
        // What an end has changed from the next bin on is changed again from this one on.
        self.changes.retain(|(at, _)| *at <= bin);
        match self.changes.last_mut() {
            Some((last, value)) if *last == bin => *value = now,
            _ => self.changes.push((bin, now)),
        }
    }
}

/// The place of a thread's name. A thread may have emptied it, and a line that begins with a semicolon has no root.
fn place_of(name: &Bytes, names: &mut HashMap<Bytes, usize>) -> usize {
    let name = if name.is_empty() { "[no name]".into() } else { name.clone() };
    let next = names.len();
    match names.get(&name) {
        Some(place) => *place,
        None if next >= MOST_THREAD_NAMES => next,
        None => *names.entry(name).or_insert(next),
    }
}

/// Each two bins become one.
fn merge_pairs(bins: &mut Vec<(u64, u64)>, merge: impl Fn(u64, u64) -> u64) {
    bins.iter_mut().for_each(|(bin, _)| *bin /= 2);
    bins.dedup_by(|later, kept| {
        let is_same = later.0 == kept.0;
        if is_same {
            kept.1 = merge(kept.1, later.1);
        }
        is_same
    });
}

fn add_at(bins: &mut [u64], bin: u64, count: u64) {
    let place = usize::try_from(bin).ok().and_then(|bin| bins.get_mut(bin));
    place.into_iter().for_each(|sum| *sum += count);
}

/// In the order of their names, those that read alike as one.
fn merged(stacks: impl Iterator<Item = ProfiledStack>) -> Vec<ProfiledStack> {
    let mut all: BTreeMap<(Option<Bytes>, Vec<Bytes>), ProfiledStack> = BTreeMap::new();
    for stack in stacks.filter(|it| it.total > 0 || it.bins.iter().any(|weight| *weight > 0)) {
        let key = (stack.thread.clone(), stack.frames.clone());
        let Some(known) = all.get_mut(&key) else {
            all.insert(key, stack);
            continue;
        };
        known.total = known.total.saturating_add(stack.total);
        let bins = known.bins.iter_mut().zip(&stack.bins);
        bins.for_each(|(sum, more)| *sum = sum.saturating_add(*more));
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attributes, EventKind, MetricId, MetricKind, Point, Stack, Subject};

    const MILLISECOND: u64 = 1 << FIRST_SHIFT;

    /// A profile of a stream in which metric 0 is the stack of threads and metric 1 what stacks have mapped.
    fn profile() -> StackProfile {
        let mut profile = StackProfile::default();
        for (id, name, unit, subject_kind) in [
            (0, metric::STACK.name, Unit::Stack, SubjectKind::Thread),
            (1, metric::MAPPED.name, Unit::Bytes, SubjectKind::Stack),
        ] {
            let (id, kind, sampler) = (MetricId(id), MetricKind::Gauge, SamplerId(0));
            let (name, help) = (name.into(), "".into());
            let metric = Metric { id, name, unit, kind, subject_kind, sampler, help };
            profile.apply(&Record::Metric(metric.into()));
        }
        subject(&mut profile, 0, None, SubjectKind::Process, "work");
        for id in [0, 1] {
            let truncated = Some(format!("stack-{id}").as_str().into());
            let stack = Stack { id: StackId(id), frames: Vec::new(), truncated };
            profile.apply(&Record::Stack(stack.into()));
        }
        profile
    }

    fn subject(
        profile: &mut StackProfile,
        id: u32,
        parent: Option<u32>,
        kind: SubjectKind,
        name: &str,
    ) {
        let attributes = match kind {
            SubjectKind::Stack => Attributes::new().with(attribute::STACK, StackId(0)),
            _ => Attributes::new(),
        };
        let (id, parent, name) = (SubjectId(id), parent.map(SubjectId), name.into());
        profile.apply(&Record::Subject(Subject { id, parent, kind, name, attributes }.into()));
    }

    fn sample(profile: &mut StackProfile, t: u64, points: &[(u32, u32, i64)]) {
        let point = |(subject, metric, value): &(u32, u32, i64)| Point {
            subject: SubjectId(*subject),
            metric: MetricId(*metric),
            value: *value,
        };
        let points = points.iter().map(point).collect();
        let (sampler, duration, partial) = (SamplerId(0), 0, false);
        profile.apply(&Record::Sample(Sample { t, sampler, duration, partial, points }));
    }

    fn end(profile: &mut StackProfile, t: u64, subject: SubjectId) {
        let mut event = Event::new(t, EventKind::Gone {});
        event.subject = Some(subject);
        profile.apply(&Record::Event(event));
    }

    #[test]
    fn what_the_last_process_held_at_its_end_is_in_the_last_bin_whatever_is_read_behind_it() {
        let mut profile = profile();
        subject(&mut profile, 1, Some(0), SubjectKind::Stack, "main;keep");
        sample(&mut profile, 0, &[(1, 1, 500)]);
        sample(&mut profile, 3 * MILLISECOND, &[(1, 1, 700)]);
        // It ended before that was read.
        end(&mut profile, MILLISECOND, SubjectId(0));
        sample(&mut profile, 9 * MILLISECOND, &[]);
        let [stack] = &profile.stacks(StackWeight::Mapped)[..] else { panic!("{profile:?}") };
        assert_eq!((stack.total, &stack.bins[..]), (700, &[500, 500, 500, 700][..]));
    }

    #[test]
    fn nothing_is_kept_of_threads_that_have_ended_but_their_names_and_counts() {
        let mut profile = profile();
        for t in 0..1000 {
            let id = 1 + t as u32;
            subject(&mut profile, id, Some(0), SubjectKind::Thread, "worker");
            sample(&mut profile, 2 * t * MILLISECOND, &[(id, 0, 0)]);
            end(&mut profile, (2 * t + 1) * MILLISECOND, SubjectId(id));
        }
        assert_eq!((profile.threads.len(), profile.samples.len()), (0, 1));
        let stacks = profile.stacks(StackWeight::Samples);
        assert_eq!((stacks.len(), stacks[0].total), (1, 1000));
        assert_eq!(stacks[0].frames, ["[stack-0]".into()]);
    }

    #[test]
    fn names_of_threads_beyond_the_bound_are_one() {
        let mut profile = profile();
        for id in 1..=MOST_THREAD_NAMES as u32 + 10 {
            subject(&mut profile, id, Some(0), SubjectKind::Thread, &format!("worker-{id}"));
            sample(&mut profile, u64::from(id), &[(id, 0, 0)]);
            end(&mut profile, u64::from(id), SubjectId(id));
        }
        let stacks = profile.stacks(StackWeight::Samples);
        assert_eq!(stacks.len(), MOST_THREAD_NAMES + 1);
        let others = stacks.iter().find(|it| it.thread == Some("[other threads]".into()));
        assert_eq!(others.unwrap().total, 10);
    }

    #[test]
    fn a_longer_run_has_wider_bins_and_the_same_sums() {
        let mut profile = profile();
        subject(&mut profile, 1, Some(0), SubjectKind::Thread, "worker");
        subject(&mut profile, 2, Some(0), SubjectKind::Stack, "a stack");
        for i in 0..10_000 {
            let points = [(1, 0, i64::from(i >= 5_000)), (2, 1, i * 100)];
            sample(&mut profile, i as u64 * MILLISECOND, &points);
        }
        assert_eq!(profile.bin_width(), 256 * MILLISECOND);
        let [early, late] = &profile.stacks(StackWeight::Samples)[..] else { panic!() };
        assert_eq!((early.total, late.total), (5_000, 5_000));
        assert_eq!((early.bins.len(), early.bins[0], late.bins[0]), (40, 256, 0));
        // 5000 is in the bin from 4864 on.
        assert_eq!((early.bins[19], late.bins[19], late.bins[20]), (136, 120, 256));
        let [mapped] = &profile.stacks(StackWeight::Mapped)[..] else { panic!() };
        assert_eq!((mapped.bins[0], mapped.bins[38]), (25_500, 998_300));
        assert_eq!((mapped.bins[39], mapped.total), (999_900, 999_900));
    }

    #[test]
    fn what_a_process_has_mapped_at_its_end_counts_up_to_its_end_and_no_churn_is_growth() {
        let mut profile = profile();
        for t in 0..20 {
            let (process, stack) = (10 + 2 * t, 11 + 2 * t);
            subject(&mut profile, process, None, SubjectKind::Process, "worker");
            subject(&mut profile, stack, Some(process), SubjectKind::Stack, "a stack");
            sample(&mut profile, u64::from(t) * MILLISECOND, &[(stack, 1, 4096)]);
            end(&mut profile, u64::from(t) * MILLISECOND + 5, SubjectId(process));
        }
        let [mapped] = &profile.stacks(StackWeight::Mapped)[..] else { panic!() };
        assert_eq!(mapped.bins, [4096; 20]);
        assert_eq!(mapped.total, 20 * 4096, "what each had at its own end");
        sample(&mut profile, 25 * MILLISECOND, &[]);
        let [mapped] = &profile.stacks(StackWeight::Mapped)[..] else { panic!() };
        assert_eq!(mapped.bins[18..], [4096, 4096, 0, 0, 0, 0, 0, 0]);
    }
}
