//! One run of the command, from its spawn to its end.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;
use seepmeter_process::proc::ProcRoot;
use seepmeter_process::wait::{is_readable, wait_readable};
use seepmeter_process::{ChildSignals, Command, ExecError, HeldChild, Process, Streams};
use seepmeter_record::End;
use seepmeter_tracer::{ExitTracer, gains_rights};

use super::current::{CurrentRun, descendants, kill_trees, send_to_all};
use super::end_memory::{EndMemory, EndedProcess};
use crate::messages;

/// What stands for the amount in the words of a command.
const PLACE: &[u8] = b"{n}";
/// The variable that has the amount.
const VARIABLE: &str = "SEEPMETER_N";
/// glibc's own settings, and the one of them that lets small blocks that were freed be given back. By
/// default it keeps them apart in lists (fastbins), also after all were freed, and they look like a leak.
const TUNABLES: &str = "GLIBC_TUNABLES";
const NO_FASTBINS: &str = "glibc.malloc.mxfast=0";
/// So much is kept of what a run prints, to be shown if it fails.
const KEPT_OUTPUT: usize = 64 << 10;
/// So much of it is read at once.
const READ: usize = 16 << 10;
/// How often a run that can't be traced is sampled.
const SAMPLING: Duration = Duration::from_millis(2);
/// How long a run has from TERM to KILL.
const GRACE: Duration = Duration::from_secs(2);

/// Makes runs.
pub(crate) struct Runner<'a> {
    words: &'a [OsString],
    show_output: bool,
    signals: &'a ChildSignals,
    current: &'a CurrentRun,
    /// Runs can't be traced, which was reported once.
    untraced: bool,
}

/// A run that has ended by itself.
#[derive(Debug)]
pub(crate) struct FinishedRun {
    pub(crate) end: End,
    pub(crate) time: Duration,
    /// The last of what it printed, unless that was shown.
    pub(crate) output: Vec<u8>,
    /// What its processes had in use at their ends; none if nothing could be read.
    pub(crate) memory: Option<EndMemory>,
    /// How many processes there were.
    pub(crate) processes: usize,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) enum RunEnd {
    /// By itself.
    Finished(FinishedRun),
    /// There was no run.
    NotExecuted(ExecError),
    /// A signal to seepmeter has ended it.
    Interrupted(Signal),
    /// It took too long, and was ended.
    TooLong,
}

impl<'a> Runner<'a> {
    /// Of this command, whose signals are as `signals` says. The run that is under way is `current`.
    pub(crate) fn new(
        words: &'a [OsString],
        show_output: bool,
        signals: &'a ChildSignals,
        current: &'a CurrentRun,
    ) -> Self {
        Self { words, show_output, signals, current, untraced: false }
    }

    /// True if the command has a place for the amount.
    pub(crate) fn has_place(&self) -> bool {
        self.words.iter().any(|word| memchr::memmem::find(word.as_bytes(), PLACE).is_some())
    }

    /// Runs the command with this amount, no longer than until the deadline.
    pub(crate) fn run(&mut self, amount: u64, deadline: Instant) -> Result<RunEnd> {
        if let Some(signal) = self.current.interrupted_by() {
            return Ok(RunEnd::Interrupted(signal));
        }
        let number = amount.to_string();
        let words = self.words.iter().map(|word| with_amount(word, &number));
        let mut command = Command::new(words).context("cannot read the command")?;
        command = command.with_variable(VARIABLE, &number)?;
        command = command.with_variable(TUNABLES, &tunables(std::env::var(TUNABLES).ok()))?;
        let mut output = Output::default();
        if !self.show_output {
            let input = File::open("/dev/null").context("cannot open /dev/null")?.into();
            let (reader, writer) = io::pipe().context("cannot make a pipe")?;
            command = command.with_streams(Streams { input, output: writer.into() });
            output.reader = Some(reader);
        }
        let executable = command.executable();
        let held = command.spawn(self.signals).context("cannot spawn a child")?;
        drop(command);
        let rights = executable.is_some_and(|file| gains_rights(&file).unwrap_or(false));
        let watcher = self.watcher(&held, rights)?;
        self.current.set(Some(Arc::clone(held.process())));
        let begin = Instant::now();
        let child = match held.release() {
            Ok(child) => child,
            Err(error) => {
                self.current.set(None);
                return Ok(RunEnd::NotExecuted(error));
            }
        };
        let stop = self.until_end(child.process(), &mut output, deadline).inspect_err(|_| {
            self.current.set(None);
            let _ = child.process().signal(Signal::SIGKILL);
            let _ = child.process().wait().and_then(|()| child.reap());
        })?;
        let ended = watcher.finish();
        let time = begin.elapsed();
        // Once it is reaped, its pid may be another one's.
        self.current.set(None);
        let end = child.reap().context("cannot reap the child")?;
        output.drain()?;
        if let Some(stop) = stop {
            return Ok(stop);
        }
        let (processes, memory) = (ended.len(), EndMemory::of_run(ended));
        let output = output.kept.into();
        Ok(RunEnd::Finished(FinishedRun { end, time, output, memory, processes }))
    }

