//! What the command prints, word for word: `tests/snapshots`. A change of words is shown by the test and
//! taken over by `cargo xtask bless`.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::ptrace;
use nix::unistd::Pid;
use seepmeter_tests::synthetic::Synthetic;
use seepmeter_tests::{folder, run, run_target, seepmeter, words};

const COMMANDS: [&str; 12] = [
    "run",
    "attach",
    "replay",
    "judge",
    "report",
    "compare",
    "scale",
    "heap",
    "mark",
    "plugins",
    "completions",
    "man",
];

/// What is another in each run, and what stands in its place: in every text, and where a run was live.
const ALWAYS: [(&str, &str); 4] = [
    (r"\bpid \d+", "pid PID"),
    (r"\bprocess \d+( \(book-\w+\))?", "process PID"),
    (concat!(r"\b", env!("CARGO_PKG_VERSION_MAJOR"), r"\.\d+\.\d+\b"), "VERSION"),
    // Its schema is tested elsewhere, and a page of numbers shows nobody anything.
    (r#""evidence":\{.*?"thresholds":\[[^\]]*\]\}"#, r#""evidence":{…}"#),
];
const LIVE: [(&str, &str); 5] = [
    (r"\d\d:\d\d:\d\d +", "CLOCK "),
    (r"; (average|not sampled in its last) .*", ""),
    (r"\d+(\.\d+)? (ns|µs|ms|s|m|h|d)( \d+ (s|m|h))?\b", "TIME"),
    (r" *[+-]?\d+(\.\d+)? (B|KiB|MiB|GiB)\b", " SIZE"),
    (r"\d+ (sample|late|missed)s?", "N $1"),
];

/// A folder with the recordings of real programs, and some files that are none.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings");
        symlink(recordings, path.join("recordings")).unwrap();
        let file = |name: &str, text: &str| std::fs::write(path.join(name), text).unwrap();
        file("empty.jsonl", "");
        file("table.csv", "time,rss\n1,52428800\n");
        let good =
            std::fs::read_to_string(Synthetic::leak(20, 1).write(path, "good.jsonl")).unwrap();
        file("cut-off.jsonl", &good[..good.len() - 100]);
        file("broken.jsonl", &good.replacen("\"duration\":", "\"duration\":-", 1));
        file("other-format.jsonl", &good.replacen("\"format\":1", "\"format\":99", 1));
        Self(folder)
    }

    /// Runs commands of a shell, `seepmeter` left out, and shows all that they say.
    fn transcript(&self, commands: &[&str]) -> String {
        let mut text = String::new();
        for command in commands {
            let command = format!("seepmeter {command}");
            let path = std::env::var("PATH").unwrap_or_default();
            let done = run("sh", words!["-c", command])
                .in_folder(self.0.path())
                .env("PATH", format!("{}:{path}", folder().display()))
                .env("COLUMNS", "100")
                .done();
            let _ = write!(text, "$ {}\n{}", command.trim_end(), done.out());
            for line in done.err().lines() {
                let _ = writeln!(text, "! {line}");
            }
            let _ = writeln!(text, "{}\n", done.status);
        }
        text.replace(&self.0.path().display().to_string(), "FOLDER")
    }
}

/// Compares a text with the one that is kept under this name.
#[track_caller]
fn assert_kept(name: &str, text: &str, varies: &[(&str, &str)]) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (from, to) in varies.iter().chain(&ALWAYS) {
        settings.add_filter(from, *to);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn assert_transcript(name: &str, commands: &[&str]) {
    assert_kept(name, &Place::new().transcript(commands), &[]);
}

#[test]
fn the_help_of_every_command_is_as_it_is_kept() {
    assert_transcript("help", &["--help", "-h", "--version"]);
    for command in COMMANDS {
        let (long, short) = (format!("{command} --help"), format!("{command} -h"));
        assert_transcript(&format!("help-{command}"), &[&long, &short]);
    }
}

#[test]
fn every_command_has_its_help_kept() {
    let help = seepmeter(words!["--help"]).done().expect(0).out();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let names: Vec<&str> =
        commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, [&COMMANDS[..], &["help"]].concat());
}

#[test]
fn samplers_and_sinks_list_their_options_as_it_is_kept() {
    let table = seepmeter(words!["plugins"]).done().expect(0).out();
    let commands = table.lines().map(|line| {
        let name = line.split_whitespace().nth(1).unwrap();
        format!("plugins {name}")
    });
    let commands: Vec<String> = ["plugins".to_owned()].into_iter().chain(commands).collect();
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    assert!(commands.len() > 8, "{table}");
    assert_transcript("plugins", &commands);
    assert_transcript("plugin-help", &["run -s smaps,help", "run -o csv,help"]);
}

