//! Files that are written: never the wrong one, never an older one before the run has begun.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::{Uid, mkfifo};
use seepmeter_record::jsonl::Ending;
use seepmeter_record::{EventKind, Record};
use seepmeter_tests::{
    FinishedRun, Recording, eventually, long, not_run, run, run_target, seepmeter, seepmeter_path,
    test_target, words,
};

/// A folder with an older recording in it.
struct Fixture {
    folder: tempfile::TempDir,
    text: String,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let words = words!["run", "-q", "--no-summary", "-i", "2ms", "-o", "jsonl,path=old.jsonl"];
        let words = words.into_iter().chain(words!["--", test_target(), "saw", "4", "4", "5"]);
        let _ = seepmeter(words).in_folder(folder.path()).done().expect(0);
        let text = fs::read_to_string(folder.path().join("old.jsonl")).unwrap();
        assert!(text.lines().count() > 10);
        Self { folder, text }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str) {
        fs::write(self.path(name), &self.text).unwrap();
    }

    /// Runs a line of a shell here; `$S` is the command.
    fn sh(&self, line: &str) -> FinishedRun {
        let sh = run("/bin/sh", words!["-c", line]).in_folder(self.folder.path());
        sh.env("S", seepmeter_path()).env("T", test_target()).done()
    }

    fn seepmeter(&self, line: &str) -> FinishedRun {
        let words = line.split(' ').map(Into::into);
        seepmeter(words).in_folder(self.folder.path()).done()
    }

    #[track_caller]
    fn assert_untouched(&self, name: &str) {
        assert_eq!(fs::read_to_string(self.path(name)).unwrap(), self.text, "{name} was touched");
    }
}

/// The samples of a recording in a file.
#[track_caller]
fn samples(path: &Path) -> usize {
    Recording::read(path).samples().count()
}

#[test]
fn a_recording_that_is_replayed_is_never_an_output_of_the_replay() {
    let fixture = Fixture::new();
    symlink("old.jsonl", fixture.path("link")).unwrap();
    symlink("link", fixture.path("link-to-link")).unwrap();
    fs::hard_link(fixture.path("old.jsonl"), fixture.path("hard")).unwrap();
    for output in ["old.jsonl", "./old.jsonl", "link", "link-to-link", "hard"] {
        for line in [
            format!("$S replay -q -o jsonl,path={output} - < old.jsonl"),
            format!("$S replay -q -o jsonl,path={output} old.jsonl"),
            format!("$S replay -q -o summary,path={output} old.jsonl"),
            format!("cat old.jsonl | $S replay -q -o csv,path={output} old.jsonl"),
        ] {
            let parts = ["sink", output, "which is the ", "give it another file"];
            let _ = fixture.sh(&line).expect_complaint(125, &parts);
            fixture.assert_untouched("old.jsonl");
        }
    }
    // Appended to by a standard stream, it would never come to its end.
    let lines = [
        "$S replay -q -o jsonl - <old.jsonl >>old.jsonl",
        "$S replay -o text old.jsonl 2>>old.jsonl",
    ];
    for line in lines {
        let done = fixture.sh(line).expect(125);
        let grown = fs::read_to_string(fixture.path("old.jsonl")).unwrap();
        let said = grown.strip_prefix(&fixture.text).unwrap().to_owned() + &done.err();
        assert!(said.contains("which is the ") && said.lines().count() == 1, "{said}");
        fixture.write("old.jsonl");
    }
}

