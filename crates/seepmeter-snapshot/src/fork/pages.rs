//! Which pages of a copy are resident and its own.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use seepmeter_process::proc::ProcRoot;

use crate::image::MemoryImage;

const PAGE: u64 = 4096;
/// _IOWR('f', 16, struct pm_scan_arg) of include/uapi/linux/fs.h, since Linux 6.7.
const PAGEMAP_SCAN: u64 = 0xc060_6610;
/// PAGE_IS_FILE, PAGE_IS_PRESENT, PAGE_IS_PFNZERO.
const IS_FILE: u64 = 1 << 2;
const IS_PRESENT: u64 = 1 << 3;
const IS_ZERO: u64 = 1 << 5;
/// Of an entry of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst).
const ENTRY_PRESENT: u64 = 1 << 63;
const ENTRY_FILE: u64 = 1 << 61;
/// How many ranges are returned at once, and how many entries are read at once.
const RANGES: usize = 4096;
const ENTRIES: u64 = 1 << 16;

/// A `struct page_region`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

/// A `struct pm_scan_arg`.
#[derive(Debug, Default)]
#[repr(C)]
struct ScanArguments {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    regions: u64,
    regions_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// The resident memory of a process that belongs to no file and is shared with nobody but by a fork.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResidentPages {
    /// By address, apart from each other, each with how many bytes are in those before it.
    ranges: Vec<(Range<u64>, u64)>,
    without_zeros: bool,
}

impl ResidentPages {
    /// How many bytes of a range are resident.
    #[must_use]
    pub fn bytes_in(&self, range: &Range<u64>) -> u64 {
        self.before(range.end).saturating_sub(self.before(range.start))
    }

    /// True if pages that were only read, and so are the kernel's page of zeros, are known not to count. A kernel
    /// before 6.7 does not say which these are: then they count, and no process has them in its resident set.
    #[must_use]
    pub fn without_zeros(&self) -> bool {
        self.without_zeros
    }

    /// How many bytes are resident below an address.
    fn before(&self, address: u64) -> u64 {
        let next = self.ranges.partition_point(|(range, _)| range.start < address);
        self.ranges[..next]
            .last()
            .map_or(0, |(range, before)| before + (address.min(range.end) - range.start))
    }

    /// Reads the page tables of a process, in the regions of its image.
    pub(super) fn read(pid: i32, image: &MemoryImage<'_>) -> io::Result<Self> {
        let file = ProcRoot::default().process(pid).file("pagemap");
        let file = File::open(file)?;
        let mut pages = Self { ranges: Vec::new(), without_zeros: true };
        // The kernel's own mapping, [vsyscall], is beyond all others, and has no page tables.
        for region in image.regions().iter().filter(|it| it.start <= i64::MAX.cast_unsigned()) {
            if pages.without_zeros {
                match pages.scan(&file, region.range()) {
                    Ok(()) => continue,
                    Err(error) if is_unknown(&error) && pages.ranges.is_empty() => {
                        pages.without_zeros = false;
                    }
                    Err(error) => return Err(error),
                }
            }
            pages.read_entries(&file, region.range())?;
        }
        Ok(pages)
    }

    /// Adds a range, which lies behind the others; what does not, is known already.
    fn push(&mut self, range: Range<u64>) {
        let known = self.ranges.last().map_or(0, |(last, _)| last.end);
        let range = range.start.max(known)..range.end;
        if range.is_empty() {
            return;
        }
        let before =
            self.ranges.last().map_or(0, |(last, before)| before + (last.end - last.start));
        match self.ranges.last_mut() {
            Some((last, _)) if last.end == range.start => last.end = range.end,
            _ => self.ranges.push((range, before)),
        }
    }

    fn scan(&mut self, file: &File, range: Range<u64>) -> io::Result<()> {
        let mut regions = vec![PageRegion::default(); RANGES];
        let mut start = range.start;
        while start < range.end {
            let wanted = IS_PRESENT | IS_FILE | IS_ZERO;
            let mut arguments = ScanArguments {
                size: size_of::<ScanArguments>() as u64,
                start,
                end: range.end,
                regions: regions.as_mut_ptr().expose_provenance() as u64,
                regions_len: RANGES as u64,
                category_inverted: IS_FILE | IS_ZERO,
                category_mask: wanted,
                return_mask: IS_PRESENT,
                ..ScanArguments::default()
            };
            // SAFETY: the kernel reads and writes the arguments, and writes at most so many regions as there are;
            // both live until the call is over.
            let filled = unsafe {
                libc::ioctl(file.as_raw_fd(), PAGEMAP_SCAN as libc::Ioctl, &raw mut arguments)
            };
            let filled = usize::try_from(filled).map_err(|_| io::Error::last_os_error())?;
            let mut end = arguments.walk_end;
            for region in regions.iter().take(filled) {
                self.push(region.start..region.end);
                // With many ranges the kernel has gone further than it says (Linux 6.18).
                end = end.max(region.end);
            }
            if end <= start {
                return Err(io::Error::other("the kernel's scan of page tables does not advance"));
            }
            start = end;
        }
        Ok(())
    }

    fn read_entries(&mut self, file: &File, range: Range<u64>) -> io::Result<()> {
        let mut buffer = vec![0; 8 * ENTRIES as usize];
        let mut page = range.start / PAGE;
        while page < range.end / PAGE {
            let want = ENTRIES.min(range.end / PAGE - page) as usize;
            let read = file.read_at(&mut buffer[..8 * want], 8 * page)? / 8;
            if read == 0 {
                return Ok(());
            }
            for (entry, page) in buffer[..8 * read].as_chunks().0.iter().zip(page..) {
                let entry = u64::from_le_bytes(*entry);
                if entry & ENTRY_PRESENT != 0 && entry & ENTRY_FILE == 0 {
                    self.push(page * PAGE..(page + 1) * PAGE);
                }
            }
            page += read as u64;
        }
        Ok(())
    }
}

/// The kernel does not have the call.
fn is_unknown(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOTTY | libc::EINVAL))
}
