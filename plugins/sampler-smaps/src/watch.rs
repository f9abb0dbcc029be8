//! One target under watch: what to look at, when, and how much of it.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use seepmeter_plugin::record::{Event, EventKind, MetricId, SubjectId, Unit};
use seepmeter_plugin::{Error, ErrorKind, Look, Stream, Target, Until, Waited};

use crate::book::{Book, Edition};
use crate::options::{Mode, SmapsOptions};
use crate::pace::Pace;
use crate::reads::Reads;
use crate::scan;
use crate::source::{Source, meaning, meaning_of_read};
use crate::stacks::StackTable;
use crate::sweep::Sweep;
use crate::table::Table;
use seepmeter_maps::class::classify;
use seepmeter_maps::{DeletedFiles, maps};
use seepmeter_process::priority::RealtimePriority;
use seepmeter_process::proc::Statm;
use seepmeter_process::system::{page_size, thread_cpu_time};
use seepmeter_process::wait::wait_one_readable;

/// Reading maps, which holds next to nothing up, may take one part in so many of the time.
const MAPS_SHARE: u32 = 200;

pub(crate) struct Watch {
    options: SmapsOptions,
    subject: SubjectId,
    /// The resident set of the whole.
    rss: MetricId,
    /// The same in pages, as it was told last.
    told: Option<u64>,
    source: Source,
    stacks: StackTable,
    files: DeletedFiles,
    table: Table,
    book: Book,
    pace: Pace,
    /// None where PAGEMAP_SCAN is not to be had.
    sweep: Option<Sweep>,
    reads: Reads,
    /// The target's pagemap, opened at each look: it belongs to one program, and an exec ends that.
    pagemap: Option<File>,
    text: Vec<u8>,
    statm: Statm,
    looks: u32,
    maps_due: Instant,
    sweep_due: Instant,
    /// Since the last whole sweep began, statm has changed.
    changed: bool,
    heartbeat: Instant,
    told_slow: bool,
}

impl Watch {
    pub(crate) fn new(
        options: SmapsOptions,
        target: &Target,
        stream: &mut dyn Stream,
    ) -> Result<Self, Error> {
        let now = Instant::now();
        let source = Source::new(target);
        let share = options.budget / 100.0;
        let watch = Self {
            subject: target.subject,
            rss: stream.metric("rss", Unit::Bytes, "resident set"),
            told: None,
            stacks: StackTable::new(target.pid, source.process().clone()),
            files: DeletedFiles::seen_from(source.process().file("root")),
            source,
            table: Table::default(),
            book: Book::new(target.subject, options.detail, stream),
            pace: Pace::new(share, now),
            sweep: (options.scan && options.mode == Mode::Sweep).then(Sweep::new),
            reads: Reads::new(share, options.max_hold, now),
            pagemap: None,
            text: Vec::new(),
            statm: Statm::default(),
            looks: 0,
            maps_due: now,
            sweep_due: now,
            changed: true,
            heartbeat: now + options.heartbeat,
            told_slow: false,
            options,
        };
        // Whether the right is there is better known before the target runs.
        watch.source.open("smaps").map(|_| watch).map_err(meaning)
    }

    /// Takes one look, and tells what this one and the slices since the last one have seen, and how
    /// large the whole is, so that the parts have something to be parts of.
    pub(crate) fn look(&mut self, look: &mut Look<'_>) -> Result<(), Error> {
        match self.options.mode {
            Mode::Sweep => self.look_by_sweep(look)?,
            Mode::Full => self.look_in_full(look)?,
        }
        let pages = self.statm.resident;
        if self.told.replace(pages) != Some(pages) {
            let bytes = i64::try_from(pages.saturating_mul(page_size())).unwrap_or(i64::MAX);
            look.point(self.subject, self.rss, bytes);
        }
        Ok(())
    }

    fn look_in_full(&mut self, look: &mut Look<'_>) -> Result<(), Error> {
        self.statm = self.source.statm().map_err(meaning)?;
        self.read_maps()?;
        let read = self.reads.whole(&self.source, &mut self.table)?;
        self.publish(Some(read), look);
        Ok(())
    }

    fn look_by_sweep(&mut self, look: &mut Look<'_>) -> Result<(), Error> {
        let now = Instant::now();
        let statm = self.source.statm().map_err(meaning)?;
        let moved = statm != self.statm;
        let beat = now >= self.heartbeat;
        if beat {
            self.heartbeat = now + self.options.heartbeat;
        }
        self.changed |= moved || beat;
        let wanted = moved || beat || self.book.is_waiting();
        if wanted && (now >= self.maps_due || self.looks == 0) {
            self.read_maps()?;
        }
        if statm.resident > self.statm.resident {
            self.heat_growing();
        }
        self.statm = statm;
        self.pagemap = None;
        self.begin_what_is_due(now, look.stream())?;
        while self.has_work() && self.pace.ready_in(Instant::now()).is_zero() {
            self.work(look.stream())?;
        }
        // A target that ended meanwhile has no pages, and that is no news of its mappings.
        self.source.statm().map_err(meaning)?;
        let read = self.reads.take_finished();
        self.publish(read, look);
        // Most of it was taken between the ticks, and reading maps holds next to nothing up.
        look.held(self.pace.take_untold());
        Ok(())
    }

