//! The lock that keeps a second seepmeter away from an output.

use std::fs::{File, TryLockError};
use std::io;

use nix::sys::stat::{major, minor};
use seepmeter_plugin::Error;

use super::FileId;

/// Locks a file until it is closed; `name` is for messages.
///
/// # Errors
/// Another process has it locked.
pub(super) fn lock(file: &File, id: FileId, name: &str) -> Result<(), Error> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let who = match holder(id) {
                Some(pid) => format!("process {pid} (another seepmeter?)"),
                None => "another process (another seepmeter?)".to_owned(),
            };
            Err(Error::failed(format!(
                "{name} is being written by {who}, which has locked it; end that one first, or give another path="
            )))
        }
        // Some network file systems have no locks. There nothing can be known of others, and that is no
        // reason not to write.
        Err(TryLockError::Error(error)) if is_unsupported(&error) => Ok(()),
        Err(TryLockError::Error(error)) => Err(Error::io(format!("cannot lock {name}"), &error)),
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    use nix::libc::{EINVAL, ENOLCK, ENOSYS, EOPNOTSUPP};
    error.raw_os_error().is_some_and(|errno| [EINVAL, ENOLCK, ENOSYS, EOPNOTSUPP].contains(&errno))
}

/// The process that has a file locked, as /proc/locks has it: `1: FLOCK ADVISORY WRITE 4711 fe:00:1234 0 EOF`
/// (proc_locks(5)).
fn holder(id: FileId) -> Option<i32> {
    let file = format!("{:02x}:{:02x}:{}", major(id.device), minor(id.device), id.inode);
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, locked, ..] = words[..] else { return None };
        pid.parse().ok().filter(|pid| locked == file && *pid > 0)
    })
}
