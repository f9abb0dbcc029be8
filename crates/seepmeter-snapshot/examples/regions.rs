//! Prints the mappings of a process or a core file by size, and whether the first word of each can be read:
//! `cargo run -p seepmeter-snapshot --example regions -- PID|CORE`

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::error::Error;

use seepmeter_snapshot::{MemoryImage, Snapshot, SnapshotOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let target = std::env::args().nth(1).ok_or("give a pid or a core file")?;
    let Ok(pid) = target.parse() else { return print(&MemoryImage::of_core(target)?) };
    let snapshot = Snapshot::take(pid, SnapshotOptions::default())?;
    println!("it stood still for {:?}", snapshot.pause());
    print(&snapshot.image())?;
    snapshot.end()?;
    Ok(())
}

fn print(image: &MemoryImage<'_>) -> Result<(), Box<dyn Error>> {
    println!("pid {}, {} threads", image.pid(), image.threads().len());
    let mut regions: Vec<_> = image.regions().iter().collect();
    regions.sort_by_key(|region| std::cmp::Reverse(region.size()));
    for region in regions.iter().take(10) {
        let first = image.word(region.start).map_or("unreadable", |_| "readable");
        let (class, path) = (region.class.as_str(), String::from_utf8_lossy(&region.path));
        println!("{:>14} {} {class:<14} {first:<10} {path}", region.size(), region.perms);
    }
    Ok(image.check()?)
}
