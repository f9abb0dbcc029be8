//! When smaps is read, in one go or in pieces, and when it is better left alone.

use std::time::{Duration, Instant};

use seepmeter_plugin::record::{Event, EventKind};
use seepmeter_plugin::{Error, Stream};
use seepmeter_process::system::page_size;

use crate::pass::Pass;
use crate::source::{Source, meaning, meaning_of_read};
use crate::table::Table;

/// Of the budget, this part may go into reading smaps.
const PART: f64 = 0.4;

/// What smaps takes for a page before it was measured, in nanoseconds.
const PAGE_COST: f64 = 60.0;

const CANNOT_READ: &str = "cannot read the target's smaps";

pub(crate) struct Reads {
    share: f64,
    max_hold: Duration,
    running: Option<Pass>,
    number: u32,
    finished: Option<u32>,
    due: Instant,
    page_cost: f64,
    told_left_out: bool,
    /// Something may have changed since the last one.
    pub(crate) unread: bool,
}

impl Reads {
    pub(crate) fn new(share: f64, max_hold: Duration, now: Instant) -> Self {
        Self {
            share,
            max_hold,
            running: None,
            number: 0,
            finished: None,
            due: now,
            page_cost: PAGE_COST,
            told_left_out: false,
            unread: true,
        }
    }

    /// Reads all of smaps at once.
    pub(crate) fn whole(&mut self, source: &Source, table: &mut Table) -> Result<u32, Error> {
        self.number = self.number.wrapping_add(1);
        let mut pass = Pass::new(source.open("smaps").map_err(meaning)?, self.number);
        pass.whole(table).map_err(|error| meaning_of_read(CANNOT_READ, &error))?;
        if pass.is_empty() {
            return Err(Error::gone());
        }
        Ok(self.number)
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.running.is_none() && self.unread && now >= self.due
    }

    pub(crate) fn is_reading(&self) -> bool {
        self.running.is_some()
    }

    /// True after the first one has ended.
    pub(crate) fn any(&self) -> bool {
        self.number > u32::from(self.running.is_some())
    }

    /// The number of the one that has ended since this was last asked.
    pub(crate) fn take_finished(&mut self) -> Option<u32> {
        self.finished.take()
    }

    /// Begins one in pieces; if `bound`, only where no mapping takes longer than may be.
    pub(crate) fn begin(
        &mut self,
        source: &Source,
        table: &Table,
        bound: bool,
        stream: &mut dyn Stream,
    ) -> Result<(), Error> {
        let hold = self.longest_hold(table);
        if bound && hold > self.max_hold {
            self.tell_left_out(hold, stream);
            return Ok(());
        }
        self.unread = false;
        self.number = self.number.wrapping_add(1);
        self.running = Some(Pass::new(source.open("smaps").map_err(meaning)?, self.number));
        Ok(())
    }

    /// Reads for one slice, if one is under way.
    pub(crate) fn slice(&mut self, table: &mut Table) -> Result<(), Error> {
        let Some(pass) = &mut self.running else { return Ok(()) };
        match pass.slice(table) {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.end();
                Ok(())
            }
            Err(error) => {
                self.running = None;
                Err(meaning_of_read(CANNOT_READ, &error))
            }
        }
    }

    fn end(&mut self) {
        let Some(pass) = self.running.take() else { return };
        let Pass { number, cost, walked, .. } = pass;
        self.finished = Some(number);
        let rest = cost.as_secs_f64() / (self.share * PART);
        self.due = Instant::now() + Duration::try_from_secs_f64(rest).unwrap_or(Duration::MAX / 4);
        let pages = walked / page_size();
        if pages > 10_000 {
            self.page_cost = (cost.as_secs_f64() * 1e9 / pages as f64).clamp(5.0, 1000.0);
        }
    }

    /// How long the largest mapping would take. A huge page takes no longer than a small one.
    fn longest_hold(&self, table: &Table) -> Duration {
        let pages = table.mappings.iter().filter_map(|mapping| mapping.counts);
        let pages =
            pages.map(|counts| (counts.rss.saturating_sub(counts.thp) + counts.swap) / page_size());
        let nanos = pages.max().unwrap_or(0) as f64 * self.page_cost;
        Duration::try_from_secs_f64(nanos / 1e9).unwrap_or(Duration::MAX)
    }

    fn tell_left_out(&mut self, hold: Duration, stream: &mut dyn Stream) {
        if std::mem::replace(&mut self.told_left_out, true) {
            return;
        }
        let text = format!(
            "smaps is not read, for one of the target's mappings is so large that its mmap and munmap \
             would wait for about {hold:.0?}: pss, private_dirty, swap_pss, lazyfree and locked are not \
             known; `max-hold` allows more"
        );
        stream
            .event(Event::new(stream.now(), EventKind::Other("smaps-left-out".into())).text(text));
    }
}
