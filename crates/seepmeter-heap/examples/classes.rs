//! Prints the ten largest classes of blocks, by allocator and size, of a process or a core file, with how many are
//! unreachable now: `cargo run -p seepmeter-heap --example classes -- PID|CORE`

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use seepmeter_heap::{Census, Limits, Reachability};
use seepmeter_snapshot::MemoryImage;
use seepmeter_tracer::{Tracee, TraceeOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let target = std::env::args().nth(1).ok_or("give a pid or a core file")?;
    let Ok(pid) = target.parse() else { return print(&MemoryImage::of_core(target)?) };
    let mut tracee = Tracee::new(pid, TraceeOptions::default())?;
    let stop = tracee.stop(Instant::now() + Duration::from_secs(1))?;
    print(&MemoryImage::of_stop(&stop)?)
}

fn print(image: &MemoryImage<'_>) -> Result<(), Box<dyn Error>> {
    let census = Census::take(image, &Limits::default())?;
    let marks = census.mark(image)?;
    let mut classes: BTreeMap<_, (u64, u64)> = BTreeMap::new();
    for block in census.blocks() {
        let (count, unreachable) = classes.entry((block.origin, block.size)).or_default();
        *count += 1;
        *unreachable += u64::from(marks.of(&block) == Reachability::Unreachable);
    }
    let mut classes: Vec<_> = classes.into_iter().collect();
    classes.sort_by_key(|((_, size), (count, _))| std::cmp::Reverse(size * count));
    for ((origin, size), (count, unreachable)) in classes.iter().take(10) {
        println!(
            "{:>12} B: {count} × {size} B ({origin:?}), {unreachable} unreachable",
            size * count
        );
    }
    println!("{} blocks; free: {:?}", census.block_count(), census.free_bytes());
    Ok(())
}
