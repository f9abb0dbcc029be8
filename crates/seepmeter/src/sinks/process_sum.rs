//! What all processes of a run have together: targets and their descendants.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use seepmeter_record::conventions::metric;
use seepmeter_record::{
    Bytes, CurrentValues, Event, EventKind, Metric, MetricSpec, Sample, SubjectId, SubjectKind,
    Unit, human,
};

/// No more names than this are kept apart, so that a tree of any length takes bounded memory.
const MOST_NAMES: usize = 256;
/// No more names than this are printed.
const MOST_PRINTED: usize = 4;
/// No more of those that still run than this are named.
const MOST_RUNNING: usize = 5;

/// The values of a metric of all processes, added up: pages that several of them share count in each.
#[derive(Debug)]
pub(super) struct ProcessSum {
    metric: String,
    /// Of each that runs, its value.
    current: HashMap<SubjectId, i64>,
    total: i64,
    /// What was last shown, and when.
    last: Option<(u64, i64)>,
}

/// A sum at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SumPoint {
    pub(super) total: i64,
    pub(super) unit: Unit,
    /// Of how many processes.
    pub(super) processes: u64,
    /// The point before: when, in nanoseconds since the stream's start, and how much.
    pub(super) before: Option<(u64, i64)>,
}

impl ProcessSum {
    /// The sum of this metric.
    pub(super) fn new(metric: &str) -> Self {
        Self { metric: metric.to_owned(), current: HashMap::new(), total: 0, last: None }
    }

    /// The sum after a sample; none if the sample has observed none of a process. If it is shown, the next is
    /// compared with it.
    pub(super) fn observe(
        &mut self,
        sample: &Sample,
        values: &CurrentValues,
        is_shown: bool,
    ) -> Option<SumPoint> {
        let of_processes = values.points(sample).filter(|point| {
            point.subject.kind == SubjectKind::Process
                && *point.metric.name == *self.metric
                && values.is_target(point.subject.id)
        });
        for point in of_processes {
            let before = self.current.insert(point.subject.id, point.value).unwrap_or(0);
            self.total = self.total.saturating_add(point.value.saturating_sub(before));
        }
        // One that has not changed has no point.
        let observed = |id: &SubjectId| values.observed_at(*id, &self.metric) == Some(sample.t);
        let any = *self.current.keys().find(|id| observed(id))?;
        let (metric, _) = values.standing_metric(any, &self.metric)?;
        let before = self.last;
        if is_shown {
            self.last = Some((sample.t, self.total));
        }
        let processes = self.current.len() as u64;
        Some(SumPoint { total: self.total, unit: metric.unit, processes, before })
    }

    /// A process has ended. What it had is subtracted; none if that is not known.
    pub(super) fn end(&mut self, subject: SubjectId) -> Option<i64> {
        let had = self.current.remove(&subject)?;
        self.total = self.total.saturating_sub(had);
        Some(had)
    }

    /// When the value that is known for longest was observed, in ns since the stream's start.
    fn oldest(&self, values: &CurrentValues) -> Option<u64> {
        self.current.keys().filter_map(|id| values.observed_at(*id, &self.metric)).min()
    }

    /// What a process has at present.
    pub(super) fn of(&self, subject: SubjectId) -> Option<i64> {
        self.current.get(&subject).copied()
    }
}

/// What a summary says of the processes of a tree.
#[derive(Debug)]
pub(super) struct TreeSummary {
    rss: MetricSum,
    /// Of the other metrics that can be added up, those that have values.
    others: BTreeMap<&'static str, MetricSum>,
    /// The processes that run, as far as is known.
    living: HashSet<SubjectId>,
    /// When the last sample was, in ns since the stream's start.
    t: u64,
    /// The peak of the target's own cgroup, or why it is not known.
    cgroup_peak: Option<Result<i64, Bytes>>,
    /// There were descendants of targets.
    is_tree: bool,
    /// Descendants that are watched.
    running: BTreeMap<SubjectId, String>,
    /// Of how many processes there were so far, targets too.
    processes: u64,
    /// Processes that ended before a sample of them was taken.
    unsampled: u64,
    /// Processes that were never watched.
    brief: u64,
    /// Why processes were followed late or never, and how many if they were counted.
    not_followed: BTreeMap<String, Option<u64>>,
    /// How descendants are found.
    discovery: Option<Bytes>,
    /// Every process is known of.
    is_exact: bool,
    by_name: HashMap<String, OfName>,
}