    /// Traces the child to its end, or samples it if it can't be traced.
    fn watcher(&mut self, held: &HeldChild, gains_rights: bool) -> Result<Watcher> {
        let pid = held.process().pid();
        let why = if gains_rights {
            "it is setuid or has capabilities, which a traced program does not get".to_owned()
        } else {
            match Watcher::trace(pid)? {
                Ok(watcher) => return Ok(watcher),
                Err(why) => why,
            }
        };
        if !std::mem::replace(&mut self.untraced, true) {
            messages::notice(&format!("runs are sampled and not traced to their ends: {why}"));
        }
        Watcher::sample(pid)
    }

    /// Waits until a run has ended, and takes what it prints. Some if it was ended.
    fn until_end(
        &self,
        process: &Process,
        output: &mut Output,
        deadline: Instant,
    ) -> Result<Option<RunEnd>> {
        let mut stop = None;
        let mut until = deadline;
        let mut tree: Vec<Process> = Vec::new();
        loop {
            let mut fds = vec![process.pidfd(), self.current.as_fd()];
            fds.extend(output.reader.as_ref().map(AsFd::as_fd));
            let ready = wait_readable(&fds, Some(until)).context("cannot wait for a run")?;
            if ready[0] {
                // Whatever of the tree has not ended with the run is ended now.
                if stop.is_some() {
                    kill_trees(tree.iter());
                }
                return Ok(stop);
            }
            if ready.get(2) == Some(&true) {
                output.read()?;
            }
            let received = self.current.take_unsent();
            // What the terminal sends, the run has got as well.
            let send = match received {
                Some(received) => {
                    stop = Some(RunEnd::Interrupted(received.signal));
                    (!received.from_kernel).then_some(received.signal)
                }
                None if Instant::now() < until => continue,
                None if stop.is_none() => {
                    stop = Some(RunEnd::TooLong);
                    Some(Signal::SIGTERM)
                }
                None => Some(Signal::SIGKILL),
            };
            // Before their parent ends, and they are nobody's to be found by.
            tree.extend(descendants(process.pid()));
            match send {
                Some(Signal::SIGKILL) => kill_trees(tree.iter().chain([process])),
                Some(signal) => send_to_all(signal, tree.iter().chain([process])),
                None => {}
            }
            until = Instant::now() + GRACE;
        }
    }
}

/// The user's settings of glibc, and ours before them: the last one counts.
fn tunables(own: Option<String>) -> String {
    [NO_FASTBINS.to_owned()].into_iter().chain(own).collect::<Vec<_>>().join(":")
}

/// The word with the amount in its place.
fn with_amount(word: &OsStr, amount: &str) -> OsString {
    let bytes = word.as_bytes();
    let mut text = Vec::with_capacity(bytes.len());
    let mut begin = 0;
    for at in memchr::memmem::find_iter(bytes, PLACE) {
        text.extend_from_slice(&bytes[begin..at]);
        text.extend_from_slice(amount.as_bytes());
        begin = at + PLACE.len();
    }
    text.extend_from_slice(&bytes[begin..]);
    OsString::from_vec(text)
}

/// The last of what a run prints.
#[derive(Default)]
struct Output {
    reader: Option<PipeReader>,
    kept: VecDeque<u8>,
}

impl Output {
    /// Takes what is there, and waits if nothing is.
    fn read(&mut self) -> Result<()> {
        let Some(reader) = &mut self.reader else { return Ok(()) };
        let mut bytes = [0; READ];
        let length = reader.read(&mut bytes).context("cannot read what a run prints")?;
        if length == 0 {
            self.reader = None;
        }
        self.kept.extend(&bytes[..length]);
        self.kept.drain(..self.kept.len().saturating_sub(KEPT_OUTPUT));
        Ok(())
    }