#[test]
fn two_outputs_never_share_a_file_whatever_leads_to_it() {
    let fixture = Fixture::new();
    symlink("new", fixture.path("dangling")).unwrap();
    symlink("old.jsonl", fixture.path("link")).unwrap();
    fs::hard_link(fixture.path("old.jsonl"), fixture.path("hard")).unwrap();
    let pairs = [
        ("new", "new"),
        ("dangling", "new"),
        ("new", "dangling"),
        ("link", "old.jsonl"),
        ("hard", "old.jsonl"),
        ("-", "/dev/stdout"),
    ];
    for (one, two) in pairs {
        let line = format!("run -q --no-summary -o csv,path={one} -o jsonl,path={two} -- true");
        let _ = fixture.seepmeter(&line).expect_complaint(125, &["is the file of the sink"]);
        assert!(!fixture.path("new").exists(), "{line}");
    }
    // The names of older parts belong to an output too.
    let line = "run -q -o csv,path=a.1 -o jsonl,path=a,rotate=1MiB -- true";
    let _ = fixture.seepmeter(line).expect_complaint(125, &["is the file of the sink"]);
    let line = "replay -q -o jsonl,path=old.jsonl,rotate=1MiB old.jsonl.1";
    fixture.write("old.jsonl.1");
    let _ = fixture.seepmeter(line).expect_complaint(125, &["the recording that is replayed"]);
    fixture.assert_untouched("old.jsonl");
    fixture.assert_untouched("old.jsonl.1");
}

#[test]
fn a_dangling_link_is_followed_to_a_new_file() {
    let fixture = Fixture::new();
    symlink("new", fixture.path("dangling")).unwrap();
    let _ = fixture.seepmeter("run -q --no-summary -o jsonl,path=dangling -- sleep 0.05").expect(0);
    assert!(samples(&fixture.path("new")) > 0);
}

#[test]
fn a_file_that_a_standard_stream_goes_to_is_no_output() {
    let fixture = Fixture::new();
    for redirect in [">>", "2>>", "<"] {
        let line =
            format!("$S run -q --no-summary -o jsonl,path=old.jsonl -- true {redirect}old.jsonl");
        let done = fixture.sh(&line).expect(125);
        let now = fs::read_to_string(fixture.path("old.jsonl")).unwrap();
        let said = now.strip_prefix(&fixture.text).unwrap().to_owned() + &done.err();
        assert!(said.contains("which is the file of standard "), "{redirect}: {said}");
        fixture.write("old.jsonl");
    }
}

#[test]
fn the_program_of_a_target_is_no_output() {
    let fixture = Fixture::new();
    fs::copy("/bin/sleep", fixture.path("program")).unwrap();
    symlink("program", fixture.path("link")).unwrap();
    let script = "#!/bin/sh\nexec sleep 0\n";
    fs::write(fixture.path("script"), script).unwrap();
    fs::set_permissions(fixture.path("script"), fs::Permissions::from_mode(0o755)).unwrap();
    let whole = fs::read(fixture.path("program")).unwrap();
    for (output, command) in [
        ("program", "./program 0"),
        ("link", "./program 0"),
        ("program", "./link 0"),
        ("script", "./script"),
    ] {
        let line = format!("run -q -o csv,path={output} -- {command}");
        let _ =
            fixture.seepmeter(&line).expect_complaint(125, &["the program of the target", output]);
    }
    assert_eq!(fs::read_to_string(fixture.path("script")).unwrap(), script);
    let target = run(fixture.path("program"), words!["60"]).start();
    let pid = target.pid();
    eventually("the exec", || {
        fs::read_link(format!("/proc/{pid}/exe")).ok().filter(|exe| exe.ends_with("program"))
    });
    for output in ["program", "link"] {
        let line = format!("attach -q -o csv,path={output} {pid}");
        let _ = fixture.seepmeter(&line).expect_complaint(125, &["the program of the target"]);
    }
    target.signal(Signal::SIGKILL);
    assert!(fs::read(fixture.path("program")).unwrap() == whole, "the program was touched");
}

