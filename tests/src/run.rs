//! RunningProgram a program, and what became of it.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{ProcessTree, Terminal, eventually, limit, seepmeter_path, test_target};

/// A run in the making.
#[derive(Debug)]
pub struct Run {
    command: Command,
    tree: ProcessTree,
    on_terminal: bool,
}

/// A run of the command: `seepmeter(words!["run", "-q", "--", "true"])`.
#[must_use]
pub fn seepmeter(arguments: impl IntoIterator<Item = OsString>) -> Run {
    run(seepmeter_path(), arguments)
}

/// A run of a target of `tests/targets/`: `run_target("hold", words!["1"])`.
#[must_use]
pub fn run_target(name: &str, arguments: impl IntoIterator<Item = OsString>) -> Run {
    run(test_target(), std::iter::once(name.into()).chain(arguments))
}

/// A run of any program.
#[must_use]
pub fn run(program: impl AsRef<Path>, arguments: impl IntoIterator<Item = OsString>) -> Run {
    // Whatever the program is, it may run seepmeter.
    crate::folder();
    let tree = ProcessTree::new();
    let mut command = Command::new(program.as_ref());
    let (variable, value) = tree.variable();
    command.args(arguments).env(variable, value).env("LC_ALL", "C.UTF-8");
    // A test that is about colour sets it to nothing.
    command.env("NO_COLOR", "1").env("TERM", "xterm");
    // With these there is colour on any terminal, or in a pipe.
    command.env_remove("CI").env_remove("CLICOLOR").env_remove("CLICOLOR_FORCE");
    Run { command, tree, on_terminal: false }
}

