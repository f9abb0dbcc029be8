//! The sampler `statm`: how large the target is, from /proc/PID/statm, and how large it was at most,
//! from /proc/PID/status.
//!
//! A look reads statm through a descriptor that is kept open, which costs less than a microsecond and
//! takes no lock of the target's. The true peak is the kernel's own high-water mark (VmHWM), which no
//! spike between two looks escapes; reading it costs ten times as much, so it is read at most ten times
//! a second, between looks too: the mark ends with the target.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use seepmeter_plugin::{
    Error, ErrorKind, Look, Plugin, Sampler, Stream, Target, Until, Waited, choices, options,
};
use seepmeter_record::{MetricId, SubjectId, Unit};

mod proc_files;

pub use proc_files::{Pages, StatmFile, StatusFile};

/// No more often than this, in nanoseconds, is the peak of the run read.
const PEAK_EVERY: u64 = 100_000_000;

/// No value is like this, so that the first look tells all of them, zeros too.
const NEVER_TOLD: Pages = Pages { size: -1, resident: -1, shared: -1, text: -1, data: -1 };

/// How soon after the first look the peak is read again; each pause is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

choices! {
    /// Which peaks to read.
    pub enum Peak {
        /// The largest resident set since the target's exec.
        Run = "run",
        /// That, and the largest of every interval.
        Interval = "interval",
        /// None.
        Off = "off",
    }
}

options! {
    /// Options of the sampler `statm`.
    pub struct StatmOptions {
        /// Which peaks to read: of the whole `run`; of every `interval` as well, exactly, by resetting
        /// the kernel's own mark, which lowers what others read as VmHWM; or none (`off`).
        peak: Peak = "run",
    }
}

/// The sampler `statm`.
pub struct Statm {
    options: StatmOptions,
    watching: Option<Watching>,
}

/// What is known once there is a target.
struct Watching {
    folder: PathBuf,
    start_time: u64,
    files: Files,
    clear_refs: Option<File>,
    subject: SubjectId,
    metrics: Metrics,
    page_size: i64,
    /// What the stream was told last; a value stands until the next.
    told: Pages,
    peak: i64,
    told_peak: i64,
    told_swap: i64,
    peak_read_at: Option<u64>,
    /// From one read of the peak to the next between looks.
    pause: Duration,
}

/// The files of the process, or of a thread that lives on after its leader.
struct Files {
    statm: StatmFile,
    status: StatusFile,
}

struct Metrics {
    rss: MetricId,
    vsize: MetricId,
    shared: MetricId,
    text: MetricId,
    data: MetricId,
    peak: Option<MetricId>,
    swap: Option<MetricId>,
    interval_peak: Option<MetricId>,
}

impl Plugin for Statm {
    const NAME: &'static str = "statm";
    const ABOUT: &'static str =
        "reads the size and the resident set of the whole process, and its true peak";
    type Options = StatmOptions;

    fn new(options: StatmOptions) -> Result<Self, Error> {
        Ok(Self { options, watching: None })
    }
}

impl Sampler for Statm {
    fn start(&mut self, target: &Target, stream: &mut dyn Stream) -> Result<(), Error> {
        let folder = target.proc_root.join(target.pid.to_string());
        let files = Files::open(&folder)
            .map_err(|error| Error::io(format!("cannot read {}", folder.display()), &error))?;
        let clear_refs = match self.options.peak {
            Peak::Interval => Some(open_clear_refs(&folder)?),
            Peak::Run | Peak::Off => None,
        };
        self.watching = Some(Watching {
            files,
            clear_refs,
            subject: target.subject,
            metrics: Metrics::define(stream, self.options.peak),
            page_size: page_size()?,
            told: NEVER_TOLD,
            peak: 0,
            told_peak: 0,
            told_swap: -1,
            peak_read_at: None,
            pause: FIRST_PAUSE,
            start_time: target.start_time,
            folder,
        });
        Ok(())
    }

    fn sample(&mut self, look: &mut Look<'_>) -> Result<(), Error> {
        let watching = self
            .watching
            .as_mut()
            .ok_or_else(|| Error::failed("a look was asked for before the start"))?;
        watching.look(look)
    }

