//! One target of statm, and what was last emitted of it.

use std::fs::File;
use std::time::{Duration, Instant};

use seepmeter_plugin::{Error, ErrorKind, SampleBuilder, Target};
use seepmeter_process::ProcessKey;
use seepmeter_process::proc::{ProcFolder, ProcRoot, StatmPages};
use seepmeter_process::system::{page_size, since_boot};
use seepmeter_record::SubjectId;

use super::files::{MemoryFiles, find_living, gone_or_failed, open_clear_refs, reset_mark};
use super::{FIRST_PAUSE, Metrics, PEAK_EVERY};

pub(super) struct StatmTarget {
    pub(super) subject: SubjectId,
    folder: ProcFolder,
    start_time: u64,
    files: MemoryFiles,
    /// Open if the peak of each interval is asked for.
    clear_refs: Option<File>,
    /// The largest resident set in bytes; none until it was read.
    peak: Option<u64>,
    /// When a sample has read it, in nanoseconds since the stream's start.
    peak_read_at: Option<u64>,
    /// When it is read between samples, and how long the next time is behind that.
    peak_due: Instant,
    pause: Duration,
    last_emitted: LastEmitted,
}

/// What was last emitted; a value stands until the next.
#[derive(Default)]
struct LastEmitted {
    pages: Option<StatmPages>,
    peak: Option<u64>,
    swap: Option<u64>,
}

impl StatmTarget {
    /// Opens its files; with `clears_peak` that for resetting the kernel's mark too.
    pub(super) fn open(target: &Target, clears_peak: bool) -> Result<Self, Error> {
        let folder = ProcRoot::new(&target.proc_root).process(target.pid);
        Ok(Self {
            subject: target.subject,
            start_time: target.start_time,
            files: MemoryFiles::open(&folder).map_err(gone_or_failed)?,
            clear_refs: clears_peak.then(|| open_clear_refs(&folder)).transpose()?,
            peak: None,
            peak_read_at: None,
            peak_due: Instant::now(),
            pause: first_pause(target),
            last_emitted: LastEmitted::default(),
            folder,
        })
    }

