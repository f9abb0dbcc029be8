//! The code of one target: its program, its mappings, and how deep its threads' stacks are.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use seepmeter_symbols::{
    AddressSpace, ProcessCode, StackCopy, StackEnd, UnwindFailure, UnwindRegisters,
};

use crate::program::ProgramLayout;
use crate::table::StackTable;

/// How many bytes of a thread's stack are worth copying at first. Most stacks are no deeper.
pub const FIRST_DEPTH: usize = 8 << 10;

/// A stack that leads nowhere is no reason to read the mappings anew more often than this.
const READ_AT_MOST_EVERY: Duration = Duration::from_millis(100);

/// The code of one target, from one sample to the next.
pub struct TargetCode {
    pid: i32,
    /// /proc/PID/maps.
    maps: PathBuf,
    process: ProcessCode,
    layout: Option<ProgramLayout>,
    space: Option<Rc<AddressSpace>>,
    /// The text of the mappings as it was when they last changed, if it was not taken in yet.
    changed_maps: Option<Vec<u8>>,
    read: Option<Instant>,
    /// By thread, how many bytes of its stack are worth copying, if that is not [`FIRST_DEPTH`].
    depths: HashMap<i32, usize>,
}

impl TargetCode {
    /// The code of process `pid`, whose mappings stand in the file `maps` (`/proc/PID/maps`). Nothing is
    /// read yet.
    #[must_use]
    pub fn new(pid: i32, maps: PathBuf, table: &mut StackTable) -> Self {
        Self {
            pid,
            maps,
            process: ProcessCode::new(pid, table.images()),
            layout: None,
            space: None,
            changed_maps: None,
            read: None,
            depths: HashMap::new(),
        }
    }

    /// Takes in the text of /proc/PID/maps as it was at a sample. A text without mappings is ignored: if
    /// the target has just ended, what was known of it still names its last stacks.
    pub fn set_maps(&mut self, text: &[u8], table: &mut StackTable) {
        let layout = ProgramLayout::of(text);
        if self.layout != layout {
            self.layout = layout;
            self.process = ProcessCode::new(self.pid, table.images());
        }
        if let Ok(space) = self.process.space(text, table.images()) {
            self.space = Some(space);
            self.changed_maps = None;
        }
    }

    /// The target has executed another program: what was known is forgotten.
    pub fn program_changed(&mut self) {
        self.space = None;
        self.changed_maps = None;
        self.depths.clear();
        self.code_was_mapped();
    }

    /// The target has just mapped code, and its thread is still stopped. What its mappings are now is
    /// kept: by the time that a stack is to be unwound, a quick target may have ended.
    pub fn code_was_mapped(&mut self) {
        // If they can't be read any more, what was read last is better than nothing.
        if let Ok(maps) = fs::read(&self.maps) {
            self.changed_maps = Some(maps);
        }
    }

    /// Takes in the mappings if they have changed, and reads them anew if this stack of just now does not
    /// fit them. For a sampler that does not read the mappings at each sample.
    pub fn refresh(
        &mut self,
        registers: &UnwindRegisters,
        copy: StackCopy<'_>,
        table: &mut StackTable,
    ) {
        if let Some(text) = self.changed_maps.take() {
            self.set_maps(&text, table);
        } else if self.space.is_none() {
            self.read_maps(table);
        }
        let Some(space) = &self.space else { return };
        let end = space.unwind(registers, copy, &mut Vec::new());
        let fits = !matches!(end, StackEnd::Broken(UnwindFailure::NoCode { .. }));
        if !fits && self.read.is_none_or(|read| read.elapsed() > READ_AT_MOST_EVERY) {
            self.read_maps(table);
        }
    }

    fn read_maps(&mut self, table: &mut StackTable) {
        self.read = Some(Instant::now());
        if let Ok(text) = fs::read(&self.maps) {
            self.set_maps(&text, table);
        }
    }

    /// The address space. None if the mappings were not read yet.
    #[must_use]
    pub fn space(&self) -> Option<&AddressSpace> {
        self.space.as_deref()
    }

    /// How many bytes of a thread's stack are worth copying from its stack pointer on, at most `most`.
    ///
    /// Never beyond the end of its mapping: reading what lies there may touch pages that the target has
    /// never touched.
    #[must_use]
    pub fn copy_length(&self, tid: i32, stack_pointer: u64, most: usize) -> usize {
        let wanted = self.depths.get(&tid).copied().unwrap_or(FIRST_DEPTH).min(most);
        let end = self.space().and_then(|space| space.end_of_mapping(stack_pointer));
        let there = end.and_then(|end| usize::try_from(end - stack_pointer).ok());
        there.map_or(wanted, |there| wanted.min(there))
    }

    /// Notes that a thread's stack was deeper than the `copied` bytes: [`StackEnd::Cut`] has said that
    /// `missing` bytes more were needed. The next [`copy_length`](Self::copy_length) is longer.
    pub fn stack_was_cut(&mut self, tid: i32, copied: usize, missing: u64) {
        let wanted = copied.saturating_add(usize::try_from(missing).unwrap_or(usize::MAX));
        self.depths.insert(tid, wanted.saturating_mul(2));
    }

    /// Forgets how deep the stacks of other threads were.
    pub fn retain_threads(&mut self, mut lives: impl FnMut(i32) -> bool) {
        self.depths.retain(|tid, _| lives(*tid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &[u8] = b"1000-2000 r-xp 0 00:00 0\n7000000-7008000 rw-p 0 00:00 0 [stack]\n";

    #[test]
    fn what_is_copied_of_a_stack_grows_with_it_and_never_goes_beyond_its_mapping() {
        let mut table = StackTable::new();
        let mut code = TargetCode::new(i32::MAX, "/nowhere".into(), &mut table);
        assert_eq!(code.copy_length(7, 0x700_0000, 1 << 20), FIRST_DEPTH);
        code.set_maps(MAPS, &mut table);
        assert_eq!(code.copy_length(7, 0x700_0000, 1 << 20), FIRST_DEPTH);
        assert_eq!(code.copy_length(7, 0x700_7f00, 1 << 20), 0x100);
        assert_eq!(code.copy_length(7, 0x700_0000, 4096), 4096);
        code.stack_was_cut(7, FIRST_DEPTH, 4096);
        assert_eq!(code.copy_length(7, 0x700_0000, 1 << 20), 2 * (FIRST_DEPTH + 4096));
        code.retain_threads(|tid| tid != 7);
        assert_eq!(code.copy_length(7, 0x700_0000, 1 << 20), FIRST_DEPTH);
    }

    #[test]
    fn a_target_that_has_ended_keeps_the_mappings_that_it_had() {
        let mut table = StackTable::new();
        let mut code = TargetCode::new(i32::MAX, "/nowhere".into(), &mut table);
        code.set_maps(MAPS, &mut table);
        code.set_maps(b"", &mut table);
        assert!(code.space().is_some());
        code.program_changed();
        assert!(code.space().is_none());
    }
}
