//! Descriptors and signals as the target finds them, and pipes that are slow or do not wait.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use seepmeter_record::EventKind;
use seepmeter_tests::synthetic::Synthetic;
use seepmeter_tests::{
    Recording, RunningProgram, eventually, recorded, run, seepmeter, seepmeter_path, test_target,
    words,
};

/// Runs a shell script in which `$S` is Seepmeter.
fn shell(script: &str) -> seepmeter_tests::Run {
    run("/bin/sh", words!["-c", script]).env("S", seepmeter_path())
}

#[test]
fn a_stream_that_was_closed_is_closed_in_the_target_and_in_the_program_of_exec() {
    let done = shell("echo x >&-").done();
    assert_ne!(done.status.code(), Some(0));
    let watched = shell("$S run -q --no-summary -- sh -c 'echo x' >&-").done();
    assert_eq!(watched.status.code(), done.status.code(), "{}", watched.output());
    for closed in ["<&-", "2>&-", "<&- 2>&-"] {
        let list = format!("sh -c 'ls -l /proc/self/fd | grep -c null' {closed}");
        let done = shell(&list).done();
        let watched = shell(&format!("$S run -q --no-summary -- {list}")).done();
        assert_eq!(watched.out(), done.out(), "{closed}: {}", watched.output());
    }
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "$S run -q --no-summary -o 'exec,command=cat >/dev/null; echo x || touch {}/failed' -- true >&-",
        folder.path().display()
    );
    let _ = shell(&script).done().expect(0);
    assert!(folder.path().join("failed").exists());
}

#[test]
fn output_on_a_closed_stream_is_refused_before_the_target_runs() {
    let folder = tempfile::tempdir().unwrap();
    for sink in ["csv", "csv,path=/dev/stdout", "jsonl,path=/dev/fd/1"] {
        let script = format!("$S run --no-summary -o {sink} -- touch begun >&-");
        let parts = ["cannot write to standard output", "was closed", "path=FILE"];
        let _ = shell(&script).in_folder(folder.path()).done().expect_complaint(125, &parts);
    }
    assert!(!folder.path().join("begun").exists());
    for flag in ["--help", "plugins", "man"] {
        let parts = ["cannot write to standard output"];
        let _ = shell(&format!("$S {flag} >&-")).done().expect_complaint(125, &parts);
    }
}

#[test]
fn a_standard_stream_named_as_a_file_is_not_cut_to_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let script =
        "{ echo before; $S run -q --no-summary -o csv,path=/dev/stdout -- sleep 0.1; } > file";
    let _ = shell(script).in_folder(folder.path()).done().expect(0);
    let text = std::fs::read_to_string(folder.path().join("file")).unwrap();
    assert!(text.starts_with("before\nelapsed_s"), "{text:?}");
}

/// A pipe that is full and does not wait, as Node.js leaves the one that it shares with Seepmeter.
fn full_pipe() -> (std::io::PipeReader, OwnedFd) {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let (reader, writer) = std::io::pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while nix::unistd::write(&writer, &[b'.'; 4096]).is_ok() {}
    (reader, writer.into())
}

/// What comes through a pipe after what filled it.
fn rest(mut reader: std::io::PipeReader) -> String {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap().trim_start_matches('.').to_owned()
}

#[test]
fn a_pipe_that_does_not_wait_gets_all_output_once_somebody_reads() {
    let cases: [(&[&str], bool, &str); 5] = [
        (&["-q", "--no-summary", "-o", "csv"], true, "elapsed_s,"),
        (&["-q", "--no-summary", "-o", "jsonl,path=/dev/stdout"], true, "{\"header\""),
        (&["-q", "--no-summary", "-o", "text"], false, ""),
        (&["-q"], false, "target "),
        (&["-q", "--no-summary", "--fail-on", "peak>1KiB"], false, "seepmeter: "),
    ];
    for (flags, stdout, start) in cases {
        let (reader, writer) = full_pipe();
        let mut command = Command::new(seepmeter_path());
        command.args(["run", "-i", "5ms"]).args(flags).args(["--", "sleep", "0.3"]);
        command.stdin(Stdio::null());
        let _ = if stdout { command.stdout(writer) } else { command.stderr(writer) };
        let mut child = command.spawn().unwrap();
        drop(command);
        let text = rest(reader);
        let status = child.wait().unwrap();
        let wanted = if flags.contains(&"--fail-on") { 100 } else { 0 };
        assert_eq!(status.code(), Some(wanted), "{flags:?}: {text}");
        assert!(text.starts_with(start) && text.ends_with('\n'), "{flags:?}: {text:?}");
    }
}

#[test]
fn a_slow_reader_of_a_pipe_that_does_not_wait_costs_samples_that_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.jsonl");
    let (reader, writer) = full_pipe();
    let mut child = Command::new(seepmeter_path())
        .args(["run", "-q", "--no-summary", "-i", "200us", "-o", "csv", "-o"])
        .arg(format!("jsonl,path={}", path.display()))
        .arg("--")
        .arg(test_target())
        .args(["hold", "1"])
        .stdin(Stdio::piped())
        .stdout(writer)
        .spawn()
        .unwrap();
    eventually("samples are dropped", || {
        let text = std::fs::read_to_string(&path).ok()?;
        // More than may wait for a sink.
        (text.lines().filter(|line| line.starts_with("{\"sample\"")).count() > 8000).then_some(())
    });
    drop(child.stdin.take());
    let table = rest(reader);
    assert!(child.wait().unwrap().success());
    let recording = Recording::read(&path);
    let footer = recording.footer();
    let [dropped] = &footer.dropped[..] else { panic!("{footer:?}") };
    assert!(dropped.sink == "csv" && dropped.samples > 0, "{footer:?}");
    let rows = table.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    assert!(rows.count() as u64 + dropped.samples <= footer.samples, "{footer:?}");
}

