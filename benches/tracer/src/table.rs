//! The table at the end.

use std::fmt::Write;

/// One line of it.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) asked: String,
    pub(crate) measured: String,
    /// None if there is nothing to reach: a figure to compare with.
    pub(crate) reached: Option<bool>,
}

impl Row {
    pub(crate) fn is_reached(&self) -> bool {
        self.reached != Some(false)
    }
}

/// The rows as a Markdown table.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("| what | asked | measured | reached |\n|---|---|---|---|\n");
    for Row { what, asked, measured, reached } in rows {
        let reached = match reached {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        // Writing to a String does not fail.
        let _ = writeln!(text, "| {what} | {asked} | {measured} | {reached} |");
    }
    text
}

/// The middle one; of an even number, the upper of the two.
pub(crate) fn median<T: Copy + PartialOrd>(values: &[T]) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    sorted.get(sorted.len() / 2).copied()
}
