//! What `seepmeter heap --diff` shows.

use std::fmt::Write;
use std::time::Duration;

use seepmeter_heap::{ClassGrowth, ClassHolders, Leaks, OtherAllocator};
use seepmeter_record::human;

use super::leaks::{leak_lines, two_snapshots};
use super::paths::holder_lines;
use super::{Standstill, class_name};

/// A class that has another size than before.
#[derive(Debug)]
pub(crate) struct GrownClass {
    pub(crate) growth: ClassGrowth,
    /// Who holds its new blocks, if that was searched for.
    pub(crate) holders: Option<ClassHolders>,
}

/// What has grown between two snapshots of a process.
#[derive(Debug)]
pub(crate) struct GrowthReport {
    pub(crate) name: String,
    /// The time between the two snapshots.
    pub(crate) between: Duration,
    pub(crate) standstills: Vec<Standstill>,
    /// From the one that has grown most on.
    pub(crate) classes: Vec<GrownClass>,
    /// Or why they are not known.
    pub(crate) leaks: Result<Leaks, String>,
    pub(crate) others: Vec<OtherAllocator>,
}

impl GrowthReport {
    /// The report as text, with so many classes.
    pub(crate) fn text(&self, top: usize) -> String {
        let mut text = format!("{}\n", self.name);
        text.push_str(&two_snapshots(self.between, &self.standstills));
        if self.classes.is_empty() {
            text.push_str("\nno class has grown or shrunk\n");
        } else {
            self.growth(top, &mut text);
        }
        match &self.leaks {
            Ok(leaks) => leak_lines(leaks, &self.others, top, &mut text),
            Err(why) => {
                let _ = writeln!(text, "\nwhich blocks are leaked is not known: {why}");
            }
        }
        text
    }

    fn growth(&self, top: usize, text: &mut String) {
        let head = format!("\n{:>11} {:>9}  class\n", "bytes", "blocks");
        let (shown, rest) = self.classes.split_at(top.min(self.classes.len()));
        let sum = |classes: &[GrownClass]| {
            classes.iter().fold((0, 0), |(bytes, count), it| {
                (bytes + it.growth.bytes, count + it.growth.count)
            })
        };
        text.push_str(&head);
        for GrownClass { growth, holders } in shown {
            let ClassGrowth { name, count, bytes } = growth;
            // Writing to a String does not fail.
            let _ = writeln!(text, "{:>11} {count:>+9}  {}", signed(*bytes), class_name(name));
            holders.iter().for_each(|holders| holder_lines(holders, "new", 2, &mut *text));
        }
        let all = human::count(rest.len() as u64, "other class");
        for ((bytes, count), what) in
            [(sum(rest), all.as_str()), (sum(&self.classes), "all blocks")]
        {
            if what != all || !rest.is_empty() {
                let _ = writeln!(text, "{:>11} {count:>+9}  {what}", signed(bytes));
            }
        }
    }
}

/// A change of a size.
fn signed(bytes: i64) -> String {
    let sign = if bytes > 0 { "+" } else { "" };
    format!("{sign}{}", human::bytes(bytes))
}
