//! What all processes of a run have together: targets and their descendants.

use std::collections::{BTreeMap, HashMap, HashSet};

use seepmeter_record::conventions::metric;
use seepmeter_record::{
    Bytes, CurrentValues, Event, EventKind, Sample, SubjectId, SubjectKind, Unit, human,
};

use super::words;

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

    /// What a process has at present.
    pub(super) fn of(&self, subject: SubjectId) -> Option<i64> {
        self.current.get(&subject).copied()
    }
}

/// What a summary says of the processes of a tree.
#[derive(Debug)]
pub(super) struct TreeSummary {
    sum: ProcessSum,
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
    /// How descendants are found.
    discovery: Option<Bytes>,
    first: Option<i64>,
    last: i64,
    peak: Option<(i64, u64)>,
    by_name: HashMap<String, OfName>,
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
            sum: ProcessSum::new(metric::RSS.name),
            is_tree: false,
            running: BTreeMap::new(),
            processes: 0,
            unsampled: 0,
            brief: 0,
            discovery: None,
            first: None,
            last: 0,
            peak: None,
            by_name: HashMap::new(),
        }
    }
}

impl TreeSummary {
    /// A subject has become a target.
    pub(super) fn add(&mut self, subject: SubjectId, values: &CurrentValues) {
        self.processes += 1;
        let Some(known) = values.subject(subject) else { return };
        if known.parent.is_some() {
            self.is_tree = true;
            self.running.insert(subject, words::subject(known));
        }
        let name = known.name.to_string();
        if self.by_name.contains_key(&name) || self.by_name.len() < MOST_NAMES {
            let of_name = self.by_name.entry(name).or_default();
            of_name.processes += 1;
            of_name.now.insert(subject);
        }
    }

    pub(super) fn observe(&mut self, sample: &Sample, values: &CurrentValues) {
        let Some(SumPoint { total, processes, .. }) = self.sum.observe(sample, values, true) else {
            return;
        };
        self.first.get_or_insert(total);
        self.last = total;
        self.peak = self.peak.max(Some((total, processes)));
        for of_name in self.by_name.values_mut().filter(|of_name| !of_name.now.is_empty()) {
            of_name.last = of_name.now.iter().filter_map(|it| self.sum.of(*it)).sum();
            of_name.peak = of_name.peak.max(of_name.last);
        }
    }

    pub(super) fn event(&mut self, event: &Event, values: &CurrentValues) {
        match (&event.kind, event.subject) {
            (EventKind::Discovery { text }, _) => self.discovery = Some(text.clone()),
            (EventKind::BriefProcesses { processes }, _) => self.brief += processes,
            (EventKind::Exec { name: Some(_) }, Some(subject)) if values.is_target(subject) => {
                self.forget(subject);
                self.processes -= 1;
                self.add(subject, values);
            }
            (kind, Some(subject)) if kind.ends_subject() && values.is_target(subject) => {
                self.forget(subject);
                self.unsampled += u64::from(self.sum.end(subject).is_none());
            }
            _ => {}
        }
    }

    fn forget(&mut self, subject: SubjectId) {
        self.running.remove(&subject);
        for of_name in self.by_name.values_mut() {
            if of_name.now.remove(&subject) && of_name.peak == 0 && of_name.now.is_empty() {
                of_name.processes -= 1;
            }
        }
        self.by_name.retain(|_, of_name| of_name.processes > 0);
    }

    /// The lines, each with its label; none if there was no tree. Who goes on is named if the targets have ended.
    pub(super) fn lines(&self, targets_ended: bool) -> Vec<(&'static str, String)> {
        if !self.is_tree && self.brief == 0 {
            return Vec::new();
        }
        let mut lines = vec![("processes", self.processes_line())];
        if let (true, Some(first), Some((peak, processes))) = (self.is_tree, self.first, self.peak)
        {
            lines.push((
                "rss sum",
                format!(
                    "first {}, last {}, peak {} in {}; pages that they share count in each",
                    human::bytes(first),
                    human::bytes(self.last),
                    human::bytes(peak),
                    human::count(processes, "process"),
                ),
            ));
            lines.extend(self.largest().map(|line| ("", line)));
        }
        if targets_ended && !self.running.is_empty() {
            lines.push(("left", self.running_line()));
        }
        lines
    }

    /// `20, found by process events; 31 lived too briefly to be sampled`.
    fn processes_line(&self) -> String {
        let found =
            self.discovery.as_ref().map_or(String::new(), |text| format!(", found by {text}"));
        let brief = match self.unsampled + self.brief {
            0 => String::new(),
            unsampled => format!("; {unsampled} lived too briefly to be sampled"),
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