    /// Between looks that are far apart the peak is read on, soon at first and then ten times a second:
    /// what the target was at most goes with it, and nobody knows when that is.
    fn wait(&mut self, until: Until<'_>, _stream: &mut dyn Stream) -> Result<Waited, Error> {
        match &mut self.watching {
            Some(watching) => watching.read_peaks(until),
            None => Ok(Waited::PleaseSleep),
        }
    }
}

impl Metrics {
    fn define(stream: &mut dyn Stream, peak: Peak) -> Self {
        let mut bytes = |name, help| stream.metric(name, Unit::Bytes, help);
        Self {
            rss: bytes("rss", "resident set: memory of the process that is in RAM"),
            vsize: bytes("vsize", "address space: all that is mapped, in RAM or not"),
            shared: bytes("shared", "resident memory that files or shared memory stand behind"),
            text: bytes("text", "address space of the program's code"),
            data: bytes("data", "private writable address space, and the stack"),
            peak: (peak != Peak::Off)
                .then(|| bytes("peak", "largest resident set since the start (VmHWM)")),
            swap: (peak != Peak::Off)
                .then(|| bytes("swap", "anonymous memory of the process that is swapped out")),
            interval_peak: (peak == Peak::Interval)
                .then(|| bytes("interval_peak", "largest resident set since the last look")),
        }
    }
}

impl Watching {
    fn look(&mut self, look: &mut Look<'_>) -> Result<(), Error> {
        let mut pages = match self.read_pages() {
            Ok(pages) => pages,
            // The last that is known of a target that has ended since.
            Err(error) if error.kind() == ErrorKind::Gone && self.peak > self.told_peak => {
                if let Some(metric) = self.metrics.peak {
                    self.tell_peak(metric, look);
                }
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if let Some(metric) = self.metrics.peak
            && self.peak_is_due(look.stream().now())
        {
            // The mark and the size must come from one read, or the peak can seem to be under the
            // current value; so the size of this look is taken from there too.
            if let Some(marks) = self.files.status.read().map_err(gone_or_failed)? {
                pages.resident = marks.rss / self.page_size;
                self.peak = self.peak.max(marks.peak).max(marks.rss);
                if let Some(swap) = self.metrics.swap
                    && marks.swap != self.told_swap
                {
                    self.told_swap = marks.swap;
                    look.point(self.subject, swap, marks.swap);
                }
                if let Some(interval_peak) = self.metrics.interval_peak {
                    look.point(self.subject, interval_peak, marks.peak.max(marks.rss));
                }
            }
            if let Some(clear_refs) = &mut self.clear_refs {
                reset_mark(clear_refs)?;
            }
            self.tell_peak(metric, look);
        } else if let Some(metric) = self.metrics.peak {
            self.peak = self.peak.max(pages.resident * self.page_size);
            self.tell_peak(metric, look);
        }
        self.tell_pages(pages, look);
        Ok(())
    }

    /// What statm says. It is all zeros of a leader that has ended while other threads run on, as after
    /// pthread_exit(3) in main; then a thread that lives is read instead.
    fn read_pages(&mut self) -> Result<Pages, Error> {
        match self.files.statm.read() {
            Ok(pages) if pages.size > 0 => return Ok(pages),
            Ok(_) => {}
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(Error::io("cannot read statm", &error)),
        }
        let (folder, files, pages) =
            find_living(&self.folder, self.start_time).ok_or_else(Error::gone)?;
        self.files = files;
        if self.clear_refs.is_some() {
            // That of a leader that has ended takes the 5 and does nothing.
            self.clear_refs = Some(open_clear_refs(&folder)?);
        }
        Ok(pages)
    }

    /// Reads the peak until the next tick is nearer than the next read.
    fn read_peaks(&mut self, until: Until<'_>) -> Result<Waited, Error> {
        if self.metrics.peak.is_none() {
            return Ok(Waited::PleaseSleep);
        }
        while Instant::now() + self.pause < until.deadline {
            let mut fds = [PollFd::new(until.wake, PollFlags::POLLIN)];
            match ppoll(&mut fds, Some(self.pause.into()), None) {
                Ok(0) => {}
                Ok(_) | Err(Errno::EINTR) => return Ok(Waited::Done),
                Err(errno) => {
                    return Err(Error::io("cannot wait for the next tick", &errno.into()));
                }
            }
            self.pause = (self.pause * 2).min(Duration::from_nanos(PEAK_EVERY));
            // A target that has just ended has no mark any more; the next look sees to that.
            if let Ok(Some(marks)) = self.files.status.read() {
                self.peak = self.peak.max(marks.peak).max(marks.rss);
            }
        }
        Ok(Waited::PleaseSleep)
    }

    fn peak_is_due(&mut self, now: u64) -> bool {
        let due = self.clear_refs.is_some()
            || self.peak_read_at.is_none_or(|before| now.saturating_sub(before) >= PEAK_EVERY);
        if due {
            self.peak_read_at = Some(now);
        }
        due
    }

    fn tell_peak(&mut self, metric: MetricId, look: &mut Look<'_>) {
        if self.peak != self.told_peak {
            self.told_peak = self.peak;
            look.point(self.subject, metric, self.peak);
        }
    }

    fn tell_pages(&mut self, pages: Pages, look: &mut Look<'_>) {
        // The resident set is told at every look, so that every look has its line.
        look.point(self.subject, self.metrics.rss, pages.resident * self.page_size);
        for (metric, now, before) in [
            (self.metrics.vsize, pages.size, self.told.size),
            (self.metrics.shared, pages.shared, self.told.shared),
            (self.metrics.text, pages.text, self.told.text),
            (self.metrics.data, pages.data, self.told.data),
        ] {
            if now != before {
                look.point(self.subject, metric, now * self.page_size);
            }
        }
        self.told = pages;
    }
}

impl Files {
    fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            statm: StatmFile::open(&folder.join("statm"))?,
            status: StatusFile::open(&folder.join("status"))?,
        })
    }
}

