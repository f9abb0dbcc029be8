//! The program that is watched: mappings that stay, and one that comes and goes.

use std::fs::File;
use std::io::{Error, ErrorKind};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::board::Board;

/// What comes and goes: 16 pages.
const CHURN: usize = 64 << 10;
const PAGE: usize = 4096;
const MIB: usize = 1 << 20;

/// A round that took longer may have waited for a lock; then the thread went to sleep in it.
const SLOW: Duration = Duration::from_micros(50);

/// What stays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) mappings: usize,
    pub(crate) bytes: usize,
}

/// The running program.
pub(crate) struct Target {
    child: Child,
    pub(crate) board: &'static Board,
    pub(crate) phase: u64,
}

impl Target {
    /// Starts it and waits until its mappings stand.
    pub(crate) fn spawn(shape: Shape) -> Result<Self, Error> {
        let (board, file) = Board::create()?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("target")
            .args([shape.mappings, shape.bytes].map(|number| number.to_string()))
            .arg(file.as_raw_fd().to_string())
            .spawn()?;
        while board.ready.load(Relaxed) == 0 {
            if child.try_wait()?.is_some() {
                return Err(Error::other("the target ended before it was ready"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { child, board, phase: 0 })
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or(0)
    }

    /// How long it has run.
    pub(crate) fn ran(&self) -> Duration {
        let times = File::open(format!("/proc/{}/schedstat", self.pid()));
        Duration::from_nanos(times.map_or(0, |times| number(&times, 0)))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The target's whole life.
pub(crate) fn live(mappings: &str, bytes: &str, board: &str) -> Result<(), Error> {
    let number =
        |text: &str| text.parse::<usize>().map_err(|_| Error::from(ErrorKind::InvalidInput));
    let fd = i32::try_from(number(board)?).map_err(|_| Error::from(ErrorKind::InvalidInput))?;
    // SAFETY: the bench left this descriptor open for us.
    let board = Board::map(&unsafe { File::from_raw_fd(fd) })?;
    let (mappings, bytes) = (number(mappings)?, number(bytes)?);
    for mapping in 0..mappings {
        // Neighbours that may do the same would become one mapping.
        let access = if mapping % 2 == 0 { libc::PROT_EXEC } else { 0 };
        touch(map(bytes / mappings / PAGE * PAGE, access, -1)?, bytes / mappings);
    }
    // SAFETY: the name ends in a zero, and no flags are given.
    let file = unsafe { libc::memfd_create(c"growing".as_ptr(), 0) };
    // SAFETY: the call takes no pointers.
    if unsafe { libc::ftruncate(file, 1 << 30) } != 0 {
        return Err(Error::last_os_error());
    }
    let growing = map(1 << 30, 0, file)?;
    board.ready.store(1, Relaxed);
    churn(board, growing)
}

fn churn(board: &Board, growing: *mut u8) -> Result<(), Error> {
    let times = File::open("/proc/thread-self/schedstat")?;
    let mut sleeps = sleeps();
    let mut grown = 0;
    loop {
        let queued = queued(&times);
        let begin = Instant::now();
        let piece = map(CHURN, 0, -1)?;
        touch(piece, CHURN);
        // SAFETY: the mapping is ours and nothing refers to it any more.
        unsafe { libc::munmap(piece.cast(), CHURN) };
        let took = begin.elapsed();
        let counters = board.now();
        counters.rounds.fetch_add(1, Relaxed);
        if took > SLOW {
            let now = self::sleeps();
            if now != std::mem::replace(&mut sleeps, now) {
                // Once the lock was free, the thread may have waited for a CPU, which is another's doing.
                let queued = self::queued(&times).saturating_sub(queued);
                let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
                let nanos = nanos.saturating_sub(queued);
                counters.blocked.fetch_add(nanos, Relaxed);
                counters.worst.fetch_max(nanos, Relaxed);
            }
        }
        if board.grow.load(Relaxed) > grown {
            // SAFETY: the bench asks for fewer MiB than the mapping has.
            touch(unsafe { growing.add(usize::try_from(grown).unwrap_or(0) * MIB) }, MIB);
            grown += 1;
        }
    }
}

/// How long this thread has waited for a CPU.
fn queued(times: &File) -> u64 {
    number(times, 1)
}

/// A number of schedstat: nanoseconds that a thread has run, and that it has waited for a CPU.
fn number(times: &File, which: usize) -> u64 {
    let mut text = [0; 64];
    let length = times.read_at(&mut text, 0).unwrap_or(0);
    let text = std::str::from_utf8(&text[..length]).unwrap_or("");
    text.split(' ').nth(which).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// How often this thread has gone to sleep. It does so only where it waits for a lock; a thread that
/// lost its CPU to another is not counted.
fn sleeps() -> i64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel fills in a rusage, and zeros are one too.
    unsafe {
        libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr());
        usage.assume_init().ru_nvcsw
    }
}

fn map(length: usize, more_access: i32, file: i32) -> Result<*mut u8, Error> {
    let access = libc::PROT_READ | libc::PROT_WRITE | more_access;
    let kind = if file < 0 { libc::MAP_PRIVATE | libc::MAP_ANONYMOUS } else { libc::MAP_SHARED };
    // SAFETY: a new mapping anywhere harms nothing.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), length, access, kind, file, 0) };
    if at == libc::MAP_FAILED { Err(Error::last_os_error()) } else { Ok(at.cast()) }
}

fn touch(at: *mut u8, length: usize) {
    for page in (0..length / PAGE * PAGE).step_by(PAGE) {
        // SAFETY: callers give a mapping of their own that is at least this long.
        unsafe { at.add(page).write_volatile(1) };
    }
}
