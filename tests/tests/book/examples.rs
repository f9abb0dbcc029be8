//! The examples of the README, of the book and of the plugins' pages do what is shown there.
//!
//! A block that begins with ```` ```console ```` is a session: each line that begins with `$ ` is run by
//! `sh -c`, with the built seepmeter first on the PATH, and the lines below it are what it says on
//! standard output and standard error. A command that ends with `\` goes on in the next line. The blocks
//! of one file share a folder, in their order, and each file begins with one that is empty but for
//! `tests`, as in a clone.
//!
//! A block with `,file=NAME` behind its language is put into that folder under this name.
//!
//! What is shown is compared as a form, not as numbers: see [`form`]; and a summary's verdict is any. A line `…` stands for any lines. A
//! command ends with status 0; another status is shown by `echo $?`. Behind `console` may stand
//! `needs=PROGRAM`, which skips the block, loudly, where there is no such program, or `norun=REASON`.
//!
//! `cargo xtask bless` writes the real output into every block whose form is another.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::thread;

use seepmeter_tests::{folder, not_run, run, words};

/// The root of the workspace.
pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A page that a test of its own follows: `writing_a_plugin.rs`.
const FOLLOWED_ELSEWHERE: &str = "writing-a-plugin.md";

/// In the README the command is not installed yet.
const UNINSTALLED: &str = "cargo run --release -- ";

#[test]
fn every_example_of_the_readme_and_the_book_does_what_is_shown() {
    let bless = std::env::var_os("SEEPMETER_BLESS").is_some();
    let files = files();
    assert!(files.len() > 5, "{files:?} are not all");
    let running: Vec<_> =
        files.into_iter().map(|file| thread::spawn(move || check_file(&file, bless))).collect();
    let wrong: Vec<String> = running.into_iter().flat_map(|file| file.join().unwrap()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_test_that_the_book_names_for_a_trap_is_there() {
    let page = std::fs::read_to_string(format!("{ROOT}/docs/src/reliability.md")).unwrap();
    let (_, traps) = page.split_once("\n## Traps\n").unwrap();
    let tests: String = rust_sources().into_iter().map(|(_, text)| text).collect();
    let names: Vec<&str> = traps.split('`').skip(1).step_by(2).filter(|n| n.len() > 20).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(tests.contains(&format!("fn {name}()")), "there is no test {name}");
    }
}

#[test]
fn forms_forgive_numbers_and_nothing_else() {
    let same = |a: &str, b: &str| form(a) == form(b);
    assert!(same(
        "14:09:36      1.010 s  rss  121.9 MiB   +120.4 MiB/s",
        "04:01:00    110.010 s  rss    9.0 KiB         -3 B/s"
    ));
    assert!(same("watched    9 m 12 s: 6 samples, 0 late", "watched  3.0 s: 612 samples, 2 late"));
    assert!(same("one is at 0x55ac11d1b2a0", "one is at 0x7ffe00a0"));
    assert!(same("2026-11-23T14:00:00.000000000+00:00", "2026-01-03T04:00:10.5Z"));
    assert!(same(r#""host":"a","kernel":"6.1-v2""#, r#""host":"b c","kernel":"7.0""#));
    assert!(!same("exited with status 3", "exited with status three"));
    assert!(!same("3 samples", "3 ticks"));
    let shown = ["1 s", "2 s", "the end"].map(form);
    assert!(agree(&shown, &["1 s", "2 s", "3 s", "the end"].map(form)));
    assert!(!agree(&shown, &["the end"].map(form)));
    assert!(agree(&["…", "the end"].map(form), &["1 s", "what", "the end"].map(form)));
    assert!(!agree(&["…", "the end"].map(form), &["the end", "and more"].map(form)));
}

/// The workspace's Rust files with their texts.
pub(crate) fn rust_sources() -> Vec<(PathBuf, String)> {
    let mut folders =
        ["benches", "crates", "plugins", "tests"].map(|name| Path::new(ROOT).join(name)).to_vec();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                sources.push((path, text));
            }
        }
    }
    sources
}

/// The README, the pages of the book, and those that it includes: the plugins' own.
fn files() -> Vec<PathBuf> {
    let pages = std::fs::read_dir(format!("{ROOT}/docs/src")).unwrap();
    let pages = pages.map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let pages = pages.filter(|path| !path.ends_with(FOLLOWED_ELSEWHERE));
    let plugins = std::fs::read_dir(format!("{ROOT}/plugins")).unwrap();
    let plugins = plugins.map(|entry| entry.unwrap().path().join("README.md"));
    let plugins = plugins.filter(|path| path.is_file());
    [PathBuf::from(format!("{ROOT}/README.md"))].into_iter().chain(pages).chain(plugins).collect()
}

