//! Reading statm: seepmeter's own reader against a bare loop, the procfs crate, and opening anew.

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, RawFd};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use seepmeter_process::proc::{ProcRoot, StatmFile};
use seepmeter_process::system::thread_cpu_time;

use crate::Bench;
use crate::process;
use crate::statistics::median;
use crate::table::Row;

/// Reads in one round. Rounds are short and in turns, so that noise falls on all methods alike.
const READS: u32 = 1000;

/// A way to read the number of resident pages.
struct ReadMethod<'a> {
    name: &'static str,
    read: Box<dyn FnMut() -> Result<u64> + 'a>,
    /// Nanoseconds per read, one value for each round.
    rounds: Vec<f64>,
}

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut sleeper = process::start(Command::new("sleep").arg("600"))?;
    let outcome = measure_on(sleeper.id(), bench.pick(400, 60));
    sleeper.kill()?;
    sleeper.wait()?;
    outcome
}

fn measure_on(pid: u32, rounds: usize) -> Result<Vec<Row>> {
    let folder = ProcRoot::default().process(pid.cast_signed());
    let path = &folder.file("statm");
    let kept = StatmFile::open(&folder)?;
    let bare = File::open(path)?;
    let bare = bare.as_raw_fd();
    let mut seeking = File::open(path)?;
    let process = procfs::process::Process::new(i32::try_from(pid)?)?;
    // Before it sleeps it is still being loaded, and grows.
    while process.stat()?.state != 'S' {
        std::thread::yield_now();
    }
    let mut methods = [
        ReadMethod::new("a bare loop: pread, and the second number", move || bare_read(bare)),
        ReadMethod::new("seepmeter", move || Ok(kept.read()?.resident)),
        ReadMethod::new("seek and read of a kept descriptor", move || {
            seeking.rewind()?;
            second_number(&read_once(&mut seeking)?)
        }),
        ReadMethod::new("open, read, close", move || {
            second_number(&read_once(&mut File::open(path)?)?)
        }),
        ReadMethod::new("the procfs crate", move || Ok(process.statm()?.resident)),
    ];
    let pages: Vec<u64> =
        methods.iter_mut().map(|method| (method.read)()).collect::<Result<_>>()?;
    ensure!(pages.iter().all(|seen| *seen == pages[0]), "the methods disagree: {pages:?}");

    for _ in 0..rounds {
        for method in &mut methods {
            method.run_round()?;
        }
    }
    let [bare, own, others @ ..] = &methods;
    let ratio = own.median() / bare.median();
    let mut rows = vec![
        Row::figure("statm: a bare loop (pread, the second number)", bare.micros()),
        Row::promise(
            "statm: seepmeter's read, all numbers",
            "≤ 1.2 × the bare loop",
            format!("{}, {ratio:.2} ×", own.micros()),
            ratio <= 1.2,
        ),
    ];
    let names = [
        "statm: seek and read, kept descriptor",
        "statm: open, read, close",
        "statm: the procfs crate",
    ];
    rows.extend(others.iter().zip(names).map(|(method, name)| {
        Row::figure(name, format!("{}, {:.2} ×", method.micros(), method.median() / bare.median()))
    }));
    Ok(rows)
}

impl<'a> ReadMethod<'a> {
    fn new(name: &'static str, read: impl FnMut() -> Result<u64> + 'a) -> Self {
        Self { name, read: Box::new(read), rounds: Vec::new() }
    }

    fn run_round(&mut self) -> Result<()> {
        let begin = thread_cpu_time();
        for _ in 0..READS {
            black_box((self.read)().with_context(|| self.name)?);
        }
        let time = thread_cpu_time().saturating_sub(begin);
        self.rounds.push(time.as_secs_f64() * 1e9 / f64::from(READS));
        Ok(())
    }

    fn median(&self) -> f64 {
        median(&self.rounds)
    }

    fn micros(&self) -> String {
        format!("{:.2} µs", self.median() / 1e3)
    }
}

/// The least work that gives a resident set: one system call, and one number parsed.
pub(crate) fn bare_read(fd: RawFd) -> Result<u64> {
    let mut buffer = [0_u8; 128];
    // SAFETY: the buffer is valid for its length, and the descriptor is open.
    let length = unsafe { libc::pread(fd, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    second_number(&buffer[..usize::try_from(length)?])
}

fn read_once(file: &mut File) -> Result<Vec<u8>> {
    let mut buffer = vec![0; 128];
    let length = file.read(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

fn second_number(text: &[u8]) -> Result<u64> {
    let digits = text.iter().skip_while(|byte| **byte != b' ').skip(1);
    let digits = digits.take_while(|byte| byte.is_ascii_digit());
    Ok(digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}
