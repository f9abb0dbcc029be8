//! Signals in every phase of a run.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::libc::O_NONBLOCK;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use seepmeter_record::End;
use seepmeter_tests::synthetic::Synthetic;
use seepmeter_tests::{
    FinishedRun, Recording, RunningProgram, eventually, recorded, seepmeter, test_target, words,
};

/// What a second signal may take until the prompt. It takes less than 100 ms on a machine that is not busy.
const PROMPT: Duration = Duration::from_secs(1);

/// A folder with a FIFO.
struct Fifo {
    folder: tempfile::TempDir,
}

impl Fifo {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        mkfifo(&folder.path().join("fifo"), Mode::S_IRWXU).unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("fifo")
    }

    /// Opens it for both, so that it has a reader which never reads, and a writer that never writes.
    fn open(&self) -> File {
        File::options().read(true).write(true).custom_flags(O_NONBLOCK).open(self.path()).unwrap()
    }

    fn sink(&self) -> String {
        format!("jsonl,path={}", self.path().display())
    }
}

/// Waits until the threads of this name are there, or are gone.
fn thread(running: &RunningProgram, name: &str, there: bool) {
    eventually(&format!("thread {name}: {there}"), || {
        let tasks = format!("/proc/{}/task", running.pid());
        let names = std::fs::read_dir(tasks).ok()?.flatten();
        let mut names =
            names.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
        (names.any(|own| own.trim() == name) == there).then_some(())
    });
}

/// Sends a signal, and waits for the end, which must come at once.
#[track_caller]
fn ends_at_once(mut running: RunningProgram, signal: Signal) -> FinishedRun {
    let begin = Instant::now();
    running.signal(signal);
    let done = running.wait();
    let took = begin.elapsed();
    assert!(took < PROMPT, "{took:?} from {signal}\n{}", done.output());
    done
}

#[test]
fn a_signal_before_the_run_has_begun_ends_it_and_the_command_is_never_executed() {
    for signal in
        [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1]
    {
        let fifo = Fifo::new();
        let mark = fifo.folder.path().join("ran");
        let words = words!["run", "-q", "-o", fifo.sink(), "--", "touch", mark];
        let running = seepmeter(words).start();
        thread(&running, "sink jsonl", true);
        let done = ends_at_once(running, signal);
        let _ = done.expect_complaint(128 + signal as i32, &["before the run had begun"]);
        assert!(!mark.exists());
    }
}

#[test]
fn a_signal_while_a_child_is_held_ends_the_child_before_its_exec() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("slow.so");
    let source = seepmeter_tests::plugin::abi("sampler.c");
    let _ = seepmeter_tests::plugin::cc(&source, &library, &[]);
    let mark = folder.path().join("ran");
    let log = folder.path().join("log");
    let sampler = format!("{},in=start,do=sleep,log={}", library.display(), log.display());
    let running = seepmeter(words!["run", "-q", "-s", sampler, "--", "touch", mark]).start();
    eventually("start", || {
        std::fs::read_to_string(&log).is_ok_and(|log| log.contains("start")).then_some(())
    });
    assert_eq!(running.tree.members().len(), 2, "the child is held");
    let mut running = running;
    let begin = Instant::now();
    running.signal(Signal::SIGTERM);
    let done = running.wait();
    assert!(begin.elapsed() < PROMPT, "{}", done.output());
    let _ = done.expect_complaint(128 + 15, &["nothing was executed"]);
    running.tree.assert_gone();
    assert!(!mark.exists());
}

/// A run of `sh -c SCRIPT` that has ended (or was left), while its sink blocks.
fn blocked_at_the_end(fifo: &Fifo, flags: &[&str], script: &str) -> RunningProgram {
    let words = words!["run", "-q", "--no-summary", "-i", "1ms"];
    let flags = flags.iter().map(Into::into);
    let rest = words!["-o", fifo.sink(), "--", "sh", "-c", script];
    let running = seepmeter(words.into_iter().chain(flags).chain(rest)).start();
    // The samplers end before the sinks are waited for.
    thread(&running, "sampler statm", true);
    thread(&running, "sampler statm", false);
    running
}

