//! The parser of /proc/PID/smaps: takes the text in pieces, as it is read, and hands out mappings.
//!
//! It is the hot path of a whole read, so it copies no line that came whole and looks at no byte
//! more often than it must. The crate procfs makes a map of strings for each mapping and takes
//! several times as long as the kernel; it is the oracle of this module's tests.

use memchr::{memchr, memchr_iter};

use crate::maps::{MappingHeader, Perms, decimal};

macro_rules! figures {
    ($($(#[doc = $doc:literal])+ $figure:ident: $($key:literal)|+;)+) => {
        /// One mapping's figures, in bytes.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct SmapsFigures {
            $($(#[doc = $doc])+ pub $figure: u64,)+
        }

        impl SmapsFigures {
            /// Adds those of another mapping.
            pub fn add(&mut self, other: &Self) {
                $(self.$figure = self.$figure.saturating_add(other.$figure);)+
            }

            /// The figure that a line with this key is a part of. None if the key is of no use here, or a
            /// later kernel's.
            fn of_key(&mut self, key: &[u8]) -> Option<&mut u64> {
                match key {
                    $($($key)|+ => Some(&mut self.$figure),)+
                    _ => None,
                }
            }
        }
    };
}

figures! {
    /// Resident.
    rss: b"Rss";
    /// Resident, each page divided by how many map it.
    pss: b"Pss";
    /// Written, and nobody else's.
    private_dirty: b"Private_Dirty";
    /// Resident pages that belong to no file.
    anonymous: b"Anonymous";
    /// Swapped out.
    swap: b"Swap";
    /// Swapped out, each page divided by how many have it.
    swap_pss: b"SwapPss";
    /// Given back by MADV_FREE, and not taken yet.
    lazyfree: b"LazyFree";
    /// Mapped by transparent huge pages.
    thp: b"AnonHugePages" | b"ShmemPmdMapped" | b"FilePmdMapped";
    /// Locked into memory.
    locked: b"Locked";
    /// Resident in pages of hugetlbfs, which `rss` leaves out.
    hugetlb: b"Shared_Hugetlb" | b"Private_Hugetlb";
}

/// One mapping of a smaps text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its line.
    pub header: MappingHeader<'a>,
    /// Its figures.
    pub figures: SmapsFigures,
    /// True where its pages are hugetlbfs's: flag `ht`.
    pub hugetlb: bool,
    /// What a fork makes of it.
    pub fork: ForkEffect,
}

/// What a child by fork(2) has of a mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForkEffect {
    /// The same bytes.
    #[default]
    Copied,
    /// Nothing (MADV_DONTFORK): flag `dc`.
    LeftOut,
    /// Zeros (MADV_WIPEONFORK): flag `wf`.
    Wiped,
}

impl ForkEffect {
    fn of_flags<'f>(mut flags: impl Iterator<Item = &'f [u8]>) -> Self {
        let effect = |flag: &[u8]| match flag {
            b"dc" => Some(Self::LeftOut),
            b"wf" => Some(Self::Wiped),
            _ => None,
        };
        flags.find_map(effect).unwrap_or_default()
    }
}

/// A mapping whose lines are being read.
#[derive(Debug)]
struct Open {
    start: u64,
    end: u64,
    perms: Perms,
    offset: u64,
    device: u64,
    inode: u64,
    figures: SmapsFigures,
    hugetlb: bool,
    fork: ForkEffect,
}

/// Reads a smaps text piece by piece.
#[derive(Debug, Default)]
pub struct Parser {
    /// The beginning of a line whose end is yet to come.
    carry: Vec<u8>,
    open: Option<Open>,
    /// The open mapping's path.
    path: Vec<u8>,
}

impl Parser {
    /// Takes the next piece of the text, and hands out each mapping that is now known whole.
    pub fn push(&mut self, mut piece: &[u8], mut each: impl FnMut(Entry<'_>)) {
        if !self.carry.is_empty() {
            let Some(newline) = memchr(b'\n', piece) else {
                self.carry.extend_from_slice(piece);
                return;
            };
            let mut line = std::mem::take(&mut self.carry);
            line.extend_from_slice(&piece[..newline]);
            self.line(&line, &mut each);
            line.clear();
            self.carry = line;
            piece = &piece[newline + 1..];
        }
        let mut begin = 0;
        for newline in memchr_iter(b'\n', piece) {
            self.line(&piece[begin..newline], &mut each);
            begin = newline + 1;
        }
        self.carry.extend_from_slice(&piece[begin..]);
    }

    /// The text has ended: hands out the last mapping. One that was cut in the middle of a line is
    /// left out.
    pub fn finish(&mut self, mut each: impl FnMut(Entry<'_>)) {
        if self.carry.is_empty() {
            self.close(&mut each);
        }
        self.carry.clear();
        self.open = None;
    }

    /// Takes one line, which is either a mapping's (see [`MappingHeader::parse`]), the flags, or a figure
    /// (fs/proc/task_mmu.c, `show_smap`); keys begin with a capital, addresses never do:
    ///
    /// ```text
    /// Private_Dirty:        12 kB
    /// VmFlags: rd wr mr mw me ac sd
    /// ```
    fn line(&mut self, line: &[u8], each: &mut impl FnMut(Entry<'_>)) {
        match line.first() {
            Some(b'A'..=b'Z') => {
                if let Some(open) = &mut self.open {
                    open.figure(line);
                }
            }
            Some(_) => {
                self.close(each);
                self.open = self.open(line);
            }
            None => {}
        }
    }

    fn open(&mut self, line: &[u8]) -> Option<Open> {
        let MappingHeader { start, end, perms, offset, device, inode, path } =
            MappingHeader::parse(line)?;
        self.path.clear();
        self.path.extend_from_slice(path);
        let (figures, fork) = (SmapsFigures::default(), ForkEffect::default());
        Some(Open { start, end, perms, offset, device, inode, figures, hugetlb: false, fork })
    }

    fn close(&mut self, each: &mut impl FnMut(Entry<'_>)) {
        let Some(open) = self.open.take() else { return };
        let Open { start, end, perms, offset, device, inode, figures, hugetlb, fork } = open;
        let header = MappingHeader { start, end, perms, offset, device, inode, path: &self.path };
        each(Entry { header, figures, hugetlb, fork });
    }
}

impl Open {
    fn figure(&mut self, line: &[u8]) {
        let Some(colon) = memchr(b':', line) else { return };
        let (key, rest) = (&line[..colon], &line[colon + 1..]);
        if key == b"VmFlags" {
            let mut flags = rest.split(|&byte| byte == b' ');
            self.hugetlb = flags.clone().any(|flag| flag == b"ht");
            self.fork = ForkEffect::of_flags(&mut flags);
        } else if let Some(sum) = self.figures.of_key(key) {
            *sum = sum.saturating_add(bytes(rest));
        }
    }
}

/// The value of `        12 kB` in bytes; 0 where it is no number.
fn bytes(text: &[u8]) -> u64 {
    let text = text.trim_ascii();
    let (digits, unit) = match memchr(b' ', text) {
        Some(space) => (&text[..space], 1024),
        None => (text, 1),
    };
    decimal(digits).unwrap_or(0).saturating_mul(unit)
}
