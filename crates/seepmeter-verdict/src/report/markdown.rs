//! A report as a table in GitHub's Markdown (GitHub Flavored Markdown Spec, "Tables").
//!
//! A cell is one line. All that could be markup in it, or would end it, is escaped.

use seepmeter_record::printable;

use super::entry::{Entries, Weight};
use super::{Report, ReportSection};

pub(super) fn render(report: &Report) -> String {
    let mut text = "### Memory\n\n| what | result | figures |\n|---|---|---|\n".to_owned();
    for section in &report.sections {
        text += &rows(section);
    }
    text
}

fn rows(section: &ReportSection) -> String {
    let entries = Entries::of(section);
    let file = section.file.as_deref().map(escaped);
    let of = |what: String| match &file {
        Some(file) => format!("{what}<br>{file}"),
        None => what,
    };
    let mut rows = String::new();
    for answer in &entries.answers {
        let lines: Vec<String> = answer.lines().into_iter().map(escaped).collect();
        let target = answer.target.as_deref().map(|target| format!(" of {}", escaped(target)));
        let what = format!("{}{}", escaped(&answer.metric), target.unwrap_or_default());
        rows += &row(&of(what), answer.text.word, answer.weight(), &lines.join("<br>"));
    }
    for gate in &entries.gates {
        let what = format!("gate <code>{}</code>", escaped(&gate.outcome.gate));
        rows += &row(&of(what), gate.word(), gate.weight(), &escaped(&gate.outcome.why));
    }
    for why in &entries.failures {
        rows += &row(&of("verdict".to_owned()), "none", Weight::Failure, &escaped(why));
    }
    rows
}

/// Cells whose text is escaped already.
fn row(what: &str, word: &str, weight: Weight, figures: &str) -> String {
    let word = match weight {
        Weight::Note => word.to_owned(),
        Weight::Warning | Weight::Failure => format!("**{word}**"),
    };
    format!("| {what} | {word} | {figures} |\n")
}

/// Text that is shown as it is, also within an element of HTML. A character as a number is no markup
/// (CommonMark, "Entity and numeric character references"), and no end of a cell.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '!' | '#' | '@' | '$' => {
                escaped.push_str(&format!("&#{};", u32::from(c)));
            }
            c => escaped.push(c),
        }
    }
    // Addresses become links by themselves.
    escaped.replace("://", "&#58;//").replace("www.", "www&#46;")
}
