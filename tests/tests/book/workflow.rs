//! The workflow of docs/src/ci.md: its steps are run as a script, as a runner of GitHub Actions runs them,
//! on a program that is healthy and on one that leaks.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use seepmeter_tests::{FinishedRun, folder, long, not_run, run, words};

use crate::examples::ROOT;

/// What is in place of the time that the long run takes in the workflow: too short for a verdict, unless the
/// long tests were asked for.
const WATCH: &str = "2s";
const LONG_WATCH: &str = "100s";

/// A program that does so many units of work, or tests itself, or serves until it is ended. It keeps what KEEP
/// says: nothing, or each thousandth byte.
const APP: &str = r#"#!/usr/bin/perl
my $what = shift;
sub work { my $x = 'x' x 1000 . $_[0]; KEEP }
if ($what eq 'test') {
    for (1 .. 30) { work($_) for 1 .. 50; select undef, undef, undef, 0.02 }
} elsif ($what eq 'serve') {
    while (1) { work($_) for 1 .. 5; select undef, undef, undef, 0.01 }
} else {
    work($_) for 1 .. $what;
}
"#;

/// A step that is a script.
struct Step {
    name: String,
    script: String,
}

/// The steps of the workflow with a `run:`, in their order. Reads the YAML as it is indented there.
fn steps() -> Vec<Step> {
    let page = fs::read_to_string(format!("{ROOT}/docs/src/ci.md")).unwrap();
    let (_, yaml) = page.split_once("```yaml\n").unwrap();
    let (yaml, _) = yaml.split_once("```\n").unwrap();
    let (_, steps) = yaml.split_once("    steps:\n").unwrap();
    let mut found = Vec::new();
    for step in steps.split("\n      - ") {
        let name = step.lines().next().unwrap().trim().trim_start_matches("- ");
        let Some((_, run)) = step.split_once("\n        run: ") else { continue };
        let script = match run.strip_prefix("|\n") {
            Some(block) => block
                .lines()
                .map(|line| line.trim_start_matches("          "))
                .collect::<Vec<_>>()
                .join("\n"),
            None => run.lines().next().unwrap().to_owned(),
        };
        found.push(Step { name: name.trim_start_matches("name: ").to_owned(), script });
    }
    found
}

/// A runner's machine.
struct Runner {
    place: tempfile::TempDir,
}

impl Runner {
    /// With the repository of a program: the main branch is healthy, and what is checked out keeps this.
    fn new(keeps: &str) -> Self {
        let runner = Self { place: tempfile::tempdir().unwrap() };
        let main = runner.path("main");
        let makefile = "app: app.pl\n\tcp app.pl app\n\tchmod +x app\n";
        fs::create_dir_all(&main).unwrap();
        fs::write(main.join("Makefile"), makefile).unwrap();
        fs::write(main.join("app.pl"), APP.replace("KEEP", "1")).unwrap();
        let git = "git init -q -b main . && git add . && git -c user.name=x -c user.email=x@y commit -qm x && git clone -q . ../work";
        let _ = run("sh", words!["-c", git]).in_folder(&main).done().expect(0);
        fs::write(runner.path("work/app.pl"), APP.replace("KEEP", keeps)).unwrap();
        runner.pack();
        for file in ["path", "summary"] {
            fs::write(runner.path(file), "").unwrap();
        }
        runner
    }

