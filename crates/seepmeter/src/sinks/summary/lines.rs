//! The lines of a summary, each with its label.

use std::sync::Arc;

use seepmeter_record::conventions::metric;
use seepmeter_record::jsonl::UNFINISHED;
use seepmeter_record::{
    Cost, End, Footer, Metric, MetricSpec, SubjectId, SubjectKind, TargetEnd, human,
};
use seepmeter_verdict::{MetricConclusion, NoVerdict, VerdictLine};

use super::super::words;
use super::subject::SubjectSummary;
use super::{Moment, Summary, TargetSummary};

/// The columns before the text of a line.
const LABEL: usize = 9;
pub(super) const INDENT: usize = LABEL + 2;

fn labelled(label: &str, line: &str) -> VerdictLine {
    format!("{label:LABEL$}  {line}").into()
}

/// What seepmeter itself used, as far as that is known.
fn cost_line(cost: Cost) -> Option<VerdictLine> {
    let cpu = cost.cpu.map(|cpu| format!("{} of CPU time", human::duration(cpu)));
    let peak = cost.peak_rss.and_then(|peak| i64::try_from(peak).ok());
    let peak = peak.map(|peak| format!("{} peak rss", human::bytes(peak)));
    let known: Vec<String> = cpu.into_iter().chain(peak).collect();
    (!known.is_empty()).then(|| labelled("seepmeter", &known.join(", ")))
}

/// What was concluded from a metric; `main` is the one that stands for the run.
pub(super) fn verdict_lines(metric: &MetricConclusion, main: Option<&Metric>) -> Vec<VerdictLine> {
    let why = match metric.verdict_lines(false) {
        Ok(lines) => return lines,
        // It is judged unless the user asks for another.
        Err(NoVerdict::NoSuchMetric { .. }) if metric.metric == metric::RSS.name => match main {
            Some(main) => format!("rss was not sampled; `--metric {}` judges what was", main.name),
            None => "rss was not sampled; `-s statm` beside the others samples it".to_owned(),
        },
        // Why stands with the target.
        Err(_) if metric.metric == metric::RSS.name => return Vec::new(),
        Err(why) => why.to_string(),
    };
    vec![format!("none: {why}").into()]
}

impl Summary {
    /// What is said of the tree in the epoch that goes on.
    pub(super) fn tree_lines(&self, targets_ended: bool) -> Vec<VerdictLine> {
        let lines = self.tree.lines(&self.shown(), targets_ended);
        lines.iter().map(|(label, line)| labelled(label, line)).collect()
    }

    pub(super) fn lines(&self, moment: Moment) -> Vec<VerdictLine> {
        let mut lines: Vec<VerdictLine> =
            self.targets.iter().flat_map(|target| self.target_lines(target, moment)).collect();
        // Of one target, it stands between its name and its memory.
        let place = if self.targets.len() == 1 { 1 } else { 0 };
        lines.insert(place, labelled("watched", &self.watched()));
        // That which began the first of these targets stands with it.
        let restarts = self.restarts_left_out.saturating_sub(1);
        if restarts > 0 {
            let line = format!("{} before these targets", human::count(restarts, "time"));
            lines.insert(place + 1, labelled("restarted", &line));
        }
        let ended = |end: &TargetEnd| end.end != End::Left || !self.is_target_of_user(end.subject);
        let footer = self.footer.as_ref();
        let targets_ended = footer.is_some_and(|footer| footer.ends.iter().all(ended));
        lines.extend(self.tree_lines(targets_ended));
        lines.extend(self.cgroups.iter().flat_map(|cgroup| self.cgroup_lines(cgroup)));
        for (place, line) in self.verdict_lines.iter().enumerate() {
            let label = if place == 0 { "verdict" } else { "" };
            lines.push(VerdictLine { verdict: line.verdict, ..labelled(label, &line.text) });
        }
        let samplers = self.header.as_ref().map_or(&[][..], |header| &header.samplers);
        for (id, interval) in &self.backed_off {
            if let Some(sampler) = samplers.get(usize::from(id.0)) {
                let every = human::duration(*interval);
                let slowed = format!("sampling slowed to every {every} (budget)");
                lines.push(labelled(&sampler.name, &slowed));
            }
        }
        for (id, (t, reason)) in &self.failed {
            if let Some(sampler) = samplers.get(usize::from(id.0)) {
                let time = human::duration(*t);
                lines.push(labelled(&sampler.name, &format!("failed after {time}: {reason}")));
            }
        }
        if let Some(Footer { cost, dropped, .. }) = &self.footer {
            lines.extend(cost_line(*cost));
            for dropped in dropped {
                let samples = human::count(dropped.samples, "sample");
                let line = format!("{samples} by sink {}, which was too slow", dropped.sink);
                lines.push(labelled("dropped", &line));
            }
        }
        lines
    }

