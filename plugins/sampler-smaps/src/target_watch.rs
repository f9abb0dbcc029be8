//! One target under watch: what to observe of it, and when.

use std::fs::File;
use std::time::{Duration, Instant};

use seepmeter_maps::class::classify;
use seepmeter_maps::{DeletedFiles, maps};
use seepmeter_plugin::record::{Event, EventKind, SubjectId};
use seepmeter_plugin::{Error, ErrorKind, SampleBuilder, Stream, Target};
use seepmeter_process::proc::StatmPages;
use seepmeter_process::system::{page_size, thread_cpu_time};

use crate::metrics::{Metrics, ProcessSizes, ProcessValues};
use crate::options::{Mode, SmapsOptions};
use crate::reads::Reads;
use crate::scan;
use crate::source::{Source, read_failed};
use crate::stacks::StackTable;
use crate::subjects::{Scope, Subjects};
use crate::sweep::Sweep;
use crate::table::{MappingTable, total};

/// Reading maps, which holds next to nothing up, may take one part in so many of the time.
const MAPS_SHARE: u32 = 200;

/// A sample is whole if no value of it is older than this, unless nothing has changed.
const OLDEST: Duration = Duration::from_secs(10);

pub(crate) struct TargetWatch {
    pub(crate) subject: SubjectId,
    options: SmapsOptions,
    source: Source,
    stacks: StackTable,
    files: DeletedFiles,
    table: MappingTable,
    process: ProcessValues,
    subjects: Subjects,
    /// None if PAGEMAP_SCAN can't be had.
    sweep: Option<Sweep>,
    reads: Reads,
    /// The target's pagemap, opened anew for each sample: it belongs to one program, and an exec ends that.
    pagemap: Option<File>,
    text: Vec<u8>,
    statm: StatmPages,
    /// How many pages were resident when the newest sweep began.
    resident_before: u64,
    maps_due: Instant,
    sweep_due: Instant,
    heartbeat: Instant,
    /// The target has changed since the newest sweep began.
    changed: bool,
    /// Something was observed of the mappings since the last sample.
    observed: bool,
    sampled_at: Instant,
    reported_slow: bool,
    /// Why nothing more is observed until the next sample.
    pub(crate) failure: Option<Error>,
}

impl TargetWatch {
    pub(crate) fn new(
        target: &Target,
        options: &SmapsOptions,
        metrics: &Metrics,
    ) -> Result<Self, Error> {
        let now = Instant::now();
        let mut source = Source::new(target);
        // Whether the right is there is better known before the target runs.
        source.open("smaps")?;
        let scans = options.scan && options.mode == Mode::Sweep;
        Ok(Self {
            subject: target.subject,
            stacks: StackTable::new(target.pid, source.process().clone()),
            files: DeletedFiles::seen_from(source.process().file("root")),
            source,
            table: MappingTable::new(!scans),
            process: ProcessValues::new(target.subject, metrics),
            subjects: Subjects::new(target.subject, options.detail, metrics),
            sweep: scans.then(Sweep::new),
            reads: Reads::new(options, now),
            pagemap: None,
            text: Vec::new(),
            statm: StatmPages::default(),
            resident_before: 0,
            maps_due: now,
            sweep_due: now,
            heartbeat: now + options.heartbeat,
            changed: true,
            observed: false,
            sampled_at: now,
            reported_slow: false,
            failure: None,
            options: options.clone(),
        })
    }

    /// Forgets that it was gone, if that is why nothing more was observed.
    pub(crate) fn retry_if_gone(&mut self) {
        self.failure.take_if(|error| error.kind() == ErrorKind::Gone);
    }

