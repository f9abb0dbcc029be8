//! What `seepmeter heap --leaks` shows.

use std::fmt::Write;
use std::time::Duration;

use seepmeter_heap::{BlockSum, LeakGroup, LeakShape, Leaks, OtherAllocator};
use seepmeter_record::human;

use super::{Standstill, bytes, class_name, not_read, time};

/// The leaked blocks of a process.
#[derive(Debug)]
pub(crate) struct LeakReport {
    pub(crate) name: String,
    /// The time between the two snapshots.
    pub(crate) between: Duration,
    pub(crate) standstills: Vec<Standstill>,
    pub(crate) leaks: Leaks,
    pub(crate) others: Vec<OtherAllocator>,
}

impl LeakReport {
    /// The report as text, with so many groups.
    pub(crate) fn text(&self, top: usize) -> String {
        let mut text = format!("{}\n", self.name);
        text.push_str(&two_snapshots(self.between, &self.standstills));
        leak_lines(&self.leaks, &self.others, top, &mut text);
        text
    }
}

/// When they were taken, and what that has cost.
pub(super) fn two_snapshots(between: Duration, standstills: &[Standstill]) -> String {
    let times: Vec<String> = standstills.iter().flat_map(Standstill::times).collect();
    format!("two snapshots, {} apart; stood still for {}\n", time(between), times.join(", "))
}

/// The leaks, from the largest on, and whose blocks were not read.
pub(super) fn leak_lines(leaks: &Leaks, others: &[OtherAllocator], top: usize, text: &mut String) {
    let all = leaks.sum();
    if all.count == 0 {
        let read = if others.is_empty() { "" } else { " that was read" };
        let _ = writeln!(text, "\nno block{read} is leaked");
    } else {
        let _ = writeln!(text, "\n{:>11} {:>9}  leaked", "bytes", "blocks");
        let mut line = |sum: BlockSum, what: &str| {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{:>11} {:>9}  {what}", bytes(sum.bytes), sum.count);
        };
        let (shown, rest) = leaks.groups.split_at(top.min(leaks.groups.len()));
        shown.iter().for_each(|group| line(group.blocks, &leak(group)));
        if !rest.is_empty() {
            let sum = rest.iter().map(|group| group.blocks).sum();
            line(sum, &human::count(rest.len() as u64, "other kind"));
        }
        line(all, "all leaked blocks");
    }
    if leaks.collectable.count > 0 {
        let _ = writeln!(
            text,
            "\n{} not called leaked: cycles of CPython's objects and what hangs on them, which its collector frees unless it is off",
            blocks(leaks.collectable)
        );
    }
    if leaks.unconfirmed.count > 0 {
        let _ = writeln!(
            text,
            "\n{} not called leaked: unreachable in the second snapshot alone",
            blocks(leaks.unconfirmed)
        );
    }
    text.push_str(&not_read(others));
}

fn blocks(sum: BlockSum) -> String {
    format!("{} ({})", human::count(sum.count, "block"), bytes(sum.bytes))
}

/// What a group of leaks is called.
fn leak(group: &LeakGroup) -> String {
    let LeakGroup { shape, name, leaks, first, blocks: all, example } = group;
    let name = class_name(name);
    let what = match shape {
        LeakShape::Block => format!("{leaks} × {name}"),
        LeakShape::Cycle => format!("{} with {name}", human::count(*leaks, "cycle")),
    };
    let hanging = BlockSum { count: all.count - first.count, bytes: all.bytes - first.bytes };
    let hanging = match hanging.count {
        0 => String::new(),
        _ => format!(", and {} that hang on that", blocks(hanging)),
    };
    format!("{what}{hanging}; such as {example:#x}")
}