/// A value that is no older than this, in ns, is of the end.
const WORTH_SAYING: u64 = 1_000_000_000;

/// The metrics beside the resident set that several processes have together what they have each.
const SUMMED: [MetricSpec<'_>; 6] = [
    metric::PSS,
    metric::ANONYMOUS,
    metric::PRIVATE_DIRTY,
    metric::FDS,
    metric::THREADS,
    metric::MAPPINGS,
];

/// The sum of a metric over a run.
#[derive(Debug)]
struct MetricSum {
    sum: ProcessSum,
    unit: Unit,
    first: Option<i64>,
    last: i64,
    /// The largest, and of how many processes that was.
    peak: Option<(i64, u64)>,
    /// Of how many processes the last was, and how many there were.
    known: (u64, u64),
    /// When the oldest value in the last was observed, in ns since the stream's start.
    oldest: u64,
}

impl MetricSum {
    fn new(metric: &str) -> Self {
        Self {
            sum: ProcessSum::new(metric),
            unit: Unit::Bytes,
            first: None,
            last: 0,
            peak: None,
            known: (0, 0),
            oldest: 0,
        }
    }

    fn observe(&mut self, sample: &Sample, values: &CurrentValues, living: u64) -> bool {
        let Some(SumPoint { total, unit, processes, .. }) = self.sum.observe(sample, values, true)
        else {
            return false;
        };
        self.unit = unit;
        self.first.get_or_insert(total);
        self.last = total;
        self.peak = self.peak.max(Some((total, processes)));
        self.known = (processes, living.max(processes));
        true
    }

    /// `first 1 MiB, last 13 MiB, peak 31 MiB in 3 processes`; none if there was no value.
    fn line(&self) -> Option<String> {
        let (peak, processes) = self.peak?;
        let amount = |value: i64| human::amount(value as f64, self.unit);
        let known = match self.known {
            (known, living) if known < living => format!(" in {known} of {living} processes"),
            _ => String::new(),
        };
        Some(format!(
            "first {}, last {}{known}, peak {} in {}",
            amount(self.first?),
            amount(self.last),
            amount(peak),
            human::count(processes, "process"),
        ))
    }
}

/// The processes of one name.
#[derive(Debug, Default)]
struct OfName {
    processes: u64,
    now: HashSet<SubjectId>,
    last: i64,
    peak: i64,
}

impl Default for TreeSummary {
    fn default() -> Self {
        Self {
            rss: MetricSum::new(metric::RSS.name),
            others: BTreeMap::new(),
            living: HashSet::new(),
            t: 0,
            cgroup_peak: None,
            is_tree: false,
            running: BTreeMap::new(),
            processes: 0,
            unsampled: 0,
            brief: 0,
            not_followed: BTreeMap::new(),
            discovery: None,
            is_exact: false,
            by_name: HashMap::new(),
        }
    }
}

impl TreeSummary {
    /// A subject has become a target.
    pub(super) fn add(&mut self, subject: SubjectId, values: &CurrentValues) {
        self.processes += 1;
        self.living.insert(subject);
        let Some(known) = values.subject(subject) else { return };
        if known.parent.is_some() {
            self.is_tree = true;
            self.running.insert(subject, known.called());
        }
        let name = known.name.to_string();
        if self.by_name.contains_key(&name) || self.by_name.len() < MOST_NAMES {
            let of_name = self.by_name.entry(name).or_default();
            of_name.processes += 1;
            of_name.now.insert(subject);
        }
    }

    pub(super) fn observe(&mut self, sample: &Sample, values: &CurrentValues) {
        self.t = self.t.max(sample.t);
        let is_observed = self.rss.observe(sample, values, self.living.len() as u64);
        self.observe_others(sample, values);
        self.observe_peaks(sample, values);
        if !is_observed {
            return;
        }
        for of_name in self.by_name.values_mut().filter(|of_name| !of_name.now.is_empty()) {
            of_name.last = of_name.now.iter().filter_map(|it| self.rss.sum.of(*it)).sum();
            of_name.peak = of_name.peak.max(of_name.last);
        }
    }