#[test]
fn a_second_seepmeter_does_not_get_the_output_of_a_first_one() {
    let fixture = Fixture::new();
    let words = words!["run", "-q", "-i", "5ms", "-o", "jsonl,path=r.jsonl", "--", test_target()];
    let words = words.into_iter().chain(words!["hold", "1"]);
    let first = seepmeter(words).in_folder(fixture.folder.path()).start();
    let _ = first.line("ready");
    let who = format!("process {}", first.pid());
    for line in [
        "run -q -o jsonl,path=r.jsonl -- true",
        "run -q -o csv,path=./r.jsonl -- true",
        "replay -q -o csv,path=r.jsonl old.jsonl",
    ] {
        let parts = ["r.jsonl", &who, "another seepmeter", "give another path="];
        let _ = fixture.seepmeter(line).expect_complaint(125, &parts);
    }
    let _ = first.finish().expect(0);
    let recording = Recording::read(&fixture.path("r.jsonl"));
    assert_eq!(recording.ending, Ending::Whole);
    // The lock ends with its holder.
    let _ = fixture.seepmeter("run -q --no-summary -o jsonl,path=r.jsonl -- sleep 0.05").expect(0);
    assert_eq!(Recording::read(&fixture.path("r.jsonl")).ending, Ending::Whole);
}

#[test]
fn streams_devices_and_fifos_are_outputs_as_ever() {
    let fixture = Fixture::new();
    let line = "run -q --no-summary -o csv,path=/dev/null -o jsonl,path=/dev/null -- true";
    let _ = fixture.seepmeter(line).expect(0);
    for path in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        let piped = format!("$S replay -q --no-summary -o jsonl,path={path} old.jsonl | cat");
        assert_eq!(fixture.sh(&piped).expect(0).out(), fixture.text, "{path}");
        let line =
            format!("(echo before; $S replay -q --no-summary -o jsonl,path={path} old.jsonl) >out");
        let _ = fixture.sh(&line).expect(0);
        let out = fs::read_to_string(fixture.path("out")).unwrap();
        assert_eq!(out, format!("before\n{}", fixture.text), "{path}");
    }
    let line = "exec 7>out; $S replay -q --no-summary -o jsonl,path=/dev/fd/7 old.jsonl";
    let _ = fixture.sh(line).expect(0);
    assert_eq!(fs::read_to_string(fixture.path("out")).unwrap(), fixture.text);
    mkfifo(&fixture.path("fifo"), Mode::S_IRWXU).unwrap();
    let line = "cat fifo >out & $S replay -q --no-summary -o jsonl,path=fifo old.jsonl; wait";
    let _ = fixture.sh(line).expect(0);
    assert_eq!(fs::read_to_string(fixture.path("out")).unwrap(), fixture.text);
}

#[test]
fn a_run_that_never_begins_leaves_every_older_file_as_it_was_and_makes_none() {
    let fixture = Fixture::new();
    let target = run_target("hold", words!["1"]).start();
    let pid = target.number("ready", 1);
    let out =
        "-o csv,path=new.csv -o jsonl,path=new.jsonl.zst -o text,path=new -o summary,path=new-too";
    let out = format!("-o jsonl,path=old.jsonl {out}");
    let cases = [
        (format!("run -q {out} -o csv,path=no/such/folder -- true"), 125),
        (format!("run -q {out} -o stacks,path=/dev/null,weight=x -- true"), 125),
        (format!("run -q {out} -- ./no-such-program"), 127),
        (format!("run -q {out} -- ./old.csv"), 126),
        (format!("run -q {out} --metric nope -- true"), 125),
        (format!("run -q {out} -s statm,peak=x -- true"), 125),
        (format!("attach -q {out} -s ptrace,calls=memory,unsafe=yes {pid}"), 125),
        (format!("attach -q {out} --metric nope {pid}"), 125),
        (format!("attach -q {out} 4194304"), 125),
        (format!("replay -q {out} /dev/null"), 125),
        (format!("replay -q {out} old.csv"), 125),
    ];
    fs::write(fixture.path("old.csv"), "no recording\n").unwrap();
    for (line, status) in cases {
        let _ = fixture.seepmeter(&line).expect_complaint(status, &[]);
        fixture.assert_untouched("old.jsonl");
        for name in ["new.csv", "new.jsonl.zst", "new", "new-too"] {
            assert!(!fixture.path(name).exists(), "{line} has made {name}");
        }
    }
    let _ = target.finish().expect(0);
    // And one that begins replaces it.
    let _ =
        fixture.seepmeter("run -q --no-summary -o jsonl,path=old.jsonl -- sleep 0.05").expect(0);
    assert_ne!(fs::read_to_string(fixture.path("old.jsonl")).unwrap(), fixture.text);
    let _ = fixture.seepmeter("run -q --no-summary -o text,path=old.csv -i 1h -- true").expect(0);
    assert!(!fs::read_to_string(fixture.path("old.csv")).unwrap().contains("no recording"));
}

