//! Runs a command and prints what happens in its tree: `cargo run -p seepmeter-process --example tree -- make`
//!
//! With `--only events`, `--only cgroup`, `--only subreaper` or `--only new-pids` before the command, that
//! mechanism alone is used.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::error::Error;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use seepmeter_process::tree::{
    CgroupUse, EndReason, ProcessTree, TreeChange, TreeOptions, TreeProcess,
};
use seepmeter_process::wait::wait_one_readable;
use seepmeter_process::{ChildSignals, Command};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let mut options = TreeOptions::default();
    if words.first().is_some_and(|word| word == "--only") {
        let way = words.drain(..2).next_back().unwrap_or_default();
        options.events = way == "events";
        options.cgroup = if way == "cgroup" { CgroupUse::Always } else { CgroupUse::Never };
        options.subreaper = way == "subreaper";
    }
    let held = Command::new(words)?.spawn(&ChildSignals::as_they_are()?)?;
    let mut tree = ProcessTree::of_child(&held, options)?;
    println!("found by {}: {:?}", tree.discovery(), tree.discovery());
    let child = held.release()?;
    let begin = Instant::now();
    while !child.process().has_ended()? {
        wait_one_readable(tree.as_fd(), Some(Instant::now() + Duration::from_millis(20)))?;
        print(&tree.refresh()?, begin);
    }
    print(&tree.refresh()?, begin);
    for process in tree.descendants() {
        println!("still running: {}", name(process));
    }
    println!("peak of the cgroup: {:?} bytes", tree.memory_peak());
    let end = tree.end(Duration::from_secs(1))?;
    println!("{} were killed, {} are left", end.killed.len(), end.left.len());
    print(&tree.refresh()?, begin);
    println!("{:?}; {} lived too briefly", child.reap()?, tree.counts().brief);
    Ok(())
}

fn name(process: &TreeProcess) -> String {
    let parent = process.parent.map_or_else(|| "-".to_owned(), |parent| parent.pid.to_string());
    format!("{} (pid {}, parent {parent})", process.role, process.key.pid)
}

fn print(changes: &[TreeChange], begin: Instant) {
    let time = begin.elapsed().as_millis();
    for change in changes {
        match change {
            TreeChange::Started(it) => {
                println!("{time:>6} started {} by {:?}", name(it), it.found_by)
            }
            TreeChange::Executed(it) => println!("{time:>6} executed {}", name(it)),
            TreeChange::Ended { process, reason: EndReason::Ended(end) } => {
                println!("{time:>6} ended {}: {end:?}", name(process));
            }
            TreeChange::Ended { process, .. } => println!("{time:>6} left out {}", name(process)),
            TreeChange::EventsDropped => println!("{time:>6} events were dropped"),
            _ => {}
        }
    }
}