#[test]
fn a_second_signal_ends_the_wait_for_a_blocked_sink_and_the_targets_status_is_kept() {
    for (script, status) in [("sleep 2; exit 0", 125), ("sleep 2; exit 6", 6)] {
        let fifo = Fifo::new();
        let _reader = fifo.open();
        let running = blocked_at_the_end(&fifo, &[], script);
        running.signal(Signal::SIGINT);
        let answer = running.error_line("SIGINT: waiting for sink jsonl");
        assert!(answer.contains("a second one ends the wait"), "{answer}");
        let done = ends_at_once(running, Signal::SIGTERM).expect(status);
        assert!(done.err().contains("had not finished when a second signal"), "{}", done.output());
    }
}

#[test]
fn a_target_that_is_left_running_gets_its_signals_while_a_sink_blocks() {
    let fifo = Fifo::new();
    let _reader = fifo.open();
    let script = "trap 'echo got' USR1; trap 'echo bye; exit' TERM; echo ready; while :; do sleep 0.05; done";
    let running = blocked_at_the_end(&fifo, &["-d", "2s"], script);
    running.signal(Signal::SIGUSR1);
    let _ = running.line("got");
    running.signal(Signal::SIGTERM);
    let _ = running.line("bye");
    let _ = ends_at_once(running, Signal::SIGINT).expect(125);
}

#[test]
fn ctrl_c_twice_on_a_terminal_ends_attach_at_once() {
    let target = seepmeter_tests::run_target("hold", words!["1"]).start();
    let _ = target.line("ready");
    let fifo = Fifo::new();
    let _reader = fifo.open();
    let words = words![
        "attach",
        "-q",
        "--no-summary",
        "-i",
        "1ms",
        "-o",
        fifo.sink(),
        target.pid().to_string()
    ];
    let mut running = seepmeter(words).on_terminal().start();
    thread(&running, "sampler statm", true);
    std::thread::sleep(Duration::from_secs(2));
    running.type_keys(b"\x03");
    thread(&running, "sampler statm", false);
    let begin = Instant::now();
    running.type_keys(b"\x03");
    let done = running.wait().expect(125);
    assert!(begin.elapsed() < PROMPT, "{}", done.output());
    let _ = target.finish().expect(0);
}

#[test]
fn a_target_that_keeps_seepmeter_alive_gets_its_signals_and_a_second_one_ends_seepmeter() {
    let start = |script: &str| {
        let words = words![
            "run",
            "-q",
            "--no-summary",
            "-d",
            "300ms",
            "-s",
            "ptrace,calls=memory,unsafe=yes"
        ];
        let running = seepmeter(words.into_iter().chain(words!["--", "sh", "-c", script])).start();
        let _ = running.line("ready");
        let _ = running.error_line("which therefore stays");
        running
    };
    let polite = start("trap 'echo bye; exit' TERM; echo ready; while :; do sleep 0.05; done");
    polite.signal(Signal::SIGTERM);
    let _ = polite.line("bye");
    let _ = polite.finish().expect(0);
    let stubborn = start("trap '' INT; echo ready; read x");
    stubborn.signal(Signal::SIGINT);
    let answer = stubborn.error_line("SIGINT: still here because the target needs it");
    assert!(answer.contains("can break the target"), "{answer}");
    let _ = ends_at_once(stubborn, Signal::SIGTERM).expect(0);
}

#[test]
fn a_signal_ends_at_once_what_reads_a_pipe_without_end() {
    let fifo = Fifo::new();
    let _writer = fifo.open();
    let path = fifo.path();
    let other = fifo.folder.path().join("other");
    mkfifo(&other, Mode::S_IRWXU).unwrap();
    let reads = |path: &Path, words: Vec<OsString>| {
        let running = seepmeter(words).start();
        eventually("the pipe is open", || {
            let fds = std::fs::read_dir(format!("/proc/{}/fd", running.pid())).ok()?.flatten();
            let mut links = fds.filter_map(|fd| std::fs::read_link(fd.path()).ok());
            links.any(|link| link == path).then_some(())
        });
        let _ = ends_at_once(running, Signal::SIGINT).expect_killed(Signal::SIGINT);
    };
    reads(&path, words!["replay", "-q", "-o", "csv", path]);
    reads(&path, words!["judge", path]);
    reads(&path, words!["compare", path, "--", other]);
}

#[test]
fn a_signal_while_the_sinks_of_a_replay_are_made_leaves_no_file() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1] {
        let fifo = Fifo::new();
        let folder = fifo.folder.path();
        let recording = Synthetic::flat(10, 1).write(folder, "r.jsonl");
        let new = folder.join("new.csv");
        let csv = format!("csv,path={}", new.display());
        let running =
            seepmeter(words!["replay", "-q", "-o", csv, "-o", fifo.sink(), recording]).start();
        eventually("the file", || new.exists().then_some(()));
        let done = ends_at_once(running, signal);
        let _ = done.expect_complaint(128 + signal as i32, &["nothing was written"]);
        assert!(!new.exists(), "{signal}");
    }
}

