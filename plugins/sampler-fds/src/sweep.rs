//! A pass over the links of /proc/PID/fd, in pieces.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::{RawDir, SeekFrom, fstat, readlinkat_raw, seek};
use rustix::io::Errno;

use crate::link::Link;
use crate::tally::Tally;

/// The list is read in pieces of this many bytes, about 300 descriptors; each has a link of up to 4 KiB.
const LIST_PIECE: usize = 8 << 10;
const LONGEST_LINK: usize = 4 << 10;

/// The open folder, whose position is where the sweep has come to.
#[derive(Debug)]
pub(crate) struct Sweep {
    folder: OwnedFd,
}

impl Sweep {
    /// A sweep over this folder, from the begin.
    pub(crate) fn new(folder: OwnedFd) -> Self {
        Self { folder }
    }

    /// How many descriptors the kernel says there are (Linux 6.2). None if it does not say, or there is
    /// none.
    pub(crate) fn counted(&self) -> Option<u64> {
        let size = fstat(&self.folder).ok()?.st_size;
        u64::try_from(size).ok().filter(|size| *size > 0)
    }

    /// Goes on from the begin.
    pub(crate) fn rewind(&mut self) -> Result<(), Errno> {
        seek(&self.folder, SeekFrom::Start(0)).map(drop)
    }

    /// Counts the next piece; true if it was the last.
    pub(crate) fn piece(&mut self, tally: &mut Tally) -> Result<bool, Errno> {
        let mut list = [MaybeUninit::uninit(); LIST_PIECE];
        let mut entries = RawDir::new(&self.folder, &mut list);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            // The others are `.` and `..`.
            if entry.file_name().to_bytes().first().is_some_and(u8::is_ascii_digit) {
                let mut link = [MaybeUninit::uninit(); LONGEST_LINK];
                match readlinkat_raw(&self.folder, entry.file_name(), &mut link) {
                    Ok((link, _)) => tally.count(&Link::parse(link)),
                    // It was closed meanwhile.
                    Err(Errno::NOENT) => {}
                    Err(error) => return Err(error),
                }
            }
            if entries.is_buffer_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use seepmeter_plugin::record::DescriptorKind;

    use super::*;

    #[test]
    fn a_sweep_in_pieces_finds_each_descriptor_once_and_can_begin_anew() {
        let open: Vec<File> = (0..900).map(|_| File::open("/dev/null").unwrap()).collect();
        let folder = File::open("/proc/self/fd").unwrap();
        let mut sweep = Sweep::new(folder.into());
        for _ in 0..2 {
            sweep.rewind().unwrap();
            let (mut tally, mut pieces) = (Tally::default(), 1);
            while !sweep.piece(&mut tally).unwrap() {
                pieces += 1;
            }
            assert!(pieces > 2, "{pieces}");
            let common = tally.common().first().cloned().unwrap();
            assert_eq!((&*common.name, common.kind), (&b"/dev/null"[..], DescriptorKind::File));
            let null = tally.of_name(common.hash);
            assert!((900..920).contains(&null), "{null}");
            assert!(tally.total() >= 901, "{}", tally.total());
        }
        drop(open);
    }
}
