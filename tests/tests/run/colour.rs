//! Colour and width: for a terminal, and for nothing else unless the user asks for it.

use std::path::Path;

use seepmeter_tests::{Run, run, seepmeter, seepmeter_path, words};

const RED: &str = "\u{1b}[1m\u{1b}[31m";

fn leak() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder.join("recordings/python-ctypes-leak.jsonl.zst").display().to_string()
}

fn judge(flags: &[&str]) -> Run {
    let flags = flags.iter().map(Into::into);
    let words = words!["judge"].into_iter().chain(flags).chain(words![leak()]);
    seepmeter(words).env("NO_COLOR", "")
}

#[test]
fn the_word_of_a_verdict_has_colour_on_a_terminal_and_in_a_pipe_only_if_that_is_asked_for() {
    let painted = format!("{RED}growing\u{1b}[0m  rss +");
    let has = |run: Run| run.done().expect(0).out().starts_with(&painted);
    assert!(has(judge(&[]).on_terminal()));
    assert!(has(judge(&["--color", "always"])));
    assert!(has(judge(&[]).env("CLICOLOR_FORCE", "1")));
    let plain = judge(&[]).done().expect(0).out();
    assert!(plain.starts_with("growing  rss +"), "{plain}");
    let is_plain = |run: Run| run.done().expect(0).out().replace('\r', "") == plain;
    assert!(is_plain(judge(&[]).env("NO_COLOR", "1").on_terminal()));
    assert!(is_plain(judge(&[]).env("TERM", "dumb").on_terminal()));
    assert!(is_plain(judge(&["--color=never"]).on_terminal()));
}

#[test]
fn a_message_begins_with_the_name_in_colour_also_if_the_words_cannot_be_read() {
    let message = |words: Vec<std::ffi::OsString>| {
        seepmeter(words).env("NO_COLOR", "").on_terminal().done().expect(125).out()
    };
    let painted = format!("{RED}seepmeter:\u{1b}[0m ");
    assert!(message(words!["judge", "/nowhere"]).starts_with(&painted));
    assert!(message(words!["judge", "--nothing"]).starts_with(&painted));
    assert!(message(words!["judge", "--color=never", "--nothing"]).starts_with("seepmeter: "));
}

#[test]
fn a_file_has_no_colour() {
    let folder = tempfile::tempdir().unwrap();
    let sink = format!("verdict,path={}", folder.path().join("v").display());
    let words = words!["replay", "-q", "--color=always", "--no-summary", "-o", sink, leak()];
    let _ = seepmeter(words).done().expect(0);
    let verdict = std::fs::read_to_string(folder.path().join("v")).unwrap();
    assert!(verdict.starts_with("growing  rss +"), "{verdict}");
}

#[test]
fn a_line_goes_on_below_its_text_if_the_terminal_is_narrow() {
    let command =
        format!("stty rows 24 cols 50; {} replay -q {}", seepmeter_path().display(), leak());
    let done = run("/bin/sh", words!["-c", command]).on_terminal().done().expect(0);
    let out = done.out().replace('\r', "");
    assert!(out.lines().all(|line| line.chars().count() <= 50), "{out}");
    assert!(out.contains("\nverdict    growing  rss +"), "{out}");
    assert!(out.contains("\n           "), "{out}");
}

/// What a replay of the leak prints on a terminal of so many columns.
fn on_terminal(columns: u32, flags: &str, term: &str) -> String {
    let (seepmeter, leak) = (seepmeter_path(), leak());
    let replay = format!("{} replay -q {flags} {leak}", seepmeter.display());
    let command = format!("stty rows 24 cols {columns}; {replay}");
    let run = run("/bin/sh", words!["-c", command]).env("TERM", term).env("NO_COLOR", "");
    run.on_terminal().done().expect(0).out().replace('\r', "")
}

#[test]
fn the_summary_on_a_terminal_has_a_chart_in_the_colour_of_the_verdict_as_wide_as_fits() {
    let dots = |text: &str| text.contains(|c| ('\u{2801}'..='\u{28ff}').contains(&c));
    let wide = on_terminal(100, "", "xterm");
    assert!(dots(&wide) && wide.contains("o floors  ━ fitted line"), "{wide}");
    let curve = wide.split("\u{1b}[31m").skip(1).filter(|text| dots(text));
    assert!(curve.count() > 5, "the curve is red: {wide}");
    assert!(
        wide.contains("\u{1b}[1m━\u{1b}[0m") && wide.contains("\u{1b}[36mo\u{1b}[0m"),
        "{wide}"
    );
    let narrow = on_terminal(50, "--color=never", "xterm");
    assert!(dots(&narrow) && !narrow.contains('\u{1b}'), "{narrow}");
    assert!(narrow.lines().all(|line| line.chars().count() <= 50), "{narrow}");
    assert!(
        narrow.lines().position(dots) < narrow.lines().position(|line| line.starts_with("target "))
    );
    for (columns, flags, term) in [
        (100, "--chart=never", "xterm"),
        (100, "-o summary,chart=never", "xterm"),
        (30, "", "xterm"),
        (100, "", "dumb"),
    ] {
        let none = on_terminal(columns, flags, term);
        assert!(!dots(&none) && none.contains("growing"), "{columns} {flags} {term}: {none}");
    }
}

#[test]
fn a_pipe_and_a_file_have_a_chart_only_if_it_is_asked_for() {
    let dots = |text: &str| text.contains(|c| ('\u{2801}'..='\u{28ff}').contains(&c));
    let summary = |flags: &[&str]| {
        let flags = flags.iter().map(Into::into);
        let words = words!["replay", "-q", "-o", "summary,path=-"].into_iter().chain(flags);
        seepmeter(words.chain(words![leak()])).env("NO_COLOR", "").done().expect(0).out()
    };
    assert!(!dots(&summary(&[])));
    let asked = summary(&["--chart=always"]);
    assert!(dots(&asked) && !asked.contains('\u{1b}'), "{asked}");
    assert!(summary(&["--chart=always", "--color=always"]).contains("\u{1b}[31m"));
}