#[test]
fn errors_of_heap_are_as_they_are_kept() {
    assert_transcript(
        "errors-heap",
        &[
            "heap",
            "heap none",
            "heap 0",
            "heap 2147483647",
            "heap 1 --core core",
            "heap 1 --holds 12",
            "heap 1 --leaks=5x",
            "heap 1 --leaks --diff 1s",
            "heap --core core --leaks",
            "heap --core nowhere",
            "heap --core empty.jsonl",
            "heap --core /bin/sh",
        ],
    );
}

#[test]
fn errors_of_scale_are_as_they_are_kept() {
    assert_transcript(
        "errors-scale",
        &[
            "scale",
            "scale -n 1,2 -- true",
            "scale -n 0,1,2 -- true",
            "scale --time soon -- true",
            "scale --negligible much -- true",
            "scale --fail-on 'rate>1MiB/min' -- true",
            "scale --fail-on 'per-unit>lots' -- true",
            "scale -n 1,2,3 -- /nowhere/program",
            "scale -n 1,2,3 -- sh -c 'echo out of order; exit 3'",
            "scale -- sh -c 'exit 3'",
        ],
    );
}

#[test]
fn errors_of_what_was_typed_are_as_they_are_kept() {
    assert_transcript(
        "errors-run",
        &[
            "",
            "nonsense",
            "run",
            "run --intervall 1s -- true",
            "run -i 5 -- true",
            "run -i soon -- true",
            "run -d 0s -- true",
            "run --on-stop end -- true",
            "run -d 1s --on-stop explode -- true",
            "run --budget 1000% -- true",
            "run -s statn -- true",
            "run -s statm,peek=run -- true",
            "run -s statm,peak=always -- true",
            "run -s statm,every=5 -- true",
            "run -s ./no-such.so -- true",
            "run -o jsnol -- true",
            "run -o csv,path -- true",
            "run -o csv,pth=x -- true",
            "run -o csv,path=a,path=b -- true",
            "run -o csv,path=no-such-folder/out.csv -- true",
            "run -o exec -- true",
            "run --fail-on grwoing -- true",
            "run --fail-on 'rate>fast' -- true",
            "run --fail-status 300 -- true",
        ],
    );
    assert_transcript(
        "errors-others",
        &[
            "attach",
            "attach 4194304",
            "attach no-such-name",
            "replay",
            "judge",
            "judge --json",
            "compare good.jsonl",
            "compare good.jsonl -- good.jsonl",
            "compare --fail-on better good.jsonl -- cut-off.jsonl",
            "plugins nope",
            "plugins ./good.jsonl",
            "completions tcsh",
        ],
    );
}

#[test]
fn errors_of_files_are_as_they_are_kept() {
    let files = [
        "nowhere.jsonl",
        "empty.jsonl",
        "table.csv",
        "cut-off.jsonl",
        "broken.jsonl",
        "other-format.jsonl",
        "recordings",
    ];
    let with = |command: &str| files.map(|file| format!("{command} {file}"));
    let commands = [with("replay -q"), with("judge")].concat();
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    assert_transcript("errors-files", &commands);
    assert_transcript(
        "errors-sinks",
        &[
            "replay -q -o csv,path=/no/such/x.csv good.jsonl",
            "replay -q --no-summary -o stacks good.jsonl",
            "replay -q --fail-on growing --metric nope good.jsonl",
        ],
    );
}

#[test]
fn commands_that_cannot_be_executed_are_reported_as_it_is_kept() {
    let place = Place::new();
    let text = place.transcript(&[
        "run -q -- no-such-program",
        "run -q -- ./no-such-program",
        "run -q -- ./good.jsonl",
        "run -q -- /",
    ]);
    assert_kept("errors-exec", &text, &LIVE);
}

#[test]
fn an_attach_that_is_refused_is_reported_as_it_is_kept() {
    let target = run_target("hold", words!["1"]).start();
    let pid = target.number("ready", 1);
    ptrace::seize(Pid::from_raw(pid), ptrace::Options::empty()).unwrap();
    let text = Place::new().transcript(&[&format!("attach -s ptrace {pid}")]);
    ptrace::interrupt(Pid::from_raw(pid)).unwrap();
    let _ = nix::sys::wait::waitpid(Pid::from_raw(pid), None).unwrap();
    ptrace::detach(Pid::from_raw(pid), None).unwrap();
    let _ = target.finish().expect(0);
    assert_kept("errors-attach", &text.replace(&format!(" {pid}"), " PID"), &[]);
}

#[test]
fn a_live_run_prints_what_is_kept() {
    let place = Place::new();
    let text = place.transcript(&[
        "run -i 1h -- sleep 1",
        "run -i 1h -q --tree=off -- sh -c 'sleep 1; exit 3'",
        "run -i 1h -q --tree=off -- sh -c 'sleep 1; kill $$'",
        "run -i 1h -q -d 1s --on-stop end -- sleep 60",
        "run -i 1h -q --fail-on 'peak>1KiB' -- sleep 1",
        "run -i 1h -q --metric nope -- sleep 1",
    ]);
    assert_kept("run", &text, &LIVE);
}

