//! Where a path leads to, and who has made the links on the way.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use seepmeter_plugin::Error;

use super::{cannot_create, shown};

/// How many links the kernel follows in one path (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// The bits of a folder in which everybody may make files, and only a file's owner may remove it.
const STICKY_AND_WRITABLE_BY_OTHERS: u32 = 0o1002;

/// Where a path leads to: nothing at its end is a link, unless it is one of procfs, which leads to an open
/// file by no name.
#[derive(Debug)]
pub(super) struct ResolvedPath {
    pub(super) path: PathBuf,
    /// As the user wrote it, for messages.
    pub(super) name: String,
}

/// Follows the links at the end of a path, also if what they lead to does not exist yet.
///
/// # Errors
/// A link, or a file, that somebody else has made in a folder where everybody may. The kernel's own rules
/// (`fs.protected_symlinks` and the like, proc_sys_fs(5)) are the model, and may be off.
pub(super) fn resolve(path: &Path) -> Result<ResolvedPath, Error> {
    let mut at = path.to_owned();
    for _ in 0..MOST_LINKS {
        let metadata = match at.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(ResolvedPath { path: at, name: shown(path) });
            }
            Err(error) => return Err(cannot_create(path, &error)),
        };
        check_owner(&at, &metadata)?;
        if !metadata.is_symlink() {
            return Ok(ResolvedPath { path: at, name: shown(path) });
        }
        let link = at.read_link().map_err(|error| cannot_create(path, &error))?;
        let next = folder_of(&at).join(link);
        if next.symlink_metadata().is_err() && at.metadata().is_ok() {
            return Ok(ResolvedPath { path: at, name: shown(path) });
        }
        at = next;
    }
    Err(cannot_create(path, &nix::errno::Errno::ELOOP.into()))
}

/// The folder that a path is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Refuses what somebody else has put into a folder where everybody may make files, such as /tmp: a link,
/// a FIFO or a file to catch what we write, or a hard link to a file that we should not write.
fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), Error> {
    let Ok(folder) = folder_of(path).metadata() else { return Ok(()) };
    let shared = folder.mode() & STICKY_AND_WRITABLE_BY_OTHERS == STICKY_AND_WRITABLE_BY_OTHERS;
    if !shared {
        return Ok(());
    }
    let owner = metadata.uid();
    let foreign = owner != geteuid().as_raw() && owner != folder.uid();
    let hard_link = metadata.is_file() && metadata.nlink() > 1;
    let what = match (metadata.is_symlink(), foreign, hard_link) {
        (_, false, false) => return Ok(()),
        (true, ..) => format!("a link that user {owner} has made"),
        (false, true, _) => format!("a file of user {owner}"),
        (false, false, true) => "a hard link to a file that has another name".to_owned(),
    };
    Err(Error::failed(format!(
        "{} is {what} in a folder where everybody may make files, and is not written to; give a path= in a folder of your own",
        shown(path)
    )))
}
