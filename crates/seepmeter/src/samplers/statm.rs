//! The sampler `statm`: how large the target is, from /proc/PID/statm, and how large it was at most,
//! from /proc/PID/status.
//!
//! A look reads statm through a descriptor that is kept open, which costs less than a microsecond and
//! takes no lock of the target's. The true peak is the kernel's own high-water mark (VmHWM), which no
//! spike between two looks escapes; reading it costs ten times as much, so it is read at most ten times
//! a second, between looks too: the mark ends with the target.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::time::{Duration, Instant};

use seepmeter_plugin::{
    Error, ErrorKind, Look, Plugin, Sampler, Stream, Target, Until, Waited, choices, options,
};
use seepmeter_process::proc::{
    ProcError, ProcFolder, ProcRoot, Statm as Pages, StatmFile, StatusFile,
};
use seepmeter_process::system::page_size;
use seepmeter_process::wait::wait_one_readable;
use seepmeter_record::{MetricId, SubjectId, Unit};

/// No more often than this, in nanoseconds, is the peak of the run read.
const PEAK_EVERY: u64 = 100_000_000;

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
    folder: ProcFolder,
    start_time: u64,
    files: Files,
    clear_refs: Option<File>,
    subject: SubjectId,
    metrics: Metrics,
    /// What the stream was told last; a value stands until the next.
    told: Option<Pages>,
    /// In bytes; none until it was read.
    peak: Option<u64>,
    told_peak: Option<u64>,
    told_swap: Option<u64>,
    peak_read_at: Option<u64>,
    /// From one read of the peak to the next between looks.
    pause: Duration,
}

