//! A target that is started again.

use seepmeter_analysis::Classification::{self, Growing, Inconclusive, Steady};
use seepmeter_record::SubjectId;

use super::super::made_up::Stream;
use super::*;
use crate::conclusion::{JudgeOptions, MetricOutcome, NoVerdict};
use crate::made_up::SECOND;
use crate::run_series::Scope;

const MIB: i64 = 1 << 20;

/// What a target, and if it has workers each of them, holds at a time.
type Held = fn(i64) -> i64;

fn leak(i: i64) -> i64 {
    50 * MIB + 20_000 * i + i % 7 * 900
}

fn flat(i: i64) -> i64 {
    50 * MIB + i % 7 * 900
}

/// A run of epochs, each of so many seconds, with a pause of 5 s between two.
struct Restarts {
    stream: Stream,
    t: u64,
    last: Option<SubjectId>,
    workers: usize,
}

impl Restarts {
    fn new(workers: usize, gates: &[&str]) -> Self {
        let gates = gates.iter().map(|gate| gate.parse().unwrap()).collect();
        let stream = Stream::of(JudgeOptions { gates, ..JudgeOptions::default() });
        Self { stream, t: 0, last: None, workers }
    }

    /// A target, or its successor, that holds so much for so long; then it ends, as services do: the workers first.
    fn epoch(&mut self, seconds: i64, held: Held) {
        let (stream, begin) = (&mut self.stream, self.t);
        let target = stream.successor(begin, self.last, "server");
        let workers: Vec<SubjectId> = (0..self.workers)
            .map(|_| stream.process(begin, Some(target), "server (child)"))
            .collect();
        for i in 0..seconds {
            self.t += SECOND;
            let of_target = if workers.is_empty() { held(i) } else { 5 * MIB };
            let of_workers = workers.iter().map(|worker| (*worker, held(i), 0));
            let all: Vec<_> = [(target, of_target, 0)].into_iter().chain(of_workers).collect();
            stream.sample(self.t, &all);
        }
        for worker in workers {
            stream.end(self.t + SECOND / 10, worker);
        }
        stream.sample(self.t + SECOND / 5, &[(target, 5 * MIB, 0)]);
        stream.end(self.t + SECOND / 4, target);
        self.t += 5 * SECOND;
        self.last = Some(target);
    }

    fn conclude(&self) -> Conclusion {
        self.stream.collector.conclude()
    }
}

/// The numbers and the classifications of the epochs, in their order.
fn epochs(conclusion: &Conclusion) -> Vec<(u64, Classification)> {
    let metric = &conclusion.metrics[0];
    let all = metric.epochs.iter().chain([metric.current().unwrap()]);
    let number = |verdict: &Verdict| verdict.epoch.as_ref().unwrap().number;
    all.map(|verdict| (number(verdict), verdict.judgement.classification)).collect()
}

#[test]
fn a_leak_that_is_restarted_three_times_is_growing_in_each_epoch_and_no_series_has_the_drop() {
    for workers in [0, 2] {
        let mut run = Restarts::new(workers, &["growing"]);
        for _ in 0..4 {
            run.epoch(400, leak);
        }
        let conclusion = run.conclude();
        let all = [1, 2, 3, 4].map(|number| (number, Growing));
        assert_eq!(epochs(&conclusion), all, "{workers}");
        let begin = conclusion.main().unwrap().epoch.as_ref().unwrap().begin;
        for series in run.stream.collector.series("rss").unwrap() {
            assert!(series.whole.start() >= begin, "{}", series.target);
        }
        assert!(conclusion.gates[0].fired, "{:?}", conclusion.gates);
    }
}

#[test]
fn a_healthy_program_that_is_restarted_three_times_is_steady() {
    for workers in [0, 2] {
        let mut run = Restarts::new(workers, &["growing"]);
        for _ in 0..4 {
            run.epoch(400, flat);
        }
        let conclusion = run.conclude();
        assert_eq!(epochs(&conclusion), [1, 2, 3, 4].map(|number| (number, Steady)), "{workers}");
        assert!(!conclusion.gates[0].fired && conclusion.gates[0].decided);
        let line = &conclusion.metrics[0].lines(false).unwrap()[0];
        let whose = if workers == 0 { "server (pid 4)" } else { "3 processes" };
        assert!(line.starts_with(&format!("steady  rss of {whose} in epoch 4 ")), "{line}");
    }
}

