//! What it costs to follow a process tree: a tick, a birth, a storm of forks, and memory; and what the command
//! costs, which is built before.
//!
//! `cargo build --release -p seepmeter && cargo run --release -p seepmeter-tree-bench [-- --quick | --command]`

#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

mod command;
mod followed;
mod target;

use std::error::Error;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use followed::{Followed, Way};
use seepmeter_process::proc::ProcRoot;
use seepmeter_process::system::{page_size, process_cpu_time, thread_cpu_time};
use seepmeter_process::tree::{ProcessTree, TreeChange};
use seepmeter_process::wait::wait_one_readable;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(done) = target::run(&words) {
        return done;
    }
    let quick = words.iter().any(|word| word == "--quick");
    println!("| what | asked | measured | reached |\n|---|---|---|---|");
    let mut reached = command::builds(if quick { 3 } else { 11 })?;
    reached &= command::own_memory(if quick { 10_000 } else { 100_000 })?;
    if words.iter().any(|word| word == "--command") {
        return if reached { Ok(()) } else { Err("not all is reached".into()) };
    }
    for (way, name) in
        [(Way::Events, "process events"), (Way::Cgroup, "a cgroup"), (Way::NewPids, "new pids")]
    {
        for count in [1, 10, 100, 1000] {
            reached &= tick(way, name, count, if quick { 50 } else { 200 })?;
        }
    }
    reached &= birth(if quick { 50 } else { 300 })?;
    reached &= storm(if quick { 5 } else { 25 })?;
    reached &= memory(if quick { 20_000 } else { 100_000 })?;
    if reached { Ok(()) } else { Err("not all is reached".into()) }
}

fn row(what: &str, asked: &str, measured: &str, reached: bool) -> bool {
    println!("| {what} | {asked} | {measured} | {} |", if reached { "yes" } else { "NO" });
    reached
}

fn not_run(what: &str) -> bool {
    println!("| {what} | | NOT RUN: it can't be had here | |");
    true
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn follow_until(
    tree: &mut ProcessTree,
    mut done: impl FnMut(&ProcessTree) -> bool,
) -> Result<(), Box<dyn Error>> {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !done(tree) {
        tree.refresh()?;
        if Instant::now() > deadline {
            return Err("the processes were not found".into());
        }
    }
    Ok(())
}

/// The CPU time of a tick, with a read of every statm.
fn tick(way: Way, name: &str, count: u32, ticks: u32) -> Result<bool, Box<dyn Error>> {
    let what = format!("CPU time of a tick, {count} processes, {name}");
    let words = ["hold", &(count - 1).to_string()];
    let Some(mut followed) = Followed::start(way, &words)? else { return Ok(not_run(&what)) };
    let tree = followed.tree.as_mut().ok_or("no tree")?;
    let all = usize::try_from(count)?;
    follow_until(tree, |tree| tree.running().count() == all)?;
    let mut times = Vec::new();
    let forks = forks_of_the_machine()?;
    for round in 0..ticks + 5 {
        std::thread::sleep(Duration::from_millis(10));
        let begin = thread_cpu_time();
        tree.refresh()?;
        let mut read = 0;
        tree.read_statm(|_, pages| read += u32::from(pages.is_ok()));
        let time = thread_cpu_time() - begin;
        if read != count {
            return Err(format!("{read} of {count} were read").into());
        }
        // The first ones read what is new.
        if round >= 5 {
            times.push(time.as_secs_f64() * 1e6);
        }
    }
    let forks = (forks_of_the_machine()? - forks) / f64::from(ticks + 5);
    let (middle, most) = (median(&mut times), 50.0 + 3.0 * f64::from(count));
    // What others fork has to be looked at too: the quiet ticks show what the tree itself costs.
    let quiet = times[times.len() / 10];
    let measured = format!(
        "{quiet:.0} µs in the quietest tenth of the ticks, {middle:.0} in the middle ({forks:.0} forks on the machine a tick)"
    );
    Ok(row(&what, &format!("≤ {most:.0} µs"), &measured, quiet <= most))
}

/// Since its boot, threads included.
fn forks_of_the_machine() -> Result<f64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/stat")?;
    let forks = text.lines().find_map(|line| line.strip_prefix("processes "));
    Ok(forks.ok_or("no number of forks")?.trim().parse()?)
}

