//! The sink `summary`: what a run was, in a few lines at its end.

mod chart;
mod lines;
mod metric_sum;
mod name_table;
mod subject;
mod tree;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use seepmeter_plugin::{Error, Sink, options};
use seepmeter_record::conventions::metric;
use seepmeter_record::{
    Bytes, CurrentValues, End, Event, EventKind, Footer, Header, Record, Restart, RestartLog,
    Sample, SamplerId, SubjectId, SubjectKind,
};
use seepmeter_verdict::{Conclusion, VerdictLine};

use self::chart::{ChartWhen, SummaryChart};
use self::lines::{INDENT, verdict_lines};
use self::subject::SubjectSummary;
use self::tree::TreeSummary;
use super::output::{Destination, Output};
use super::output_sink::OutputSink;
use super::{verdict, words};

/// Of a target that is started again and again, so many are listed.
const MOST_EPOCHS: usize = 8;

options! {
    /// Options of the sink `summary`.
    pub struct SummaryOptions {
        /// The file to write to; `-` is standard output, and without it the lines go to standard error.
        path: Option<PathBuf>,
        /// When there is a small chart above the lines: `auto` on a terminal if the run was long enough for one,
        /// `always` or `never`.
        chart: ChartWhen = "auto",
    }
}

/// The sink `summary`.
pub struct Summary {
    output: Output,
    values: CurrentValues,
    header: Option<Arc<Header>>,
    /// In the order in which they came.
    targets: Vec<TargetSummary>,
    restarts: RestartLog,
    /// How many restarts are not among the targets any more.
    restarts_left_out: u64,
    /// The cgroups, likewise.
    cgroups: Vec<SubjectSummary>,
    tree: TreeSummary,
    samples: u64,
    /// When the last sample or event was.
    last_t: u64,
    /// The longest interval, in ns, to which the budget has stretched each sampler's.
    backed_off: BTreeMap<SamplerId, u64>,
    /// The samplers that failed: when, in nanoseconds since the stream's start, and why.
    failed: BTreeMap<SamplerId, (u64, Bytes)>,
    footer: Option<Footer>,
    /// The part of the recording in which it goes on.
    continued_in: Option<u64>,
    verdict_lines: Vec<VerdictLine>,
    /// The metrics that were judged.
    judged: Vec<String>,
    chart: SummaryChart,
}

/// What is kept of a target, also when it has ended.
struct TargetSummary {
    whole: SubjectSummary,
    /// The largest resident set that the kernel has noted.
    peak: Option<i64>,
    end: Option<TargetEnding>,
    /// It was started again: after which one, and how soon.
    restart: Option<Restart>,
    /// What is said of its process tree, if its epoch has ended.
    of_tree: Vec<VerdictLine>,
}

/// How a target ended, or that it was let go.
struct TargetEnding {
    end: End,
    t: u64,
}

impl OutputSink for Summary {
    const NAME: &'static str = "summary";
    const ABOUT: &'static str =
        "reports at the end how long the run was, how much memory it took, and what sampling cost";
    type Options = SummaryOptions;

    fn destination(options: &SummaryOptions) -> Result<Destination, Error> {
        Ok(Destination::of(options.path.as_deref()))
    }

    fn new(options: SummaryOptions, output: Output) -> Result<Self, Error> {
        Ok(Self {
            output,
            chart: SummaryChart::new(options.chart),
            values: CurrentValues::default(),
            header: None,
            targets: Vec::new(),
            restarts: RestartLog::default(),
            restarts_left_out: 0,
            cgroups: Vec::new(),
            tree: TreeSummary::default(),
            samples: 0,
            last_t: 0,
            backed_off: BTreeMap::new(),
            failed: BTreeMap::new(),
            footer: None,
            continued_in: None,
            verdict_lines: Vec::new(),
            judged: Vec::new(),
        })
    }
}

impl Sink for Summary {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        self.values.apply(record);
        self.last_t = self.last_t.max(record.time().unwrap_or(0));
        let restart = self.restarts.apply(record, &self.values);
        if restart.is_some() {
            self.begin_epoch();
        }
        match record {
            Record::Header(header) => self.header = Some(Arc::clone(header)),
            Record::Subject(subject) => self.add_target(subject.id),
            Record::Sample(sample) => self.apply_sample(sample),
            Record::Event(event) => self.apply_event(event),
            Record::Footer(footer) => self.footer = Some(footer.clone()),
            _ => {}
        }
        if let (Some(target), true) = (self.targets.last_mut(), restart.is_some()) {
            target.restart = restart;
        }
        Ok(())
    }

    fn report(&mut self, conclusion: &Conclusion) -> Result<(), Error> {
        self.set_verdicts(conclusion);
        self.print(Moment::SoFar)
    }

    fn conclude(&mut self, conclusion: &Conclusion) -> Result<(), Error> {
        self.set_verdicts(conclusion);
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Error> {
        // If there was nothing to sample, why has been reported already.
        if self.footer.as_ref().is_some_and(verdict::never_started) {
            return Ok(());
        }
        self.print(Moment::End)
    }
}