/// Runs the blocks of one file: what is wrong with them.
fn check_file(file: &Path, bless: bool) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    // The recordings are where they are in a clone.
    std::os::unix::fs::symlink(format!("{ROOT}/tests"), scratch.path().join("tests")).unwrap();
    let (mut wrong, mut differs) = (Vec::new(), Vec::new());
    let mut blessed = String::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let _ = writeln!(blessed, "{line}");
        let session = line.strip_prefix("```console");
        let name = line.strip_prefix("```").and_then(|info| Some(info.split_once(",file=")?.1));
        if session.is_none() && name.is_none() {
            continue;
        }
        let block = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
        let block: Vec<&str> = block.collect();
        let place = format!("{}:{}", file.file_name().unwrap().display(), number + 1);
        if let Some(name) = name {
            std::fs::write(scratch.path().join(name), block.join("\n") + "\n").unwrap();
        }
        if session.is_some_and(|info| may_run(info, &place)) {
            for step in steps(&block) {
                let said = step.run(scratch.path());
                let said = said.unwrap_or_else(|failure| {
                    wrong.push(format!("{place}: {failure}"));
                    String::new()
                });
                step.write(&mut blessed, &said, &place, &mut differs);
            }
        } else {
            block.iter().for_each(|line| blessed.push_str(&format!("{line}\n")));
        }
        blessed.push_str("```\n");
    }
    if !bless {
        wrong.extend(differs);
    } else if blessed != text {
        std::fs::write(file, blessed).unwrap();
    }
    wrong
}

/// True where nothing speaks against running the block.
fn may_run(info: &str, place: &str) -> bool {
    for word in info.split(',').filter(|word| !word.is_empty()) {
        match word.split_once('=') {
            Some(("needs", program)) if on_path(program) => {}
            Some(("needs", program)) => {
                not_run(place, &format!("there is no {program} here"));
                return false;
            }
            Some(("norun", _)) => return false,
            _ => panic!("{place}: `{word}` is not known"),
        }
    }
    true
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// A command and what is shown of what it says.
struct Step<'a> {
    command: Vec<&'a str>,
    shown: Vec<&'a str>,
}

fn steps<'a>(block: &[&'a str]) -> Vec<Step<'a>> {
    let mut steps: Vec<Step<'a>> = Vec::new();
    let mut goes_on = false;
    for line in block {
        match steps.last_mut() {
            Some(step) if goes_on => step.command.push(line),
            _ if line.starts_with("$ ") => {
                steps.push(Step { command: vec![line], shown: Vec::new() });
            }
            Some(step) => {
                step.shown.push(line);
                continue;
            }
            None => panic!("`{line}` stands before the first command"),
        }
        goes_on = line.ends_with('\\');
    }
    steps
}

impl Step<'_> {
    /// What it says, standard error as well.
    fn run(&self, scratch: &Path) -> Result<String, String> {
        let command = self.command.join("\n");
        let command = command.strip_prefix("$ ").unwrap_or_default();
        let command = match command.strip_prefix(UNINSTALLED) {
            Some(rest) => format!("seepmeter {rest}"),
            None => command.to_owned(),
        };
        let path = std::env::var("PATH").unwrap_or_default();
        let done = run("sh", words!["-c", format!("exec 2>&1\n{command}")])
            .in_folder(scratch)
            .env("PATH", format!("{}:{path}", folder().display()))
            .done();
        let said = done.out();
        if done.status.success() {
            return Ok(said.to_owned());
        }
        Err(format!("`{command}`: {}; show it with `; echo $?`\n{said}", done.status))
    }

    /// Writes it down as it should be: as it is where the forms agree.
    fn write(&self, blessed: &mut String, said: &str, place: &str, differs: &mut Vec<String>) {
        let forms = |lines: &mut dyn Iterator<Item = &str>| -> Vec<String> {
            let lines = lines.map(without_verdict).filter(|line| !line.is_empty());
            lines.map(form).filter(|form| !is_of_a_busy_machine(form)).collect()
        };
        let real = forms(&mut said.lines());
        let agrees = agree(&forms(&mut self.shown.iter().copied()), &real);
        self.command.iter().for_each(|line| blessed.push_str(&format!("{line}\n")));
        if agrees {
            self.shown.iter().for_each(|line| blessed.push_str(&format!("{line}\n")));
            return;
        }
        blessed.push_str(said);
        if !said.is_empty() && !said.ends_with('\n') {
            blessed.push('\n');
        }
        differs.push(format!(
            "{place}: `{}` shows\n{}\nand says\n{said}",
            self.command.join("\n"),
            self.shown.join("\n")
        ));
    }
}