/// A run of a target that holds until its input ends, recorded at 2 ms into `r.jsonl` with these options.
fn recorded(fixture: &Fixture, options: &str) -> seepmeter_tests::RunningProgram {
    // What an earlier run has left would be taken for output of this one.
    let _ = fs::remove_file(fixture.path("r.out"));
    let sink = format!("{options},path=r.out");
    let words = words!["run", "-q", "--no-summary", "-i", "2ms", "-o", sink, "--", test_target()];
    let words = words.into_iter().chain(words!["catch-signals"]);
    let running = seepmeter(words).in_folder(fixture.folder.path()).start();
    let _ = running.line("ready");
    wait_for_bytes(&fixture.path("r.out"), 1);
    running
}

fn wait_for_bytes(path: &Path, bytes: u64) {
    eventually("bytes on disk", || (path.metadata().ok()?.len() >= bytes).then_some(()));
}

#[test]
fn an_output_that_is_deleted_while_it_is_written_is_reported_at_the_end() {
    let fixture = Fixture::new();
    for sink in ["jsonl", "csv"] {
        let running = recorded(&fixture, sink);
        fs::remove_file(fixture.path("r.out")).unwrap();
        let parts = ["r.out was deleted while it was written", "is lost", "reopen=yes"];
        let _ = running.finish().expect_complaint(125, &parts);
    }
}

#[test]
fn an_output_that_is_renamed_or_replaced_while_it_is_written_is_reported_and_whole() {
    let fixture = Fixture::new();
    let running = recorded(&fixture, "jsonl");
    fs::rename(fixture.path("r.out"), fixture.path("moved")).unwrap();
    fixture.write("r.out");
    let _ = running.finish().expect_complaint(0, &["r.out was renamed or replaced"]);
    assert_eq!(Recording::read(&fixture.path("moved")).ending, Ending::Whole);
    fixture.assert_untouched("r.out");
}

#[test]
fn an_output_that_is_truncated_has_no_zeros_and_its_loss_is_reported() {
    let fixture = Fixture::new();
    let truncate =
        |path: &Path| fs::OpenOptions::new().write(true).truncate(true).open(path).unwrap();
    let running = recorded(&fixture, "csv");
    wait_for_bytes(&fixture.path("r.out"), 20_000);
    drop(truncate(&fixture.path("r.out")));
    wait_for_bytes(&fixture.path("r.out"), 1_000);
    let _ =
        running.finish().expect_complaint(125, &["r.out was truncated", "its beginning is lost"]);
    assert!(!fs::read(fixture.path("r.out")).unwrap().contains(&0));
    // With reopen=yes, what follows can be read by itself.
    let running = recorded(&fixture, "jsonl,reopen=yes");
    wait_for_bytes(&fixture.path("r.out"), 20_000);
    drop(truncate(&fixture.path("r.out")));
    eventually("a recording again", || Recording::try_read(&fixture.path("r.out")).ok());
    let _ = running.finish().expect(0);
    assert_eq!(Recording::read(&fixture.path("r.out")).ending, Ending::Whole);
}

