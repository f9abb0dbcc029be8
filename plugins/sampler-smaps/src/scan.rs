//! PAGEMAP_SCAN: which pages of a range are there, without a page of text.
//!
//! The ioctl (Linux 6.7, Documentation/admin-guide/mm/pagemap.rst) walks the page tables of a range
//! under the same lock as smaps does, but it takes any range, stops after a number of pages, and
//! reads no `struct page` as long as nobody asks whether a page is a file's. So one call holds the
//! lock for as short a time as its caller likes. On 6.18 a page costs 15–25 ns, with the question
//! about files 50, and smaps takes 50–200.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// A page's categories (include/uapi/linux/fs.h).
const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;
const PAGE_IS_HUGE: u64 = 1 << 6;
/// A guard of MADV_GUARD_INSTALL, which looks swapped; from Linux 6.15 on.
const PAGE_IS_GUARD: u64 = 1 << 8;

/// `struct pm_scan_arg`.
#[repr(C)]
#[derive(Default)]
struct ScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct RawRegion {
    start: u64,
    end: u64,
    categories: u64,
}

const PAGEMAP_SCAN: libc::Ioctl = libc::_IOWR::<ScanArg>(b'f' as u32, 16);

/// How many regions one call may return: 24 KiB of them.
const REGIONS: usize = 1024;

/// Pages next to each other that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) start: u64,
    pub(crate) end: u64,
    categories: u64,
}

impl Region {
    /// In memory, and not the page of zeros, which smaps does not count either.
    pub(crate) fn resident(self) -> bool {
        self.categories & (PAGE_IS_PRESENT | PAGE_IS_PFNZERO) == PAGE_IS_PRESENT
    }

    pub(crate) fn swapped(self) -> bool {
        self.categories & (PAGE_IS_SWAPPED | PAGE_IS_GUARD) == PAGE_IS_SWAPPED
    }

    /// Mapped by a huge page.
    pub(crate) fn huge(self) -> bool {
        self.categories & PAGE_IS_HUGE != 0
    }

    /// A file's page, if that was asked.
    pub(crate) fn of_file(self) -> bool {
        self.categories & PAGE_IS_FILE != 0
    }
}

/// What to scan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScanRequest {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Stop after so many pages.
    pub(crate) max_pages: u64,
    /// Ask of each page whether it is a file's.
    pub(crate) files: bool,
}

/// Makes the calls, and keeps the room for their answers.
pub(crate) struct Scanner {
    raw: Vec<RawRegion>,
    /// False after the kernel has refused the category.
    guards: bool,
}

impl Scanner {
    pub(crate) fn new() -> Self {
        Self { raw: vec![RawRegion::default(); REGIONS], guards: true }
    }

    /// Scans a range of the process whose pagemap this is, hands out its regions in the order of
    /// their addresses, and returns where it stopped.
    pub(crate) fn scan(
        &mut self,
        pagemap: &File,
        request: ScanRequest,
        each: impl FnMut(Region),
    ) -> io::Result<u64> {
        let (count, walked) = match self.call(pagemap, request) {
            Err(error) if self.guards && error.raw_os_error() == Some(libc::EINVAL) => {
                self.guards = false;
                self.call(pagemap, request)?
            }
            outcome => outcome?,
        };
        let regions = self.raw.iter().take(count);
        regions
            .map(|&RawRegion { start, end, categories }| Region { start, end, categories })
            .for_each(each);
        Ok(walked)
    }

    fn call(&mut self, pagemap: &File, request: ScanRequest) -> io::Result<(usize, u64)> {
        let wanted = PAGE_IS_PRESENT | PAGE_IS_SWAPPED;
        let mut returned = wanted | PAGE_IS_PFNZERO | PAGE_IS_HUGE;
        if request.files {
            returned |= PAGE_IS_FILE;
        }
        if self.guards {
            returned |= PAGE_IS_GUARD;
        }
        let mut arg = ScanArg {
            size: size_of::<ScanArg>() as u64,
            start: request.start,
            end: request.end,
            vec: self.raw.as_mut_ptr() as u64,
            vec_len: self.raw.len() as u64,
            max_pages: request.max_pages,
            category_anyof_mask: wanted,
            return_mask: returned,
            ..ScanArg::default()
        };
        // SAFETY: the argument is a `struct pm_scan_arg` of the size that it names, and the kernel
        // writes at most `vec_len` regions to `vec`, which is that long and lives on.
        let count = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &raw mut arg) };
        match usize::try_from(count) {
            Ok(count) => Ok((count, arg.walk_end)),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }
}

/// True if the failure means that the kernel has no PAGEMAP_SCAN or does not grant it: the ioctl
/// is not known (ENOTTY), or a filter of system calls refuses it.
pub(crate) fn unavailable(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ENOTTY
                | libc::ENOSYS
                | libc::EPERM
                | libc::EACCES
                | libc::EINVAL
                | libc::EOPNOTSUPP
        )
    )
}
