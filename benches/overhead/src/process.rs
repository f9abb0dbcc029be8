//! Running a program and what it used.

use std::io;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// What a program used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) wall: Duration,
    /// CPU time, user and system, of the program and of those children that it has reaped.
    pub(crate) cpu: Duration,
}

/// Runs a program to its end with nothing to read and nobody to read it.
pub(crate) fn run(command: &mut Command) -> Result<Usage> {
    let begin = Instant::now();
    let child = start(command)?;
    let cpu = wait(&child).with_context(|| format!("cannot wait for {command:?}"))?;
    Ok(Usage { wall: begin.elapsed(), cpu })
}

/// Starts a program with nothing to read and nobody to read it.
pub(crate) fn start(command: &mut Command) -> Result<Child> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))
}

/// Waits for a child's end; its CPU time. The standard library does not have it: wait4(2) does.
pub(crate) fn wait(child: &Child) -> io::Result<Duration> {
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    let mut status = 0;
    // SAFETY: a `rusage` is numbers, and zeros are valid values of them.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both places are valid for the call, and nobody else waits for this child.
    while unsafe { libc::wait4(pid, &mut status, 0, &mut usage) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(time(usage.ru_utime) + time(usage.ru_stime))
}

fn time(time: libc::timeval) -> Duration {
    let micros = time.tv_sec * 1_000_000 + time.tv_usec;
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