    /// False of a descendant.
    fn is_target_of_user(&self, subject: SubjectId) -> bool {
        self.targets.iter().any(|target| target.whole.subject.id == subject)
    }

    fn target_lines(&self, target: &TargetSummary, moment: Moment) -> Vec<VerdictLine> {
        let subject = &target.whole.subject;
        let in_footer = self.footer.as_ref().and_then(|footer| footer.end_of(subject.id));
        let end = in_footer.or(target.end.as_ref().map(|ending| ending.end));
        let in_words = match (end, self.continued_in) {
            (Some(end), _) => format!(", {}", words::end(end)),
            (None, _) if moment == Moment::SoFar => format!(", {}", words::end(End::Left)),
            (None, Some(part)) => format!("; the recording goes on in part {part}"),
            (None, None) => format!("; the recording has no end: {UNFINISHED}"),
        };
        let mut lines: Vec<VerdictLine> = target.restart_line().into_iter().collect();
        lines.push(labelled("target", &format!("{}{in_words}", subject.called())));
        let has_ended = matches!(end, Some(End::Exited(_) | End::Killed(_) | End::Gone));
        let ended = target.end.as_ref().filter(|_| has_ended).map(|ending| ending.t);
        for name in self.shown() {
            match target.whole.metric(name) {
                Some(known) => {
                    let peak = target.peak.filter(|_| name == metric::RSS.name);
                    let line = known.line(subject.id, &self.values, peak);
                    lines.push(labelled(name, &(line + &known.unsampled(ended))));
                }
                None if has_ended && name == metric::RSS.name && self.rss_is_sampled() => {
                    let line = match self.samples {
                        0 => "not sampled: the target ended before the first sample",
                        _ => "not sampled",
                    };
                    lines.push(labelled(name, line));
                }
                None => {}
            }
        }
        lines.extend(target.of_tree.iter().cloned());
        lines
    }

    /// The block of a cgroup: what is judged, and what it holds in all and in pages of no file. None if nothing of it
    /// is known.
    fn cgroup_lines(&self, cgroup: &SubjectSummary) -> Vec<VerdictLine> {
        let mut names = self.shown();
        for MetricSpec { name, .. } in [metric::CGROUP_CURRENT, metric::CGROUP_ANON] {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let row = |name: &str| {
            let line = cgroup.metric(name)?.line(cgroup.subject.id, &self.values, None);
            Some(labelled(name.strip_prefix("cgroup_").unwrap_or(name), &line))
        };
        let mut lines: Vec<VerdictLine> = names.into_iter().filter_map(row).collect();
        if !lines.is_empty() {
            lines.insert(0, labelled("cgroup", &cgroup.subject.name.to_string()));
        }
        lines
    }

    /// The names of the metrics that have rows: the resident set and what was judged, as far as they are
    /// sampled, or else what stands for them.
    fn shown(&self) -> Vec<&str> {
        let sampled = |name: &&str| self.values.metrics().any(|metric| *metric.name == **name);
        let judged = self.judged.iter().map(|name| &**name);
        let mut names: Vec<&str> = Vec::new();
        for name in std::iter::once(metric::RSS.name).chain(judged).filter(sampled) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            names.extend(self.values.main_metric().map(|metric| &*metric.name));
        }
        names
    }

    /// True if some sampler has the resident set of processes.
    fn rss_is_sampled(&self) -> bool {
        let is_rss = |metric: &Arc<Metric>| {
            *metric.name == *metric::RSS.name && metric.subject_kind == SubjectKind::Process
        };
        self.values.metrics().any(is_rss)
    }

    fn watched(&self) -> String {
        match &self.footer {
            Some(Footer { t, samples, late, missed, .. }) => format!(
                "{}: {}, {late} late, {missed} missed",
                human::duration(*t),
                human::count(*samples, "sample"),
            ),
            None => format!(
                "{}: {}",
                human::duration(self.last_t),
                human::count(self.samples, "sample")
            ),
        }
    }
}

impl TargetSummary {
    /// `restarted  nginx (pid 1234) → nginx (pid 1301) after 1.2 s`, if it was.
    fn restart_line(&self) -> Option<VerdictLine> {
        self.restart.as_ref().map(|restart| labelled("restarted", &restart.to_string()))
    }
}