    pub(super) fn sample(
        &mut self,
        metrics: &Metrics,
        sample: &mut SampleBuilder<'_>,
    ) -> Result<(), Error> {
        let mut pages = match self.read_pages() {
            Ok(pages) => pages,
            // The last that is known of a target that has ended since.
            Err(error) if error.kind() == ErrorKind::Gone && self.peak > self.last_emitted.peak => {
                self.emit_peak(metrics, sample);
                // The rest was not observed.
                sample.partial();
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if metrics.peak.is_some() && self.peak_is_due(sample.stream().now()) {
            // The mark and the size must come from one read, or the peak can seem to be under the
            // current value; so the size of this sample is taken from there too.
            if let Some(rss) = self.sample_marks(metrics, sample)? {
                pages.resident = rss / page_size();
            }
        } else if metrics.peak.is_some() {
            self.peak = self.peak.max(Some(pages.resident * page_size()));
        }
        self.emit_peak(metrics, sample);
        self.emit_pages(pages, metrics, sample);
        Ok(())
    }

    /// Reads status, and emits what only that knows; the resident set in bytes, if there is one.
    fn sample_marks(
        &mut self,
        metrics: &Metrics,
        sample: &mut SampleBuilder<'_>,
    ) -> Result<Option<u64>, Error> {
        let status = self.files.status.read().map_err(gone_or_failed)?;
        self.postpone_peak(Instant::now());
        let peak = status.peak_rss.max(status.rss);
        self.peak = self.peak.max(peak);
        if let (Some(metric), Some(swap)) = (metrics.swap, status.swap)
            && self.last_emitted.swap.replace(swap) != Some(swap)
        {
            sample.point(self.subject, metric, signed(swap));
        }
        if let (Some(metric), Some(peak)) = (metrics.interval_peak, peak) {
            sample.point(self.subject, metric, signed(peak));
        }
        if let Some(clear_refs) = &mut self.clear_refs {
            reset_mark(clear_refs)?;
        }
        Ok(status.rss)
    }

    /// What statm says. It is all zeros of a leader that has ended while other threads run on, as after
    /// pthread_exit(3) in main; then a thread that lives is read instead.
    fn read_pages(&mut self) -> Result<StatmPages, Error> {
        match self.files.statm.read() {
            Ok(pages) if pages.size > 0 => return Ok(pages),
            Ok(_) => {}
            // A leader is gone when its process is; another thread that is read for it may be gone before.
            Err(error) if error.is_gone() && self.files.folder != self.folder => {}
            Err(error) => return Err(gone_or_failed(error)),
        }
        let (files, pages) = find_living(&self.folder, self.start_time).map_err(gone_or_failed)?;
        if self.clear_refs.is_some() {
            // That of a leader that has ended takes the 5 and does nothing.
            self.clear_refs = Some(open_clear_refs(&files.folder)?);
        }
        self.files = files;
        Ok(pages)
    }

    /// When the peak is to be read between samples.
    pub(super) fn peak_due(&self) -> Instant {
        self.peak_due
    }

    /// Reads it. A target that has just ended has no mark any more; the next sample finds that out.
    pub(super) fn read_peak_if_due(&mut self, now: Instant) {
        if now < self.peak_due {
            return;
        }
        self.postpone_peak(now);
        if let Ok(status) = self.files.status.read() {
            self.peak = self.peak.max(status.peak_rss.max(status.rss));
        }
    }

    /// It was read: each pause is twice as long as the one before.
    fn postpone_peak(&mut self, now: Instant) {
        self.peak_due = now + self.pause;
        self.pause = (self.pause * 2).min(PEAK_EVERY);
    }

    fn peak_is_due(&mut self, now: u64) -> bool {
        let elapsed = |before: u64| u128::from(now.saturating_sub(before));
        let due = self.clear_refs.is_some()
            || self.peak_read_at.is_none_or(|before| elapsed(before) >= PEAK_EVERY.as_nanos());
        if due {
            self.peak_read_at = Some(now);
        }
        due
    }

    pub(super) fn emit_peak(&mut self, metrics: &Metrics, sample: &mut SampleBuilder<'_>) {
        if let (Some(metric), Some(peak)) = (metrics.peak, self.peak)
            && self.last_emitted.peak.replace(peak) != Some(peak)
        {
            sample.point(self.subject, metric, signed(peak));
        }
    }

    fn emit_pages(&mut self, pages: StatmPages, metrics: &Metrics, sample: &mut SampleBuilder<'_>) {
        let bytes = |pages: u64| signed(pages.saturating_mul(page_size()));
        // The resident set is emitted in every sample, so that every sample has its line.
        sample.point(self.subject, metrics.rss, bytes(pages.resident));
        let last = self.last_emitted.pages.replace(pages);
        for (metric, now, before) in [
            (metrics.vsize, pages.size, last.map(|last| last.size)),
            (metrics.shared, pages.shared, last.map(|last| last.shared)),
            (metrics.text, pages.text, last.map(|last| last.text)),
            (metrics.data, pages.data, last.map(|last| last.data)),
        ] {
            if before != Some(now) {
                sample.point(self.subject, metric, bytes(now));
            }
        }
    }
}

/// As long as the target has lived, so that whenever it ends, its peak was read in about the second half of its life.
/// One that is spawned has yet to begin.
fn first_pause(target: &Target) -> Duration {
    let Target { pid, start_time, spawned, .. } = *target;
    let age = since_boot().saturating_sub(ProcessKey { pid, start_time }.since_boot());
    if spawned { FIRST_PAUSE } else { age.clamp(FIRST_PAUSE, PEAK_EVERY) }
}

/// As the stream has it.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
