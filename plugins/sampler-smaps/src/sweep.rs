//! The sweep: scans the target's mappings a slice at a time, new and growing ones first.

use std::fs::File;
use std::io;
use std::time::Duration;

use crate::counts::Counts;
use crate::pace::SLICE;
use crate::scan::{Ask, Region, Scanner};
use crate::table::{Mapping, Table};
use seepmeter_maps::class::MappingKind;
use seepmeter_process::system::{page_size, thread_cpu_time};

/// One call covers no more than this, for page tables that are there but empty take time too.
const SPAN: u64 = 1 << 30;

/// One call covers no more mappings than this.
const SPAN_MAPPINGS: usize = 1024;

/// A place in the address space, which stays a place when the mappings change.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    at: u64,
    /// Where the mapping begins of which a part is scanned, and what was found in it.
    part_of: Option<u64>,
    part: Counts,
}

pub(crate) struct Sweep {
    scanner: Scanner,
    hot: Lane,
    /// None while no whole sweep is under way.
    whole: Option<Lane>,
    /// Whole sweeps and hot mappings take turns.
    hot_turn: bool,
    /// How many pages one call may look at.
    pages: u64,
    /// What the running whole sweep has cost.
    pub(crate) cost: Duration,
    /// Whole sweeps that were completed.
    pub(crate) completed: u32,
}

impl Sweep {
    pub(crate) fn new() -> Self {
        Self {
            scanner: Scanner::new(),
            hot: Lane::default(),
            whole: None,
            hot_turn: true,
            pages: 4096,
            cost: Duration::ZERO,
            completed: 0,
        }
    }

    /// Begins a whole sweep, if none is under way.
    pub(crate) fn begin(&mut self) {
        if self.whole.is_none() {
            self.whole = Some(Lane::default());
            self.cost = Duration::ZERO;
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.whole.is_some()
    }

    /// Scans for one slice, or until there is nothing to scan; false where nothing is left.
    pub(crate) fn slice(&mut self, table: &mut Table, pagemap: &File) -> io::Result<bool> {
        let begin = thread_cpu_time();
        loop {
            let before = thread_cpu_time();
            let Some((hot, mut lane, first)) = self.next(table) else { return Ok(false) };
            let pages = self.call(table, pagemap, &mut lane, first, hot)?;
            let after = thread_cpu_time();
            self.adapt(pages, after.saturating_sub(before));
            if hot {
                self.hot = lane;
            } else {
                self.cost += after.saturating_sub(before);
                self.whole = Some(lane);
            }
            self.hot_turn = !hot;
            if after.saturating_sub(begin) >= SLICE / 2 {
                return Ok(true);
            }
        }
    }

    /// What comes next: the lane and the place of its mapping. Ends a whole sweep that has come to
    /// the last mapping.
    fn next(&mut self, table: &Table) -> Option<(bool, Lane, usize)> {
        let whole = self.whole.and_then(|lane| {
            let place = table.place(lane.at);
            (place < table.mappings.len()).then_some((false, lane, place))
        });
        if self.whole.is_some() && whole.is_none() {
            self.whole = None;
            self.completed = self.completed.saturating_add(1);
        }
        if whole.is_some() && !self.hot_turn {
            return whole;
        }
        self.next_hot(table).or(whole)
    }

    fn next_hot(&self, table: &Table) -> Option<(bool, Lane, usize)> {
        let place = table.place(self.hot.at);
        let from =
            |from: usize| table.mappings[from..].iter().position(|m| m.hot).map(|n| from + n);
        if let Some(found) = from(place) {
            return Some((true, self.hot, found));
        }
        from(0).map(|found| (true, Lane::default(), found))
    }

    /// Makes one call: scans from the lane's place, over several mappings where they are small, and
    /// moves the lane on.
    fn call(
        &mut self,
        table: &mut Table,
        pagemap: &File,
        lane: &mut Lane,
        first: usize,
        hot: bool,
    ) -> io::Result<u64> {
        let span = span(&mut table.mappings[first..], hot);
        let first_start = span[0].start;
        if lane.part_of != Some(first_start) || lane.at <= first_start {
            *lane = Lane { at: first_start, part_of: Some(first_start), part: Counts::default() };
        }
        let end = span.last().map_or(first_start, |last| last.end);
        let files = !span[0].class.all_anonymous();
        let ask = Ask { start: lane.at, end, max_pages: self.pages, files };
        let mut tally = Tally { span, at: 0, counts: lane.part, pages: 0 };
        let walked = self.scanner.scan(pagemap, ask, |region| tally.take(region))?;
        // A walk that went nowhere is taken for a whole one, or it would never end.
        let walked = if walked > ask.start { walked } else { end };
        let pages = tally.pages;
        let (part_of, part) = tally.finish(walked);
        *lane = Lane { at: walked, part_of, part };
        Ok(pages)
    }

    /// Lets a call look at as many pages as one slice has time for.
    fn adapt(&mut self, pages: u64, took: Duration) {
        if pages < 512 {
            return;
        }
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
        let fitting = u64::try_from(SLICE.as_nanos()).unwrap_or(0) * pages / nanos;
        self.pages = ((3 * self.pages + fitting) / 4).clamp(1024, 1 << 16);
    }
}

/// As many mappings as one call should cover: alike in whether files must be asked for, and all hot
/// where that is what is looked for.
fn span(mappings: &mut [Mapping], hot: bool) -> &mut [Mapping] {
    let files = !mappings[0].class.all_anonymous();
    let mut size = mappings[0].len();
    let mut count = 1;
    for mapping in mappings.iter().take(SPAN_MAPPINGS).skip(1) {
        size = size.saturating_add(mapping.len());
        let alike = mapping.class.all_anonymous() != files && (mapping.hot || !hot);
        if !alike || size > SPAN {
            break;
        }
        count += 1;
    }
    &mut mappings[..count]
}

/// Deals the regions of one call out to the mappings.
struct Tally<'a> {
    span: &'a mut [Mapping],
    at: usize,
    counts: Counts,
    pages: u64,
}