    fn observe_others(&mut self, sample: &Sample, values: &CurrentValues) {
        for MetricSpec { name, .. } in SUMMED {
            let is_it = |known: &Arc<Metric>| {
                known.sampler == sample.sampler
                    && *known.name == *name
                    && known.subject_kind == SubjectKind::Process
            };
            if !values.metrics().any(is_it) {
                continue;
            }
            let of_metric = self.others.entry(name).or_insert_with(|| MetricSum::new(name));
            if of_metric.observe(sample, values, self.living.len() as u64) {
                of_metric.oldest = of_metric.sum.oldest(values).unwrap_or(sample.t);
            }
        }
    }

    /// What the kernel has noted of each process, which no spike between two samples escapes.
    fn observe_peaks(&mut self, sample: &Sample, values: &CurrentValues) {
        let is_peak = |name: &str| [metric::PEAK.name, metric::INTERVAL_PEAK.name].contains(&name);
        for point in values.points(sample).filter(|point| is_peak(&point.metric.name)) {
            if let Some(of_name) = self.by_name.get_mut(&point.subject.name.to_string()) {
                of_name.peak = of_name.peak.max(point.value);
            }
            let peak = &mut self.rss.peak;
            *peak = peak.map(|(peak, processes)| (peak.max(point.value), processes));
        }
    }

    pub(super) fn event(&mut self, event: &Event, values: &CurrentValues) {
        match (&event.kind, event.subject) {
            (EventKind::Discovery { exact, text }, _) => {
                self.discovery = Some(text.clone());
                self.is_exact = exact.is_some();
            }
            (EventKind::NotFollowed { processes, reason }, _) => {
                let count = self.not_followed.entry(reason.to_string()).or_insert(Some(0));
                let more = processes.map(i64::unsigned_abs);
                *count = count.zip(more).map(|(count, more)| count.saturating_add(more));
            }
            (EventKind::CgroupPeak { bytes, reason }, _) => {
                self.cgroup_peak = Some(bytes.ok_or_else(|| reason.clone()));
            }
            (EventKind::BriefProcesses { processes }, _) => self.brief += processes,
            (EventKind::Exec { name: Some(_) }, Some(subject)) if values.is_target(subject) => {
                self.forget(subject);
                self.processes -= 1;
                self.add(subject, values);
            }
            (kind, Some(subject)) if kind.ends_subject() && self.living.contains(&subject) => {
                self.forget(subject);
                for sum in self.others.values_mut() {
                    let _ = sum.sum.end(subject);
                }
                self.unsampled += u64::from(self.rss.sum.end(subject).is_none());
            }
            _ => {}
        }
    }

    fn forget(&mut self, subject: SubjectId) {
        self.living.remove(&subject);
        self.running.remove(&subject);
        for of_name in self.by_name.values_mut() {
            if of_name.now.remove(&subject) && of_name.peak == 0 && of_name.now.is_empty() {
                of_name.processes -= 1;
            }
        }
        self.by_name.retain(|_, of_name| of_name.processes > 0);
    }

    /// The lines, each with its label; none if there was no tree. Of metrics beside the resident set and PSS, those
    /// that are `shown`. Who goes on is named if the targets have ended.
    pub(super) fn lines(&self, shown: &[&str], targets_ended: bool) -> Vec<(String, String)> {
        let of_cgroup =
            self.cgroup_peak.iter().map(|peak| ("cgroup".to_owned(), cgroup_line(peak)));
        if !self.is_tree && self.brief == 0 && self.not_followed.is_empty() {
            return of_cgroup.collect();
        }
        let mut lines = vec![("processes".to_owned(), self.processes_line())];
        lines.extend(self.not_followed.iter().map(|(why, count)| {
            let more = count.map_or("others".to_owned(), |count| format!("{count} more"));
            (String::new(), format!("{more} were not followed: {why}"))
        }));
        if let Some(line) = self.rss.line().filter(|_| self.is_tree) {
            let line = format!("{line}; pages that they share count in each");
            lines.push(("rss sum".to_owned(), line));
            lines.extend(self.largest().map(|line| (String::new(), line)));
        }
        let is_shown = |name: &str| name == metric::PSS.name || shown.contains(&name);
        for (name, sum) in self.others.iter().filter(|(name, _)| self.is_tree && is_shown(name)) {
            let age = match self.t.saturating_sub(sum.oldest) {
                ..WORTH_SAYING => String::new(),
                age => format!("; the oldest value in the last was {} old", human::duration(age)),
            };
            lines.extend(sum.line().map(|line| (format!("{name} sum"), line + &age)));
        }
        lines.extend(of_cgroup);
        if targets_ended && !self.running.is_empty() {
            lines.push(("left".to_owned(), self.running_line()));
        }
        lines
    }

