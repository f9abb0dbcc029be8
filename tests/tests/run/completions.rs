//! What shells complete, in the shells themselves: bash, zsh, fish.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use seepmeter_tests::plugin::cdylib;
use seepmeter_tests::{eventually, folder, not_run, run, seepmeter, words};

/// What is typed, a tab behind it, and what stands there then.
const COMPLETED: [(&str, &str); 10] = [
    ("seepmeter att", "seepmeter attach"),
    ("seepmeter run --int", "seepmeter run --interval"),
    ("seepmeter run -s sm", "seepmeter run -s smaps"),
    ("seepmeter run --sampler=sm", "seepmeter run --sampler=smaps"),
    ("seepmeter run -s smaps,det", "seepmeter run -s smaps,detail="),
    ("seepmeter run -s smaps,detail=m", "seepmeter run -s smaps,detail=mapping"),
    ("seepmeter attach -o cs", "seepmeter attach -o csv"),
    ("seepmeter replay -o csv,path=x,la", "seepmeter replay -o csv,path=x,layout="),
    (
        "seepmeter run --plugin-dir plugins -s op",
        "seepmeter run --plugin-dir plugins -s open-files",
    ),
    ("seepmeter run -- ls -s sm", "seepmeter run -- ls -s sm"),
];

/// Types each line into a shell, which writes to a file what it has made of it.
fn assert_completes(shell: &str, flags: &[&str], set_up: &str) {
    if run("sh", words!["-c", format!("command -v {shell}")]).done().status.code() != Some(0) {
        not_run(&format!("completions of {shell}"), "it is not installed here");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let script = seepmeter(words!["completions", shell]).done().expect(0).out();
    fs::write(place.path().join("script"), script).unwrap();
    fs::create_dir(place.path().join("plugins")).unwrap();
    let plugin = place.path().join("plugins/seepmeter-open-files-sampler.so");
    symlink(cdylib("seepmeter-example-sampler"), plugin).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut typed = run(shell, flags.iter().map(Into::into))
        .in_folder(place.path())
        .env("PATH", format!("{}:{path}", folder().display()))
        .env("HOME", place.path())
        .env("TERM", "dumb")
        .env("EDITOR", "emacs")
        .on_terminal()
        .start();
    typed.say(set_up);
    typed.say("say ready");
    await_line(place.path(), 1, "ready");
    for (number, (line, completed)) in COMPLETED.iter().enumerate() {
        // A tab; then Ctrl-A and a command that takes the line as its arguments.
        typed.say(&format!("{line}\t\u{1}say "));
        await_line(place.path(), number + 2, completed);
    }
    typed.say("exit");
    let _ = typed.finish();
}

/// Waits for the n-th line of the file, and compares it.
fn await_line(place: &Path, n: usize, expected: &str) {
    let line = eventually("the shell's line", || {
        let text = fs::read_to_string(place.join("out")).unwrap_or_default();
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        whole.lines().nth(n - 1).map(str::to_owned)
    });
    assert_eq!(line.trim_end(), expected);
}

#[test]
fn bash_completes_plugins_and_their_options() {
    let set_up = "say() { echo \"$@\" >>out; }; source ./script";
    assert_completes("bash", &["--norc", "--noprofile", "-i"], set_up);
}

#[test]
fn zsh_completes_plugins_and_their_options() {
    let set_up = "bindkey -e; say() { echo \"$@\" >>out; }; autoload -U compinit; compinit -D -u; source ./script";
    assert_completes("zsh", &["-f", "-i"], set_up);
}

#[test]
fn fish_completes_plugins_and_their_options() {
    let set_up = "function say; echo $argv >>out; end; source ./script";
    assert_completes("fish", &["--no-config", "--private"], set_up);
}

#[test]
fn all_samplers_and_sinks_are_offered_with_what_they_do() {
    let offered = |kind: &str| seepmeter(words!["complete", kind, "", "--"]).done().expect(0).out();
    for name in ["statm\t", "smaps\t", "ptrace\t", "fds\t", "cgroup\t"] {
        assert!(offered("sampler").contains(name), "{}", offered("sampler"));
    }
    for name in
        ["text", "csv", "jsonl", "exec", "stacks", "svg", "png", "html", "summary", "verdict"]
    {
        assert!(offered("sink").contains(&format!("{name}\t")), "{}", offered("sink"));
    }
}
