//! One reading of the whole of smaps, a mapping at a time.

use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use crate::pace::SLICE;
use crate::table::Table;
use seepmeter_maps::smaps::{Entry, Parser};
use seepmeter_process::system::thread_cpu_time;

/// What the kernel hands out at one read(2) it has gathered under one hold of the lock. A mapping's
/// text is longer than this, so one read walks the pages of no more than one mapping; and none is
/// walked in vain, as happens to the last one where the kernel's buffer of a page runs over.
const PIECE: usize = 512;

pub(crate) struct Pass {
    file: File,
    parser: Parser,
    /// Which reading this is; a mapping's figures are marked with it.
    pub(crate) number: u32,
    /// What it has cost so far.
    pub(crate) cost: Duration,
    /// Resident bytes that were walked.
    pub(crate) walked: u64,
    entries: u64,
}

impl Pass {
    pub(crate) fn new(file: File, number: u32) -> Self {
        Self {
            file,
            parser: Parser::default(),
            number,
            cost: Duration::ZERO,
            walked: 0,
            entries: 0,
        }
    }

    /// True where not a single mapping was there.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Reads for one slice, or to the end; false at the end.
    pub(crate) fn slice(&mut self, table: &mut Table) -> io::Result<bool> {
        let begin = thread_cpu_time();
        let mut piece = [0; PIECE];
        loop {
            let more = self.read(&mut piece, table)?;
            let took = thread_cpu_time().saturating_sub(begin);
            if !more || took >= SLICE / 2 {
                self.cost += took;
                return Ok(more);
            }
        }
    }

    /// Reads all there is, at once.
    pub(crate) fn whole(&mut self, table: &mut Table) -> io::Result<()> {
        let mut piece = vec![0; 64 << 10];
        while self.read(&mut piece, table)? {}
        Ok(())
    }

    fn read(&mut self, piece: &mut [u8], table: &mut Table) -> io::Result<bool> {
        let length = self.file.read(piece)?;
        let (number, mut walked, mut entries) = (self.number, 0, 0);
        let mut take = |entry: Entry<'_>| {
            walked += entry.figures.rss;
            entries += 1;
            give(table, number, entry);
        };
        match piece.get(..length) {
            Some([]) | None => self.parser.finish(&mut take),
            Some(text) => self.parser.push(text, &mut take),
        }
        self.walked += walked;
        self.entries += entries;
        Ok(length > 0)
    }
}

/// Gives a mapping its figures. One that the table does not have is left to the next look at maps.
fn give(table: &mut Table, number: u32, entry: Entry<'_>) {
    let Some(mapping) = table.starting_at(entry.header.start) else { return };
    if mapping.perms != entry.header.perms {
        return;
    }
    mapping.counted(entry.figures.into());
    mapping.figures = Some((number, entry.figures));
    if entry.hugetlb {
        mapping.found_hugetlb();
    }
}