/// The files of the process, or of a thread that lives on after its leader.
struct Files {
    folder: ProcFolder,
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
        let folder = ProcRoot::new(&target.proc_root).process(target.pid);
        let files = Files::open(&folder).map_err(Error::failed)?;
        let clear_refs = match self.options.peak {
            Peak::Interval => Some(open_clear_refs(&folder)?),
            Peak::Run | Peak::Off => None,
        };
        self.watching = Some(Watching {
            files,
            clear_refs,
            subject: target.subject,
            metrics: Metrics::define(stream, self.options.peak),
            told: None,
            peak: None,
            told_peak: None,
            told_swap: None,
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
                self.tell_peak(look);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if self.metrics.peak.is_some() && self.peak_is_due(look.stream().now()) {
            // The mark and the size must come from one read, or the peak can seem to be under the
            // current value; so the size of this look is taken from there too.
            if let Some(rss) = self.look_at_marks(look)? {
                pages.resident = rss / page_size();
            }
        } else {
            self.raise_peak(Some(pages.resident * page_size()));
        }
        self.tell_peak(look);
        self.tell_pages(pages, look);
        Ok(())
    }

    /// Reads status, and tells what only that knows; the resident set in bytes, if there is one.
    fn look_at_marks(&mut self, look: &mut Look<'_>) -> Result<Option<u64>, Error> {
        let status = self.files.status.read().map_err(gone_or_failed)?;
        self.raise_peak(status.peak_rss.max(status.rss));
        if let (Some(metric), Some(swap)) = (self.metrics.swap, status.swap)
            && self.told_swap != Some(swap)
        {
            self.told_swap = Some(swap);
            look.point(self.subject, metric, signed(swap));
        }
        if let (Some(metric), Some(peak)) =
            (self.metrics.interval_peak, status.peak_rss.max(status.rss))
        {
            look.point(self.subject, metric, signed(peak));
        }
        if let Some(clear_refs) = &mut self.clear_refs {
            reset_mark(clear_refs)?;
        }
        Ok(status.rss)
    }

    /// What statm says. It is all zeros of a leader that has ended while other threads run on, as after
    /// pthread_exit(3) in main; then a thread that lives is read instead.
    fn read_pages(&mut self) -> Result<Pages, Error> {
        match self.files.statm.read() {
            Ok(pages) if pages.size > 0 => return Ok(pages),
            Ok(_) => {}
            Err(error) if error.is_gone() => {}
            Err(error) => return Err(Error::failed(error)),
        }
        let (files, pages) = find_living(&self.folder, self.start_time).map_err(gone_or_failed)?;
        if self.clear_refs.is_some() {
            // That of a leader that has ended takes the 5 and does nothing.
            self.clear_refs = Some(open_clear_refs(&files.folder)?);
        }
        self.files = files;
        Ok(pages)
    }

    /// Reads the peak until the next tick is nearer than the next read.
    fn read_peaks(&mut self, until: Until<'_>) -> Result<Waited, Error> {
        if self.metrics.peak.is_none() {
            return Ok(Waited::PleaseSleep);
        }
        loop {
            let next = Instant::now() + self.pause;
            if next >= until.deadline {
                return Ok(Waited::PleaseSleep);
            }
            let woken = wait_one_readable(until.wake, Some(next))
                .map_err(|error| Error::io("cannot wait for the next tick", &error))?;
            if woken {
                return Ok(Waited::Done);
            }
            self.pause = (self.pause * 2).min(Duration::from_nanos(PEAK_EVERY));
            // A target that has just ended has no mark any more; the next look sees to that.
            if let Ok(status) = self.files.status.read() {
                self.raise_peak(status.peak_rss.max(status.rss));
            }
        }
    }

    fn peak_is_due(&mut self, now: u64) -> bool {
        let due = self.clear_refs.is_some()
            || self.peak_read_at.is_none_or(|before| now.saturating_sub(before) >= PEAK_EVERY);
        if due {
            self.peak_read_at = Some(now);
        }
        due
    }

    fn raise_peak(&mut self, peak: Option<u64>) {
        if self.metrics.peak.is_some() {
            self.peak = self.peak.max(peak);
        }
    }

    fn tell_peak(&mut self, look: &mut Look<'_>) {
        if let (Some(metric), Some(peak)) = (self.metrics.peak, self.peak)
            && self.told_peak != Some(peak)
        {
            self.told_peak = Some(peak);
            look.point(self.subject, metric, signed(peak));
        }
    }

    fn tell_pages(&mut self, pages: Pages, look: &mut Look<'_>) {
        let bytes = |pages: u64| signed(pages.saturating_mul(page_size()));
        // The resident set is told at every look, so that every look has its line.
        look.point(self.subject, self.metrics.rss, bytes(pages.resident));
        let told = self.told.replace(pages);
        for (metric, now, before) in [
            (self.metrics.vsize, pages.size, told.map(|told| told.size)),
            (self.metrics.shared, pages.shared, told.map(|told| told.shared)),
            (self.metrics.text, pages.text, told.map(|told| told.text)),
            (self.metrics.data, pages.data, told.map(|told| told.data)),
        ] {
            if before != Some(now) {
                look.point(self.subject, metric, bytes(now));
            }
        }
    }
}

impl Files {
    fn open(folder: &ProcFolder) -> Result<Self, ProcError> {
        Ok(Self {
            statm: StatmFile::open(folder)?,
            status: StatusFile::open(folder)?,
            folder: folder.clone(),
        })
    }
}

/// The files of the process itself or of one of its threads, whichever still has memory. What is found
/// is asked whose it is once it is open and can't change any more: by now another process may have got
/// the pid.
fn find_living(folder: &ProcFolder, start_time: u64) -> Result<(Files, Pages), ProcError> {
    loop {
        let living = folder.with_memory()?;
        let read = Files::open(&living).and_then(|files| {
            let pages = files.statm.read()?;
            Ok((files, pages))
        });
        match read {
            Ok((_, Pages { size: 0, .. })) => {}
            // It has ended since it was found, and another one may live.
            Err(error) if error.is_gone() => {}
            Err(error) => return Err(error),
            Ok(_) if folder.stat()?.start_time != start_time => {
                return Err(ProcError::Gone { path: folder.path().to_owned() });
            }
            Ok(found) => return Ok(found),
        }
    }
}

fn open_clear_refs(folder: &ProcFolder) -> Result<File, Error> {
    let path = folder.file("clear_refs");
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

fn gone_or_failed(error: ProcError) -> Error {
    if error.is_gone() { Error::gone() } else { Error::failed(error) }
}

/// As the stream has it.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use seepmeter_plugin::ErrorKind;

    use super::*;

    #[test]
    fn trap_8_a_thread_that_dies_before_its_mark_is_opened_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let error = open_clear_refs(&ProcRoot::new(folder.path()).process(17)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Gone);
    }
}