#[test]
fn after_a_sighup_an_output_with_reopen_goes_on_in_a_new_file_and_the_target_gets_none() {
    let fixture = Fixture::new();
    for sink in ["jsonl,reopen=yes", "csv,reopen=yes"] {
        let running = recorded(&fixture, sink);
        wait_for_bytes(&fixture.path("r.out"), 8_000);
        // Without a rename there is nothing to do.
        running.signal(Signal::SIGHUP);
        fs::rename(fixture.path("r.out"), fixture.path("r.out.0")).unwrap();
        running.signal(Signal::SIGHUP);
        wait_for_bytes(&fixture.path("r.out"), 8_000);
        let done = running.finish().expect(0);
        assert!(!done.out().contains("HUP"), "{}", done.output());
        if sink.starts_with("csv") {
            let [one, two] =
                ["r.out.0", "r.out"].map(|name| fs::read_to_string(fixture.path(name)).unwrap());
            assert_eq!(one.lines().next(), two.lines().next());
            assert!(two.lines().count() > 2 && one.ends_with('\n'));
            continue;
        }
        let [one, two] = ["r.out.0", "r.out"].map(|name| Recording::read(&fixture.path(name)));
        assert_eq!((one.ending, two.ending), (Ending::Continued, Ending::Whole));
        assert!(one.samples().count() > 2 && two.samples().count() > 2);
        let attach = one.target_pid();
        assert_eq!(attach, two.target_pid());
    }
    // Whoever does not ask for it gets the signal passed on.
    let running = recorded(&fixture, "jsonl");
    running.signal(Signal::SIGHUP);
    eventually("the signal", || running.said().contains("HUP").then_some(()));
    drop(running);
}

#[test]
fn a_sighup_for_the_outputs_does_not_end_an_attach() {
    let fixture = Fixture::new();
    let target = run_target("hold", words!["1"]).start();
    let pid = target.number("ready", 1).to_string();
    let words =
        words!["attach", "-q", "--no-summary", "-i", "2ms", "-o", "jsonl,path=r,reopen=yes", pid];
    let running = seepmeter(words).in_folder(fixture.folder.path()).start();
    wait_for_bytes(&fixture.path("r"), 1);
    fs::rename(fixture.path("r"), fixture.path("r.0")).unwrap();
    running.signal(Signal::SIGHUP);
    wait_for_bytes(&fixture.path("r"), 1);
    let _ = target.finish().expect(0);
    let _ = running.finish().expect(0);
    assert_eq!(Recording::read(&fixture.path("r")).ending, Ending::Whole);
}

/// The number of a recording's part that this file has, as it says itself.
fn part(recording: &Recording) -> u64 {
    let from = recording.records.iter().find_map(|record| match record {
        Record::Event(event) => match event.kind {
            EventKind::ContinuedFrom { part } => Some(part),
            _ => None,
        },
        _ => None,
    });
    from.unwrap_or(0) + 1
}

#[test]
fn each_part_of_a_rotated_recording_can_be_read_by_itself() {
    let fixture = Fixture::new();
    for (name, limit) in
        [("r.jsonl", "40KiB"), ("r.jsonl.zst", "4KiB"), ("t.jsonl", "100ms"), ("s.jsonl", "1KiB")]
    {
        let words = words!["run", "-q", "--no-summary", "-i", "1ms", "-s", "statm", "-s", "smaps"];
        let sink = format!("jsonl,path={name},rotate={limit},keep=3");
        let words = words.into_iter().chain(words!["-o", sink, "--", test_target(), "hold", "1"]);
        let running = seepmeter(words).in_folder(fixture.folder.path()).start();
        let last = fixture.path(&format!("{name}.3"));
        eventually("four parts and more", || {
            Recording::try_read(&last).ok().filter(|oldest| part(oldest) > 2)
        });
        let _ = running.finish().expect(0);
        let files = [".3", ".2", ".1", ""].map(|end| fixture.path(&format!("{name}{end}")));
        let parts = files.each_ref().map(|path| Recording::read(path));
        let numbers = parts.each_ref().map(part);
        assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{name}: {numbers:?}");
        assert!(!fixture.path(&format!("{name}.4")).exists());
        for (recording, path) in parts.iter().zip(&files) {
            assert!(recording.target_pid() > 0);
            let (_, values) = recording.target_values().remove(0);
            for metric in ["rss", "peak", "vsize"] {
                assert!(values.contains_key(metric), "{}: no {metric}", path.display());
            }
            let _ = seepmeter(words!["replay", "-q", "--no-summary", "-o", "csv", path])
                .done()
                .expect(0);
        }
        let endings = parts.each_ref().map(|recording| recording.ending);
        assert_eq!(
            endings,
            [Ending::Continued, Ending::Continued, Ending::Continued, Ending::Whole]
        );
        // Nothing is lost from one to the next.
        let times = |recording: &Recording| recording.samples().map(|it| it.t).collect::<Vec<_>>();
        for pair in parts.windows(2) {
            let (before, after) = (times(&pair[0]), times(&pair[1]));
            let (last, first) = (before[before.len() - 1], after[0]);
            assert!(last <= first && first - last < 1_000_000_000, "{name}: {last} {first}");
        }
    }
}