    /// `20, found by process events; 31 lived too briefly to be sampled`.
    fn processes_line(&self) -> String {
        let found =
            self.discovery.as_ref().map_or(String::new(), |text| format!(", found by {text}"));
        // Without a metric of memory, that nothing is known of a process says nothing about its life.
        let unsampled = if self.rss.first.is_some() { self.unsampled } else { 0 };
        let at_least = if self.is_exact { "" } else { "at least " };
        let brief = match unsampled + self.brief {
            0 => String::new(),
            unsampled => format!("; {at_least}{unsampled} lived too briefly to be sampled"),
        };
        format!("{}{found}{brief}", self.processes + self.brief)
    }

    /// Those with the largest peaks.
    fn largest(&self) -> impl Iterator<Item = String> {
        let mut all: Vec<_> = self.by_name.iter().filter(|(_, it)| it.peak > 0).collect();
        all.sort_by(|(one, a), (other, b)| b.peak.cmp(&a.peak).then_with(|| one.cmp(other)));
        all.truncate(MOST_PRINTED);
        all.into_iter().map(|(name, OfName { processes, last, peak, .. })| {
            let several = match processes {
                1 => String::new(),
                several => format!(" ({several} processes)"),
            };
            format!("{name}{several}: last {}, peak {}", human::bytes(*last), human::bytes(*peak))
        })
    }

    /// `2 descendants are still running: a (pid 7), b (pid 8)`.
    fn running_line(&self) -> String {
        let count = self.running.len() as u64;
        let are = if count == 1 { "is" } else { "are" };
        let names: Vec<&str> =
            self.running.values().take(MOST_RUNNING).map(String::as_str).collect();
        let others = match self.running.len().saturating_sub(MOST_RUNNING) {
            0 => String::new(),
            others => format!(" and {}", human::count(others as u64, "other")),
        };
        format!(
            "{} {are} still running: {}{others}",
            human::count(count, "descendant"),
            names.join(", ")
        )
    }
}

