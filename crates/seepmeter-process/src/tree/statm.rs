//! Reading the statm of every process of a tree.

use super::members::Member;
use crate::proc::{ProcError, ProcRoot, StatmFile, StatmPages};

/// The statm of a member; none if it has just ended.
pub(crate) fn read(member: &mut Member, root: &ProcRoot) -> Option<Result<StatmPages, ProcError>> {
    let file = match &member.statm {
        Some(file) => file,
        None => match StatmFile::open(&root.process(member.process.pid())) {
            Ok(file) if is_running(member) => member.statm.insert(file),
            Ok(_) => return None,
            Err(error) => return (!error.is_gone()).then_some(Err(error)),
        },
    };
    match file.read() {
        Ok(pages) if pages.size > 0 => Some(Ok(pages)),
        Ok(_) => of_another_thread(member, root),
        Err(error) => (!error.is_gone()).then_some(Err(error)),
    }
}

/// A first thread that has ended has no memory to show while the others run on. Neither has a process that
/// has ended.
fn of_another_thread(
    member: &mut Member,
    root: &ProcRoot,
) -> Option<Result<StatmPages, ProcError>> {
    let folder = root.process(member.process.pid()).with_memory().ok()?;
    let file = StatmFile::open(&folder).ok()?;
    if !is_running(member) {
        return None;
    }
    let pages = file.read();
    member.statm = Some(file);
    match pages {
        Err(error) if error.is_gone() => None,
        pages => Some(pages),
    }
}

/// Then what was opened by its pid is its own.
fn is_running(member: &Member) -> bool {
    matches!(member.process.has_ended(), Ok(false))
}
