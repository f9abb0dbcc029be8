//! One target of statm, and what was last emitted of it.

use std::fs::File;

use seepmeter_plugin::{Error, ErrorKind, SampleBuilder, Target};
use seepmeter_process::proc::{ProcFolder, ProcRoot, StatmPages};
use seepmeter_process::system::page_size;
use seepmeter_record::SubjectId;

use super::files::{MemoryFiles, find_living, gone_or_failed, open_clear_refs, reset_mark};
use super::{Metrics, PEAK_EVERY};

pub(super) struct StatmTarget {
    pub(super) subject: SubjectId,
    folder: ProcFolder,
    start_time: u64,
    files: MemoryFiles,
    /// Open if the peak of each interval is asked for.
    clear_refs: Option<File>,
    /// The largest resident set in bytes; none until it was read.
    peak: Option<u64>,
    /// In nanoseconds since the stream's start.
    peak_read_at: Option<u64>,
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
            Err(error) if error.is_gone() => {}
            Err(error) => return Err(Error::of(&error)),
        }
        let (files, pages) = find_living(&self.folder, self.start_time).map_err(gone_or_failed)?;
        if self.clear_refs.is_some() {
            // That of a leader that has ended takes the 5 and does nothing.
            self.clear_refs = Some(open_clear_refs(&files.folder)?);
        }
        self.files = files;
        Ok(pages)
    }

    /// Reads the peak between samples. A target that has just ended has no mark any more; the next sample
    /// finds that out.
    pub(super) fn read_peak(&mut self) {
        if let Ok(status) = self.files.status.read() {
            self.peak = self.peak.max(status.peak_rss.max(status.rss));
        }
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

    fn emit_peak(&mut self, metrics: &Metrics, sample: &mut SampleBuilder<'_>) {
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

/// As the stream has it.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
