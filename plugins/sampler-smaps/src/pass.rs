//! One pass over the whole of smaps, a mapping at a time.

use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use seepmeter_maps::smaps::{Entry, Parser, SmapsFigures};
use seepmeter_process::proc::SmapsRollup;
use seepmeter_process::system::thread_cpu_time;

use crate::counts::Counts;
use crate::table::MappingTable;

/// What the kernel returns from one read(2) it has gathered under one hold of the lock. A mapping's
/// text is longer than this, so one read walks the pages of no more than one mapping; and none is
/// walked in vain, as happens to the last one if the kernel's buffer of a page runs over.
const BUFFER: usize = 512;

pub(crate) struct Pass {
    file: File,
    parser: Parser,
    /// Which pass this is; what is read of a mapping is marked with it.
    pub(crate) number: u32,
    /// How often maps had been read when it began: it knows nothing of mappings that came later.
    pub(crate) maps_reads: u32,
    /// What it has cost so far.
    pub(crate) cost: Duration,
    /// All mappings together, so far.
    sums: SmapsFigures,
    last: Option<LastEntry>,
}

/// What was read last.
#[derive(Clone, Copy)]
struct LastEntry {
    start: u64,
    end: u64,
    /// All mappings before it.
    before: SmapsFigures,
}

impl Pass {
    pub(crate) fn new(file: File, number: u32, maps_reads: u32) -> Self {
        Self {
            file,
            parser: Parser::default(),
            number,
            maps_reads,
            cost: Duration::ZERO,
            sums: SmapsFigures::default(),
            last: None,
        }
    }

    /// True if not a single mapping was there.
    pub(crate) fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// All mappings together, in the terms of smaps_rollup.
    pub(crate) fn sums(&self) -> SmapsRollup {
        let sums = self.sums;
        SmapsRollup {
            rss: Some(sums.rss),
            pss: Some(sums.pss),
            private_dirty: Some(sums.private_dirty),
            anonymous: Some(sums.anonymous),
            swap: Some(sums.swap),
            swap_pss: Some(sums.swap_pss),
            lazyfree: Some(sums.lazyfree),
            locked: Some(sums.locked),
        }
    }

    /// How many pages have been visited.
    pub(crate) fn visited_pages(&self) -> u64 {
        Counts::from(self.sums).visited_pages()
    }

    /// Reads for one slice, or to the end; false at the end.
    pub(crate) fn slice(&mut self, table: &mut MappingTable, slice: Duration) -> io::Result<bool> {
        let begin = thread_cpu_time();
        let mut buffer = [0; BUFFER];
        loop {
            let more = self.read(&mut buffer, table)?;
            let took = thread_cpu_time().saturating_sub(begin);
            if !more || took >= slice / 2 {
                self.cost += took;
                return Ok(more);
            }
        }
    }

    /// Reads all there is, at once.
    pub(crate) fn whole(&mut self, table: &mut MappingTable) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        while self.read(&mut buffer, table)? {}
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8], table: &mut MappingTable) -> io::Result<bool> {
        let length = self.file.read(buffer)?;
        let Self { parser, number, sums, last, .. } = self;
        let mut take = |entry: Entry<'_>| {
            // A mapping that has grown since it was read is there again, and all of it.
            let again = last.filter(|last| entry.header.start < last.end);
            let replaced = again.filter(|last| entry.header.start <= last.start);
            if let Some(last) = replaced {
                *sums = last.before;
            }
            let (start, end) = (entry.header.start, entry.header.end);
            *last = Some(LastEntry { start, end, before: *sums });
            sums.add(&entry.figures);
            table.read(*number, &entry, replaced.is_some());
        };
        match buffer.get(..length) {
            Some([]) | None => parser.finish(&mut take),
            Some(text) => parser.push(text, &mut take),
        }
        Ok(length > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use seepmeter_maps::class::{ThreadStacks, classify};
    use seepmeter_maps::{DeletedFiles, maps};

    use super::*;

    /// The kernel goes on at the end of what it has shown last: in a mapping that has grown beyond that.
    #[test]
    fn a_mapping_that_grows_while_it_is_read_counts_once_and_as_it_was_last() {
        let entry = |range: &str, path: &str, kib: u64| {
            format!(
                "{range} rw-p 00000000 00:00 0 {path}\nRss: {kib} kB\nPss: {kib} kB\nVmFlags: rd wr\n"
            )
        };
        let text = [
            entry("1000-3000", "[anon:before]", 4),
            entry("10000-20000", "[heap]", 60),
            entry("10000-28000", "[heap]", 90),
            entry("10000-30000", "[heap]", 120),
            entry("40000-42000", "[anon:behind]", 8),
        ];
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.concat().as_bytes()).unwrap();
        file.rewind().unwrap();
        let headers = "1000-3000 rw-p 0 00:00 0 [anon:before]\n10000-20000 rw-p 0 00:00 0 [heap]\n\
                       40000-42000 rw-p 0 00:00 0 [anon:behind]\n";
        let headers = maps::parse(headers.as_bytes());
        let mut table = MappingTable::default();
        let mut files = DeletedFiles::as_the_kernel_says();
        table.update(&headers, classify(&headers, &ThreadStacks::default(), &mut files));
        let mut pass = Pass::new(file, 1, 1);
        pass.whole(&mut table).unwrap();
        assert_eq!(pass.sums().pss, Some((4 + 120 + 8) << 10));
        let pss = |at: usize| table.mappings[at].read.map(|(_, read)| read.pss >> 10);
        assert_eq!([pss(0), pss(1), pss(2)], [Some(4), Some(120), Some(8)]);
    }
}
