//! What is followed: this program again, with other words. It has one thread, so it may fork freely.

use std::error::Error;
use std::io::{BufRead, Read, Write, stdin, stdout};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::wait::waitpid;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{ForkResult, Pid, fork};

/// The monotonic clock in nanoseconds, which is the same for all processes.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    u64::try_from(time.as_nanos()).unwrap_or(0)
}

/// Runs as the target that these words name; none if they name none.
pub(crate) fn run(words: &[String]) -> Option<Result<(), Box<dyn Error>>> {
    let count = words.get(1).and_then(|count| count.parse().ok()).unwrap_or(0);
    match words.first()?.as_str() {
        "hold" => Some(hold(count)),
        "births" => Some(births()),
        "storm" => Some(storm(count, || {})),
        "exec-storm" => Some(storm(count, || {
            let _ = nix::unistd::execv(c"/bin/true", &[c"true"]);
        })),
        _ => None,
    }
}

/// Forks a child that does this and ends.
fn child(work: impl FnOnce()) -> Result<Pid, Box<dyn Error>> {
    // SAFETY: this process has one thread.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            work();
            // SAFETY: ends the process; nothing of its parent's is to be flushed.
            unsafe { nix::libc::_exit(0) }
        }
    }
}

/// Waits for the end of the input.
fn wait_for_end() {
    let _ = stdin().lock().read_to_end(&mut Vec::new());
}

fn say(text: &str) -> std::io::Result<()> {
    let mut output = stdout().lock();
    writeln!(output, "{text}").and_then(|()| output.flush())
}

/// So many children; then, for each line with a number, so many more that end at once.
fn hold(count: u32) -> Result<(), Box<dyn Error>> {
    for _ in 0..count {
        child(|| {
            loop {
                // Not by reading the input, which belongs to the parent. It ends by SIGTERM.
                nix::unistd::pause();
            }
        })?;
    }
    say("ready")?;
    for line in stdin().lock().lines() {
        for _ in 0..line?.parse::<u32>()? {
            waitpid(child(|| {})?, None)?;
        }
        say("done")?;
    }
    Ok(())
}

/// For each line a child, and when it was forked.
fn births() -> Result<(), Box<dyn Error>> {
    say("ready")?;
    for line in stdin().lock().lines() {
        line?;
        let time = now();
        child(|| {
            nix::unistd::pause();
        })?;
        say(&format!("{time}"))?;
    }
    Ok(())
}

/// So many children that do this and end, one after another: how long it took, and how much CPU time.
fn storm(count: u32, work: impl Fn()) -> Result<(), Box<dyn Error>> {
    say("ready")?;
    stdin().lock().read_line(&mut String::new())?;
    let begin = Instant::now();
    for _ in 0..count {
        waitpid(child(&work)?, None)?;
    }
    let wall = begin.elapsed().as_nanos();
    let mut cpu = 0;
    for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
        let usage = getrusage(who)?;
        for time in [usage.user_time(), usage.system_time()] {
            cpu += i128::from(time.tv_sec()) * 1_000_000 + i128::from(time.tv_usec());
        }
    }
    say(&format!("{wall} {cpu}"))?;
    wait_for_end();
    Ok(())
}
