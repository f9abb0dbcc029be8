//! Where a path leads to, and who has made the links on the way.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use seepmeter_plugin::Error;

use super::{FileId, cannot_create, shown};

/// How many links the kernel follows in one path (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// The bits of a folder in which everybody may make files, and only a file's owner may remove it.
const STICKY_AND_WRITABLE_BY_OTHERS: u32 = 0o1002;

/// Where a path leads to: nothing in it is a link, unless it is one of procfs, which leads to what its text
/// does not name.
#[derive(Debug)]
pub(super) struct ResolvedPath {
    pub(super) path: PathBuf,
    /// As the user wrote it, for messages.
    pub(super) name: String,
}

/// Follows every link of a path, also if what they lead to does not exist yet.
///
/// # Errors
/// A link on the way, or a file at its end, that somebody else has made in a folder where everybody may. The
/// kernel's own rules (`fs.protected_symlinks` and the like, proc_sys_fs(5)) are the model, and may be off.
pub(super) fn resolve(path: &Path) -> Result<ResolvedPath, Error> {
    let mut at = PathBuf::new();
    let mut left: Vec<OsString> = components(path).rev().collect();
    let mut links = 0;
    while let Some(name) = left.pop() {
        at.push(name);
        let metadata = match at.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                at.extend(left.drain(..).rev());
                break;
            }
            Err(error) => return Err(cannot_create(path, &error)),
        };
        // A folder of somebody else's, which the user has named, is what they want.
        if metadata.is_symlink() || left.is_empty() {
            check_owner(&at, &metadata)?;
        }
        if !metadata.is_symlink() {
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(cannot_create(path, &nix::errno::Errno::ELOOP.into()));
        }
        let link = at.read_link().map_err(|error| cannot_create(path, &error))?;
        if !leads_elsewhere(&at, &folder_of(&at).join(&link)) {
            at.pop();
            left.extend(components(&link).rev());
        }
    }
    Ok(ResolvedPath { path: at, name: shown(path) })
}

/// The names that a path is made of, with the root and a slash at the end, which asks for a folder.
fn components(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    let bytes = path.as_os_str().as_bytes();
    let root = path.is_absolute().then_some(&b"/"[..]);
    let slash = (bytes.len() > 1 && bytes.ends_with(b"/")).then_some(&b""[..]);
    let names = bytes.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
    let all: Vec<&[u8]> = root.into_iter().chain(names).chain(slash).collect();
    all.into_iter().map(|name| OsStr::from_bytes(name).to_owned()).collect::<Vec<_>>().into_iter()
}

/// True if the kernel follows a link to something else than its text names, as it does with those of procfs.
fn leads_elsewhere(link: &Path, named: &Path) -> bool {
    let id = |path: &Path| path.metadata().ok().map(|metadata| FileId::of(&metadata));
    id(link).is_some_and(|there| id(named) != Some(there))
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn resolved(path: impl AsRef<Path>) -> PathBuf {
        resolve(path.as_ref()).unwrap().path
    }

    #[test]
    fn links_anywhere_in_a_path_are_followed_to_names_that_need_not_exist() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("real/deep")).unwrap();
        symlink("real", root.join("relative")).unwrap();
        symlink(root.join("relative/deep"), root.join("absolute")).unwrap();
        symlink("../new", root.join("real/dangling")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        assert_eq!(resolved(root.join("absolute/new")), root.join("real/deep/new"));
        assert_eq!(resolved(root.join("absolute/../new")), root.join("real/deep/../new"));
        assert_eq!(resolved(root.join("relative/dangling")), root.join("real/../new"));
        assert_eq!(resolved(root.join("nowhere/a/b/")), root.join("nowhere/a/b/"));
        assert!(resolve(&root.join("loop/new")).is_err());
        assert_eq!(resolved("./new"), Path::new("./new"));
        assert_eq!(resolved("/"), Path::new("/"));
    }

    #[test]
    fn a_link_of_procfs_is_left_to_the_kernel_if_its_text_names_something_else() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let file = fs::File::open(folder.path().join("file")).unwrap();
        fs::remove_file(folder.path().join("file")).unwrap();
        use std::os::fd::AsRawFd;
        let deleted = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        assert_eq!(resolved(&deleted), Path::new(&deleted));
        let root = format!("/proc/{}/root/new-file", std::process::id());
        assert_eq!(resolved(root), Path::new("/new-file"));
    }
}