#[test]
fn an_earlier_leak_is_not_hidden_and_its_gates_fire_although_the_target_has_been_started_again() {
    let mut run = Restarts::new(0, &["growing", "rate>1KB/min", "peak>57MB"]);
    run.epoch(400, leak);
    run.epoch(400, flat);
    run.epoch(20, flat);
    let conclusion = run.conclude();
    assert_eq!(epochs(&conclusion), [(1, Growing), (2, Steady), (3, Inconclusive)]);
    assert_eq!(conclusion.main().unwrap().epoch.as_ref().unwrap().number, 1);
    for gate in &conclusion.gates {
        assert!(gate.fired && gate.why.starts_with("epoch 1: "), "{gate:?}");
    }
    let lines = conclusion.metrics[0].lines(false).unwrap();
    assert!(
        lines[0].starts_with("growing  rss of server (pid 1) in epoch 1 +19.5 KiB/s"),
        "{lines:#?}"
    );
    assert!(lines[1].starts_with("inconclusive  rss of server (pid 3) in epoch 3: "), "{lines:#?}");
    assert!(lines[2].starts_with("steady  rss of server (pid 2) in epoch 2 "), "{lines:#?}");
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert_eq!(conclusion.metrics[0].documents(&conclusion.gates, None).unwrap().len(), 3);
}

#[test]
fn an_epoch_that_was_too_short_is_said_to_be_so_and_nobody_is_asked_to_wait_for_more_of_it() {
    let mut run = Restarts::new(0, &["growing"]);
    run.epoch(20, leak);
    run.epoch(400, flat);
    let conclusion = run.conclude();
    assert_eq!(epochs(&conclusion), [(1, Inconclusive), (2, Steady)]);
    let lines = conclusion.metrics[0].lines(false).unwrap();
    let expected =
        "inconclusive  rss of server (pid 1) in epoch 1: it ended before there was enough data";
    assert!(lines[1].starts_with(expected), "{lines:#?}");
    assert!(!lines[1].contains("more") && !lines[1].contains("so far"), "{lines:#?}");
    assert!(conclusion.gates[0].decided && !conclusion.gates[0].fired, "{:?}", conclusion.gates);
}

#[test]
fn times_of_an_epoch_are_since_its_begin() {
    let mut run = Restarts::new(0, &[]);
    run.epoch(400, leak);
    run.epoch(400, |i| if i < 100 { 20 * MIB + i * 300_000 } else { 50 * MIB + i % 7 * 900 });
    let lines = run.conclude().metrics[0].lines(false).unwrap();
    let current = lines.iter().find(|line| line.contains("epoch 2")).unwrap();
    assert!(current.contains("after 1 m "), "{current}");
}

#[test]
fn an_endless_row_of_restarts_takes_bounded_memory_and_no_leak_is_forgotten_for_others() {
    let mut run = Restarts::new(0, &["growing"]);
    run.epoch(400, leak);
    for _ in 0..200 {
        run.epoch(3, flat);
    }
    let metric = &run.conclude().metrics[0];
    assert_eq!((metric.epochs.len(), metric.ended_epochs), (MOST_KEPT, 200));
    assert_eq!(metric.verdict().unwrap().epoch.as_ref().unwrap().number, 1);
    assert_eq!(run.stream.collector.restarts(), 200);
    let lines = metric.lines(false).unwrap();
    let [short, left_out] = lines.last_chunk().unwrap();
    assert_eq!(short, "inconclusive  rss in 31 epochs that ended before there was enough data");
    assert_eq!(left_out, "not shown: 168 epochs in which no growth was found");
    assert_eq!(lines.len(), 4, "{lines:#?}");
}

#[test]
fn a_target_beside_others_that_run_on_begins_no_epoch() {
    let mut stream = Stream::new();
    let (one, other) = (stream.process(0, None, "one"), stream.process(0, None, "other"));
    stream.sample(0, &[(one, 10, 0), (other, 20, 0)]);
    stream.end(SECOND, one);
    let again = stream.successor(2 * SECOND, Some(one), "one");
    stream.sample(3 * SECOND, &[(again, 10, 0), (other, 20, 0)]);
    assert_eq!(stream.collector.restarts(), 0);
    assert_eq!(stream.collector.series("rss").unwrap().len(), 4);
}