#[test]
fn replays_print_what_is_kept() {
    assert_transcript(
        "replay-text",
        &[
            "replay recordings/short-leak.jsonl.zst",
            "replay -o text,style=pages recordings/short-leak.jsonl.zst",
            "replay -q recordings/python-ctypes-leak.jsonl.zst",
            "replay -q recordings/jvm-g1.jsonl.zst",
            "replay -q recordings/nginx-load.jsonl.zst",
        ],
    );
    assert_transcript(
        "replay-csv",
        &[
            "replay -q --no-summary -o csv recordings/short-leak.jsonl.zst",
            "replay -q --no-summary -o csv,layout=long recordings/short-warm-up.jsonl.zst",
        ],
    );
    assert_transcript(
        "replay-verdict",
        &[
            "replay -q --no-summary -o verdict recordings/python-ctypes-leak.jsonl.zst",
            "replay -q --no-summary -o verdict,explain=yes recordings/python-step.jsonl.zst",
            "replay -q --no-summary -o verdict,json=yes recordings/python-ctypes-leak.jsonl.zst",
            "replay -q --fail-on growing recordings/python-ctypes-leak.jsonl.zst",
            "replay -q --fail-on 'peak>1GiB' recordings/python-ctypes-leak.jsonl.zst",
            "replay -q --metric nope recordings/short-leak.jsonl.zst",
        ],
    );
}

#[test]
fn judgements_print_what_is_kept() {
    let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings");
    let mut names: Vec<String> = std::fs::read_dir(recordings)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.ends_with(".jsonl.zst"))
        .map(|name| format!("judge recordings/{name}"))
        .collect();
    names.sort();
    assert!(names.len() > 20, "{names:?}");
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_transcript("judge-all", &names);
    assert_transcript(
        "judge-explain",
        &[
            "judge --explain recordings/python-ctypes-leak.jsonl.zst",
            "judge --explain recordings/node-map-rare-gc.jsonl.zst",
            "judge --explain recordings/short-leak.jsonl.zst",
        ],
    );
    assert_transcript(
        "judge-others",
        &[
            "judge recordings/others/mprof.dat recordings/others/psrecord.log",
            "judge recordings/others/mprof-children.dat",
            "judge --time time --value rss table.csv",
            "judge --json recordings/short-leak.jsonl.zst",
            "judge --fail-on growing recordings/perl-late-leak.jsonl.zst",
        ],
    );
}

#[test]
fn answers_in_the_formats_for_ci_are_as_they_are_kept() {
    let judge = "--fail-on growing --fail-on 'peak>1TiB' recordings/python-ctypes-leak.jsonl.zst recordings/short-leak.jsonl.zst nowhere.jsonl";
    let compare = "--fail-on worse recordings/perl-flat.jsonl.zst recordings/python-step.jsonl.zst -- \
         recordings/perl-late-leak.jsonl.zst recordings/python-ctypes-leak.jsonl.zst";
    for format in ["github", "junit", "markdown"] {
        let judge = format!("judge --format {format} {judge}");
        let without_gate =
            format!("judge --format {format} recordings/python-ctypes-leak.jsonl.zst");
        let compare = format!("compare --format {format} {compare}");
        assert_transcript(&format!("format-{format}"), &[&judge, &without_gate, &compare]);
    }
    assert_transcript(
        "errors-format",
        &[
            "judge --format xml good.jsonl",
            "judge --format junit= good.jsonl",
            "judge --format junit --format github good.jsonl",
            "judge --json --format junit good.jsonl",
            "judge --format junit=good.jsonl good.jsonl",
            "judge --format junit=no-such-folder/x.xml good.jsonl",
            "run --format junit -- true",
            "replay -q --no-summary -o verdict,json=yes,format=junit good.jsonl",
        ],
    );
}

#[test]
fn comparisons_print_what_is_kept() {
    assert_transcript(
        "compare",
        &[
            "compare recordings/perl-flat.jsonl.zst -- recordings/perl-late-leak.jsonl.zst",
            "compare recordings/perl-flat.jsonl.zst recordings/python-step.jsonl.zst -- \
         recordings/perl-late-leak.jsonl.zst recordings/python-ctypes-leak.jsonl.zst",
            "compare --fail-on worse recordings/perl-flat.jsonl.zst recordings/python-step.jsonl.zst -- \
         recordings/perl-late-leak.jsonl.zst recordings/python-ctypes-leak.jsonl.zst",
            "compare --json recordings/perl-flat.jsonl.zst -- recordings/perl-late-leak.jsonl.zst",
        ],
    );
}
