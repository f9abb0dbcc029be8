//! A report as workflow commands of GitHub Actions: `::warning title=TITLE::MESSAGE`.
//!
//! A command is one line. In a message `%`, CR and LF are percent-encoded, in a property also `:` and `,`
//! (actions/toolkit, packages/core/src/command.ts). The runner takes a line for a command only if it begins
//! with `::`, and each of ours does, so nothing of a target can be one.

use seepmeter_record::printable;

use super::Report;
use super::entry::{Entries, Weight};

pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    for section in &report.sections {
        let entries = Entries::of(section);
        let file = section.file.as_deref().map_or(String::new(), |file| format!("{file}: "));
        for answer in &entries.answers {
            let title = format!("{file}memory: {}", answer.text.word);
            text += &command(answer.weight(), &title, &answer.lines());
        }
        for gate in &entries.gates {
            let title = format!("{file}gate {} {}", gate.outcome.gate, gate.word());
            text += &command(gate.weight(), &title, &[&gate.outcome.why]);
        }
        for why in &entries.failures {
            text += &command(Weight::Failure, &format!("{file}no verdict"), &[why]);
        }
    }
    text
}

fn command(weight: Weight, title: &str, lines: &[&str]) -> String {
    let level = match weight {
        Weight::Note => "notice",
        Weight::Warning => "warning",
        Weight::Failure => "error",
    };
    let lines: Vec<String> = lines.iter().map(|line| data(line)).collect();
    format!("::{level} title={}::{}\n", property(title), lines.join("%0A"))
}

fn data(text: &str) -> String {
    // The ends of lines are escaped as all controls are: they come from a name.
    printable(text).replace('%', "%25")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
