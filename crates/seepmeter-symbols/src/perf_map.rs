//! Perf maps: in them programs that generate code list which function lies where.
//!
//! The file is /tmp/perf-PID.map, with the pid that the process knows itself by; a line is
//! `START SIZE NAME`, the numbers in hexadecimal (tools/perf/Documentation/jit-interface.txt). It grows
//! while the program runs, and a function that moved has another line further down.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::fcntl::OFlag;
use seepmeter_process::proc::ProcRoot;

use crate::resolved::Function;

/// How much of a perf map is read at most. Lines behind that stay unread.
pub const MAX_PERF_MAP: u64 = 64 << 20;

/// How much is read at a time.
const PIECE: u64 = 1 << 20;

/// What is known of the code that one process has generated.
#[derive(Debug)]
pub(crate) struct PerfMap {
    pid: i32,
    open: Option<MapFile>,
    ranges: BTreeMap<u64, NamedRange>,
}

/// The file, and how far it has been read.
#[derive(Debug)]
struct MapFile {
    file: File,
    inode: u64,
    read: u64,
}

#[derive(Debug)]
struct NamedRange {
    end: u64,
    name: Rc<str>,
}

impl PerfMap {
    pub(crate) fn new(pid: i32) -> Self {
        Self { pid, open: None, ranges: BTreeMap::new() }
    }

    /// Opens the file if there is one, so that it can be read when the process has ended.
    pub(crate) fn prepare(&mut self) {
        let found = candidates(self.pid).iter().find_map(|path| open(path));
        let Some(found) = found else { return };
        if self.open.as_ref().is_none_or(|open| open.inode != found.inode) {
            // A new file lists all code anew.
            self.ranges.clear();
            self.open = Some(found);
        }
    }

    /// The function at `address`. If there is none, what the file has gained since the last time is read
    /// first.
    pub(crate) fn function(&mut self, address: u64) -> Option<Function> {
        if self.find(address).is_none() {
            self.prepare();
            self.read_on();
        }
        self.find(address)
    }

    fn find(&self, address: u64) -> Option<Function> {
        let (start, range) = self.ranges.range(..=address).next_back()?;
        let function =
            || Function { name: range.name.clone(), offset: address - start, source: None };
        (address < range.end).then(function)
    }

    fn read_on(&mut self) {
        let Some(open) = &mut self.open else { return };
        let size = open.file.metadata().map_or(0, |now| now.size());
        if size < open.read {
            // It was written anew.
            open.read = 0;
            self.ranges.clear();
        }
        let end = size.min(MAX_PERF_MAP);
        while let Some(lines) = open.lines(end) {
            for line in lines.split(|&byte| byte == b'\n').filter_map(Line::parse) {
                insert(&mut self.ranges, line);
            }
        }
    }
}

impl MapFile {
    /// The next whole lines before `end`. A line that is still being written is left for the next time.
    fn lines(&mut self, end: u64) -> Option<Vec<u8>> {
        let wanted = end.saturating_sub(self.read).min(PIECE);
        let mut text = vec![0; usize::try_from(wanted).ok()?];
        let length = self.file.read_at(&mut text, self.read).ok()?;
        text.truncate(text[..length].iter().rposition(|&byte| byte == b'\n')? + 1);
        self.read += text.len() as u64;
        Some(text)
    }
}

/// Puts a function in the place of all that lie where it lies.
fn insert(ranges: &mut BTreeMap<u64, NamedRange>, line: Line) {
    let Line { start, size, name } = line;
    let end = start.saturating_add(size);
    while let Some((&under, range)) = ranges.range(..end).next_back() {
        if range.end <= start {
            break;
        }
        ranges.remove(&under);
    }
    ranges.insert(start, NamedRange { end, name: name.into() });
}

/// Where the file of a process can be: in its own root, or here when the process has ended.
fn candidates(pid: i32) -> [PathBuf; 2] {
    let process = ProcRoot::default().process(pid);
    let inner = process.status().ok().and_then(|status| status.inner_pid).unwrap_or(pid);
    let path = |pid| PathBuf::from(format!("/tmp/perf-{pid}.map"));
    [process.within_root(&path(inner)), path(pid)]
}

/// Opens a regular file; anything else in its place, such as a pipe, is left alone.
fn open(path: &Path) -> Option<MapFile> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_NOFOLLOW;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).ok()?;
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(MapFile { file, inode: metadata.ino(), read: 0 })
}

/// A line of the file.
struct Line {
    start: u64,
    size: u64,
    name: String,
}

impl Line {
    fn parse(line: &[u8]) -> Option<Self> {
        let line = String::from_utf8_lossy(line);
        let mut fields = line.splitn(3, ' ');
        let mut number = || {
            let field = fields.next()?;
            u64::from_str_radix(field.strip_prefix("0x").unwrap_or(field), 16).ok()
        };
        let (start, size) = (number()?, number()?);
        let name = fields.next().filter(|name| !name.is_empty())?;
        (size > 0).then(|| Self { start, size, name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A perf map in a file that this test has.
    fn map_of(text: &str) -> (PerfMap, File) {
        let file = tempfile::tempfile().unwrap();
        let mut writer = file.try_clone().unwrap();
        writer.write_all(text.as_bytes()).unwrap();
        // No process has this pid, so that nothing but the file is read.
        let mut map = PerfMap::new(i32::MAX);
        let inode = file.metadata().unwrap().ino();
        map.open = Some(MapFile { file, inode, read: 0 });
        (map, writer)
    }

    fn name(map: &mut PerfMap, address: u64) -> Option<String> {
        map.function(address).map(|it| format!("{}+{:#x}", it.name, it.offset))
    }

    #[test]
    fn a_line_names_the_code_from_its_start_to_its_end() {
        let (mut map, _file) =
            map_of("1000 10 JS:*add /a b.js:1\n0x2000 0x8 f\nbad line\n3000 0 g\n");
        assert_eq!(name(&mut map, 0x1004).as_deref(), Some("JS:*add /a b.js:1+0x4"));
        assert_eq!(name(&mut map, 0x1010), None);
        assert_eq!(name(&mut map, 0x2007).as_deref(), Some("f+0x7"));
        assert_eq!(name(&mut map, 0x3000), None);
    }

    #[test]
    fn a_later_line_takes_the_place_of_earlier_ones() {
        let (mut map, _file) = map_of("1000 10 a\n1010 10 b\n1020 10 c\n1008 10 moved\n");
        assert_eq!(name(&mut map, 0x1004), None);
        assert_eq!(name(&mut map, 0x1012).as_deref(), Some("moved+0xa"));
        assert_eq!(name(&mut map, 0x1020).as_deref(), Some("c+0x0"));
    }

    #[test]
    fn what_the_file_gained_is_read_when_an_address_is_not_found() {
        let (mut map, mut file) = map_of("1000 10 a\n20");
        assert_eq!(name(&mut map, 0x2000), None);
        file.write_all(b"00 10 b\n").unwrap();
        assert_eq!(name(&mut map, 0x2000).as_deref(), Some("b+0x0"));
        file.set_len(0).unwrap();
        assert_eq!(name(&mut map, 0x3000), None);
        assert_eq!(name(&mut map, 0x1000), None, "the file was written anew, without it");
    }
}
