//! What is known of the target's code, and which of its stacks were defined.

use seepmeter_plugin::record::SubjectId;
use seepmeter_plugin::{Stream, Target};
use seepmeter_stacks::{StackTable, TargetCode};
use seepmeter_symbols::{StackCopy, StackEnd, UnwindRegisters};

use crate::stacks::StackSubjects;

pub(crate) struct Code {
    table: StackTable,
    target: TargetCode,
    subjects: StackSubjects,
}

impl Code {
    pub(crate) fn of(target: &Target) -> Self {
        let mut table = StackTable::new();
        Self {
            target: TargetCode::new(target.pid, target.proc_file("maps"), &mut table),
            table,
            subjects: StackSubjects::new(target.subject),
        }
    }

    pub(crate) fn target(&self) -> &TargetCode {
        &self.target
    }

    pub(crate) fn target_mut(&mut self) -> &mut TargetCode {
        &mut self.target
    }

    /// Takes in the mappings as they were at a look.
    pub(crate) fn learn(&mut self, text: &[u8]) {
        self.target.set_maps(text, &mut self.table);
    }

    /// The subject of a stack, whose thread stood there when the mappings were read.
    pub(crate) fn stack(
        &mut self,
        registers: &UnwindRegisters,
        copy: StackCopy<'_>,
        stream: &mut dyn Stream,
    ) -> (SubjectId, StackEnd) {
        let sampled = self.table.stack(&self.target, registers, copy);
        self.subjects.define_new(&mut self.table, stream);
        (self.subjects.subject(sampled.id), sampled.end)
    }

    /// The same of a stack of just now: the mappings are read anew where they seem to have changed.
    pub(crate) fn stack_now(
        &mut self,
        registers: &UnwindRegisters,
        copy: StackCopy<'_>,
        stream: &mut dyn Stream,
    ) -> SubjectId {
        self.target.refresh(registers, copy, &mut self.table);
        self.stack(registers, copy, stream).0
    }
}
