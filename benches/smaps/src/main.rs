//! What observers of its mappings do to a program, side by side.
//!
//! A target maps, touches and unmaps as fast as it can, beside mappings that stay. Phases with an
//! observer and phases without alternate, for the machine is seldom quiet; a ratio is the median over
//! pairs of neighbours. `cargo run --release -p seepmeter-smaps-bench [-- --quick] [OBSERVER [SHAPE]]`

#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

mod board;
mod observer;
mod parse;
mod phases;
mod plugin;
mod target;

use std::io::Error;
use std::time::Duration;

use observer::Observer;
use phases::Plan;
use target::{Shape, Target};

const SHAPES: [Shape; 2] = [
    Shape { name: "10,000 mappings, 1 GiB", mappings: 10_000, bytes: 1 << 30 },
    Shape { name: "200 mappings, 4 GiB", mappings: 200, bytes: 4 << 30 },
];

fn main() -> Result<(), Error> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, mappings, bytes, board] = &words[..]
        && word == "target"
    {
        return target::live(mappings, bytes, board);
    }
    let quick = words.iter().any(|word| word == "--quick");
    let mut words = words.iter().filter(|word| !word.starts_with("--"));
    let (only, shape) = (words.next(), words.next());
    for shape in
        SHAPES.iter().filter(|known| shape.is_none_or(|shape| known.name.contains(shape.as_str())))
    {
        println!("\n{}", shape.name);
        println!("{}\n{}", parse::measure(&Target::spawn(*shape)?)?, phases::HEADINGS);
        for observer in Observer::ALL {
            if only.is_none_or(|only| observer.name().contains(only.as_str())) {
                let plan = plan(observer, quick);
                let mut target = Target::spawn(*shape)?;
                println!("{}", phases::measure(&mut target, observer, plan)?);
            }
        }
    }
    Ok(())
}

/// The plugin sweeps for some seconds and then rests, so its phases are longer.
fn plan(observer: Observer, quick: bool) -> Plan {
    let (pairs, seconds) = match (observer, quick) {
        (Observer::Plugin, false) => (6, 10),
        (Observer::Plugin, true) => (3, 10),
        (_, false) => (6, 3),
        (_, true) => (4, 2),
    };
    Plan { pairs, phase: Duration::from_secs(seconds) }
}
