//! Who holds a block, and what it holds.

use std::fmt::Write;

use seepmeter_heap::{Block, BlockName, BlockSum, ClassHolders, MergedPath, MergedStep, Retained};
use seepmeter_record::human;

use super::{bytes, class_name};

/// Of a longer path, so many steps at its beginning and at its end are shown.
const SHOWN_STEPS: usize = 5;

/// Who holds blocks, by the most frequent paths.
pub(super) fn holder_lines(holders: &ClassHolders, kind: &str, most: usize, text: &mut String) {
    let all = holders.held + holders.unreachable;
    let share = |count: u64| human::percent(count as f64 / all.max(1) as f64);
    for path in holders.paths.iter().take(most) {
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "{:>23}held by {}: {} of {all} {kind}",
            "",
            path_text(path),
            share(path.count)
        );
    }
    if holders.unreachable > 0 {
        let _ =
            writeln!(text, "{:>23}unreachable: {} of {all} {kind}", "", share(holders.unreachable));
    }
}

/// The answer to a question about blocks.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Who holds a block, or some of a class.
    Holders {
        /// The class.
        class: String,
        /// Who holds them.
        holders: ClassHolders,
    },
    /// What a block keeps alive.
    Retained {
        /// The block.
        block: Block,
        /// Its class.
        name: BlockName,
        /// What it keeps alive.
        retained: Retained,
    },
}

impl Answer {
    /// The answer as text.
    pub(crate) fn text(&self, target: &str) -> String {
        match self {
            Self::Holders { class, holders } => {
                format!("{target}\n{class}\n\n{}", all_holder_lines(holders))
            }
            Self::Retained { block, name, retained } => {
                let head = format!("{:#x}: {}, keeps alive", block.address, class_name(name));
                format!("{target}\n{head}\n\n{}", retained_lines(retained))
            }
        }
    }
}

fn all_holder_lines(holders: &ClassHolders) -> String {
    let mut text = format!("{:>6}  held by\n", "blocks");
    for path in &holders.paths {
        let example = path.steps.last().map_or(0, |step| step.example);
        let _ = writeln!(text, "{:>6}  {}; such as {example:#x}", path.count, path_text(path));
    }
    if holders.unreachable > 0 {
        let _ = writeln!(text, "{:>6}  nobody: unreachable", holders.unreachable);
    }
    let all = holders.held + holders.unreachable;
    let _ = writeln!(text, "{all:>6}  all that were searched for");
    text
}

fn retained_lines(retained: &Retained) -> String {
    let mut text = format!("{:>11} {:>9}  class\n", "bytes", "blocks");
    let mut line = |sum: BlockSum, what: &str| {
        let _ = writeln!(text, "{:>11} {:>9}  {what}", bytes(sum.bytes), sum.count);
    };
    for (name, sum) in &retained.classes {
        line(*sum, &class_name(name));
    }
    line(retained.sum, "all blocks, with itself");
    text
}

/// A path in one line.
fn path_text(path: &MergedPath) -> String {
    let MergedPath { root, steps, .. } = path;
    let mut shown = vec![root.clone()];
    let mut key = None;
    for (at, step) in steps.iter().enumerate() {
        let last = at + 1 == steps.len();
        match &step.name {
            // A module is the root, and its dict has the names that follow.
            BlockName::PythonObject(name)
                if !last
                    && (at == 0 && name == "module"
                        || at == 1 && name == "dict" && root.starts_with("module ")) => {}
            BlockName::PythonBuffer(of) if !last => {
                key = Some(matches!(of.as_str(), "dict" | "list" | "set"));
                continue;
            }
            _ => shown.push(step_text(step, key)),
        }
        key = None;
    }
    if shown.len() > 2 * SHOWN_STEPS {
        shown.splice(SHOWN_STEPS..shown.len() - SHOWN_STEPS, ["…".to_owned()]);
    }
    shown.join(" → ")
}

/// A step: by which key it was come to, and what it is. `in_table` says whether it is in a table that has keys or items.
fn step_text(step: &MergedStep, in_table: Option<bool>) -> String {
    let name = class_name(&step.name);
    let name = if step.repeated { format!("{name}…") } else { name };
    match (&step.key, in_table) {
        (Some(key), _) => format!("['{key}'] {name}"),
        (None, Some(true)) => format!("[*] {name}"),
        _ => name,
    }
}