#[test]
fn each_part_of_a_rotated_table_has_its_heading() {
    let fixture = Fixture::new();
    for layout in ["wide", "long"] {
        let name = format!("{layout}.csv");
        let sink = format!("csv,path={name},layout={layout},rotate=64KiB,keep=2");
        let words =
            words!["run", "-q", "--no-summary", "-i", "1ms", "-o", sink, "--", test_target()];
        let running = seepmeter(words.into_iter().chain(words!["saw", "4", "50", "5"]));
        let _ = running.in_folder(fixture.folder.path()).done().expect(0);
        let parts = ["", ".1"].map(|end| fs::read_to_string(fixture.path(&format!("{name}{end}"))));
        for text in parts.map(Result::unwrap) {
            let headings = text.lines().filter(|line| line.starts_with("elapsed_s,")).count();
            assert!(text.starts_with("elapsed_s,subject,") && headings == 1, "{text}");
        }
    }
}

#[test]
fn too_many_open_files_names_the_limit_and_what_to_do() {
    let fixture = Fixture::new();
    let mut said = Vec::new();
    for limit in 4..24 {
        let line = format!(
            "ulimit -n {limit}; $S run -q --no-summary -s smaps -o jsonl,path=r.jsonl -- true"
        );
        let done = fixture.sh(&line);
        for complaint in done.complaints().into_iter().filter(|it| it.contains("Too many open")) {
            let limit = format!("{limit}, RLIMIT_NOFILE");
            assert!(complaint.contains(&limit) && complaint.contains("ulimit -n"), "{complaint}");
            assert_eq!(complaint.matches("RLIMIT").count(), 1, "{complaint}");
            said.push(complaint);
        }
    }
    let of = |part: &str| said.iter().any(|complaint| complaint.contains(part));
    assert!(of("cannot set up the run") && of("cannot create r.jsonl"), "{said:#?}");
}

#[test]
fn too_many_open_files_is_not_taken_for_the_end_of_the_target() {
    let fixture = Fixture::new();
    let mut of_threads = 0;
    for limit in 8..40 {
        let line = format!(
            "ulimit -n {limit}; $S run -q --no-summary -s ptrace -d 100ms --on-stop end -- sleep 60"
        );
        let done = fixture.sh(&line);
        for complaint in done.complaints() {
            assert!(!complaint.contains("ended"), "{limit}: {complaint}");
            of_threads += usize::from(complaint.contains("/task") || complaint.contains("threads"));
        }
    }
    assert!(of_threads > 0);
}

