//! Telling a file that has been removed from one whose own name ends in ` (deleted)`.
//!
//! The kernel appends ` (deleted)` to the path of a mapping's file that has been removed, and a living
//! file may be called so too: both lines look the same. What lies at that path, as the target sees it,
//! tells them apart: a living file has the inode number that maps shows. It can't be another file's, for
//! a mapping keeps its file's number taken. The device is not compared: on btrfs and overlayfs maps and
//! stat(2) give different ones of one file.
//!
//! This is not knowable if the path can't be looked at: the right to read /proc/PID/root may be
//! missing, or the target may see its files through a chroot(2), in which the kernel's paths are not
//! its own. Then the kernel's word is taken, and the file is a deleted one.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::maps::MappingHeader;

/// Behind the path of a file that has been removed.
pub(crate) const DELETED: &[u8] = b" (deleted)";

/// Knows which files have been removed.
///
/// Each is looked at once: a file that has been removed stays so, and when a living one is removed, its
/// line changes.
#[derive(Debug)]
pub struct DeletedFiles {
    /// The target's root; none if the kernel's word is taken.
    root: Option<PathBuf>,
    /// By their paths as maps has them.
    known: HashMap<Box<[u8]>, Known>,
}

#[derive(Debug)]
struct Known {
    inode: u64,
    deleted: bool,
    /// Asked for since the last time that others were forgotten.
    asked: bool,
}

impl DeletedFiles {
    /// Looks at paths as the target sees them: `root` is /proc/PID/root.
    #[must_use]
    pub fn seen_from(root: PathBuf) -> Self {
        Self { root: Some(root), known: HashMap::new() }
    }

    /// Looks at no file, and takes the kernel's word.
    #[must_use]
    pub fn as_the_kernel_says() -> Self {
        Self { root: None, known: HashMap::new() }
    }

    /// True if a mapping's file has been removed; for a line that ends in ` (deleted)`.
    pub(crate) fn is_deleted(&mut self, header: &MappingHeader<'_>) -> bool {
        let Some(root) = &self.root else { return true };
        let inode = header.inode;
        match self.known.get_mut(header.path) {
            Some(known) if known.inode == inode => {
                known.asked = true;
                known.deleted
            }
            _ => {
                let path = unescaped(header.path);
                let below = path.strip_prefix(b"/").unwrap_or(&path);
                let there = fs::symlink_metadata(root.join(OsStr::from_bytes(below)));
                let deleted = !there.is_ok_and(|file| file.ino() == inode);
                self.known.insert(header.path.into(), Known { inode, deleted, asked: true });
                deleted
            }
        }
    }

    /// Forgets the files that were not asked for since the last time.
    pub(crate) fn forget_unasked(&mut self) {
        self.known.retain(|_, known| std::mem::take(&mut known.asked));
    }
}

/// A path as it is: maps has `\012` for a newline, and nothing else is escaped.
fn unescaped(path: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = memchr::memmem::find(rest, b"\\012") {
        bytes.extend_from_slice(&rest[..at]);
        bytes.push(b'\n');
        rest = &rest[at + 4..];
    }
    bytes.extend_from_slice(rest);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::{ThreadStacks, classify};
    use crate::group::MappingGroup;
    use crate::maps;
    use seepmeter_record::MappingClass;

    /// Maps a file of this name under the folder, and says what it is with the file living, and with it
    /// removed.
    fn living_and_removed(folder: &std::path::Path, name: &str) -> (MappingGroup, MappingGroup) {
        let path = folder.join(name);
        let file = fs::File::create_new(&path).unwrap();
        file.set_len(4096).unwrap();
        // SAFETY: a new mapping of one page of a file that this test has made.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_READ,
                libc::MAP_SHARED,
                std::os::fd::AsRawFd::as_raw_fd(&file),
                0,
            )
        };
        assert_ne!(at, libc::MAP_FAILED);
        let mut files = DeletedFiles::seen_from("/proc/self/root".into());
        let mut group = || {
            let text = fs::read("/proc/self/maps").unwrap();
            let mut headers = maps::parse(&text);
            headers.retain(|header| header.start == at as u64);
            assert_eq!(headers.len(), 1);
            classify(&headers, &ThreadStacks::default(), &mut files).remove(0)
        };
        let living = group();
        assert_eq!(group(), living);
        fs::remove_file(&path).unwrap();
        let removed = group();
        // SAFETY: the mapping from above, which nothing refers to.
        unsafe { libc::munmap(at, 4096) };
        (living, removed)
    }

    #[test]
    fn a_living_file_may_be_called_deleted() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["kept", "kept (deleted)", "kept\nhere (deleted)"] {
            let (living, removed) = living_and_removed(folder.path(), name);
            assert_eq!(living.class(), MappingClass::File, "{name:?}");
            assert_eq!(removed.class(), MappingClass::DeletedFile, "{name:?}");
            assert_eq!(living.name(), removed.name());
            assert!(living.name().unwrap().ends_with(name.rsplit('\n').next().unwrap().as_bytes()));
        }
    }

    #[test]
    fn another_file_that_has_taken_the_name_does_not_make_a_removed_one_alive() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("kept (deleted)"), "another file").unwrap();
        let (living, removed) = living_and_removed(folder.path(), "kept");
        let classes = (living.class(), removed.class());
        assert_eq!(classes, (MappingClass::File, MappingClass::DeletedFile));
    }

    #[test]
    fn what_is_mapped_no_more_is_forgotten() {
        let mut files = DeletedFiles::seen_from("/".into());
        let text = b"1000-2000 rw-p 0 00:01 7 /no/such/file (deleted)\n";
        let headers = maps::parse(text);
        let _ = classify(&headers, &ThreadStacks::default(), &mut files);
        assert_eq!(files.known.len(), 1);
        let _ = classify(&[], &ThreadStacks::default(), &mut files);
        assert_eq!(files.known.len(), 0);
    }
}