    /// Begins a sample: sees what has changed, and what is to be done. Each of the targets, of which there
    /// are so many, has the same share of the budget if all have work.
    pub(crate) fn begin_sample(
        &mut self,
        targets: u32,
        stream: &mut dyn Stream,
    ) -> Result<(), Error> {
        let now = Instant::now();
        let statm = self.source.statm()?;
        let moved = statm != self.statm;
        let grew = statm.resident > self.statm.resident;
        self.statm = statm;
        self.pagemap = None;
        if self.options.mode == Mode::Full {
            self.read_maps(targets)?;
            return self.reads.whole(&mut self.source, &mut self.table);
        }
        let beat = now >= self.heartbeat;
        if beat {
            self.heartbeat = now + self.options.heartbeat;
        }
        if moved || beat {
            self.changed = true;
            self.reads.target_changed(self.options.share() / f64::from(targets));
        }
        let first = self.table.maps_reads == 0;
        let wanted = moved || beat || self.subjects.are_waiting();
        if first || (wanted && now >= self.maps_due) {
            self.read_maps(targets)?;
        }
        if grew {
            // What had grown when it was last scanned goes before others.
            self.table.pieces.iter_mut().for_each(|piece| piece.urgent |= piece.growing);
        }
        self.begin_what_is_due(now, stream)
    }

    fn begin_what_is_due(&mut self, now: Instant, stream: &mut dyn Stream) -> Result<(), Error> {
        if let Some(sweep) = &mut self.sweep
            && self.changed
            && now >= self.sweep_due
            && !sweep.is_running()
        {
            self.changed = false;
            self.resident_before = self.statm.resident;
            self.sweep_due = now + self.options.sweep_every;
            sweep.begin(now);
        }
        let scans = self.sweep.is_some();
        if !scans || self.was_swept() {
            let event = self.reads.begin_pass(&mut self.source, &self.table, scans)?;
            self.report(event, stream);
        }
        self.report_slow_sweep(stream);
        Ok(())
    }

    /// True once everything was observed.
    fn was_swept(&self) -> bool {
        match &self.sweep {
            Some(sweep) => sweep.completed.is_some(),
            None => self.reads.has_finished(),
        }
    }

    /// True if no value is older than it may be in a whole sample. What counts is how old it was at the last
    /// sample: between two samples nothing observes the target.
    pub(crate) fn is_current(&self) -> bool {
        let as_of = self.sampled_at;
        let (completed, idle) = match &self.sweep {
            Some(sweep) => (sweep.completed, !sweep.is_running() && !self.changed),
            None => (self.reads.finished(as_of).map(|pass| pass.began), self.reads.is_idle()),
        };
        let recent = |began| as_of.saturating_duration_since(began) < OLDEST;
        completed.is_some_and(|began| idle || recent(began)) && self.reads.are_known(as_of)
    }

    /// How much the resident set has grown since the newest sweep began, in pages.
    pub(crate) fn growth(&self) -> u64 {
        self.statm.resident.saturating_sub(self.resident_before)
    }

    pub(crate) fn has_work(&self) -> bool {
        let to_sweep = self.sweep.as_ref().is_some_and(|sweep| {
            sweep.is_running() || self.table.pieces.iter().any(|piece| piece.urgent)
        });
        let to_read = to_sweep || self.reads.is_reading() || self.rollup_is_due();
        self.failure.is_none() && to_read
    }

    pub(crate) fn rollup_is_due(&self) -> bool {
        self.options.mode == Mode::Sweep && self.reads.rollup_is_due()
    }

    /// How many pages a read of smaps_rollup would visit.
    fn visited_pages(&self) -> u64 {
        match total(&self.table.pieces) {
            Some(counts) if self.was_swept() => counts.visited_pages(),
            _ => self.statm.resident,
        }
    }

    /// Reads smaps_rollup.
    pub(crate) fn roll_up(&mut self, stream: &mut dyn Stream) -> Result<(), Error> {
        let pages = self.visited_pages();
        let event = self.reads.roll_up(&mut self.source, pages)?;
        self.report(event, stream);
        Ok(())
    }