/// Whether what is printed is the summary of the whole run, or of what there is so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    SoFar,
    End,
}

impl Summary {
    /// The option that says when there is a chart.
    pub(crate) const CHART: &'static str = "chart";

    fn set_verdicts(&mut self, conclusion: &Conclusion) {
        self.judged = conclusion.metrics.iter().map(|judged| judged.metric.clone()).collect();
        let main = self.values.main_metric().map(Arc::as_ref);
        let metrics = conclusion.metrics.iter();
        self.verdict_lines = metrics.flat_map(|metric| verdict_lines(metric, main)).collect();
        self.chart.draw(conclusion, self.output.columns());
    }

    fn print(&mut self, moment: Moment) -> Result<(), Error> {
        self.chart.print(&mut self.output)?;
        let lines = self.lines(moment);
        self.output.lines(&lines, INDENT)?;
        self.output.flush()
    }

    /// What the processes of the target before had together is not that of its successor and its processes.
    fn begin_epoch(&mut self) {
        let of_tree = self.tree_lines(false);
        if let Some(before) = self.targets.last_mut() {
            before.of_tree = of_tree;
        }
        self.tree = TreeSummary::default();
        self.cgroups.retain(|cgroup| self.values.subject(cgroup.subject.id).is_some());
        self.cgroups.iter_mut().for_each(|cgroup| cgroup.clear());
        if self.targets.len() >= MOST_EPOCHS {
            self.targets.remove(0);
            self.restarts_left_out += 1;
        }
    }

    /// A subject is known now: if it is a target or a cgroup, it is listed from here on.
    fn add_target(&mut self, id: SubjectId) {
        let Some(subject) = self.values.subject(id) else { return };
        let whole = SubjectSummary::new(subject);
        let listed = self.targets.iter().any(|target| target.whole.subject.id == id);
        if self.values.is_target(id) && !listed {
            self.tree.add(id, &self.values);
            if subject.parent.is_some() {
                return;
            }
            let (peak, end, restart, of_tree) = (None, None, None, Vec::new());
            self.targets.push(TargetSummary { whole, peak, end, restart, of_tree });
        } else if subject.kind == SubjectKind::Cgroup {
            self.cgroups.push(whole);
        }
    }

    /// A target executes another program: it is called by that from here on.
    fn rename(&mut self, id: SubjectId) {
        let target = self.targets.iter_mut().find(|target| target.whole.subject.id == id);
        if let (Some(target), Some(subject)) = (target, self.values.subject(id)) {
            target.whole.subject = Arc::clone(subject);
        }
    }

    fn apply_sample(&mut self, sample: &Sample) {
        self.samples += 1;
        self.tree.observe(sample, &self.values);
        let Self { values, targets, cgroups, .. } = self;
        for point in values.points(sample) {
            let id = point.subject.id;
            let (name, value) = (&*point.metric.name, point.value);
            if let Some(target) = targets.iter_mut().find(|target| target.whole.subject.id == id) {
                if name == metric::PEAK.name || name == metric::INTERVAL_PEAK.name {
                    target.peak = target.peak.max(Some(value));
                }
                target.whole.apply(point.metric, sample.t, value);
            } else if let Some(cgroup) = cgroups.iter_mut().find(|cgroup| cgroup.subject.id == id) {
                cgroup.apply(point.metric, sample.t, value);
            }
        }
    }