/// A run of scale whose process says that it runs and takes no notice of signals, nor does its child.
fn stubborn_scale() -> RunningProgram {
    let script = "trap '' INT TERM; (trap '' INT TERM; sleep 1000) & touch $0; wait; sleep 1000";
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("runs");
    let words = words!["scale", "-n", "1,2,3", "--", "sh", "-c", script, mark];
    let running = seepmeter(words).start();
    eventually("the run", || mark.exists().then_some(()));
    running
}

#[test]
fn a_second_signal_ends_scale_at_once_and_all_that_its_run_has_started() {
    for (first, second) in [(Signal::SIGINT, Signal::SIGTERM), (Signal::SIGTERM, Signal::SIGINT)] {
        let mut running = stubborn_scale();
        running.signal(first);
        let answer = running.error_line(&format!("{first}: waiting for the run to end"));
        assert!(answer.contains("a second one kills it"), "{answer}");
        let begin = Instant::now();
        running.signal(second);
        let done = running.wait();
        assert!(begin.elapsed() < PROMPT, "{}", done.output());
        let _ = done.expect(128 + second as i32);
        running.tree.assert_gone();
    }
    // Nobody reads what it has to say.
    let fifo = Fifo::new();
    let reader = fifo.open();
    let script = "head -c 60000 /dev/zero; exit 3";
    let shell = format!("exec $S scale -n 1,2,3 -- sh -c \"{script}\" 2>{}", fifo.path().display());
    let running = seepmeter_tests::run("/bin/sh", words!["-c", shell])
        .env("S", seepmeter_tests::seepmeter_path())
        .start();
    let mut byte = [0];
    eventually("its output", || (&reader).read(&mut byte).ok());
    running.signal(Signal::SIGINT);
    std::thread::sleep(Duration::from_millis(200));
    let _ = ends_at_once(running, Signal::SIGTERM).expect(125);
}

#[test]
fn signals_before_there_is_an_answer_leave_no_new_file_of_it_and_every_older_one() {
    let fifo = Fifo::new();
    let _writer = fifo.open();
    let folder = fifo.folder.path();
    let path = |name: &str| folder.join(name);
    let older = "of an older run";
    let formats = |running: &str| {
        std::fs::write(path("older"), older).unwrap();
        let file = |format: &str, name: &str| {
            [OsString::from("--format"), format!("{format}={}", path(name).display()).into()]
        };
        let words = [OsString::from(running)].into_iter();
        words.chain(file("junit", "new")).chain(file("json", "older")).collect::<Vec<_>>()
    };
    let is_as_before = |done: &FinishedRun| {
        assert!(!path("new").exists(), "{}", done.output());
        assert_eq!(std::fs::read_to_string(path("older")).unwrap(), older, "{}", done.output());
    };
    mkfifo(&path("other"), Mode::S_IRWXU).unwrap();
    let compare = words!["compare", fifo.path(), "--", path("other")];
    for command in [words!["judge", fifo.path()], compare] {
        let name = command[0].to_str().unwrap();
        let running = seepmeter(formats(name).into_iter().chain(command[1..].to_vec())).start();
        eventually("the new file", || path("new").exists().then_some(()));
        let done = ends_at_once(running, Signal::SIGINT);
        is_as_before(&done);
        let _ = done.expect_complaint(130, &["SIGINT came before there was an answer"]);
    }
    let mark = path("runs");
    let script = "trap '' INT; touch $0; sleep 1000; sleep 1000";
    let command = words!["-n", "1,2,3", "--", "sh", "-c", script, mark];
    let running = seepmeter(formats("scale").into_iter().chain(command)).start();
    eventually("the run", || mark.exists().then_some(()));
    assert!(path("new").exists());
    running.signal(Signal::SIGINT);
    let _ = running.error_line("SIGINT: waiting for the run to end");
    let done = ends_at_once(running, Signal::SIGTERM);
    is_as_before(&done);
    let _ = done.expect(128 + Signal::SIGTERM as i32);
}