impl Run {
    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, variable: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(variable, value);
        self
    }

    /// Runs it in this folder.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Gives it a terminal of its own, of which it leads the session.
    #[must_use]
    pub fn on_terminal(mut self) -> Self {
        self.on_terminal = true;
        self
    }

    /// Runs this in the child before its exec; it calls async-signal-safe functions only.
    #[must_use]
    pub fn before_exec(
        mut self,
        act: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        // SAFETY: the callers keep to what the line above asks of them.
        unsafe { self.command.pre_exec(act) };
        self
    }

    /// Runs it to its end with this standard input, and asserts that nothing stays behind.
    #[must_use]
    pub fn with_input(self, input: &[u8]) -> FinishedRun {
        let mut running = self.start();
        if let Some(mut stdin) = running.stdin.take() {
            let input = input.to_owned();
            // Whoever does not read all of it is free not to.
            thread::spawn(move || stdin.write_all(&input));
        }
        running.finish()
    }

    /// Runs it to its end with an empty standard input, and asserts that nothing stays behind.
    #[must_use]
    pub fn done(self) -> FinishedRun {
        self.with_input(b"")
    }

    /// Starts it.
    ///
    /// # Panics
    /// If it can't be started.
    #[must_use]
    pub fn start(self) -> RunningProgram {
        let command = format!("{:?}", self.command);
        self.try_start().unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Starts it if it can be started.
    ///
    /// # Errors
    /// What fork, exec, or what stands before the exec failed with.
    pub fn try_start(self) -> io::Result<RunningProgram> {
        let Self { mut command, tree, on_terminal } = self;
        let terminal = on_terminal.then(|| Terminal::new(&mut command));
        if terminal.is_none() {
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let mut child = command.spawn()?;
        // The command keeps its ends of the terminal open otherwise.
        drop(command);
        let (stdout, stderr) = match &terminal {
            Some(terminal) => (Capture::from(terminal.reader()), Capture::closed()),
            None => (
                Capture::of(child.stdout.take().map(OwnedFd::from)),
                Capture::of(child.stderr.take().map(OwnedFd::from)),
            ),
        };
        Ok(RunningProgram { stdin: child.stdin.take(), child, tree, terminal, stdout, stderr })
    }
}

/// A program that runs. Dropping it kills it, and all that it has started.
#[derive(Debug)]
pub struct RunningProgram {
    child: Child,
    stdin: Option<ChildStdin>,
    terminal: Option<Terminal>,
    stdout: Capture,
    stderr: Capture,
    /// Its processes.
    pub tree: ProcessTree,
}

impl RunningProgram {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Writes a line to its standard input, or types it on its terminal.
    pub fn say(&mut self, line: &str) {
        self.type_keys(format!("{line}\n").as_bytes());
    }

    /// As [`RunningProgram::say`], with no end of line.
    pub fn type_keys(&mut self, keys: &[u8]) {
        let done = match (&mut self.terminal, &mut self.stdin) {
            (Some(terminal), _) => terminal.type_keys(keys),
            (None, Some(stdin)) => stdin.write_all(keys).and_then(|()| stdin.flush()),
            (None, None) => panic!("standard input is closed"),
        };
        done.unwrap_or_else(|error| panic!("standard input: {error}\n{}", self.output()));
    }

    /// Ends its standard input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Closes the reading end of its standard output or error, as `head` does.
    pub fn stop_listening(&mut self) {
        self.stdout.stop();
    }

    /// Waits for a line on its standard output, or its terminal, that starts with this, and returns it.
    #[must_use]
    pub fn line(&self, start: &str) -> String {
        self.nth_line(start, 1)
    }

    /// Waits for the n-th such line.
    #[must_use]
    pub fn nth_line(&self, start: &str, n: usize) -> String {
        self.wait_for(&self.stdout, start, n)
    }

    /// Waits for a line on its standard error that contains this, and returns it.
    #[must_use]
    pub fn error_line(&self, part: &str) -> String {
        self.stderr
            .wait(|text| text.lines().find(|line| line.contains(part)).map(str::to_owned))
            .unwrap_or_else(|| panic!("no line with {part:?} on standard error\n{}", self.output()))
    }

    /// The lines so far on its standard error that contain this.
    #[must_use]
    pub fn error_lines(&self, part: &str) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.stderr.state().bytes).into_owned();
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }

    fn wait_for(&self, capture: &Capture, start: &str, n: usize) -> String {
        capture
            .wait(|text| {
                let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
                whole.lines().filter(|line| line.starts_with(start)).nth(n - 1).map(str::to_owned)
            })
            .unwrap_or_else(|| panic!("no line {n} that starts with {start:?}\n{}", self.output()))
    }

    /// The n-th word of a line as a number: of `ready 123` the word 1 is 123.
    #[must_use]
    pub fn number(&self, start: &str, n: usize) -> i32 {
        let line = self.line(start);
        let word = line.split_whitespace().nth(n);
        word.and_then(|word| word.parse().ok())
            .unwrap_or_else(|| panic!("{line:?} has no word {n}"))
    }

    /// All that it has said so far on standard output.
    #[must_use]
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.stdout.state().bytes).into_owned()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap_or_else(|error| {
            panic!("cannot send {signal} to {}: {error}\n{}", self.pid(), self.output())
        });
    }

    /// True while it has not ended.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_none()
    }

    /// Ends its standard input, waits for its end, and asserts that nothing stays behind.
    #[must_use]
    pub fn finish(mut self) -> FinishedRun {
        self.end_input();
        let done = self.wait();
        self.tree.assert_gone();
        done
    }

    /// Waits for its end and for all that it prints. Its descendants may live on.
    #[must_use]
    pub fn wait(&mut self) -> FinishedRun {
        let status = self.wait_for_end();
        self.stdout.wait_for_end(&self.tree);
        self.stderr.wait_for_end(&self.tree);
        FinishedRun {
            status,
            stdout: self.stdout.state().bytes.clone(),
            stderr: self.stderr.state().bytes.clone(),
        }
    }

    fn wait_for_end(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                return status;
            }
            assert!(
                begin.elapsed() < limit(),
                "it does not end within {:?}\n{}",
                limit(),
                self.output()
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn output(&self) -> String {
        let (stdout, stderr) = (self.stdout.state(), self.stderr.state());
        output(&stdout.bytes, &stderr.bytes)
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn output(stdout: &[u8], stderr: &[u8]) -> String {
    format!(
        "--- stdout\n{}\n--- stderr\n{}",
        String::from_utf8_lossy(stdout),
        String::from_utf8_lossy(stderr)
    )
}

/// A program that has ended.
#[derive(Debug)]
pub struct FinishedRun {
    /// How.
    pub status: ExitStatus,
    /// What it has said.
    pub stdout: Vec<u8>,
    /// What it has said on standard error.
    pub stderr: Vec<u8>,
}

impl FinishedRun {
    /// Asserts that it has exited with this status.
    #[track_caller]
    pub fn expect(self, status: i32) -> Self {
        assert_eq!(self.status.code(), Some(status), "{}\n{}", self.status, self.output());
        self
    }

    /// Asserts that this signal has killed it.
    #[track_caller]
    pub fn expect_killed(self, signal: Signal) -> Self {
        assert_eq!(self.status.signal(), Some(signal as i32), "{}\n{}", self.status, self.output());
        self
    }

    /// Standard output as text.
    #[must_use]
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    #[must_use]
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The lines that seepmeter has said of its own: `seepmeter: …`.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.err()
            .lines()
            .filter_map(|line| line.strip_prefix("seepmeter: "))
            .map(str::to_owned)
            .collect()
    }

    /// Asserts that seepmeter has exited with this status and one message that has all these parts.
    #[track_caller]
    pub fn expect_complaint(self, status: i32, parts: &[&str]) -> Self {
        let done = self.expect(status);
        let complaints = done.complaints();
        assert_eq!(complaints.len(), 1, "one message is wanted\n{}", done.output());
        for part in parts {
            assert!(complaints[0].contains(part), "{part:?} is missing in {:?}", complaints[0]);
        }
        done
    }

    /// All that it has said, for the message of an assertion.
    #[must_use]
    pub fn output(&self) -> String {
        output(&self.stdout, &self.stderr)
    }
}

/// What a thread hears from a pipe or a terminal.
#[derive(Clone, Debug)]
struct Capture {
    shared: Arc<(Mutex<CaptureState>, Condvar)>,
}

#[derive(Debug, Default)]
struct CaptureState {
    bytes: Vec<u8>,
    ended: bool,
    stop: bool,
}

impl Capture {
    fn closed() -> Self {
        let state = CaptureState { ended: true, ..CaptureState::default() };
        Self { shared: Arc::new((Mutex::new(state), Condvar::new())) }
    }

    fn of(source: Option<OwnedFd>) -> Self {
        source.map_or_else(Self::closed, Self::from)
    }

    fn from(source: OwnedFd) -> Self {
        let capture =
            Self { shared: Arc::new((Mutex::new(CaptureState::default()), Condvar::new())) };
        let reader = capture.clone();
        thread::spawn(move || reader.listen(source.into()));
        capture
    }

    fn listen(&self, mut source: std::fs::File) {
        let mut bytes = vec![0; 1 << 16];
        loop {
            // A terminal whose other side is closed fails with EIO.
            let length = source.read(&mut bytes).unwrap_or(0);
            let mut state = self.state();
            state.bytes.extend_from_slice(&bytes[..length]);
            state.ended = length == 0 || state.stop;
            let ended = state.ended;
            drop(state);
            if ended {
                // Closed before anybody is notified, so that whoever writes next finds it closed.
                drop(source);
                self.shared.1.notify_all();
                return;
            }
            self.shared.1.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, CaptureState> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `find` finds something; none at the end, or after the limit.
    fn wait<T>(&self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + limit();
        let mut state = self.state();
        loop {
            let text = String::from_utf8_lossy(&state.bytes).replace('\r', "");
            if let Some(found) = find(&text) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return None;
            }
            (state, _) =
                self.shared.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Closes the pipe's reading end after the next bytes.
    fn stop(&self) {
        self.state().stop = true;
        self.wait(|_| None::<()>);
    }

    /// Waits for the end, but not for a process that lives on and keeps the pipe open.
    fn wait_for_end(&self, tree: &ProcessTree) {
        let mut alone_since = None;
        eventually("the end of what is said", || {
            if self.state().ended {
                return Some(());
            }
            if tree.members().is_empty() {
                alone_since = None;
                return None;
            }
            let since = *alone_since.get_or_insert_with(Instant::now);
            (since.elapsed() > Duration::from_millis(300)).then_some(())
        });
    }
}
