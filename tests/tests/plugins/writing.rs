//! The examples, and the book's chapter "Writing a plugin" followed word for word.

use std::fs;
use std::path::Path;

use seepmeter_tests::plugin::{cc, cdylib, repository};
use seepmeter_tests::{folder, long_or_not_run, not_run, run, seepmeter, test_target, words};

#[test]
fn the_example_in_rust_says_when_the_resident_set_passes_a_limit() {
    let library = cdylib("seepmeter-example-sink");
    let ask = |limit: &str| {
        let sink = format!("{},limit={limit}", library.display());
        let words = words![
            "run",
            "-q",
            "--no-summary",
            "-i",
            "5ms",
            "-o",
            sink,
            "--",
            test_target(),
            "saw",
            "16",
            "1",
            "10"
        ];
        seepmeter(words).done().expect(0).out()
    };
    assert!(ask("12MiB").contains("alarm at "));
    assert!(!ask("1GiB").contains("alarm"));
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
    let counted = ask(format!("{},label=looks", library.display())).expect(0).out();
    let (count, label) = counted.trim().split_once(' ').unwrap();
    assert!(count.parse::<u64>().unwrap() > 2 && label == "looks", "{counted}");
    let wrong = ask(format!("{},lable=looks", library.display()));
    let _ = wrong.expect_complaint(125, &["count.so", "there is one option: label"]);
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
            assert_eq!(letters(&done.out()), letters(shown), "{command}\n{}", done.told());
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
fn the_chapters_sink_in_c_and_its_program_work_as_shown() {
    let place = beside_seepmeter();
    for (name, heading) in [("c", "A sink in C"), ("python", "A sink without a library")] {
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