    /// Packs the command as `cargo xtask dist` does.
    fn pack(&self) {
        let bin = self.path("seepmeter-0-linux/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(self.path("work/tools")).unwrap();
        // A script in its place: a copy is large.
        let script = format!("#!/bin/sh\nexec {}/seepmeter \"$@\"\n", folder().display());
        fs::write(bin.join("seepmeter"), script).unwrap();
        fs::set_permissions(bin.join("seepmeter"), fs::Permissions::from_mode(0o755)).unwrap();
        let tar = words!["-czf", "work/tools/seepmeter-0-linux.tar.gz", "seepmeter-0-linux"];
        let _ = run("tar", tar).in_folder(self.place.path()).done().expect(0);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Runs one step, by `bash -e` as GitHub does.
    fn run(&self, script: &str, watch: &str) -> FinishedRun {
        let added = fs::read_to_string(self.path("path")).unwrap().replace('\n', ":");
        let path = std::env::var("PATH").unwrap_or_default();
        run("bash", words!["-e", "-c", script])
            .in_folder(&self.path("work"))
            .env("PATH", format!("{added}{path}"))
            .env("WATCH", watch)
            .env("RUNNER_TEMP", self.place.path())
            .env("GITHUB_PATH", self.path("path"))
            .env("GITHUB_STEP_SUMMARY", self.path("summary"))
            .done()
    }

    /// Runs all steps; the status of each, and what they print.
    fn run_all(&self, watch: &str) -> (BTreeMap<String, i32>, String) {
        let mut statuses = BTreeMap::new();
        let mut printed = String::new();
        for Step { name, script } in steps() {
            let done = self.run(&script, watch);
            statuses.insert(name, done.status.code().unwrap_or(-1));
            printed += &format!("{}{}", done.out(), done.err());
        }
        (statuses, printed)
    }
}

fn can_run(test: &str) -> bool {
    for program in ["git", "make", "perl", "bash"] {
        if !Path::new("/usr/bin").join(program).exists()
            && run("sh", words!["-c", format!("command -v {program}")]).done().status.code()
                != Some(0)
        {
            not_run(test, &format!("there is no {program} here"));
            return false;
        }
    }
    true
}

/// The statuses of the steps that have gates.
fn gates(statuses: &BTreeMap<String, i32>) -> [i32; 3] {
    ["Bytes per unit of work", "Comparison with the main branch", "A long run"]
        .map(|name| statuses[name])
}

#[test]
fn the_workflow_passes_a_healthy_program_but_not_a_long_run_that_is_too_short() {
    if !can_run("the workflow of the book") {
        return;
    }
    assert_eq!(steps().len(), 6, "those with a script");
    let watch = if long() { LONG_WATCH } else { WATCH };
    let mut runner = Runner::new("1");
    let (mut statuses, mut printed) = runner.run_all(watch);
    if gates(&statuses)[1] == 100 {
        // One of twenty comparisons of a version with itself is worse by chance: p < 0.05 is the measure.
        runner = Runner::new("1");
        (statuses, printed) = runner.run_all(watch);
    }
    let too_short = if long() { 0 } else { 100 };
    assert_eq!(gates(&statuses), [0, 0, too_short], "{statuses:?}\n{printed}");
    assert!(statuses.iter().all(|(name, status)| *status == 0 || name == "A long run"));
    let summary = fs::read_to_string(runner.path("summary")).unwrap();
    assert_eq!(summary.matches("### Memory\n").count(), 3, "{summary}");
    assert!(summary.contains("| memory | constant | "), "{summary}");
    for report in ["scale.xml", "compare.xml", "run.xml"] {
        let xml = fs::read_to_string(runner.path("work/reports").join(report)).unwrap();
        assert!(xml.ends_with("</testsuites>\n"), "{report}: {xml}");
    }
}

#[test]
fn the_workflow_fails_a_program_that_leaks() {
    if !can_run("the workflow of the book") {
        return;
    }
    let runner = Runner::new("push @kept, $x");
    let watch = if long() { LONG_WATCH } else { WATCH };
    let (statuses, printed) = runner.run_all(watch);
    assert_eq!(gates(&statuses), [100, 100, 100], "{statuses:?}\n{printed}");
    for line in [
        "::error title=gate growing failed::each unit of work leaves memory behind",
        "::error title=gate worse failed::the new version is worse",
        "::error title=gate growing failed::the verdict is ",
    ] {
        assert!(printed.contains(line), "{line} is missing:\n{printed}");
    }
}