    /// Does one slice of work: sweeping goes before a pass over smaps.
    pub(crate) fn work(&mut self, slice: Duration, stream: &mut dyn Stream) -> Result<(), Error> {
        self.observed = true;
        match self.sweep_slice(slice) {
            Ok(true) => {}
            Ok(false) => self.reads.slice(&mut self.table, slice)?,
            Err(error) if error.kind() == ErrorKind::Skip => self.fall_back(&error, stream),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Sweeps for one slice; false if there is nothing to sweep. An error of kind `Skip` means that
    /// PAGEMAP_SCAN can't be had.
    fn sweep_slice(&mut self, slice: Duration) -> Result<bool, Error> {
        let Some(sweep) = &mut self.sweep else { return Ok(false) };
        let pagemap = match self.pagemap.take() {
            Some(pagemap) => pagemap,
            None => self.source.open("pagemap").map_err(|error| match error.kind() {
                ErrorKind::Gone => error,
                _ => Error::skip(error),
            })?,
        };
        let outcome = sweep.slice(&mut self.table.pieces, &pagemap, slice);
        self.pagemap = Some(pagemap);
        outcome.map_err(|error| match scan::unavailable(&error) {
            true => Error::skip(error),
            false => read_failed("cannot scan the target's page tables", &error),
        })
    }

    /// Emits the sample: what the slices since the last one have observed, and how large the whole is, so
    /// that the parts have something to be parts of.
    pub(crate) fn emit(
        &mut self,
        whole: bool,
        sample: &mut SampleBuilder<'_>,
    ) -> Result<(), Error> {
        // A target that ended meanwhile has no pages, and that is no news of its mappings.
        self.source.statm()?;
        let rss = self.statm.resident.saturating_mul(page_size());
        let mappings = self.table.mappings.len() as u64;
        let sizes = ProcessSizes { rss, mappings, threads: self.stacks.count() };
        self.process.emit(sizes, self.reads.take_sums(), whole, sample);
        let pass = self.reads.finished(self.sampled_at);
        self.sampled_at = Instant::now();
        if std::mem::take(&mut self.observed) {
            let scope = Scope { whole, swept: self.was_swept(), pass, now: self.sampled_at };
            self.subjects.emit(&mut self.table, scope, sample);
        }
        Ok(())
    }

    fn read_maps(&mut self, targets: u32) -> Result<(), Error> {
        let begin = thread_cpu_time();
        self.source.maps(&mut self.text)?;
        self.stacks.refresh()?;
        let mut headers = maps::parse(&self.text);
        // [vsyscall] is one page of the kernel's in its own half, the same in every process.
        headers.retain(|header| header.end <= 1 << 63);
        let groups = classify(&headers, &self.stacks.stacks(), &mut self.files);
        self.table.update(&headers, groups);
        self.observed = true;
        let took = thread_cpu_time().saturating_sub(begin);
        self.maps_due = Instant::now() + took * MAPS_SHARE * targets;
        Ok(())
    }

    fn fall_back(&mut self, error: &Error, stream: &mut dyn Stream) {
        self.sweep = None;
        self.table.uncut = true;
        self.reads.target_changed(self.options.share());
        let text = format!(
            "PAGEMAP_SCAN can't be had here ({error}): the kernel is older than 6.7, or a filter refuses \
             it; smaps is read in pieces instead, within the budget of {} %",
            self.options.budget
        );
        self.report(Some(EventKind::Fallback { text: text.into() }), stream);
    }

    /// Says once that the budget is too small to observe everything in time.
    fn report_slow_sweep(&mut self, stream: &mut dyn Stream) {
        let since = self.sweep.as_ref().and_then(Sweep::running_since);
        let slow = since.is_some_and(|since| since.elapsed() > OLDEST);
        if !slow || std::mem::replace(&mut self.reported_slow, true) {
            return;
        }
        let text = format!(
            "a sweep of this target takes more than {} s within the budget of {} %: samples are partial, \
             and growth is seen that late; `budget` allows more",
            OLDEST.as_secs(),
            self.options.budget
        );
        stream.incomplete(self.subject, None, text);
    }

    fn report(&self, event: Option<EventKind>, stream: &mut dyn Stream) {
        if let Some(kind) = event {
            stream.event(Event::new(stream.now(), kind).of(self.subject));
        }
    }
}