#[test]
fn the_epoch_begins_with_the_successor_also_if_the_end_of_the_target_before_comes_late() {
    let mut stream = Stream::new();
    let first = stream.process(0, None, "server");
    let worker = stream.process(0, Some(first), "server (child)");
    stream.sample(SECOND, &[(first, 500, 0), (worker, 500, 0)]);
    let second = stream.successor(2 * SECOND, Some(first), "server");
    stream.sample(2 * SECOND + 1, &[(first, 500, 0), (worker, 500, 0), (second, 10, 0)]);
    stream.end(2 * SECOND + 2, worker);
    stream.end(2 * SECOND + 3, first);
    stream.sample(3 * SECOND, &[(second, 11, 0)]);
    let conclusion = stream.collector.conclude();
    assert_eq!(epochs(&conclusion), [(1, Inconclusive), (2, Inconclusive)]);
    let current = conclusion.metrics[0].current().unwrap();
    assert_eq!((current.judgement.peak, current.epoch.as_ref().unwrap().end), (Some(11), None));
}

#[test]
fn a_worker_that_grows_in_an_epoch_that_has_ended_is_named_though_the_sum_does_not_grow() {
    let mut stream = Stream::of(JudgeOptions::default());
    let (mut last, mut random) = (None, 11_i64);
    for epoch in 0..2 {
        let begin = epoch * 410 * SECOND;
        let server = stream.successor(begin, last, "server");
        let worker = stream.process(begin, Some(server), "worker");
        let mut of_server = 500 * MIB;
        for i in 1..=400 {
            // The server goes up and down by far more than its worker gains.
            random = (random * 1_103_515_245 + 12_345) % (1 << 31);
            if random >> 16 & 15 == 0 {
                of_server = (500 + random % 300) * MIB;
            }
            let of_worker = 10 * MIB + if epoch == 0 { i * 20_000 } else { 0 };
            let t = begin + u64::try_from(i).unwrap() * SECOND;
            stream.sample(t, &[(server, of_server, 0), (worker, of_worker, 0)]);
        }
        stream.end(begin + 401 * SECOND, worker);
        stream.end(begin + 401 * SECOND, server);
        last = Some(server);
    }
    let conclusion = stream.collector.conclude();
    let metric = &conclusion.metrics[0];
    let [sum, worker] = &metric.epochs[..] else { panic!("{:#?}", metric.epochs) };
    assert!(!sum.grows() && sum.scope == Scope::AllTargets, "{sum:#?}");
    assert!(worker.grows() && worker.target.contains("worker"), "{}", worker.target);
    assert_eq!(worker.epoch.as_ref().unwrap().number, 1);
    let lines = metric.lines(false).unwrap();
    let named = |line: &String| line.starts_with("growing") && line.contains("worker");
    assert!(lines.iter().any(named), "{lines:#?}");
    assert_eq!(metric.beside_main().unwrap().last().unwrap().epoch.as_ref().unwrap().number, 2);
}

/// A target with one worker. The target has no value in an epoch that is `without` a sum, in which its worker leaks.
fn without_sum_then_steady(gates: &[&str]) -> Conclusion {
    let gates = gates.iter().map(|gate| gate.parse().unwrap()).collect();
    let mut stream = Stream::of(JudgeOptions { gates, ..JudgeOptions::default() });
    let first = stream.process(0, None, "server");
    let worker = stream.process(0, Some(first), "worker");
    for i in 1..400 {
        stream.sample(i as u64 * SECOND, &[(worker, leak(i), 0)]);
    }
    stream.end(400 * SECOND, worker);
    stream.end(400 * SECOND, first);
    let second = stream.successor(410 * SECOND, Some(first), "server");
    for i in 411..800 {
        stream.sample(i as u64 * SECOND, &[(second, flat(i), 0)]);
    }
    stream.collector.conclude()
}