/// The files of the process itself or of one of its threads, whichever still has memory. Threads end
/// between being listed and being read: then the next one serves. What is found is asked whose it is
/// once it is open and can't change any more: by now another process may have got the pid.
fn find_living(folder: &Path, start_time: u64) -> Option<(PathBuf, Files, Pages)> {
    let threads = std::fs::read_dir(folder.join("task")).into_iter().flatten();
    let threads = threads.filter_map(|entry| Some(entry.ok()?.path()));
    let found = [folder.to_owned()].into_iter().chain(threads).find_map(|folder| {
        let mut files = Files::open(&folder).ok()?;
        let pages = files.statm.read().ok()?;
        (pages.size > 0).then_some((folder, files, pages))
    });
    found.filter(|_| started_at(folder) == Some(start_time))
}

/// Field 22 of /proc/PID/stat: with the pid it makes a process's key.
fn started_at(folder: &Path) -> Option<u64> {
    let process = procfs::process::Process::new_with_root(folder.to_owned()).ok()?;
    Some(process.stat().ok()?.starttime)
}

fn open_clear_refs(folder: &Path) -> Result<File, Error> {
    let path = folder.join("clear_refs");
    OpenOptions::new().write(true).open(&path).map_err(|error| {
        // The thread that was found alive may be gone by now.
        if is_gone(&error) {
            return Error::gone();
        }
        let what = format!(
            "cannot open {} to reset the peak of an interval (only the process's own user and root may; peak=run needs no right)",
            path.display()
        );
        Error::io(what, &error)
    })
}

/// Sets the kernel's high-water mark to the current size: proc_pid_clear_refs(5), value 5.
fn reset_mark(clear_refs: &mut File) -> Result<(), Error> {
    match clear_refs.write_all(b"5") {
        Err(error) if is_gone(&error) => Err(Error::gone()),
        Err(error) => Err(Error::io("cannot reset the peak in clear_refs", &error)),
        Ok(()) => Ok(()),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(nix::libc::ESRCH | nix::libc::ENOENT))
}

fn gone_or_failed(error: io::Error) -> Error {
    if is_gone(&error) { Error::gone() } else { Error::io("cannot read status", &error) }
}

fn page_size() -> Result<i64, Error> {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .ok_or_else(|| Error::failed("the system does not tell its page size"))
}

#[cfg(test)]
mod tests {
    use seepmeter_plugin::ErrorKind;

    use super::*;

    #[test]
    fn trap_8_a_thread_that_dies_before_its_mark_is_opened_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let error = open_clear_refs(&folder.path().join("17")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Gone);
    }
}