#[test]
fn a_recording_without_an_end_is_blamed_on_nobody() {
    let fixture = Fixture::new();
    let end = fixture.text.find(r#"{"event":{"#).unwrap();
    let end = end + fixture.text[end..].find("exited").unwrap();
    let without = &fixture.text[..=fixture.text[..end].rfind('\n').unwrap()];
    fs::write(fixture.path("open.jsonl"), without).unwrap();
    fs::write(fixture.path("cut.jsonl"), &without[..without.len() - 5]).unwrap();
    let words = "its writer was killed, could not go on (a full disk?), or is still running";
    for line in ["replay -q open.jsonl", "judge open.jsonl", "replay -q cut.jsonl"] {
        let done = fixture.seepmeter(line).expect(0);
        assert!(done.err().contains(words), "{line}\n{}", done.output());
    }
}

#[test]
fn a_new_output_is_readable_by_its_owner_alone_and_an_older_one_keeps_its_mode() {
    let fixture = Fixture::new();
    fs::set_permissions(fixture.path("old.jsonl"), fs::Permissions::from_mode(0o644)).unwrap();
    let line = "run -q --no-summary -o jsonl,path=new.jsonl -o csv,path=new.csv -o text,path=old.jsonl -- true";
    let _ = fixture.sh(&format!("umask 0; $S {line}")).expect(0);
    let mode = |name: &str| fixture.path(name).metadata().unwrap().mode() & 0o7777;
    assert_eq!((mode("new.jsonl"), mode("new.csv"), mode("old.jsonl")), (0o600, 0o600, 0o644));
}

#[test]
fn redact_args_leaves_the_arguments_out_of_every_output() {
    let fixture = Fixture::new();
    let sinks = "-o jsonl,path=r.jsonl -o jsonl,path=r.jsonl.zst -o csv,path=r.csv -o text,path=r.txt -o summary,path=r.sum";
    let command = "sh -c sleep${IFS}0.05 --password=secret";
    let _ = fixture.seepmeter(&format!("run --redact-args {sinks} -- {command}")).expect(0);
    let _ = fixture
        .seepmeter(&format!("run -q --no-summary -o jsonl,path=open.jsonl -- {command}"))
        .expect(0);
    // A recording that has them already loses them by a replay.
    let line = "replay -q --no-summary --redact-args -o jsonl,path=clean.jsonl open.jsonl";
    let _ = fixture.seepmeter(line).expect(0);
    for name in ["r.jsonl", "r.csv", "r.txt", "r.sum", "clean.jsonl"] {
        let text = fs::read_to_string(fixture.path(name)).unwrap();
        // The name of a descendant is no argument.
        assert!(!text.contains("secret") && !text.contains("IFS"), "{name}: {text}");
    }
    for name in ["r.jsonl", "r.jsonl.zst", "clean.jsonl"] {
        let recording = Recording::read(&fixture.path(name));
        let shown = format!("{:?}", recording.header().targets[0].origin);
        assert!(
            shown.contains("sh") && shown.matches("[redacted]").count() == 3,
            "{name}: {shown}"
        );
    }
    assert!(fs::read_to_string(fixture.path("open.jsonl")).unwrap().contains("secret"));
}

#[test]
fn what_others_have_planted_in_a_shared_folder_is_not_written_to() {
    const NOBODY: u32 = 65534;
    let test = "what_others_have_planted_in_a_shared_folder_is_not_written_to";
    if !Uid::effective().is_root() {
        return not_run(test, "it makes files of another user, for which it needs root");
    }
    let fixture = Fixture::new();
    let shared = fixture.path("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    symlink("../old.jsonl", shared.join("link")).unwrap();
    symlink("../new", shared.join("dangling")).unwrap();
    mkfifo(&shared.join("fifo"), Mode::S_IRWXU).unwrap();
    fs::write(shared.join("file"), "").unwrap();
    symlink("..", shared.join("way")).unwrap();
    for planted in ["link", "dangling", "fifo", "file", "way"] {
        lchown(shared.join(planted), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    symlink("shared/link", fixture.path("own-link")).unwrap();
    fs::hard_link(fixture.path("old.jsonl"), shared.join("hard")).unwrap();
    symlink("shared/way", fixture.path("own-way")).unwrap();
    let ends = ["link", "dangling", "fifo", "file", "hard", "way/old.jsonl", "way/new"];
    let paths = ends.map(|end| format!("shared/{end}"));
    for path in paths.into_iter().chain(["own-link".into(), "own-way/new".into()]) {
        let line = format!("run -q -o jsonl,path={path} -- true");
        let parts = ["where everybody may make files", "a folder of your own"];
        let _ = fixture.seepmeter(&line).expect_complaint(125, &parts);
        fixture.assert_untouched("old.jsonl");
        assert!(!fixture.path("new").exists());
    }
    // One's own are good, and so is a new file.
    symlink("mine", shared.join("own")).unwrap();
    symlink("..", shared.join("up")).unwrap();
    for path in ["shared/own", "shared/new", "shared/new", "shared/up/new"] {
        let line = format!("run -q --no-summary -o jsonl,path={path} -- true");
        let _ = fixture.seepmeter(&line).expect(0);
    }
}

#[test]
fn on_a_full_disk_what_was_written_can_be_read_and_the_target_is_unharmed() {
    let test = "on_a_full_disk_what_was_written_can_be_read_and_the_target_is_unharmed";
    if !Uid::effective().is_root() {
        return not_run(test, "it mounts a small file system, for which it needs root");
    }
    let fixture = Fixture::new();
    fs::create_dir(fixture.path("disk")).unwrap();
    for name in ["r.jsonl", "r.jsonl.zst"] {
        // The mount is seen by this shell and its children alone, and gone with them.
        let line = format!(
            "mount --make-rprivate / && mount -t tmpfs -o size=32k none disk || exit 9
             $S run -q --no-summary -i 1ms -s statm -s smaps -o jsonl,path=disk/{name} -- $T saw 8 100 5
             echo status=$?; cp disk/{name} {name}"
        );
        let shell = run("/bin/sh", words!["-c", line]).in_folder(fixture.folder.path());
        let shell = shell.env("S", seepmeter_path()).env("T", test_target());
        let shell = shell.before_exec(|| Ok(unshare(CloneFlags::CLONE_NEWNS)?));
        let done = shell.done().expect_complaint(0, &["No space left on device", name]);
        // The target has done all of its work, and the status is that of a sink that failed.
        assert!(done.out().contains("status=125"), "{}", done.output());
        let recording = Recording::read(&fixture.path(name));
        assert!(recording.samples().count() > 50 && recording.ending != Ending::Whole, "{name}");
        let _ = fixture.seepmeter(&format!("judge {name}")).expect(0);
    }
    assert_eq!(fs::read_dir(fixture.path("disk")).unwrap().count(), 0);
}

/// Records into a file and kills seepmeter after some time; what was recorded up to a second before can be read.
fn kill_after(path: &Path, time: Duration) {
    let sink = format!("jsonl,path={}", path.display());
    let words = words!["run", "-q", "--no-summary", "-i", "1ms", "-o", sink, "--", test_target()];
    let mut running = seepmeter(words.into_iter().chain(words!["hold", "1"])).start();
    let seen = eventually("a sample on disk", || {
        Recording::try_read(path).ok()?.samples().last().map(|sample| sample.t)
    });
    let since = Instant::now();
    // The moment of the kill is what this is about.
    std::thread::sleep(time);
    let watched = since.elapsed();
    running.signal(Signal::SIGKILL);
    let _ = running.wait().expect_killed(Signal::SIGKILL);
    running.end_input();
    running.tree.assert_gone();
    let last = Recording::read(path).samples().last().unwrap().t;
    let recorded = Duration::from_nanos(last.saturating_sub(seen));
    let lost = watched.saturating_sub(recorded);
    assert!(lost < Duration::from_secs(1), "{}: {lost:?} are lost", path.display());
    fs::remove_file(path).unwrap();
}

#[test]
fn a_recording_has_all_but_the_last_second_whenever_seepmeter_is_killed() {
    let fixture = Fixture::new();
    let kills: u64 = if long() { 200 } else { 4 };
    let seed = u64::from(std::process::id());
    for kill in 0..kills {
        let random = (seed ^ kill).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
        let time = Duration::from_millis(random % 1_500);
        let paths = ["r.jsonl", "r.jsonl.zst"].map(|name| fixture.path(&format!("{kill}-{name}")));
        std::thread::scope(|scope| {
            for path in &paths {
                scope.spawn(move || kill_after(path, time));
            }
        });
    }
}