#[test]
fn growth_in_an_epoch_whose_sum_is_not_known_is_shown_and_its_gate_was_not_evaluated() {
    let conclusion = without_sum_then_steady(&["growing"]);
    let lines = conclusion.metrics[0].lines(false).unwrap();
    assert!(lines[0].starts_with("steady  rss of server (pid "), "{lines:#?}");
    let grows =
        |line: &String| line.starts_with("growing  rss of worker") && line.contains(" in epoch 1 ");
    assert!(lines.iter().any(grows), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("not shown")), "{lines:#?}");
    let gate = &conclusion.gates[0];
    assert!(!gate.fired && !gate.checked, "{gate:?}");
    assert!(gate.why.starts_with("epoch 1: the sum of all targets is not known"), "{gate:?}");
}

#[test]
fn a_gate_on_what_was_in_an_epoch_that_has_ended_alone_says_so() {
    let mut stream = Stream::of(JudgeOptions {
        gates: vec!["subject(worker).peak>1GB".parse().unwrap()],
        ..JudgeOptions::default()
    });
    let first = stream.process(0, None, "server");
    let worker = stream.process(0, Some(first), "worker");
    stream.sample(SECOND, &[(first, 500, 0), (worker, 500, 0)]);
    stream.end(2 * SECOND, worker);
    stream.end(2 * SECOND, first);
    let second = stream.successor(3 * SECOND, Some(first), "server");
    stream.sample(4 * SECOND, &[(second, 500, 0)]);
    let gate = &stream.collector.conclude().gates[0];
    assert!(!gate.fired && !gate.checked, "{gate:?}");
    assert_eq!(
        gate.why,
        "epoch 1 is the last in which it can be evaluated, and there it does not fire: it is 500 B"
    );
}

#[test]
fn growth_before_an_epoch_without_a_value_is_the_verdict_and_that_there_is_none_is_said() {
    let mut run = Restarts::new(0, &["growing"]);
    run.epoch(400, leak);
    run.epoch(0, flat);
    let mut stream = run.stream;
    let last = stream.successor(run.t, run.last, "server");
    stream.sample(run.t + SECOND, &[(last, 500, 0)]);
    let conclusion = stream.collector.conclude();
    assert!(conclusion.main().unwrap().grows());
    // As if no value of the metric had been emitted in the epoch that goes on.
    let why = NoVerdict::NeverEmitted { metric: "rss".to_owned(), samples: 7 };
    let metric = MetricConclusion {
        outcome: MetricOutcome::NoVerdict(why),
        ..conclusion.metrics[0].clone()
    };
    let lines = metric.lines(false).unwrap();
    assert!(lines[0].starts_with("growing  rss of server (pid 1) in epoch 1 "), "{lines:#?}");
    let none = "epoch 3: no value of `rss` was emitted in 7 samples";
    assert!(lines.iter().any(|line| line == none), "{lines:#?}");
    assert_eq!(metric.documents(&[], None).unwrap().len(), metric.epochs.len());
}

#[test]
fn a_short_epoch_before_does_not_fire_the_gate_on_an_inconclusive_verdict() {
    let mut run = Restarts::new(0, &["inconclusive", "rate>1MB/min"]);
    run.epoch(3, flat);
    run.epoch(400, flat);
    assert!(run.conclude().gates.iter().all(|gate| !gate.fired && gate.decided));
    run.epoch(20, flat);
    let [inconclusive, rate] = &run.conclude().gates[..] else { panic!() };
    assert!(inconclusive.fired && !inconclusive.why.contains("epoch"), "{inconclusive:?}");
    // The epoch has ended, and nobody is asked to wait for more of it.
    let why = "the verdict is inconclusive (it ended before there was enough data)";
    assert!(!rate.decided && rate.why == why, "{rate:?}");
}

#[test]
fn the_gap_is_counted_from_the_end_of_the_epoch_also_if_descendants_were_waited_for() {
    let mut stream = Stream::new();
    let first = stream.process(0, None, "server");
    let worker = stream.process(0, Some(first), "server (child)");
    stream.sample(SECOND, &[(first, 500, 0), (worker, 500, 0)]);
    stream.end(2 * SECOND, first);
    stream.end(5 * SECOND, worker);
    let second = stream.successor(6 * SECOND, Some(first), "server");
    stream.sample(7 * SECOND, &[(second, 500, 0)]);
    let conclusion = stream.collector.conclude();
    let epoch = conclusion.metrics[0].current().unwrap().epoch.clone().unwrap();
    assert_eq!((epoch.begin, epoch.gap), (6 * SECOND, Some(SECOND)));
}