impl Tally<'_> {
    /// Pages next to each other that are alike are one region, though they be of two mappings.
    fn take(&mut self, region: Region) {
        self.pages += (region.end - region.start) / page_size();
        let mut from = region.start;
        while from < region.end {
            self.settle(from);
            let Some(mapping) = self.span.get(self.at) else { return };
            let until = region.end.min(mapping.end);
            let begin = from.max(mapping.start).min(until);
            self.counts.add(counts(mapping, region, until - begin));
            from = until;
        }
    }

    /// All mappings that end at or before `address` are known whole.
    fn settle(&mut self, address: u64) {
        while let Some(mapping) = self.span.get_mut(self.at).filter(|m| m.end <= address) {
            mapping.counted(std::mem::take(&mut self.counts));
            self.at += 1;
        }
    }

    /// The call walked this far: the mapping that is not scanned to its end, and what was found.
    fn finish(mut self, walked: u64) -> (Option<u64>, Counts) {
        self.settle(walked);
        let part_of = self.span.get(self.at).map(|mapping| mapping.start);
        (part_of, self.counts)
    }
}

/// What `bytes` of a region are to a mapping, in the words of smaps.
fn counts(mapping: &Mapping, region: Region, bytes: u64) -> Counts {
    let mut counts = Counts::default();
    if mapping.class.kind() == MappingKind::Hugetlb {
        counts.hugetlb = bytes;
    } else if region.resident() {
        counts.rss = bytes;
        let anonymous = !mapping.perms.shared && !region.of_file();
        counts.anonymous = if anonymous { bytes } else { 0 };
        counts.thp = if region.huge() { bytes } else { 0 };
    } else if region.swapped() && !mapping.perms.shared {
        counts.swap = bytes;
    }
    counts
}