/// What a cgroup of its own says of all processes together.
fn cgroup_line(peak: &Result<i64, Bytes>) -> String {
    match peak {
        Ok(peak) => format!("peak {}, with page cache and kernel memory", human::bytes(*peak)),
        Err(why) => format!("the peak of all processes together is not known: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use seepmeter_record::conventions::attribute;
    use seepmeter_record::{Attributes, End, Record};

    use super::super::summary::Summary;
    use super::super::test_stream::{TestStream, output_of};
    use super::super::text::Text;
    use super::*;

    const MIB: i64 = 1 << 20;
    const SECOND: u64 = 1_000_000_000;

    /// A descendant that comes at this time.
    fn descendant(
        stream: &mut TestStream,
        t: u64,
        parent: SubjectId,
        name: &str,
        pid: i32,
    ) -> SubjectId {
        let attributes = Attributes::new().with(attribute::PID, pid);
        let subject = stream.subject(Some(parent), SubjectKind::Process, name, attributes);
        stream.event(t, Some(subject), EventKind::Attached {});
        subject
    }

    /// A shell of 1 MiB with two workers, of which one ends and one goes on.
    fn tree() -> (TestStream, SubjectId) {
        let mut stream = TestStream::of_two_samplers();
        let shell = stream.target("sh", 7);
        stream.event(
            0,
            Some(shell),
            EventKind::Discovery { exact: Some(1), text: "process events".into() },
        );
        stream.sample(0, 0, &[(shell, "rss", MIB)]);
        let first = descendant(&mut stream, 1, shell, "worker", 8);
        let second = descendant(&mut stream, 2, shell, "worker", 9);
        stream.sample(SECOND, 0, &[(first, "rss", 10 * MIB), (second, "rss", 20 * MIB)]);
        stream.exit(SECOND + 1, second, 0);
        stream.sample(2 * SECOND, 0, &[(first, "rss", 12 * MIB)]);
        (stream, shell)
    }

    fn summary(stream: &TestStream) -> String {
        output_of::<Summary>(&[], stream.records())
    }

    #[test]
    fn a_line_has_what_all_processes_have_together_and_how_many_there_are() {
        let (stream, _) = tree();
        let expected = "12:00:00      0.000 s  rss      1 MiB\n\
                        12:00:01      1.000 s  rss     31 MiB      +30 MiB/s  in 3 processes\n\
                        12:00:02      2.000 s  rss     13 MiB      -18 MiB/s  in 2 processes\n";
        assert_eq!(output_of::<Text>(&[], stream.records()), expected);
        let pages = output_of::<Text>(&[("style", "pages")], stream.records());
        assert_eq!(pages, "256\n7936\n3328\n");
    }

    #[test]
    fn a_summary_has_the_sum_the_names_with_the_largest_peaks_and_who_still_runs() {
        let (mut stream, shell) = tree();
        stream.event(3 * SECOND, Some(shell), EventKind::BriefProcesses { processes: 31 });
        stream.exit(3 * SECOND, shell, 0);
        stream.footer(3 * SECOND, &[(shell, End::Exited(0))]);
        let lines = summary(&stream);
        for expected in [
            "processes  34, found by process events; 31 lived too briefly to be sampled\n",
            "rss sum    first 1 MiB, last 13 MiB, peak 31 MiB in 3 processes; pages that they share",
            "worker (2 processes): last 12 MiB, peak 30 MiB\n",
            "sh: last 1 MiB, peak 1 MiB\n",
            "left       1 descendant is still running: worker (pid 8)\n",
        ] {
            assert!(lines.contains(expected), "{expected}\n{lines}");
        }
    }

    #[test]
    fn a_sum_of_pss_says_how_old_its_oldest_value_is_and_of_how_many_processes_it_is_known() {
        let (mut stream, shell) = tree();
        let worker = descendant(&mut stream, 3 * SECOND, shell, "late", 10);
        stream.sample(4 * SECOND, 1, &[(shell, "pss", MIB)]);
        stream.sample(7 * SECOND, 1, &[(worker, "pss", 3 * MIB)]);
        stream.sample(10 * SECOND, 0, &[(shell, "rss", MIB)]);
        let expected = "pss sum    first 1 MiB, last 4 MiB in 2 of 3 processes, peak 4 MiB in 2 processes; \
            the oldest value in the last was 3 s old";
        let lines = summary(&stream);
        assert!(lines.contains(expected), "{lines}");
    }

    #[test]
    fn the_peak_of_a_cgroup_is_named_for_what_it_is_or_why_it_is_not_known() {
        for (bytes, reason, expected) in [
            (Some(40 * MIB), "", "cgroup     peak 40 MiB, with page cache and kernel memory\n"),
            (
                None,
                "no right to",
                "cgroup     the peak of all processes together is not known: no right to\n",
            ),
        ] {
            let (mut stream, shell) = tree();
            let reason = reason.into();
            stream.event(3 * SECOND, Some(shell), EventKind::CgroupPeak { bytes, reason });
            end(&mut stream, shell);
            let lines = summary(&stream);
            assert!(lines.contains(expected), "{lines}");
        }
    }

    /// The target has ended, and with it the run.
    fn end(stream: &mut TestStream, target: SubjectId) {
        stream.exit(5 * SECOND, target, 0);
        stream.footer(5 * SECOND, &[(target, End::Exited(0))]);
    }

    #[test]
    fn a_peak_that_only_the_kernel_has_noted_counts() {
        let (mut stream, shell) = tree();
        let fork = descendant(&mut stream, 3 * SECOND, shell, "spike", 10);
        stream.sample(4 * SECOND, 0, &[(fork, "rss", MIB), (fork, "peak", 200 * MIB)]);
        let lines = summary(&stream);
        assert!(lines.contains("spike: last 1 MiB, peak 200 MiB"), "{lines}");
        assert!(lines.contains(", peak 200 MiB in "), "{lines}");
    }

    #[test]
    fn of_a_target_without_descendants_nothing_is_said_of_a_tree() {
        let mut stream = TestStream::of_two_samplers();
        let target = stream.target("work", 7);
        stream.event(
            0,
            Some(target),
            EventKind::Discovery { exact: Some(1), text: "process events".into() },
        );
        stream.sample(0, 0, &[(target, "rss", MIB)]);
        stream.exit(1, target, 0);
        let lines = summary(&stream);
        assert!(!lines.contains("processes") && !lines.contains("rss sum"), "{lines}");
    }

    #[test]
    fn a_process_that_executes_another_program_is_counted_once_and_under_its_last_name() {
        let (mut stream, shell) = tree();
        let fork = descendant(&mut stream, 3 * SECOND, shell, "sh (child)", 10);
        stream.event(3 * SECOND, Some(fork), EventKind::Exec { name: Some("cat".into()) });
        stream.sample(4 * SECOND, 0, &[(fork, "rss", 2 * MIB)]);
        end(&mut stream, shell);
        let lines = summary(&stream);
        assert!(lines.contains("processes  4, found"), "{lines}");
        assert!(lines.contains("cat: last 2 MiB, peak 2 MiB"), "{lines}");
        assert!(!lines.contains("sh (child)"), "{lines}");
        assert!(lines.contains("2 descendants are still running: worker (pid 8), cat (pid 10)"));
    }

    #[test]
    fn a_process_that_ended_before_a_sample_of_it_was_too_brief() {
        let (mut stream, shell) = tree();
        let brief = descendant(&mut stream, 3 * SECOND, shell, "true", 11);
        stream.exit(3 * SECOND + 1, brief, 0);
        let lines = summary(&stream);
        assert!(lines.contains("processes  4, found by process events; 1 lived too"), "{lines}");
    }

    #[test]
    fn of_many_that_run_on_some_are_named_and_the_others_counted() {
        let (mut stream, shell) = tree();
        for pid in 20..30 {
            descendant(&mut stream, 3 * SECOND, shell, "worker", pid);
        }
        end(&mut stream, shell);
        let lines = summary(&stream);
        assert!(lines.contains("11 descendants are still running: worker (pid 8)"), "{lines}");
        assert!(lines.contains("worker (pid 23) and 6 others\n"), "{lines}");
    }

    #[test]
    fn a_hundred_thousand_short_processes_of_as_many_names_take_bounded_memory() {
        let mut summary = TreeSummary::default();
        let mut values = CurrentValues::default();
        let (stream, shell) = tree();
        let observe = |summary: &mut TreeSummary, values: &mut CurrentValues, record: &Record| {
            values.apply(record);
            match record {
                Record::Subject(subject) if values.is_target(subject.id) => {
                    summary.add(subject.id, values);
                }
                Record::Event(Event { kind: EventKind::Attached {}, subject, .. }) => {
                    summary.add(subject.unwrap(), values);
                }
                Record::Sample(sample) => summary.observe(sample, values),
                Record::Event(event) => summary.event(event, values),
                _ => {}
            }
        };
        stream.records().iter().for_each(|record| observe(&mut summary, &mut values, record));
        for n in 0..100_000_u32 {
            let subject = SubjectId(100 + n);
            let attributes = Attributes::new().with(attribute::PID, 100);
            let (name, kind) = (format!("name {n}").as_str().into(), SubjectKind::Process);
            let parent = Some(shell);
            let of = seepmeter_record::Subject { id: subject, parent, kind, name, attributes };
            let event = |kind| {
                Record::Event(Event { t: 5 * SECOND, subject: Some(subject), sampler: None, kind })
            };
            observe(&mut summary, &mut values, &Record::Subject(of.into()));
            observe(&mut summary, &mut values, &event(EventKind::Attached {}));
            observe(&mut summary, &mut values, &event(EventKind::Exited { status: 0 }));
        }
        assert_eq!(summary.processes, 100_003);
        assert!(summary.by_name.len() <= MOST_NAMES, "{}", summary.by_name.len());
        assert_eq!((summary.running.len(), summary.rss.sum.current.len()), (1, 2));
        assert_eq!(summary.rss.sum.total, 13 * MIB);
    }
}
