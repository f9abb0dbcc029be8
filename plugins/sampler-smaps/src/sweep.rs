//! The sweep: scans the target's mappings a slice at a time, new and growing ones first.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use seepmeter_process::system::{page_size, thread_cpu_time};

use crate::counts::Counts;
use crate::scan::{Region, ScanRequest, Scanner};
use crate::table::Piece;

/// One call covers no more than this, for page tables that are there but empty take time too.
const SPAN: u64 = 1 << 30;

/// One call covers no more pieces than this.
const SPAN_PIECES: usize = 1024;

/// A place in the address space, which stays a place when the mappings change.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    at: u64,
    /// Where the piece begins of which a part is scanned, and what was found in that part.
    part_of: Option<u64>,
    part: Counts,
}

/// What one call scans: from the cursor's place, beginning with this piece.
#[derive(Clone, Copy, Debug)]
struct NextCall {
    cursor: Cursor,
    first: usize,
    urgent: bool,
}

pub(crate) struct Sweep {
    scanner: Scanner,
    /// Among the urgent pieces.
    urgent: Cursor,
    /// None while no sweep of everything is under way.
    whole: Option<Cursor>,
    /// A sweep of everything and urgent pieces take turns.
    urgent_turn: bool,
    /// How many pages one call may visit.
    pages: u64,
    /// Which sweep the newest one is, from 1 on.
    number: u32,
    began: Instant,
    /// When the newest completed sweep of everything began.
    pub(crate) completed: Option<Instant>,
}

impl Sweep {
    pub(crate) fn new() -> Self {
        Self {
            scanner: Scanner::new(),
            urgent: Cursor::default(),
            whole: None,
            urgent_turn: true,
            pages: 1024,
            number: 0,
            began: Instant::now(),
            completed: None,
        }
    }

    /// Begins a sweep of everything.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.whole = Some(Cursor::default());
        self.number = self.number.wrapping_add(1);
        self.began = now;
    }

    /// True while a sweep of everything is under way.
    pub(crate) fn is_running(&self) -> bool {
        self.whole.is_some()
    }

    /// When the sweep of everything that is under way began.
    pub(crate) fn running_since(&self) -> Option<Instant> {
        self.whole.map(|_| self.began)
    }

    /// Scans for one slice, or until there is nothing to scan; false if nothing is left.
    pub(crate) fn slice(
        &mut self,
        pieces: &mut [Piece],
        pagemap: &File,
        slice: Duration,
    ) -> io::Result<bool> {
        let begin = thread_cpu_time();
        loop {
            let before = thread_cpu_time();
            let Some(next) = self.next(pieces) else { return Ok(false) };
            let (cursor, pages) = self.call(pieces, pagemap, next)?;
            let after = thread_cpu_time();
            self.adapt(pages, after.saturating_sub(before), slice);
            if next.urgent {
                self.urgent = cursor;
            } else {
                self.whole = Some(cursor);
            }
            self.urgent_turn = !next.urgent;
            if after.saturating_sub(begin) >= slice / 2 {
                return Ok(true);
            }
        }
    }

    /// What comes next: a sweep passes over what was scanned as urgent since it began. Ends a sweep that
    /// has come to the last piece.
    fn next(&mut self, pieces: &[Piece]) -> Option<NextCall> {
        let whole = self.whole.and_then(|cursor| {
            let place = place(pieces, cursor.at);
            let ahead = pieces[place..].iter().position(|piece| piece.sweep != self.number)?;
            Some(NextCall { cursor, first: place + ahead, urgent: false })
        });
        if self.whole.is_some() && whole.is_none() {
            self.whole = None;
            self.completed = Some(self.began);
        }
        if whole.is_some() && !self.urgent_turn {
            return whole;
        }
        self.next_urgent(pieces).or(whole)
    }

    fn next_urgent(&self, pieces: &[Piece]) -> Option<NextCall> {
        let from = |first: usize, cursor: Cursor| {
            let ahead = pieces[first..].iter().position(|piece| piece.urgent)?;
            Some(NextCall { cursor, first: first + ahead, urgent: true })
        };
        from(place(pieces, self.urgent.at), self.urgent).or_else(|| from(0, Cursor::default()))
    }

    /// Makes one call, over several pieces if they are small. Returns where it stopped, and how many pages
    /// it has found.
    fn call(
        &mut self,
        pieces: &mut [Piece],
        pagemap: &File,
        next: NextCall,
    ) -> io::Result<(Cursor, u64)> {
        let NextCall { mut cursor, first, urgent } = next;
        let number = self.number;
        let wanted = |piece: &Piece| if urgent { piece.urgent } else { piece.sweep != number };
        let span = span(&mut pieces[first..], wanted);
        let begin = span[0].start;
        if cursor.part_of != Some(begin) || cursor.at <= begin {
            cursor = Cursor { at: begin, part_of: Some(begin), part: Counts::default() };
        }
        let end = span.last().map_or(begin, |last| last.end);
        let files = span[0].pages.of_files;
        let request = ScanRequest { start: cursor.at, end, max_pages: self.pages, files };
        let mut tally = Tally { span, at: 0, counts: cursor.part, pages: 0, sweep: self.number };
        let walked = self.scanner.scan(pagemap, request, |region| tally.take(region))?;
        // A walk that went nowhere is taken for a whole one, or it would never end.
        let walked = if walked > request.start { walked } else { end };
        Ok(tally.finish(walked))
    }

    /// Lets a call visit as many pages as one slice has time for.
    fn adapt(&mut self, pages: u64, took: Duration, slice: Duration) {
        if pages < 128 {
            return;
        }
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let fitting = nanos(slice).saturating_mul(pages) / nanos(took).max(1);
        self.pages = ((3 * self.pages + fitting) / 4).clamp(256, 1 << 16);
    }
}

