//! Targets of the tests: started, driven by their standard input, and ended whatever happens.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(unreachable_pub, reason = "it is a module of several test programs")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use seepmeter_tracer::{TraceError, Tracee, TraceeOptions};

/// How long anything may take before a test gives up: far more than a busy machine needs.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Prints it past the harness, which shows nothing of a test that passes.
pub fn not_run(why: &str) {
    let _ = writeln!(std::io::stderr(), "NOT RUN: {why}");
}

/// The long tests were asked for.
pub fn long() -> bool {
    std::env::var_os("SEEPMETER_LONG").is_some_and(|value| value == "1")
}

/// A program of the tests' own in C, compiled once for each test program that needs it.
pub fn compile(source: &str, flags: &[&str]) -> Result<PathBuf, String> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let name = format!("{}-{}-{}", source.replace('.', "-"), flags.concat(), std::process::id());
    let path = folder.join(name);
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/target").join(source);
    let output = Command::new("cc")
        .args(["-O1", "-g", "-pthread", "-Wall", "-Wextra", "-Werror"])
        .args(flags)
        .arg("-o")
        .args([&path, &source])
        .output()
        .map_err(|error| format!("cc: {error}"))?;
    if output.status.success() {
        Ok(path)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// tests/target/target.c.
pub fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let path = compile("target.c", &[]).expect("the tests need a C compiler");
        // Open files outlive their names, and so do programs: nothing is left in the folder.
        let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("tracer-target");
        std::fs::rename(&path, &kept).unwrap();
        kept
    })
}

/// A process that is ended when this is dropped.
pub struct Target {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Target {
    /// Starts target.c with these words, and waits until it is ready.
    pub fn start(words: &str) -> Self {
        let mut command = Command::new(program());
        command.args(words.split_ascii_whitespace());
        let mut target = Self::spawn(command);
        target.until("ready");
        target
    }

    /// Starts any command.
    pub fn spawn(mut command: Command) -> Self {
        // A group of its own, whose parent is in another one of the session: a group that is orphaned, as
        // that of tests in the background can be, takes no SIGTSTP (setpgid(2)).
        command.process_group(0);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    /// The process.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// The next line that it says.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Reads lines up to this one; returns those before it.
    pub fn until(&mut self, wanted: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            let line = self.line();
            if line == wanted {
                return before;
            }
            assert!(!line.is_empty(), "it ended before it said {wanted:?}; it said {before:?}");
            before.push(line);
        }
    }

    /// Writes a line to its standard input.
    pub fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// ExitWait its standard input.
    pub fn end_input(&mut self) {
        self.input = None;
    }

    /// What else it says, and how it ends.
    pub fn rest(mut self) -> (String, ExitStatus) {
        self.input = None;
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap())
    }

    /// True if it has ended. It is not reaped.
    pub fn has_ended(&self) -> bool {
        state(self.pid()).is_none_or(|state| state == 'Z')
    }

    /// The thread ids.
    pub fn threads(&self) -> Vec<i32> {
        let folder = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        folder.map(|task| task.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The letter of its state. None if it has gone.
pub fn state(tid: i32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{tid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The value of a line of /proc/TID/status.
pub fn status(tid: i32, key: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

/// Sends a signal to a child that is not reaped yet.
pub fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// Waits until it is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LIMIT, "never: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// A deadline that no test should reach.
pub fn later() -> Instant {
    Instant::now() + LIMIT
}

/// A tracee of the target.
pub fn tracee(target: &Target) -> Tracee {
    Tracee::new(target.pid(), TraceeOptions::default()).unwrap()
}

/// Stops and lets go again and again, until the target ends or `enough` says so. Returns how often.
pub fn stop_again_and_again(
    pid: i32,
    pause: Duration,
    mut enough: impl FnMut(usize) -> bool,
) -> usize {
    let mut stops = 0;
    let mut tracee = match Tracee::new(pid, TraceeOptions::default()) {
        Ok(tracee) => tracee,
        Err(TraceError::Gone { .. }) => return 0,
        Err(error) => panic!("{error}"),
    };
    while !enough(stops) {
        match tracee.stop(Instant::now() + Duration::from_secs(5)) {
            Ok(stop) => {
                stop.detach();
                stops += 1;
            }
            Err(TraceError::Gone { .. }) => break,
            Err(error) => panic!("{error}"),
        }
        tracee.settle(later());
        std::thread::sleep(pause);
    }
    stops
}