    /// Works while the target's budget allows, until the next tick.
    pub(crate) fn wait(
        &mut self,
        until: Until<'_>,
        stream: &mut dyn Stream,
    ) -> Result<Waited, Error> {
        while self.has_work() {
            let pause = self.pace.ready_in(Instant::now());
            let left = until.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || pause >= left {
                break;
            }
            let woken = wait_one_readable(until.wake, Some(Instant::now() + pause))
                .map_err(|error| Error::io("cannot wait for the next slice", &error))?;
            if woken {
                return Ok(Waited::Done);
            }
            match self.work(stream) {
                Err(error) if error.kind() == ErrorKind::Gone => break,
                outcome => outcome?,
            }
        }
        Ok(Waited::PleaseSleep)
    }

    fn publish(&mut self, read: Option<u32>, look: &mut Look<'_>) {
        let swept = match &self.sweep {
            Some(sweep) => sweep.completed > 0,
            None => self.reads.any(),
        };
        let edition = Edition { looks: self.looks, read, swept };
        self.book.publish(&mut self.table, edition, look);
    }

    fn read_maps(&mut self) -> Result<(), Error> {
        let begin = thread_cpu_time();
        self.source.read("maps", &mut self.text).map_err(meaning)?;
        self.stacks.refresh().map_err(meaning)?;
        let mut headers = maps::parse(&self.text);
        // [vsyscall] is one page of the kernel's in its own half, the same in every process.
        headers.retain(|header| header.end <= 1 << 63);
        let classes = classify(&headers, &self.stacks.stacks(), &mut self.files);
        self.table.update(&headers, classes);
        self.looks = self.looks.saturating_add(1);
        let took = thread_cpu_time().saturating_sub(begin);
        self.maps_due = Instant::now() + took * MAPS_SHARE;
        Ok(())
    }

    /// Mappings that had grown when they were last scanned go before others.
    fn heat_growing(&mut self) {
        for mapping in &mut self.table.mappings {
            mapping.hot |= mapping.growing;
        }
    }

    fn begin_what_is_due(&mut self, now: Instant, stream: &mut dyn Stream) -> Result<(), Error> {
        if let Some(sweep) = &mut self.sweep {
            if self.changed && now >= self.sweep_due && !sweep.is_whole() {
                self.changed = false;
                self.sweep_due = now + self.options.sweep_every;
                self.reads.unread = true;
                sweep.begin();
            }
        } else {
            self.reads.unread |= std::mem::take(&mut self.changed);
        }
        let swept = self.sweep.as_ref().is_none_or(|sweep| sweep.completed > 0);
        if swept && self.reads.is_due(now) {
            let bound = self.sweep.is_some();
            self.reads.begin(&self.source, &self.table, bound, stream)?;
        }
        Ok(())
    }

    fn has_work(&self) -> bool {
        let to_sweep = self.sweep.as_ref().is_some_and(|sweep| {
            sweep.is_whole() || self.table.mappings.iter().any(|mapping| mapping.hot)
        });
        to_sweep || self.reads.is_reading()
    }

    /// Does one slice of work: sweeping goes before reading.
    fn work(&mut self, stream: &mut dyn Stream) -> Result<(), Error> {
        let begin = thread_cpu_time();
        let urgent = RealtimePriority::request();
        let swept = match self.sweep_slice() {
            Ok(swept) => swept,
            Err(error) if scan::unavailable(&error) => {
                self.fall_back(&error, stream);
                return Ok(());
            }
            Err(error) => {
                return Err(meaning_of_read("cannot scan the target's page tables", &error));
            }
        };
        if !swept {
            self.reads.slice(&mut self.table)?;
        }
        drop(urgent);
        self.pace.charge(thread_cpu_time().saturating_sub(begin));
        self.tell_of_a_slow_sweep(stream);
        Ok(())
    }

    /// Sweeps for one slice; false where there is nothing to sweep.
    fn sweep_slice(&mut self) -> io::Result<bool> {
        let Some(sweep) = &mut self.sweep else { return Ok(false) };
        let pagemap = match &mut self.pagemap {
            Some(pagemap) => pagemap,
            none => none.insert(self.source.open("pagemap")?),
        };
        sweep.slice(&mut self.table, pagemap)
    }

    fn fall_back(&mut self, error: &io::Error, stream: &mut dyn Stream) {
        self.sweep = None;
        self.reads.unread = true;
        let text = format!(
            "PAGEMAP_SCAN is not to be had here ({error}): the kernel is older than 6.7, or a filter \
             refuses it; smaps is read in pieces instead, within the budget of {} %",
            self.options.budget
        );
        stream
            .event(Event::new(stream.now(), EventKind::Other("smaps-fallback".into())).text(text));
    }

    /// Says once that the budget is too small to see growth as soon as promised.
    fn tell_of_a_slow_sweep(&mut self, stream: &mut dyn Stream) {
        let Some(sweep) = &self.sweep else { return };
        let lasts = self.pace.stretched(sweep.cost);
        if self.told_slow || lasts <= self.options.sweep_every.max(Duration::from_secs(1)) * 2 {
            return;
        }
        self.told_slow = true;
        let text = format!(
            "within the budget of {} % a sweep of this target lasts over {} s, and growth is seen that \
             late; `budget` allows more",
            self.options.budget,
            lasts.as_secs()
        );
        stream.event(Event::new(stream.now(), EventKind::Other("smaps-slow".into())).text(text));
    }
}
