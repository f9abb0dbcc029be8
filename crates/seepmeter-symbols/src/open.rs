//! Opening the file behind a mapping: that file, or none.
//!
//! The path that the kernel shows may name another file by now. A file is first examined by a handle
//! that reads nothing (O_PATH), so that no device or pipe in its place is touched.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::statfs::{BTRFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, fstatfs};
use seepmeter_maps::maps::MappingHeader;
use seepmeter_process::proc::ProcRoot;

/// Tells a file from all others, and its content from its earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileVersion {
    device: u64,
    inode: u64,
    size: u64,
    /// When it was last written to, in seconds and ns.
    modified: (i64, i64),
}

impl FileVersion {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// A file that is mapped, as it was when it was opened.
#[derive(Debug)]
pub(crate) struct OpenedFile {
    pub(crate) file: File,
    pub(crate) version: FileVersion,
}

/// Why the file behind a mapping can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnreadReason {
    /// Another file has its path now.
    Replaced,
    /// It has no path any more.
    Deleted,
    /// It may not be opened, or not be found from here.
    Denied,
    /// It is no file that holds 64-bit code of this machine.
    Foreign,
}

impl fmt::Display for UnreadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replaced => "replaced",
            Self::Deleted => "deleted",
            Self::Denied => "unreadable",
            Self::Foreign => "no code of this machine",
        })
    }
}

/// Opens the file behind `header`, a mapping of process `pid`.
///
/// Its path is tried inside the process's own root, and here, for a process that has ended. Then what
/// also reaches a file that has no path any more: /proc/PID/exe, if it is that one, and
/// /proc/PID/map_files, for those with CAP_CHECKPOINT_RESTORE (proc(5)).
pub(crate) fn open(pid: i32, header: &MappingHeader<'_>) -> Result<OpenedFile, UnreadReason> {
    let process = ProcRoot::default().process(pid);
    let here = as_path(&plain_path(header.path)).to_owned();
    let exe = process.file("exe");
    let mapped = process.file(&format!("map_files/{:x}-{:x}", header.start, header.end));
    // What is at the path in another root says nothing about this file.
    let listed = if process.path().exists() { process.within_root(&here) } else { here.clone() };
    let reason = match open_same(&listed, header) {
        Ok(found) => return Ok(found),
        Err(OpenError::Other) => UnreadReason::Replaced,
        Err(OpenError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            UnreadReason::Deleted
        }
        Err(OpenError::Io(_)) => UnreadReason::Denied,
    };
    [here, exe, mapped].iter().find_map(|path| open_same(path, header).ok()).ok_or(reason)
}

enum OpenError {
    /// There is a file, and it is not this one.
    Other,
    Io(io::Error),
}

fn open_same(path: &Path, header: &MappingHeader<'_>) -> Result<OpenedFile, OpenError> {
    let handle = OpenOptions::new().read(true).custom_flags(OFlag::O_PATH.bits()).open(path);
    let handle = handle.map_err(OpenError::Io)?;
    let metadata = handle.metadata().map_err(OpenError::Io)?;
    let same = metadata.ino() == header.inode
        && (metadata.dev() == header.device || devices_differ(&handle));
    if !metadata.is_file() || !same {
        return Err(OpenError::Other);
    }
    let file = File::open(descriptor_path(&handle)).map_err(OpenError::Io)?;
    Ok(OpenedFile { file, version: FileVersion::of(&metadata) })
}

/// The path by which this process reaches an open file, whatever became of its name.
pub(crate) fn descriptor_path(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// True on file systems whose stat(2) gives another device than the kernel's list of mappings does:
/// btrfs has one for each subvolume, overlayfs one for each layer.
fn devices_differ(handle: &File) -> bool {
    let kind = fstatfs(handle).map(|found| found.filesystem_type());
    kind.is_ok_and(|kind| [BTRFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC].contains(&kind))
}

/// The path of a line of maps without what the kernel added: ` (deleted)`, and `\012` for a newline.
pub(crate) fn plain_path(path: &[u8]) -> Vec<u8> {
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"\\012") {
            plain.push(b'\n');
            rest = after;
        } else {
            plain.push(byte);
            rest = after;
        }
    }
    plain
}

pub(crate) fn as_path(bytes: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_added_to_a_path_is_taken_away() {
        assert_eq!(plain_path(b"/a/b (deleted)"), b"/a/b");
        assert_eq!(plain_path(b"/a\\012b"), b"/a\nb");
        assert_eq!(plain_path(b"/a (deleted) b"), b"/a (deleted) b");
    }

    #[test]
    fn another_file_at_the_path_is_never_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lib.so");
        std::fs::write(&path, "one").unwrap();
        let metadata = std::fs::metadata(&path).unwrap();
        let bytes = path.as_os_str().as_bytes();
        let line = format!("1000-2000 r-xp 0 0:0 {} x", metadata.ino());
        let mut header = MappingHeader::parse(line.as_bytes()).unwrap();
        header.device = metadata.dev();
        header.path = bytes;
        let pid = std::process::id() as i32;
        assert_eq!(open(pid, &header).unwrap().version, FileVersion::of(&metadata));

        let second = folder.path().join("new.so");
        std::fs::write(&second, "two").unwrap();
        std::fs::rename(&second, &path).unwrap();
        assert_eq!(open(pid, &header).unwrap_err(), UnreadReason::Replaced);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(open(pid, &header).unwrap_err(), UnreadReason::Deleted);
    }
}
