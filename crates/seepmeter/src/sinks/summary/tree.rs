//! What a summary says of the processes of a tree.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use seepmeter_record::conventions::metric;
use seepmeter_record::{
    Bytes, CurrentValues, Event, EventKind, Metric, MetricSpec, Sample, SubjectId, SubjectKind,
    human,
};

use super::metric_sum::MetricSum;
use super::name_table::NameTable;

/// No more of those that still run than this are named.
const MOST_RUNNING: usize = 5;

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
    names: NameTable,
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
            names: NameTable::default(),
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
        self.names.add(subject, known.name.to_string());
    }

    pub(super) fn observe(&mut self, sample: &Sample, values: &CurrentValues) {
        self.t = self.t.max(sample.t);
        let is_observed = self.rss.observe(sample, values, self.living.len() as u64);
        self.observe_others(sample, values);
        self.observe_peaks(sample, values);
        if is_observed {
            self.names.observe(&self.rss.sum);
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
            self.names.note_peak(&point.subject.name.to_string(), point.value);
            self.rss.note_peak(point.value);
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
        self.names.remove(subject);
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
            lines.extend(self.names.largest().map(|line| (String::new(), line)));
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
        let unsampled = if self.rss.is_known() { self.unsampled } else { 0 };
        let at_least = if self.is_exact { "" } else { "at least " };
        let brief = match unsampled + self.brief {
            0 => String::new(),
            unsampled => format!("; {at_least}{unsampled} lived too briefly to be sampled"),
        };
        format!("{}{found}{brief}", self.processes + self.brief)
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