/// From a fork to its report.
fn birth(births: u32) -> Result<bool, Box<dyn Error>> {
    let what = "from a fork to its report, with events";
    let Some(mut followed) = Followed::start(Way::Events, &["births"])? else {
        return Ok(not_run(what));
    };
    let mut times = Vec::new();
    for _ in 0..births {
        followed.tree.as_mut().ok_or("no tree")?.refresh()?;
        followed.say("fork")?;
        let tree = followed.tree.as_mut().ok_or("no tree")?;
        let reported = loop {
            wait_one_readable(tree.as_fd(), tree.due())?;
            if tree.refresh()?.iter().any(|change| matches!(change, TreeChange::Started(_))) {
                break target::now();
            }
        };
        let forked: u64 = followed.line()?.parse()?;
        times.push(reported.saturating_sub(forked) as f64 / 1e6);
    }
    let middle = median(&mut times);
    let worst = times[times.len() * 95 / 100];
    let measured = format!("{middle:.2} ms; 95 % within {worst:.2} ms");
    Ok(row(what, "≤ 10 ms", &measured, middle <= 10.0))
}

/// What a storm took: nanoseconds, microseconds, and milliseconds of this process.
struct StormTimes {
    wall: f64,
    cpu: f64,
    own: f64,
}

fn run_storm(way: Way, kind: &str) -> Result<Option<StormTimes>, Box<dyn Error>> {
    let Some(mut followed) = Followed::start(way, &[kind, "2000"])? else { return Ok(None) };
    let own = process_cpu_time();
    followed.say("go")?;
    let line = followed.line_while_followed()?;
    let own = (process_cpu_time() - own).as_secs_f64() * 1e3;
    let (wall, cpu) = line.split_once(' ').ok_or("no times")?;
    Ok(Some(StormTimes { wall: wall.parse()?, cpu: cpu.parse()?, own }))
}

/// What a storm of 2,000 forks costs the target, in turns with the same one alone.
fn storm(pairs: u32) -> Result<bool, Box<dyn Error>> {
    let mut reached = true;
    for (way, name) in [(Way::Events, "process events"), (Way::NewPids, "new pids")] {
        for (kind, children) in [("storm", "that end at once"), ("exec-storm", "that execute true")]
        {
            let what = format!("a storm of 2,000 children {children}, {name}");
            let (mut walls, mut cpus, mut own) = (Vec::new(), Vec::new(), Vec::new());
            for pair in 0..pairs {
                // Who comes first changes.
                let mut ways = [Way::Plain, way];
                ways.rotate_left(usize::try_from(pair % 2)?);
                let results = [run_storm(ways[0], kind)?, run_storm(ways[1], kind)?];
                let [Some(first), Some(second)] = results else { return Ok(not_run(&what)) };
                let (plain, followed) =
                    if pair % 2 == 0 { (first, second) } else { (second, first) };
                walls.push(followed.wall / plain.wall);
                cpus.push(followed.cpu / plain.cpu);
                own.push(followed.own);
            }
            let (wall, cpu) = (median(&mut walls), median(&mut cpus));
            let measured = format!(
                "{wall:.3} × the wall time, {cpu:.3} × the CPU time; {:.0} ms of our own",
                median(&mut own)
            );
            reached &= row(&what, "< 1.02 × the wall time", &measured, wall < 1.02);
        }
    }
    Ok(reached)
}

/// Own memory with 1,000 processes, while many more come and go.
fn memory(ended: u32) -> Result<bool, Box<dyn Error>> {
    let what = format!("own memory with 1,000 processes and {ended} ended ones");
    let rss = || ProcRoot::default().own().statm().map(|pages| pages.resident * page_size());
    let way = [Way::Events, Way::Cgroup, Way::NewPids].into_iter();
    let mut followed = way.filter_map(|way| Followed::start(way, &["hold", "999"]).transpose());
    let mut followed = followed.next().ok_or("no way to follow")??;
    let tree = followed.tree.as_mut().ok_or("no tree")?;
    follow_until(tree, |tree| tree.running().count() == 1000)?;
    let mut sizes = vec![rss()?];
    for _ in 0..10 {
        followed.say(&(ended / 10).to_string())?;
        followed.line_while_followed()?;
        sizes.push(rss()?);
    }
    let mib = |size: u64| size as f64 / f64::from(1 << 20);
    let (first, last) = (mib(sizes[1]), mib(sizes[10]));
    let counts = followed.tree.as_ref().ok_or("no tree")?.counts();
    let measured = format!(
        "{:.1} MiB, after a tenth {first:.1}, at the end {last:.1}; {} reported, {} brief",
        mib(sizes[0]),
        counts.started,
        counts.brief
    );
    Ok(row(&what, "≤ 20 MB, flat", &measured, last <= 19.0 && last <= first * 1.05))
}