#[test]
fn the_last_signal_before_the_end_of_a_run_of_scale_ends_it() {
    for script in ["kill -INT $PPID; exit 0", "kill -INT $PPID; exit 3"] {
        let words = words!["scale", "-n", "1,2,3", "--", "sh", "-c", script];
        let done = seepmeter(words).done().expect(128 + Signal::SIGINT as i32);
        assert_eq!(done.out(), "", "{}", done.output());
    }
}

#[test]
fn who_goes_on_printing_behind_a_run_of_scale_is_not_waited_for() {
    // It ends when nobody reads any more.
    let script = "yes & sleep 0.05; exit 3";
    let words = words!["scale", "-n", "1,2,3", "--", "sh", "-c", script];
    let done = seepmeter(words).done().expect(3);
    assert!(done.err().len() < 200_000, "{}", done.err().len());
}

#[test]
fn a_target_that_is_ended_by_a_key_keeps_its_recording_however_often_the_key_is_pressed() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let sink = format!("jsonl,path={}", folder.path().join("r.jsonl").display());
        let script = "trap 'n=$((n+1)); [ $n -ge 2 ] && exit 3' INT; echo ready; while :; do sleep 0.02; done";
        let words = words!["run", "-q", "-i", "5ms", "-o", sink, "--", "sh", "-c", script];
        let mut running = seepmeter(words).on_terminal().start();
        let _ = running.line("ready");
        running.type_keys(b"\x03");
        std::thread::sleep(Duration::from_millis(100));
        running.type_keys(b"\x03");
        let _ = running.wait().expect(3);
        let recording = Recording::read(&folder.path().join("r.jsonl"));
        assert_eq!(recording.end(), End::Exited(3));
    }
}

#[test]
fn a_seepmeter_that_was_stopped_for_long_goes_on_and_says_what_it_missed() {
    let (_folder, path, sink) = recorded();
    let words = words!["run", "-q", "-i", "10ms", "-o", sink, "--", test_target(), "hold", "1"];
    let running = seepmeter(words).start();
    let _ = Recording::await_samples(&path, 1);
    running.signal(Signal::SIGSTOP);
    // The stop itself is what is tested: the target runs on, and the ticks pass.
    std::thread::sleep(Duration::from_secs(3));
    running.signal(Signal::SIGCONT);
    eventually("the event", || {
        let recording = Recording::try_read(&path).ok()?;
        let missed = recording.events("missed").into_iter();
        let long = missed.filter(|event| {
            matches!(event.kind, seepmeter_record::EventKind::Missed { ticks } if ticks > 200)
        });
        (recording.events("continued").len() == 1 && long.count() == 1).then_some(())
    });
    let _ = running.finish().expect(0);
    let missed = Recording::read(&path).footer().missed;
    assert!(missed >= 250, "{missed} ticks of 10 ms in 3 s");
}

#[test]
fn seepmeter_watches_seepmeter_and_both_tell_the_same_status() {
    let (_folder, path, sink) = recorded();
    let inner = words![seepmeter_tests::seepmeter_path(), "run", "-q", "-i", "5ms", "--"];
    let words = words![
        "run", "-q", "-i", "5ms", "-s", "statm", "-s", "smaps", "-s", "ptrace", "-o", sink, "--"
    ];
    let target = words![test_target(), "exit-code", "6"];
    let done = seepmeter(words.into_iter().chain(inner).chain(target)).done().expect(6);
    assert_eq!(done.err().matches("exited with status 6").count(), 2, "{}", done.output());
    assert_eq!(Recording::read(&path).end(), End::Exited(6));
}

#[test]
fn fifty_seepmeters_on_one_target_do_not_disturb_it_or_one_another() {
    const TEST: &str = "fifty_seepmeters_on_one_target_do_not_disturb_it_or_one_another";
    if !seepmeter_tests::long_or_not_run(TEST) {
        return;
    }
    let target = seepmeter_tests::run_target("hold", words!["1"]).start();
    let _ = target.line("ready");
    let pid = target.pid().to_string();
    let watchers: Vec<_> = (0..50)
        .map(|_| {
            seepmeter(words![
                "attach",
                "-q",
                "--no-summary",
                "-i",
                "20ms",
                "-d",
                "3s",
                "-s",
                "smaps",
                "-s",
                "statm",
                "-o",
                "csv",
                pid
            ])
            .start()
        })
        .collect();
    for watcher in watchers {
        let done = watcher.finish().expect(0);
        assert!(done.out().lines().count() > 5, "{}", done.output());
    }
    let _ = target.finish().expect(0);
}