    fn apply_event(&mut self, event: &Event) {
        self.tree.event(event, &self.values);
        match (&event.kind, event.subject, event.sampler) {
            (EventKind::SamplerFailed { reason }, _, Some(sampler)) => {
                self.failed.insert(sampler, (event.t, reason.clone()));
            }
            (EventKind::BackedOff { interval }, _, Some(sampler)) => {
                let longest = self.backed_off.entry(sampler).or_default();
                *longest = (*interval).max(*longest);
            }
            (EventKind::Attached {}, Some(subject), _) => self.add_target(subject),
            (EventKind::Exec { name: Some(_) }, Some(subject), _) => self.rename(subject),
            (EventKind::ContinuedIn { part }, ..) => self.continued_in = Some(*part),
            (kind, Some(subject), _) => {
                let Some(end) = words::end_of_event(kind) else { return };
                let Self { targets, cgroups, values, .. } = self;
                for target in targets.iter_mut().filter(|it| it.whole.subject.id == subject) {
                    target.end = Some(TargetEnding { end, t: event.t });
                    target.whole.end(event.t, values);
                }
                let cgroup = cgroups.iter_mut().filter(|cgroup| cgroup.subject.id == subject);
                cgroup.for_each(|cgroup| cgroup.end(event.t, values));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use seepmeter_record::conventions::attribute;
    use seepmeter_record::jsonl::UNFINISHED;
    use seepmeter_record::{Cost, Dropped};
    use seepmeter_verdict::{MetricConclusion, MetricOutcome, NoVerdict};

    use super::super::test_stream::{TestStream, output_after, output_of};
    use super::*;

    const MIB: i64 = 1 << 20;
    const SECOND: u64 = 1_000_000_000;

    fn summary(stream: &TestStream) -> String {
        output_of::<Summary>(&[], stream.records())
    }

    /// A target that grows by 1 MiB in a second.
    fn growing() -> (TestStream, SubjectId) {
        let mut stream = TestStream::of_two_samplers();
        let target = stream.target("work", 7);
        stream.sample(0, 0, &[(target, "rss", 10 * MIB), (target, "peak", 12 * MIB)]);
        stream.sample(SECOND, 1, &[(target, "rss", 50 * MIB)]);
        stream.sample(2 * SECOND, 0, &[(target, "rss", 12 * MIB)]);
        (stream, target)
    }

    #[test]
    fn of_one_target_it_is_a_few_lines() {
        let (mut stream, target) = growing();
        stream.exit(2 * SECOND + 1, target, 3);
        stream.footer(2 * SECOND + 1, &[(target, End::Exited(3))]);
        let expected = "target     work (pid 7), exited with status 3\n\
                        watched    2 s: 4 samples, 1 late, 2 missed\n\
                        rss        first 10 MiB, last 12 MiB, peak 12 MiB; average +1 MiB/s\n";
        assert_eq!(summary(&stream), expected);
    }

    #[test]
    fn of_several_targets_each_has_its_own_block() {
        let mut stream = TestStream::of_two_samplers();
        let (first, second) = (stream.target("first", 7), stream.target("second", 8));
        stream.sample(0, 0, &[(first, "rss", 2 * MIB), (second, "rss", 4 * MIB)]);
        stream.sample(SECOND, 0, &[(first, "rss", 3 * MIB)]);
        stream.event(SECOND, Some(first), EventKind::Killed { signal: 9 });
        stream.sample(5 * SECOND, 0, &[(second, "rss", 4 * MIB)]);
        stream.footer(5 * SECOND, &[(first, End::Killed(9)), (second, End::Left)]);
        let expected = "watched    5 s: 4 samples, 1 late, 2 missed\n\
                        target     first (pid 7), killed by signal 9 (SIGKILL)\n\
                        rss        first 2 MiB, last 3 MiB, peak 3 MiB; average +1 MiB/s\n\
                        target     second (pid 8), still running\n\
                        rss        first 4 MiB, last 4 MiB, peak 4 MiB; average 0 B/s\n";
        assert_eq!(summary(&stream), expected);
    }

    #[test]
    fn of_a_cgroup_there_is_what_it_holds_in_all_and_in_pages_of_no_file() {
        let (mut stream, target) = growing();
        stream.metric(1, &metric::CGROUP_CURRENT.of(SubjectKind::Cgroup));
        stream.metric(1, &metric::CGROUP_ANON.of(SubjectKind::Cgroup));
        let cgroup = stream.subject(None, SubjectKind::Cgroup, "/web", Default::default());
        let values = |all, anon| [(cgroup, "cgroup_current", all), (cgroup, "cgroup_anon", anon)];
        stream.sample(SECOND, 1, &values(30 * MIB, 10 * MIB));
        stream.sample(2 * SECOND, 1, &values(31 * MIB, 9 * MIB));
        stream.footer(2 * SECOND, &[(target, End::Left)]);
        let expected = "cgroup     /web\n\
                        current    first 30 MiB, last 31 MiB, peak 31 MiB; average +1 MiB/s\n\
                        anon       first 10 MiB, last 9 MiB, peak 10 MiB; average -1 MiB/s\n";
        let lines = summary(&stream);
        assert!(lines.ends_with(expected), "{lines}");
    }

    #[test]
    fn a_target_that_comes_later_is_listed_too() {
        let (mut stream, first) = growing();
        let second = stream.subject(
            None,
            seepmeter_record::SubjectKind::Process,
            "late",
            Default::default(),
        );
        stream.event(3 * SECOND, Some(second), EventKind::Attached {});
        stream.sample(3 * SECOND, 0, &[(second, "rss", MIB)]);
        stream.footer(3 * SECOND, &[(first, End::Left), (second, End::Left)]);
        let lines = summary(&stream);
        assert!(
            lines.contains("target     late, still running\nrss        first 1 MiB"),
            "{lines}"
        );
    }

    /// A target that comes at this time, the successor of another one.
    fn successor(stream: &mut TestStream, t: u64, of: SubjectId, pid: i32) -> SubjectId {
        let attributes = seepmeter_record::Attributes::new()
            .with(attribute::PID, pid)
            .with(attribute::PREDECESSOR, of);
        let subject = stream.subject(None, SubjectKind::Process, "work", attributes);
        stream.event(t, Some(subject), EventKind::Attached {});
        subject
    }

    #[test]
    fn a_target_that_was_started_again_has_its_own_block_behind_the_restart() {
        let (mut stream, first) = growing();
        stream.event(2 * SECOND + 1, Some(first), EventKind::Gone {});
        let second = successor(&mut stream, 3 * SECOND + 1, first, 8);
        stream.sample(4 * SECOND, 0, &[(second, "rss", MIB)]);
        stream.footer(5 * SECOND, &[(first, End::Gone), (second, End::Left)]);
        let lines = summary(&stream);
        let expected = "rss        first 10 MiB, last 12 MiB, peak 12 MiB; average +1 MiB/s\n\
                        restarted  work (pid 7) → work (pid 8), watched again after 1 s\n\
                        target     work (pid 8), still running\n\
                        rss        first 1 MiB, last 1 MiB, peak 1 MiB\n";
        assert!(lines.contains(expected), "{lines}");
    }

    #[test]
    fn each_target_that_was_started_again_has_the_sum_of_its_own_processes() {
        let (mut stream, first) = growing();
        let worker =
            stream.subject(Some(first), SubjectKind::Process, "worker", Default::default());
        stream.event(2 * SECOND, Some(worker), EventKind::Attached {});
        stream.sample(2 * SECOND, 0, &[(worker, "rss", 30 * MIB), (first, "rss", 12 * MIB)]);
        for ended in [worker, first] {
            stream.event(3 * SECOND, Some(ended), EventKind::Gone {});
        }
        let second = successor(&mut stream, 3 * SECOND + 1, first, 8);
        stream.sample(4 * SECOND, 0, &[(second, "rss", MIB)]);
        stream.footer(5 * SECOND, &[(first, End::Gone), (second, End::Left)]);
        let lines = summary(&stream);
        let (before, after) = lines.split_once("restarted  ").unwrap();
        assert!(before.contains("processes  2") && before.contains("in 2 processes"), "{lines}");
        assert!(before.contains("worker: last 30 MiB, peak 30 MiB"), "{lines}");
        assert!(!after.contains("worker"), "{lines}");
    }

    #[test]
    fn of_many_restarts_the_last_are_listed_and_the_others_counted() {
        let (mut stream, mut last) = growing();
        for n in 0..20 {
            stream.event((3 + n) * SECOND, Some(last), EventKind::Gone {});
            last = successor(&mut stream, (3 + n) * SECOND + 1, last, 100 + n as i32);
        }
        let lines = summary(&stream);
        assert!(lines.contains("restarted  12 times before these targets\n"), "{lines}");
        assert_eq!(lines.matches("target     ").count(), MOST_EPOCHS, "{lines}");
    }

    #[test]
    fn a_target_is_called_by_the_program_that_it_has_executed_last() {
        let (mut stream, target) = growing();
        stream.event(SECOND, Some(target), EventKind::Exec { name: Some("server".into()) });
        stream.footer(3 * SECOND, &[(target, End::Left)]);
        let lines = summary(&stream);
        assert!(lines.starts_with("target     server (pid 7), still running\n"), "{lines}");
    }

    #[test]
    fn what_is_known_so_far_is_printed_in_between_and_the_whole_at_the_end() {
        let (mut stream, target) = growing();
        let so_far = "target     work (pid 7), still running\n\
                      watched    2 s: 3 samples\n\
                      rss        first 10 MiB, last 12 MiB, peak 12 MiB; average +1 MiB/s\n";
        let nothing = Conclusion { metrics: Vec::new(), gates: Vec::new(), strict: false };
        let begin = stream.records().len();
        stream.exit(2 * SECOND + 1, target, 3);
        let end = stream.records().split_off(begin);
        let lines = output_after::<Summary>(&[], stream.records()[..begin].to_vec(), |sink| {
            sink.report(&nothing)?;
            end.iter().try_for_each(|record| sink.write(record))
        });
        let (first, second) = lines.split_at(so_far.len());
        assert_eq!(first, so_far);
        assert!(second.starts_with("target     work (pid 7), exited with status 3\n"), "{lines}");
    }

    #[test]
    fn a_time_without_samples_before_the_end_is_shown() {
        let (mut stream, target) = growing();
        stream.exit(3 * SECOND, target, 0);
        let lines = summary(&stream);
        assert!(lines.contains("average +1 MiB/s; not sampled in its last 1 s\n"), "{lines}");
    }

    #[test]
    fn a_recording_without_an_end_is_called_so_and_what_is_not_known_is_left_out() {
        let (stream, _) = growing();
        let lines = summary(&stream);
        let words = format!("work (pid 7); the recording has no end: {UNFINISHED}\n");
        assert!(lines.contains(&words), "{lines}");
        assert!(lines.contains("watched    2 s: 3 samples\n"), "{lines}");
        assert!(!lines.contains("seepmeter "), "{lines}");
    }

    #[test]
    fn a_target_that_ended_before_the_first_sample_has_no_resident_set() {
        let mut stream = TestStream::of_two_samplers();
        let target = stream.target("work", 7);
        stream.exit(1, target, 0);
        stream.footer(1, &[(target, End::Exited(0))]);
        let lines = summary(&stream);
        assert!(
            lines.ends_with("rss        not sampled: the target ended before the first sample\n")
        );
    }

    #[test]
    fn a_sampler_that_failed_is_named_with_its_time_and_its_reason() {
        let (mut stream, _) = growing();
        stream.sampler_failed(SECOND, 1, "no right");
        let lines = summary(&stream);
        assert!(lines.contains("failed after 1 s: no right\n"), "{lines}");
    }

    #[test]
    fn slower_sampling_dropped_samples_and_the_cost_are_reported() {
        let (mut stream, target) = growing();
        stream.backed_off(SECOND, 1, 400_000_000);
        stream.backed_off(SECOND, 1, 300_000_000);
        let mut records = stream.records();
        records.push(Record::Footer(Footer {
            t: 2 * SECOND,
            ends: vec![seepmeter_record::TargetEnd { subject: target, end: End::Left }],
            samples: 3,
            late: 0,
            missed: 0,
            dropped: vec![Dropped { sink: "csv".to_owned(), samples: 12 }],
            cost: Cost { cpu: Some(4_600_000), peak_rss: None },
        }));
        let lines = output_of::<Summary>(&[], records);
        let expected = "smaps      sampling slowed to every 400 ms (budget)\n\
                        seepmeter  4.6 ms of CPU time\n\
                        dropped    12 samples by sink csv, which was too slow\n";
        assert!(lines.ends_with(expected), "{lines}");
    }

    #[test]
    fn a_metric_without_a_verdict_is_reported_if_the_user_asked_for_it() {
        let (stream, _) = growing();
        let conclusion_of = |metric: &str| {
            let why = NoVerdict::NeverEmitted { metric: metric.to_owned(), samples: 3 };
            let outcome = MetricOutcome::NoVerdict(why);
            let metrics = vec![MetricConclusion::new(metric, outcome)];
            Conclusion { metrics, gates: Vec::new(), strict: false }
        };
        let lines_of = |metric| {
            let conclusion = conclusion_of(metric);
            output_after::<Summary>(&[], stream.records(), |sink| sink.conclude(&conclusion))
        };
        assert!(!lines_of("rss").contains("verdict"));
        let lines = lines_of("pss");
        let expected = "verdict    none: no value of `pss` was emitted in 3 samples\n";
        assert!(lines.ends_with(expected), "{lines}");
    }

    #[test]
    fn of_a_target_that_was_not_started_nothing_is_reported() {
        let mut stream = TestStream::of_two_samplers();
        let target = stream.target("work", 7);
        stream.footer(1, &[(target, End::NotStarted(2))]);
        assert_eq!(summary(&stream), "");
    }
}
