//! The memory of a copy, with what the copy does not have.

use std::fmt;
use std::io;

use seepmeter_tracer::{MemoryPiece, ProcessMemory};

use crate::image::MemorySource;

/// A range that a fork does not copy, and what of it was read in the stop. The rest of it can't be read.
#[derive(Clone)]
pub(super) struct KeptRange {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) bytes: Vec<u8>,
    /// How many of its bytes were resident and are not in the copy.
    pub(super) left_out: u64,
}

/// Not its bytes, which are another program's.
impl fmt::Debug for KeptRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}–{:#x} ({} B read)", self.start, self.end, self.bytes.len())
    }
}

impl KeptRange {
    /// The range with its bytes, if there are no more of them than are left.
    pub(super) fn read(&self, memory: &ProcessMemory, left: &mut u64) -> Self {
        let size = self.end - self.start;
        let mut bytes = Vec::new();
        if let Some(less) = left.checked_sub(size) {
            *left = less;
            bytes.resize(usize::try_from(size).unwrap_or(0), 0);
            let read = memory.read(self.start, &mut bytes).unwrap_or(0);
            bytes.truncate(read);
        }
        Self { bytes, ..*self }
    }
}

/// The memory of a copy, for as long as its snapshot.
#[derive(Debug)]
pub(super) struct CopiedMemory<'s> {
    pub(super) memory: &'s ProcessMemory,
    /// By address; none overlaps another.
    pub(super) kept: &'s [KeptRange],
}

impl MemorySource for CopiedMemory<'_> {
    fn read_many(&self, pieces: &mut [MemoryPiece<'_>]) -> io::Result<()> {
        self.memory.read_many(pieces)?;
        for piece in pieces {
            let end = piece.address.saturating_add(piece.bytes.len() as u64);
            let first = self.kept.partition_point(|range| range.end <= piece.address);
            if self.kept.get(first).is_some_and(|range| range.start < end) {
                self.read_over(piece, first)?;
            }
        }
        Ok(())
    }
}

impl CopiedMemory<'_> {
    /// Reads a piece that has something of the kept ranges from `first` on.
    fn read_over(&self, piece: &mut MemoryPiece<'_>, first: usize) -> io::Result<()> {
        piece.read = 0;
        let mut next = first;
        while piece.read < piece.bytes.len() {
            let address = piece.address + piece.read as u64;
            let room = &mut piece.bytes[piece.read..];
            let kept = self.kept.get(next);
            let count = match kept.filter(|range| range.start <= address) {
                Some(range) => {
                    next += 1;
                    let into = usize::try_from(address - range.start).unwrap_or(usize::MAX);
                    let bytes = range.bytes.get(into..).unwrap_or_default();
                    let count = bytes.len().min(room.len());
                    room[..count].copy_from_slice(&bytes[..count]);
                    // The range's end, if there is more to read.
                    if count < room.len() && address + count as u64 != range.end {
                        piece.read += count;
                        return Ok(());
                    }
                    count
                }
                None => {
                    let until = kept.map_or(u64::MAX, |range| range.start - address);
                    let want = room.len().min(usize::try_from(until).unwrap_or(usize::MAX));
                    let count = self.memory.read(address, &mut room[..want])?;
                    if count < want {
                        piece.read += count;
                        return Ok(());
                    }
                    count
                }
            };
            piece.read += count;
        }
        Ok(())
    }
}
