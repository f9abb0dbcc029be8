//! The examples, and the book's chapter "Writing a plugin" followed word for word.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use seepmeter_tests::plugin::{cc, cdylib, repository};
use seepmeter_tests::{
    Recording, folder, long_or_not_run, not_run, run, seepmeter, test_target, words,
};

#[test]
fn the_example_in_rust_says_when_the_resident_set_passes_a_limit() {
    let library = cdylib("seepmeter-example-sink");
    let ask = |limit: &str, sampler: &str| {
        let sink = format!("{},limit={limit}", library.display());
        let words = words![
            "run",
            "-q",
            "--no-summary",
            "-i",
            "5ms",
            "-s",
            sampler,
            "-o",
            sink,
            "--",
            test_target(),
            "saw",
            "16",
            "1",
            "10"
        ];
        let out = seepmeter(words).done().expect(0).out();
        let alarms = out.lines().filter(|line| line.starts_with("alarm at "));
        alarms.map(str::to_owned).collect::<Vec<_>>()
    };
    // Under smaps each mapping has an `rss` of its own, and the alarm is about the process all the same.
    for sampler in ["statm", "smaps", "smaps,mode=full", "smaps,detail=mapping"] {
        let alarms = ask("12MiB", sampler);
        assert_eq!(alarms.len(), 1, "{sampler}: {alarms:?}");
        assert!(alarms[0].contains("/test-target has 1"), "{sampler}: {alarms:?}");
        assert_eq!(ask("1GiB", sampler), [""; 0], "{sampler}");
    }
}

#[test]
fn the_example_in_c_counts_and_names_its_option() {
    let place = tempfile::tempdir().unwrap();
    let library = place.path().join("count.so");
    let include = repository("include");
    let source = repository("plugins/examples/sink-in-c/sink.c");
    let _ = cc(&source, &library, &["-I", include.to_str().unwrap()]);
    let ask = |sink: String| {
        let words =
            words!["run", "-q", "--no-summary", "-i", "5ms", "-o", sink, "--", "sleep", "0.1"];
        seepmeter(words).done()
    };
    let counted = ask(format!("{},label=ticks", library.display())).expect(0).out();
    let (count, rest) = counted.trim().split_once(' ').unwrap();
    assert!(count.parse::<u64>().unwrap() > 2, "{counted}");
    assert!(
        rest.starts_with("ticks, a process had ") && rest.ends_with(" bytes at most"),
        "{rest}"
    );
    let wrong = ask(format!("{},lable=ticks", library.display()));
    let _ = wrong.expect_complaint(125, &["count.so", "there is one option: label"]);
}

/// The examples of a sampler, in Rust and in C.
fn example_samplers(place: &Path) -> [PathBuf; 2] {
    let source = repository("plugins/examples/sampler-in-c/sampler.c");
    let include = repository("include");
    let in_c = cc(&source, &place.join("open-files.so"), &["-I", include.to_str().unwrap()]);
    [cdylib("seepmeter-example-sampler"), in_c]
}

#[test]
fn the_example_samplers_count_open_files_as_they_come_and_go() {
    let place = tempfile::tempdir().unwrap();
    for library in example_samplers(place.path()) {
        let command = "exec 7</dev/null 8</dev/null; sleep 0.2; exec 8<&-; sleep 0.2";
        let words = words![
            "run",
            "-q",
            "--no-summary",
            "-i",
            "5ms",
            "-s",
            library,
            "-o",
            "jsonl,path=r.jsonl",
            "--",
            "sh",
            "-c",
            command
        ];
        let done = seepmeter(words).in_folder(place.path()).done().expect(0);
        assert_eq!(done.complaints(), [""; 0]);
        let recording = Recording::read(&place.path().join("r.jsonl"));
        let target = recording.header().targets[0].subject;
        let points = recording.points("open_fds").into_iter();
        let counts: Vec<i64> =
            points.filter(|(_, subject, _)| *subject == target).map(|(.., n)| n).collect();
        let closed = |pair: &[i64]| pair[0] == pair[1] + 1;
        assert!(counts.windows(2).any(closed), "{counts:?}");
    }
}

#[test]
fn the_example_samplers_sample_two_targets_each_until_its_own_end() {
    let place = tempfile::tempdir().unwrap();
    for library in example_samplers(place.path()) {
        let mut targets = ["0.3", "0.8"]
            .map(|time| Command::new("sleep").arg(time).stdin(Stdio::null()).spawn().unwrap());
        let [first, second] = [targets[0].id(), targets[1].id()].map(|pid| pid.to_string());
        let recorded = ["-o", "jsonl,path=r.jsonl"];
        let mut words = words!["attach", "-q", "--no-summary", "-i", "5ms", "-s", library];
        words.extend(recorded.iter().chain([&&*first, &&*second]).map(|word| (*word).into()));
        let done = seepmeter(words).in_folder(place.path()).done();
        for target in &mut targets {
            target.wait().unwrap();
        }
        let done = done.expect(0);
        assert_eq!(done.complaints(), [""; 0]);
        let recording = Recording::read(&place.path().join("r.jsonl"));
        let watched = recording.header().targets.iter().map(|target| target.subject);
        for subject in watched {
            let points = recording.points("open_fds");
            assert!(points.iter().any(|(_, of, count)| *of == subject && *count > 0));
        }
        assert_eq!(recording.footer().ends.len(), 2);
    }
}

