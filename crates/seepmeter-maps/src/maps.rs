//! The line that stands for a mapping in /proc/PID/maps, and above its figures in smaps.

use std::fmt;

use memchr::memchr;

/// A mapping's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappingHeader<'a> {
    /// Its first address.
    pub start: u64,
    /// The address behind its last.
    pub end: u64,
    /// What may be done with it.
    pub perms: Perms,
    /// Where in the file it begins.
    pub offset: u64,
    /// The device of the file's file system, as makedev(3) packs it; 0 where there is no file.
    pub device: u64,
    /// The file's inode number; 0 where there is no file.
    pub inode: u64,
    /// The file's path or the mapping's name, as the kernel writes it: a newline is `\012`.
    pub path: &'a [u8],
}

/// A mapping's permissions: `rwxp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Perms {
    /// It can be read.
    pub read: bool,
    /// It can be written.
    pub write: bool,
    /// It can be executed.
    pub exec: bool,
    /// It is shared, not copy-on-write.
    pub shared: bool,
}

impl Perms {
    /// True where nothing can be done with it: PROT_NONE.
    #[must_use]
    pub fn none(self) -> bool {
        !(self.read || self.write || self.exec)
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let &[r, w, x, s] = text else { return None };
        Some(Self { read: r == b'r', write: w == b'w', exec: x == b'x', shared: s == b's' })
    }
}

impl fmt::Display for Perms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |set, letter| if set { letter } else { '-' };
        write!(
            f,
            "{}{}{}{}",
            letter(self.read, 'r'),
            letter(self.write, 'w'),
            letter(self.exec, 'x'),
            if self.shared { 's' } else { 'p' }
        )
    }
}

impl<'a> MappingHeader<'a> {
    /// Reads one line, without its newline; none where it is no such line.
    ///
    /// The kernel's format (fs/proc/task_mmu.c, `show_vma_header_prefix`), padded with spaces to
    /// column 73 before the path:
    ///
    /// ```text
    /// START-END            PERM OFFSET   DEV   INODE                      PATH
    /// 7f5e4ec00000-7f5e4ec26000 r--p 00000000 fe:00 1054321               /usr/lib/libc.so.6
    /// ```
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let (start, rest) = hex_until(line, b'-')?;
        let (end, rest) = hex_until(rest, b' ')?;
        let (perms, rest) = until(rest, b' ')?;
        let perms = Perms::parse(perms)?;
        let (offset, rest) = hex_until(rest, b' ')?;
        let (major, rest) = hex_until(rest, b':')?;
        let (minor, rest) = hex_until(rest, b' ')?;
        let device = device(major, minor);
        let inode_end = memchr(b' ', rest).unwrap_or(rest.len());
        let inode = decimal(&rest[..inode_end])?;
        let path = rest[inode_end..].trim_ascii_start();
        (start < end).then_some(Self { start, end, perms, offset, device, inode, path })
    }

    /// Its size in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Never: the kernel has no mapping of no size.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Reads a whole maps text. Lines that are none of its format are passed over, and so are mappings
/// that begin before the last one's end: the text is no snapshot, and mappings move while it is read.
pub fn parse(text: &[u8]) -> Vec<MappingHeader<'_>> {
    let mut headers: Vec<MappingHeader<'_>> = Vec::with_capacity(text.len() / 64);
    for line in text.split(|&byte| byte == b'\n') {
        let Some(header) = MappingHeader::parse(line) else { continue };
        if headers.last().is_none_or(|last| last.end <= header.start) {
            headers.push(header);
        }
    }
    headers
}

/// A device number as stat(2) gives it: gnu_dev_makedev(3) of glibc.
fn device(major: u64, minor: u64) -> u64 {
    (major & 0xffff_f000) << 32 | (major & 0xfff) << 8 | (minor & 0xffff_ff00) << 12 | minor & 0xff
}

fn until(text: &[u8], stop: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr(stop, text)?;
    Some((&text[..at], &text[at + 1..]))
}

fn hex_until(text: &[u8], stop: u8) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (at, &byte) in text.iter().enumerate() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ if byte == stop && at > 0 => return Some((value, &text[at + 1..])),
            _ => return None,
        };
        if value >> 60 != 0 {
            return None;
        }
        value = value << 4 | u64::from(digit);
    }
    None
}

/// The value of decimal digits; none where there are none, or other bytes, or too many.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_with_whatever_stands_in_its_path() {
        assert_eq!(MappingHeader::parse(b"1-2 r-xp 0 fe:00 5 /x").unwrap().device, 0xfe00);
        for path in ["/usr/lib/a b  c.so", "/tmp/x (deleted)", "[anon:my heap]", "/a\\012b", ""] {
            let line = format!("7f00-8000 rw-s 00001000 fe:00 42                      {path}");
            let header = MappingHeader::parse(line.as_bytes()).unwrap();
            assert_eq!((header.start, header.end, header.inode), (0x7f00, 0x8000, 42));
            assert_eq!(header.perms.to_string(), "rw-s");
            assert_eq!(header.path, path.as_bytes());
        }
    }

    #[test]
    fn a_line_that_is_none_is_refused() {
        for line in [
            "",
            "Rss: 4 kB",
            "7f00-7f00 rw-p 0 fe:00 0",
            "8000-7f00 rw-p 0 fe:00 0",
            "-7f00 rw-p 0 fe:00 0",
            "7f00-8000 rw 0 fe:00 0",
            "7f00-8000 rw-p 0 fe:00 x",
            "7f00-11111111111111111 rw-p 0 fe:00 0",
        ] {
            assert_eq!(MappingHeader::parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn mappings_that_moved_while_the_text_was_read_do_not_overlap() {
        let text = b"1000-3000 rw-p 0 0:0 0\n2000-4000 rw-p 0 0:0 0\n4000-5000 rw-p 0 0:0 0\n";
        let starts: Vec<u64> = parse(text).iter().map(|header| header.start).collect();
        assert_eq!(starts, [0x1000, 0x4000]);
    }
}
