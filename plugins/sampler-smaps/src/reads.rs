//! When smaps and smaps_rollup are read, and when they are better left alone.
//!
//! Smaps is read in pieces, a mapping at a time. Smaps_rollup can only be read at once, but it says what
//! the whole process has, however its mappings change meanwhile. The kernel offers its lock to a waiting
//! thread between two mappings of smaps_rollup, but takes it back before that has woken up, until 4 ms have
//! passed (fs/proc/task_mmu.c, kernel/locking/rwsem.c): a read that lasts long does stall the target.

use std::time::{Duration, Instant};

use seepmeter_plugin::Error;
use seepmeter_plugin::record::EventKind;
use seepmeter_process::proc::SmapsRollup;
use seepmeter_process::system::thread_cpu_time;

use crate::budget::stretched;
use crate::options::SmapsOptions;
use crate::pass::Pass;
use crate::source::{Source, read_failed};
use crate::table::{MappingTable, total};

/// Of the budget, this part may go into passes over smaps.
const PASS_PART: f64 = 0.2;

/// Of the budget, this part is for smaps_rollup, and what is not used of it is not for slices: one read of
/// smaps_rollup may cost as much as many slices, and must not make them wait.
pub(crate) const ROLLUP_PART: f64 = 0.3;

/// The sums of the process are read at least this often if the budget allows it.
const USUAL: Duration = Duration::from_secs(8);

/// A pass that took no longer than this has seen the process at one time, as smaps_rollup does, and spares
/// it.
const QUICK_PASS: Duration = Duration::from_secs(1);

/// What is older than this is not known any more if the target has changed since, nor is what should have
/// been read anew some time ago.
const LONGEST_KNOWN: Duration = Duration::from_secs(60);

/// What smaps and smaps_rollup take for a page before it was measured, in nanoseconds.
const PAGE_COST: f64 = 60.0;

/// If smaps_rollup would take too long by what it took last, that was perhaps a bad moment of the machine: by this
/// factor less is expected each time, down to what it was before anything was measured.
const FORGETS: f64 = 0.9;

const CANNOT_READ: &str = "cannot read the target's smaps";

/// A pass over smaps that has come to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FinishedPass {
    /// What is read of a mapping is marked with this number.
    pub(crate) number: u32,
    /// See [`Pass::maps_reads`].
    pub(crate) maps_reads: u32,
    pub(crate) began: Instant,
    known_until: Instant,
}

/// The reads of one target.
pub(crate) struct Reads {
    share: f64,
    max_hold: Duration,
    rollup_hold: Duration,
    page_cost: f64,
    /// The same for smaps_rollup, which may take less: there is no text of each mapping.
    rollup_page_cost: f64,
    running: Option<Pass>,
    passes: u32,
    began: Instant,
    finished: Option<FinishedPass>,
    pass_due: Instant,
    rollup_due: Instant,
    /// When smaps_rollup was last read.
    rolled_up: Option<Instant>,
    /// How long the sums of the process are known that were last read, there or in smaps.
    sums_known_until: Option<Instant>,
    has_rollup: bool,
    /// The sums of the process that were not emitted yet.
    sums: SmapsRollup,
    /// The target may have changed since the last pass, and since the last rollup, began.
    changed: bool,
    changed_since_rollup: bool,
    reported: Reported,
}

/// What was reported already: each is once.
#[derive(Debug, Default)]
struct Reported {
    pass_left_out: bool,
    rollup_left_out: bool,
    rollup_rare: bool,
}

impl Reads {
    /// The reads of a target that may cost `share` of the time.
    pub(crate) fn new(options: &SmapsOptions, now: Instant) -> Self {
        Self {
            share: options.share(),
            max_hold: options.max_hold,
            rollup_hold: options.rollup_hold,
            page_cost: PAGE_COST,
            rollup_page_cost: PAGE_COST,
            running: None,
            passes: 0,
            began: now,
            finished: None,
            pass_due: now,
            rollup_due: now,
            rolled_up: None,
            sums_known_until: None,
            has_rollup: true,
            sums: SmapsRollup::default(),
            changed: true,
            changed_since_rollup: true,
            reported: Reported::default(),
        }
    }