    /// Takes what is left, which is no more than the pipe holds. Somebody who lives on may have the other end,
    /// and go on writing: that is not waited for.
    fn drain(&mut self) -> Result<()> {
        let Some(reader) = &self.reader else { return Ok(()) };
        let size =
            fcntl(reader, FcntlArg::F_GETPIPE_SZ).context("cannot ask a pipe for its size")?;
        for _ in 0..=usize::try_from(size).unwrap_or(0) / READ {
            match &self.reader {
                Some(reader) if is_readable(reader.as_fd())? => self.read()?,
                _ => break,
            }
        }
        Ok(())
    }
}

/// Reads what a run holds, in a thread of its own: a tracer is a thread, and must not wait for output.
struct Watcher {
    thread: JoinHandle<()>,
    ended: Receiver<EndedProcess>,
    /// Of a sampler: tells it that the run has ended.
    end: Option<io::PipeWriter>,
}

impl Watcher {
    /// Traces a child that is held. The inner error says why it can't be traced.
    fn trace(pid: i32) -> Result<Result<Self, String>> {
        let (say, begun) = mpsc::channel();
        let (send, ended) = mpsc::channel();
        let trace = move || {
            let tracer = match ExitTracer::begin(pid) {
                Ok(tracer) => tracer,
                Err(error) => return drop(say.send(Err(error.to_string()))),
            };
            let _ = say.send(Ok(()));
            // If waiting fails, no process is shown any more, and the run has no figure.
            let _ = tracer.run_to_exit(|thread, living| {
                let process =
                    |memory| EndedProcess { pid: thread.pid, memory, living: living.to_vec() };
                let _ = EndMemory::at_end(thread).map(|memory| send.send(process(memory)));
            });
        };
        let thread = std::thread::Builder::new().name("tracer".to_owned()).spawn(trace);
        let thread = thread.context("cannot start a thread")?;
        let begun = begun.recv().unwrap_or_else(|_| Err("the tracer has failed".to_owned()));
        Ok(begun.map(|()| Self { thread, ended, end: None }))
    }

    /// Samples a child and its descendants until it has ended; what was sampled last of each counts.
    fn sample(pid: i32) -> Result<Self> {
        let (run_ended, end) = io::pipe().context("cannot make a pipe")?;
        let (send, ended) = mpsc::channel();
        let sample = move || {
            let mut sampled = SampledProcesses::default();
            while !wait_readable(&[run_ended.as_fd()], Some(Instant::now() + SAMPLING))
                .map_or(true, |ready| ready[0])
            {
                let below = descendants(pid).into_iter().map(|process| process.pid());
                let gone = sampled.observe([pid].into_iter().chain(below).collect());
                gone.into_iter().for_each(|process| drop(send.send(process)));
            }
            sampled.observe(Vec::new()).into_iter().for_each(|process| drop(send.send(process)));
        };
        let thread = std::thread::Builder::new().name("sampler".to_owned()).spawn(sample);
        Ok(Self { thread: thread.context("cannot start a thread")?, ended, end: Some(end) })
    }

    /// The processes, in the order of their ends.
    fn finish(self) -> Vec<EndedProcess> {
        drop(self.end);
        let _ = self.thread.join();
        self.ended.into_iter().collect()
    }
}

/// The processes of a run that is sampled, by pid.
#[derive(Default)]
struct SampledProcesses {
    last: BTreeMap<i32, EndMemory>,
}

impl SampledProcesses {
    /// Samples the processes that run now, and returns those that have ended since.
    fn observe(&mut self, running: Vec<i32>) -> Vec<EndedProcess> {
        let root = ProcRoot::default();
        for pid in &running {
            if let Some(memory) = EndMemory::sample(&root.process(*pid)) {
                self.last.insert(*pid, memory);
            }
        }
        let mut gone: Vec<i32> =
            self.last.keys().copied().filter(|pid| !running.contains(pid)).collect();
        let mut ended = Vec::new();
        while let Some(pid) = gone.pop() {
            let living: Vec<i32> =
                self.last.keys().copied().filter(|other| *other != pid).collect();
            let memory = self.last.remove(&pid);
            ended.extend(memory.map(|memory| EndedProcess { pid, memory, living }));
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_own_settings_of_glibc_stay() {
        assert_eq!(tunables(None), "glibc.malloc.mxfast=0");
        let own = tunables(Some("glibc.malloc.check=3".to_owned()));
        assert_eq!(own, "glibc.malloc.mxfast=0:glibc.malloc.check=3");
    }

    #[test]
    fn the_amount_is_put_wherever_its_place_is() {
        let filled = |word: &str| with_amount(OsStr::new(word), "42").into_string().unwrap();
        assert_eq!(filled("--n={n},{n}"), "--n=42,42");
        assert_eq!(filled("{N} n {}"), "{N} n {}");
        assert_eq!(filled("{n}"), "42");
    }
}