#[test]
fn a_standard_error_that_nobody_reads_does_not_keep_seepmeter() {
    let (reader, writer) = full_pipe();
    let begin = Instant::now();
    let status = Command::new(seepmeter_path())
        .args(["run", "-q", "--no-summary", "-i", "5ms"])
        .args(["--fail-on", "peak>1KiB", "--fail-on", "peak>2KiB", "--", "sleep", "0.1"])
        .stdin(Stdio::null())
        .stderr(writer)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(100));
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    assert_eq!(rest(reader), "");
}

/// Stops Seepmeter, and waits until it has stopped.
fn stop(running: &RunningProgram) {
    running.signal(Signal::SIGSTOP);
    eventually("it stops", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", running.pid())).ok()?;
        stat.rsplit_once(')')?.1.starts_with(" T").then_some(())
    });
}

#[test]
fn ticks_that_pass_while_seepmeter_is_stopped_and_its_target_ends_are_missed_ones() {
    let (_folder, path, sink) = recorded();
    let mut running = seepmeter(words![
        "run",
        "-q",
        "--no-summary",
        "-i",
        "10ms",
        "-o",
        sink,
        "--",
        test_target(),
        "hold",
        "1"
    ])
    .start();
    let target = running.number("ready", 1);
    let _ = Recording::await_samples(&path, 1);
    stop(&running);
    running.end_input();
    // So many ticks pass, whatever the machine does.
    std::thread::sleep(Duration::from_millis(500));
    eventually("the target ends", || {
        let stat = std::fs::read_to_string(format!("/proc/{target}/stat")).ok()?;
        stat.rsplit_once(')')?.1.starts_with(" Z").then_some(())
    });
    running.signal(Signal::SIGCONT);
    let _ = running.finish().expect(0);
    let recording = Recording::read(&path);
    assert_eq!(recording.events("continued").len(), 1);
    let missed = recording.footer().missed;
    assert!(missed >= 10, "{missed}");
    let events = recording.events("missed");
    let ticks = events.iter().map(|event| match event.kind {
        EventKind::Missed { ticks } => ticks,
        _ => 0,
    });
    assert_eq!(ticks.sum::<u64>(), missed);
}

#[test]
fn a_pipe_on_standard_input_that_does_not_wait_is_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let recording = Synthetic::leak(400, 1).write(folder.path(), "r.jsonl");
    let text = std::fs::read(recording).unwrap();
    for (command, shown) in [
        (words!["judge", "-"], "growing  rss"),
        (words!["replay", "-q", "-o", "csv", "-"], "399.0"),
        (words!["compare", "-", "--", "/dev/null"], ""),
    ] {
        // Of the open file, which the writer has another end of.
        let set = || fcntl(std::io::stdin(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map(drop);
        let mut running = seepmeter(command.clone()).before_exec(move || Ok(set()?)).start();
        for piece in text.chunks(text.len() / 3) {
            // It has read all there was, and found nothing more.
            eventually("all is read", || {
                let state = std::fs::read_to_string(format!("/proc/{}/syscall", running.pid()));
                let waits = |call: &str| {
                    let polls = [nix::libc::SYS_poll, nix::libc::SYS_ppoll];
                    polls.iter().any(|poll| call.starts_with(&format!("{poll} ")))
                };
                state.map_or(true, |call| waits(&call)).then_some(())
            });
            running.type_keys(piece);
        }
        let done = running.finish();
        assert!(!done.err().contains("temporarily unavailable"), "{command:?}\n{}", done.output());
        assert!(done.out().contains(shown), "{command:?}\n{}", done.output());
    }
}

#[test]
fn the_program_of_exec_ignores_the_signals_that_seepmeter_was_started_with_ignored() {
    // What a shell does to SIGCHLD is its own.
    const CHANGED: [Signal; 2] = [Signal::SIGPIPE, Signal::SIGXFSZ];
    let set = |handler: SigHandler| {
        let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
        // SAFETY: neither SIG_IGN nor SIG_DFL runs any code.
        CHANGED.iter().try_for_each(|signal| unsafe { sigaction(*signal, &action) }.map(drop))
    };
    let folder = tempfile::tempdir().unwrap();
    for (handler, ignores) in [(SigHandler::SigIgn, true), (SigHandler::SigDfl, false)] {
        let found = |command: &str| {
            let arguments = words!["run", "-q", "--no-summary", "-o", command, "--", "true"];
            let run = seepmeter(arguments).in_folder(folder.path());
            let _ = run.before_exec(move || Ok(set(handler)?)).done().expect(0);
            let ignored = std::fs::read_to_string(folder.path().join("found")).unwrap();
            u64::from_str_radix(ignored.trim_start_matches("SigIgn:").trim(), 16).unwrap()
        };
        let ignored = found("exec,command=cat >/dev/null; grep SigIgn /proc/self/status >found");
        for signal in CHANGED {
            let is_ignored = ignored & (1 << (signal as u32 - 1)) != 0;
            assert_eq!(is_ignored, ignores, "{signal}: {ignored:x}");
        }
    }
}