    /// The target has changed, or may have. `share` of the time is this target's.
    pub(crate) fn target_changed(&mut self, share: f64) {
        self.changed = true;
        self.changed_since_rollup = true;
        self.share = share;
    }

    /// True if nothing is being read, and nothing has changed since.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_none() && !self.changed
    }

    /// True once a pass has come to its end.
    pub(crate) fn has_finished(&self) -> bool {
        self.finished.is_some()
    }

    /// The newest pass that has ended, unless it was too old to be true already at this time.
    pub(crate) fn finished(&self, as_of: Instant) -> Option<FinishedPass> {
        self.finished.filter(|pass| !self.changed || as_of < pass.known_until)
    }

    /// True unless something that was read once was not known any more at this time.
    pub(crate) fn are_known(&self, as_of: Instant) -> bool {
        let until = self.sums_known_until;
        let sums_known = until.is_none_or(|until| !self.changed_since_rollup || as_of < until);
        sums_known && (self.finished.is_none() || self.finished(as_of).is_some())
    }

    /// The sums of the process that were read since this was last asked.
    pub(crate) fn take_sums(&mut self) -> SmapsRollup {
        std::mem::take(&mut self.sums)
    }

    pub(crate) fn is_reading(&self) -> bool {
        self.running.is_some()
    }

    /// Passes over all of smaps at once.
    pub(crate) fn whole(
        &mut self,
        source: &mut Source,
        table: &mut MappingTable,
    ) -> Result<(), Error> {
        let mut pass = self.new_pass(source, table)?;
        pass.whole(table).map_err(|error| read_failed(CANNOT_READ, &error))?;
        if pass.is_empty() {
            return Err(Error::gone());
        }
        self.end(pass);
        Ok(())
    }

    /// Begins a pass in pieces if it is due; if `bounded`, only if no mapping takes longer than may be.
    /// Returns what is to be reported.
    pub(crate) fn begin_pass(
        &mut self,
        source: &mut Source,
        table: &MappingTable,
        bounded: bool,
    ) -> Result<Option<EventKind>, Error> {
        if self.running.is_some() || !self.changed || Instant::now() < self.pass_due {
            return Ok(None);
        }
        if bounded && let Some(event) = self.too_large(table) {
            return Ok(once(&mut self.reported.pass_left_out, event));
        }
        self.running = Some(self.new_pass(source, table)?);
        Ok(None)
    }

    fn new_pass(&mut self, source: &mut Source, table: &MappingTable) -> Result<Pass, Error> {
        self.changed = false;
        self.began = Instant::now();
        self.passes = self.passes.wrapping_add(1);
        Ok(Pass::new(source.open("smaps")?, self.passes, table.maps_reads))
    }

    /// Reads for one slice, if a pass is under way.
    pub(crate) fn slice(&mut self, table: &mut MappingTable, slice: Duration) -> Result<(), Error> {
        let Some(mut pass) = self.running.take() else { return Ok(()) };
        match pass.slice(table, slice) {
            Ok(true) => self.running = Some(pass),
            // Its thread has ended in the meantime: it is read of another one, if there is any.
            Ok(false) if pass.is_empty() => self.changed = true,
            Ok(false) => self.end(pass),
            Err(error) => return Err(read_failed(CANNOT_READ, &error)),
        }
        Ok(())
    }

    fn end(&mut self, pass: Pass) {
        let Pass { number, maps_reads, cost, .. } = pass;
        let (began, now) = (self.began, Instant::now());
        measure(&mut self.page_cost, cost, pass.visited_pages());
        self.pass_due = now + stretched(cost, self.share * self.pass_part());
        let known_until = known_until(began, self.pass_due);
        self.finished = Some(FinishedPass { number, maps_reads, began, known_until });
        let quick = now - began < QUICK_PASS;
        if quick || self.rolled_up.is_none_or(|at| at + USUAL < began) {
            self.sums = pass.sums();
            self.sums_known_until = Some(known_until);
            self.changed_since_rollup = self.changed;
        }
        if quick {
            self.rollup_due = self.rollup_due.max(now + USUAL);
        }
    }

    /// Of the budget, what may go into passes: if smaps_rollup takes too long to be read, its part too.
    fn pass_part(&self) -> f64 {
        if self.reported.rollup_left_out { PASS_PART + ROLLUP_PART } else { PASS_PART }
    }

    /// True if smaps_rollup is to be read now.
    pub(crate) fn rollup_is_due(&self) -> bool {
        self.has_rollup && self.changed_since_rollup && Instant::now() >= self.rollup_due
    }

    /// Reads smaps_rollup, unless it would take too long; `pages` is how many it visits. Returns what is
    /// to be reported.
    pub(crate) fn roll_up(
        &mut self,
        source: &mut Source,
        pages: u64,
    ) -> Result<Option<EventKind>, Error> {
        let expected = time_for(pages, self.rollup_page_cost);
        if expected > self.rollup_hold {
            self.rollup_page_cost = (self.rollup_page_cost * FORGETS).max(PAGE_COST);
            self.rollup_due = Instant::now() + USUAL;
            let event = incomplete(format!(
                "smaps_rollup is not read, since the target's mmap and munmap would wait for about \
                 {expected:.0?}: its pss, private_dirty and lazyfree are known only as far as smaps is read in \
                 pieces; `rollup-hold` allows more"
            ));
            return Ok(once(&mut self.reported.rollup_left_out, event));
        }
        let (at, begin) = (Instant::now(), thread_cpu_time());
        let Some(sums) = source.smaps_rollup()? else {
            self.has_rollup = false;
            let text = "this kernel has no smaps_rollup (Linux 4.14); pss and the like of the process are \
                        summed up over smaps";
            return Ok(Some(EventKind::Fallback { text: text.into() }));
        };
        let cost = thread_cpu_time().saturating_sub(begin);
        for page_cost in [&mut self.rollup_page_cost, &mut self.page_cost] {
            measure(page_cost, cost, pages);
        }
        self.sums = sums;
        self.rolled_up = Some(at);
        self.changed_since_rollup = false;
        let pause = stretched(cost, self.share * ROLLUP_PART);
        self.rollup_due = at + pause;
        self.sums_known_until = Some(known_until(at, self.rollup_due));
        if pause <= USUAL {
            return Ok(None);
        }
        let event = incomplete(format!(
            "smaps_rollup took {cost:.0?} and is read every {} s to stay within the budget: pss and the \
             like are known that seldom; `budget` allows more",
            pause.as_secs()
        ));
        Ok(once(&mut self.reported.rollup_rare, event))
    }

    /// What is to be reported if a mapping is so large that reading it takes longer than may be.
    fn too_large(&self, table: &MappingTable) -> Option<EventKind> {
        let times = table.mappings.iter().filter_map(|mapping| {
            let counts = total(&table.pieces[mapping.pieces.clone()])?;
            Some(time_for(counts.visited_pages(), self.page_cost))
        });
        let too_long: Vec<Duration> = times.filter(|time| *time > self.max_hold).collect();
        let longest = too_long.iter().max()?;
        let text = format!(
            "smaps is not read, since one of the target's mappings is so large that its mmap and munmap \
             would wait for about {longest:.0?}: pss, private_dirty, swap_pss, lazyfree and locked of its \
             mappings are not known; `max-hold` allows more"
        );
        let count = i64::try_from(too_long.len()).ok();
        Some(EventKind::Incomplete { count, text: text.into() })
    }
}

/// Notes what a page took, in nanoseconds.
fn measure(page_cost: &mut f64, cost: Duration, pages: u64) {
    if pages > 10_000 {
        *page_cost = (cost.as_secs_f64() * 1e9 / pages as f64).clamp(5.0, 1000.0);
    }
}

fn time_for(pages: u64, page_cost: f64) -> Duration {
    Duration::try_from_secs_f64(pages as f64 * page_cost / 1e9).unwrap_or(Duration::MAX)
}

/// How long what was read at `at` is known, if it is due to be read anew at `due`.
fn known_until(at: Instant, due: Instant) -> Instant {
    (due + USUAL).min(at + LONGEST_KNOWN)
}

/// The event, if it is reported for the first time.
fn once(reported: &mut bool, event: EventKind) -> Option<EventKind> {
    (!std::mem::replace(reported, true)).then_some(event)
}

fn incomplete(text: String) -> EventKind {
    EventKind::Incomplete { count: None, text: text.into() }
}