/// A line without what differs from run to run: every number with its sign and its unit is a `#`, and
/// any space is one space.
fn form(line: &str) -> String {
    let mut form = String::new();
    // Another machine has another name, and another kernel.
    let line = ["host", "kernel"].iter().fold(line.to_owned(), |line, key| without(&line, key));
    let mut rest = line.as_str();
    while let Some(c) = rest.chars().next() {
        let after_word = form.chars().last().is_some_and(|c| c.is_alphanumeric() || c == '_');
        let value = || address(rest).or_else(|| number(rest));
        let behind = if after_word { None } else { value() };
        if let Some(after) = behind {
            // `9 m 12 s` is one time.
            if !form.ends_with('#') {
                form.push('#');
            }
            rest = after;
        } else if c.is_whitespace() {
            rest = rest.trim_start();
            // A change a second that is not there, as in the first line, leaves no trace either.
            let next_is_number = number(rest).is_some();
            if !(form.ends_with('#') && (next_is_number || rest.is_empty())) {
                form.push(' ');
            }
        } else {
            form.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    // How many points a sample has depends on what has changed, and not every machine has every limit.
    while form.contains("[#,#,#],[#,#,#]") {
        form = form.replace("[#,#,#],[#,#,#]", "[#,#,#]");
    }
    // Of a target that has ended, a last sample may have the peak alone.
    form = form.replace("\"partial\":true,", "");
    for limit in ["cgroup", "address_space", "machine"] {
        form = form.replace(&format!(",\"limit.{limit}\":#"), "");
    }
    // Nor is every run over as soon as its last look, and a short one may have one look or two.
    let form = form.replace("; not sampled in its last #", "").replace("# samples", "# sample");
    form.trim().to_owned()
}

/// What follows an address, which is another one in each run.
fn address(text: &str) -> Option<&str> {
    let digits = text.strip_prefix("0x")?;
    Some(digits.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
}

/// A line of JSON in which the text that belongs to a key is empty.
fn without(line: &str, key: &str) -> String {
    let key = format!("\"{key}\":\"");
    match line.split_once(&key).and_then(|(before, rest)| Some((before, rest.split_once('"')?.1))) {
        Some((before, behind)) => format!("{before}{key}\"{behind}"),
        None => line.to_owned(),
    }
}

/// What is behind a number, its sign, and its unit, where the text begins with one.
fn number(text: &str) -> Option<&str> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    // A time of day and a time stamp are numbers too; what ends a sentence is not part of one.
    let of_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | ':' | '-' | '+' | 'T' | 'Z');
    let all = &digits[..digits.find(|c| !of_number(c)).unwrap_or(digits.len())];
    let length = all.trim_end_matches(['.', ':', '-', '+', 'T']).len();
    let rest = &digits[length..];
    let unit = rest.strip_prefix(' ').unwrap_or(rest);
    let end = unit.find(|c: char| !c.is_alphabetic()).unwrap_or(unit.len());
    let known = ["B", "KiB", "MiB", "GiB", "TiB", "ns", "µs", "ms", "s", "m", "h"];
    match known.contains(&&unit[..end]) {
        true => Some(unit[end..].strip_prefix("/s").unwrap_or(&unit[end..])),
        false => Some(rest),
    }
}

/// A summary's line without the verdict, which is another where the machine was busy; nothing is left
/// of the lines of its reasons.
fn without_verdict(line: &str) -> &str {
    const COLUMN: &str = "           ";
    match (line.starts_with("verdict    "), line.starts_with(COLUMN)) {
        (true, _) => "verdict",
        (false, true) => "",
        (false, false) => line,
    }
}

/// What a run says only where the machine had no time for it.
fn is_of_a_busy_machine(form: &str) -> bool {
    matches!(form, "# tick missed" | "# ticks missed")
        || [r#""kind":"late""#, r#""kind":"missed""#].iter().any(|kind| form.contains(kind))
}

/// True where the lines are of the same forms; several lines in a row of one form are as good as one,
/// and `…` is as good as any lines.
fn agree(shown: &[String], real: &[String]) -> bool {
    let (mut shown, mut real) = (shown.to_vec(), real.to_vec());
    shown.dedup();
    real.dedup();
    agree_from(&shown, &real)
}

fn agree_from(shown: &[String], real: &[String]) -> bool {
    match (shown, real) {
        ([], real) => real.is_empty(),
        ([any, rest @ ..], real) if any == "…" => {
            (0..=real.len()).any(|from| agree_from(rest, &real[from..]))
        }
        ([first, shown @ ..], [other, real @ ..]) => first == other && agree_from(shown, real),
        (_, []) => false,
    }
}