#[test]
fn a_sink_that_draws_the_verdict_gets_its_floors() {
    let recording = repository("tests/recordings/perl-cycles-leak.jsonl.zst");
    let sink = cdylib("seepmeter-test-floors");
    let words = words!["replay", "-q", "--no-summary", recording, "-o", sink];
    let out = seepmeter(words).done().expect(0).out();
    let mut lines = out.lines();
    assert_eq!(lines.next(), Some("target,metric,elapsed_s,floor"));
    let floors: Vec<(f64, f64)> = lines
        .map(|line| {
            let (rest, floor) = line.rsplit_once(',').unwrap();
            let (name, time) = rest.rsplit_once(',').unwrap();
            assert!(name.ends_with(",rss"), "{line}");
            (time.parse().unwrap(), floor.parse().unwrap())
        })
        .collect();
    assert!(floors.len() > 10, "{out}");
    assert!(floors.is_sorted_by(|a, b| a.0 < b.0), "{out}");
    assert!(floors[floors.len() - 1].1 > floors[0].1, "it leaks\n{out}");
}

/// A section of the chapter: what stands between its heading and the next.
fn section<'a>(chapter: &'a str, heading: &str) -> &'a str {
    let begin = chapter.find(&format!("\n## {heading}\n")).expect("the section") + 1;
    let rest = &chapter[begin..];
    &rest[..rest[1..].find("\n## ").map_or(rest.len(), |end| end + 1)]
}

/// The block behind each such comment: what the comment says, and what is in the block.
fn blocks(section: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for part in section.split("<!-- ").skip(1) {
        let (what, rest) = part.split_once(" -->").expect("a comment's end");
        let (_, rest) = rest.split_once("```").expect("a block");
        let (_, rest) = rest.split_once('\n').expect("a block");
        found.push((what, rest.split_once("```").expect("a block's end").0));
    }
    found
}

/// Follows a section in this folder. The numbers of what is shown are those of another machine.
fn follow(place: &Path, section: &str) {
    for (what, block) in blocks(section) {
        if let Some(file) = what.strip_prefix("file: ") {
            let name = file.strip_suffix(" +").unwrap_or(file);
            let path = place.join(name);
            let before =
                if file == name { String::new() } else { fs::read_to_string(&path).unwrap() };
            fs::write(path, before + block).unwrap();
            continue;
        }
        for command in block.split("$ ").skip(1) {
            let (command, shown) = command.split_once('\n').unwrap();
            let path = std::env::join_paths(
                [folder().to_owned()]
                    .into_iter()
                    .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
            );
            let done = run("/bin/sh", words!["-c", command])
                .in_folder(place)
                .env("PATH", path.unwrap())
                .env("CARGO_NET_OFFLINE", "true")
                .done()
                .expect(0);
            assert_eq!(letters(&done.out()), letters(shown), "{command}\n{}", done.output());
        }
    }
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

fn chapter() -> String {
    fs::read_to_string(repository("docs/src/writing-a-plugin.md")).unwrap()
}

/// A folder beside one that is named `seepmeter` and is this repository.
fn beside_seepmeter() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(
        repository(".").canonicalize().unwrap(),
        place.path().join("seepmeter"),
    )
    .unwrap();
    place
}

#[test]
fn the_chapters_plugins_in_c_and_its_program_work_as_shown() {
    let place = beside_seepmeter();
    for (name, heading) in [
        ("c", "A sink in C"),
        ("sampler", "A sampler in C"),
        ("python", "A sink without a library"),
    ] {
        if name == "python" && std::process::Command::new("python3").arg("-V").output().is_err() {
            not_run("the chapter's program", "there is no python3");
            continue;
        }
        let mine = place.path().join(name);
        fs::create_dir(&mine).unwrap();
        follow(&mine, section(&chapter(), heading));
    }
}

#[test]
fn the_chapters_sink_and_sampler_in_rust_work_as_shown() {
    if !long_or_not_run("the_chapters_sink_and_sampler_in_rust_work_as_shown") {
        return;
    }
    let place = beside_seepmeter();
    let chapter = chapter();
    let manifest = blocks(section(&chapter, "A sink in Rust"))[0].1;
    for (name, heading) in [("peak", "A sink in Rust"), ("threads", "A sampler in Rust")] {
        let _ = run("/bin/sh", words!["-c", format!("cargo new --quiet --vcs none --lib {name}")])
            .in_folder(place.path())
            .done()
            .expect(0);
        let mine = place.path().join(name);
        // The versions that the workspace has, so that nothing has to be fetched.
        fs::copy(repository("Cargo.lock"), mine.join("Cargo.lock")).unwrap();
        if name == "threads" {
            let path = mine.join("Cargo.toml");
            let before = fs::read_to_string(&path).unwrap();
            fs::write(path, before + manifest).unwrap();
        }
        follow(&mine, section(&chapter, heading));
    }
}
