//! How often a watch that ends as soon as its verdict is settled (`--until-verdict`) ends with a wrong one:
//! each draw is judged again and again while it grows longer, as a live run is.

use std::sync::Mutex;

use seepmeter_analysis::{
    Classification, Downsampler, Judgement, PartView, Series, Settings, judge, judge_with_parts,
};
use seepmeter_verdict::{INTERIM_GROWTH, SettledVerdict};

use crate::run::Plan;
use crate::shape::{Drawn, Health, Shape};
use crate::shapes;

/// As many buckets as the collector of a live run has for the whole.
const BUCKETS: usize = 2048;

/// How the watches of all draws of one shape and length ended.
#[derive(Debug, Clone)]
pub struct Endings {
    /// The shape's name.
    pub name: &'static str,
    /// The truth.
    pub health: Health,
    /// The length after which a watch ended anyway.
    pub length: f64,
    /// How many ended with growing.
    pub growing: u64,
    /// How many ended with steady.
    pub steady: u64,
    /// How many were not sure up to the end.
    pub unsure: u64,
    /// How long those that were sure took, in seconds, in ascending order.
    pub seconds: Vec<f64>,
}

/// Runs a plan.
pub fn run(plan: &Plan) -> Vec<Endings> {
    let shapes: Vec<Shape> = shapes().into_iter().filter(|s| s.name.contains(&plan.only)).collect();
    let jobs: Vec<(&Shape, f64)> =
        plan.lengths.iter().flat_map(|&l| shapes.iter().map(move |s| (s, l))).collect();
    let next = Mutex::new(jobs.iter());
    let worker = || {
        let job = || next.lock().expect("no worker panics").next();
        std::iter::from_fn(job).map(|(shape, length)| endings(shape, *length, plan)).collect()
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all: Vec<Endings> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        let joined = all.into_iter().map(|w| w.join().expect("no worker panics"));
        joined.collect::<Vec<Vec<_>>>().concat()
    });
    all.sort_by_key(|e| jobs.iter().position(|(s, l)| s.name == e.name && *l == e.length));
    all
}

fn endings(shape: &Shape, length: f64, plan: &Plan) -> Endings {
    let Shape { name, health, .. } = *shape;
    let mut all =
        Endings { name, health, length, growing: 0, steady: 0, unsure: 0, seconds: Vec::new() };
    for draw in 0..plan.draws {
        let drawn = shape.drawn(plan.split, length, draw, plan.spacing);
        match ending(&drawn) {
            Some((classification, seconds)) => {
                all.seconds.push(seconds);
                match classification {
                    Classification::Growing => all.growing += 1,
                    _ => all.steady += 1,
                }
            }
            None => all.unsure += 1,
        }
    }
    all.seconds.sort_by(f64::total_cmp);
    all
}

/// The table: a line for each health and length or, with `by_shape`, for each shape.
pub fn table(all: &[Endings], by_shape: bool) -> String {
    let mut groups: Vec<(String, Vec<&Endings>)> = Vec::new();
    for endings in all {
        let shape = if by_shape { format!(": {}", endings.name) } else { String::new() };
        let name = format!("{:?}{shape} | ×{}", endings.health, endings.length);
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, group)) => group.push(endings),
            None => groups.push((name, vec![endings])),
        }
    }
    let head =
        "| | up to | growing | steady | not sure | median time |\n|---|---|---|---|---|---|\n";
    groups.iter().fold(head.to_owned(), |table, (name, group)| table + &line(name, group))
}

fn line(name: &str, group: &[&Endings]) -> String {
    let sum = |of: fn(&Endings) -> u64| group.iter().map(|endings| of(endings)).sum::<u64>();
    let [growing, steady, unsure] = [sum(|e| e.growing), sum(|e| e.steady), sum(|e| e.unsure)];
    let percent = |count: u64| count as f64 * 100.0 / (growing + steady + unsure) as f64;
    let mut seconds: Vec<f64> =
        group.iter().flat_map(|endings| &endings.seconds).copied().collect();
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(seconds.len() / 2).map_or(String::new(), |s| format!("{s:.0} s"));
    format!(
        "| {name} | {:.2} % | {:.2} % | {:.2} % | {median} |\n",
        percent(growing),
        percent(steady),
        percent(unsure)
    )
}

/// The answer that ends the watch of a draw, and after how many seconds; none if it is never sure.
pub fn ending(drawn: &Drawn) -> Option<(Classification, f64)> {
    let mut settled = SettledVerdict::default();
    judgements(drawn).find_map(|(seconds, judgement)| {
        settled.observe(&judgement).then_some((judgement.classification, seconds))
    })
}

/// The judgements of a draw as it grows longer, each with the seconds that it is of.
pub fn judgements(drawn: &Drawn) -> impl Iterator<Item = (f64, Judgement)> {
    let mut prefix = Prefix::of(drawn);
    let mut length = Settings::default().least_span as f64;
    std::iter::from_fn(move || {
        let judgement = prefix.extend_to(length as u64).then(|| prefix.judge())?;
        let seconds = length / 1e9;
        length *= INTERIM_GROWTH;
        Some((seconds, judgement))
    })
}

/// What a collector has of a draw up to a time.
struct Prefix<'a> {
    /// The whole, then the parts: what is to come, and what has.
    all: Vec<(std::slice::Iter<'a, (u64, i64)>, Downsampler)>,
    begin: u64,
}

impl<'a> Prefix<'a> {
    fn of(drawn: &'a Drawn) -> Self {
        let series = std::iter::once(&drawn.whole).chain(&drawn.parts);
        let all = series.map(|s| (s.points().iter(), Downsampler::new(BUCKETS))).collect();
        Self { all, begin: drawn.whole.start() }
    }

    /// Takes in what comes up to this time after the begin; false if nothing follows.
    fn extend_to(&mut self, ns: u64) -> bool {
        for (rest, taken) in &mut self.all {
            while let Some((t, value)) = rest.as_slice().first() {
                if t - self.begin > ns {
                    break;
                }
                taken.push(*t, *value);
                rest.next();
            }
        }
        self.all.first().is_some_and(|(rest, _)| !rest.as_slice().is_empty())
    }

    fn judge(&self) -> Judgement {
        let settings = Settings::default();
        let series: Vec<Series> =
            self.all.iter().map(|(_, taken)| taken.clone().finish()).collect();
        let (whole, parts) = series.split_first().expect("the whole is there");
        if parts.is_empty() {
            return judge(whole, &settings);
        }
        let parts: Vec<_> =
            parts.iter().enumerate().map(|(i, s)| PartView::current(i, s)).collect();
        judge_with_parts(whole, &parts, &settings).judgement
    }
}