/// The first piece that ends behind `address`.
fn place(pieces: &[Piece], address: u64) -> usize {
    pieces.partition_point(|piece| piece.end <= address)
}

/// As many pieces as one call should cover: all wanted, and alike in whether files must be asked for.
fn span(pieces: &mut [Piece], wanted: impl Fn(&Piece) -> bool) -> &mut [Piece] {
    let files = pieces[0].pages.of_files;
    let mut size = pieces[0].len();
    let mut count = 1;
    for piece in pieces.iter().take(SPAN_PIECES).skip(1) {
        size = size.saturating_add(piece.len());
        if piece.pages.of_files != files || !wanted(piece) || size > SPAN {
            break;
        }
        count += 1;
    }
    &mut pieces[..count]
}

/// Shares the regions of one call out among the pieces.
struct Tally<'a> {
    span: &'a mut [Piece],
    at: usize,
    counts: Counts,
    pages: u64,
    sweep: u32,
}

impl Tally<'_> {
    /// Pages next to each other that are alike are one region, even if they belong to two pieces.
    fn take(&mut self, region: Region) {
        self.pages += (region.end - region.start) / page_size();
        let mut from = region.start;
        while from < region.end {
            self.settle(from);
            let Some(piece) = self.span.get(self.at) else { return };
            let until = region.end.min(piece.end);
            let begin = from.max(piece.start).min(until);
            self.counts.add(counts(piece, region, until - begin));
            from = until;
        }
    }

    /// All pieces that end at or before `address` are known whole.
    fn settle(&mut self, address: u64) {
        while let Some(piece) = self.span.get_mut(self.at).filter(|piece| piece.end <= address) {
            piece.counted(std::mem::take(&mut self.counts));
            piece.sweep = self.sweep;
            self.at += 1;
        }
    }

    /// The call walked this far: where to go on, and how many pages were found.
    fn finish(mut self, walked: u64) -> (Cursor, u64) {
        self.settle(walked);
        let part_of = self.span.get(self.at).map(|piece| piece.start);
        (Cursor { at: walked, part_of, part: self.counts }, self.pages)
    }
}

/// What `bytes` of a region are to a piece, in the terms of smaps.
fn counts(piece: &Piece, region: Region, bytes: u64) -> Counts {
    let mut counts = Counts::default();
    if piece.pages.hugetlb {
        counts.hugetlb = bytes;
    } else if region.resident() {
        counts.rss = bytes;
        let anonymous = !piece.pages.shared && !region.of_file();
        counts.anonymous = if anonymous { bytes } else { 0 };
        counts.thp = if region.huge() { bytes } else { 0 };
    } else if region.swapped() && !piece.pages.shared {
        counts.swap = bytes;
    }
    counts
}
