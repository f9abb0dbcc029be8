//! The table at the end.

use std::fmt::Write;

/// One line of it.
pub(crate) struct Row {
    what: &'static str,
    goal: &'static str,
    measured: String,
    /// None of a figure that has no goal.
    reached: Option<bool>,
}

impl Row {
    /// A promise, and whether it is kept.
    pub(crate) fn promise(
        what: &'static str,
        goal: &'static str,
        measured: String,
        reached: bool,
    ) -> Self {
        Self { what, goal, measured, reached: Some(reached) }
    }

    /// A figure to compare with.
    pub(crate) fn figure(what: &'static str, measured: String) -> Self {
        Self { what, goal: "", measured, reached: None }
    }
}

/// The rows as a Markdown table.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("| what | goal | measured | reached |\n|---|---|---|---|\n");
    for Row { what, goal, measured, reached } in rows {
        let reached = match reached {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        // Writing to a String does not fail.
        let _ = writeln!(text, "| {what} | {goal} | {measured} | {reached} |");
    }
    text
}
