//! Whose plugins root loads: those that nobody else can change.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file that a path leads to.
///
/// # Errors
/// As root: somebody else could have written the file, or could put another in its place. In words that
/// say what to do.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, String> {
    let file = fs::canonicalize(path).map_err(|error| error.to_string())?;
    if nix::unistd::geteuid().is_root() {
        // The folder of a link counts too.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = fs::canonicalize(folder.unwrap_or(Path::new(".")));
        check(&folder.map_err(|error| error.to_string())?)?;
        check(&file)?;
    }
    Ok(file)
}

/// Checks a path without links, and all folders above it.
fn check(path: &Path) -> Result<(), String> {
    for part in path.ancestors() {
        let metadata = fs::metadata(part).map_err(|error| error.to_string())?;
        let part = part.display();
        let root_only = "root loads only plugins that nobody else can change, and";
        if metadata.uid() != 0 {
            let owner = metadata.uid();
            return Err(format!(
                "{root_only} {part} belongs to user {owner}: run seepmeter as that user, or copy the plugin to a folder of root's (or chown root {part})"
            ));
        }
        if others_may_write(metadata.mode(), metadata.gid()) {
            return Err(format!(
                "{root_only} others may write to {part}: chmod go-w {part}, or copy the plugin to a folder of root's"
            ));
        }
    }
    Ok(())
}

/// True if somebody but root may change a file of root's, or what is in a folder of root's. In a folder with
/// the sticky bit, as /tmp is, each may only remove what is their own.
fn others_may_write(mode: u32, group: u32) -> bool {
    let sticky_folder = mode & libc::S_IFMT == libc::S_IFDIR && mode & libc::S_ISVTX != 0;
    let by_group = mode & libc::S_IWGRP != 0 && group != 0;
    (mode & libc::S_IWOTH != 0 || by_group) && !sticky_folder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_may_change_what_is_writable_for_them_but_not_what_lies_in_tmp() {
        let folder = |mode| others_may_write(libc::S_IFDIR | mode, 0);
        assert_eq!([0o755, 0o775, 0o777, 0o1777].map(folder), [false, false, true, false]);
        assert!(others_may_write(libc::S_IFDIR | 0o775, 1000));
        assert!(others_may_write(libc::S_IFREG | 0o1777, 0));
    }
}
