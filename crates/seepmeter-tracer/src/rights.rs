//! The rights that a process gains when it executes a file.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// True if the executable gives rights that no_new_privs would take away: it is setuid or setgid, or
/// has file capabilities (execve(2), capabilities(7)). Such a target must not be followed, nor one that
/// executes such a file.
///
/// # Errors
/// If the file's metadata can't be read.
pub fn gains_rights(executable: &Path) -> io::Result<bool> {
    let metadata = std::fs::metadata(executable)?;
    let mode = metadata.mode();
    // A setgid bit without group execution means something else: mandatory locks, of old.
    let set_gid = mode & libc::S_ISGID != 0 && mode & libc::S_IXGRP != 0;
    if mode & libc::S_ISUID != 0 || set_gid {
        return Ok(true);
    }
    // With no room for the value, its size is what is returned.
    let size = rustix::fs::getxattr(executable, c"security.capability", &mut [0; 0]);
    Ok(size.is_ok_and(|size| size > 0))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_executable_that_is_setuid_gains_rights_and_an_ordinary_one_does_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mode = |mode| {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            gains_rights(file.path()).unwrap()
        };
        assert_eq!([0o755, 0o4755, 0o2755, 0o2745].map(mode), [false, true, true, false]);
        assert!(gains_rights(Path::new("/no/such/file")).is_err());
    }
}
