//! A memory call.

use super::filter::MemoryCallKind;
use super::process_tree::TracedThread;
use crate::arch::Registers;
use crate::memory::ProcessMemory;

/// An address space. Each fork and each exec makes a new one; its number is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressSpaceId(pub u64);

/// A memory call that has succeeded. Its thread is stopped.
#[derive(Debug)]
pub struct MemoryCall<'c> {
    /// The thread that made it.
    pub tid: i32,
    /// The thread's process.
    pub pid: i32,
    /// The address space that it has changed.
    pub space: AddressSpaceId,
    /// Which call.
    pub kind: MemoryCallKind,
    /// Its arguments.
    pub arguments: [u64; 6],
    /// What it returned: an address, or 0. For brk(2) the end of the heap.
    pub result: u64,
    /// The thread's registers, which its stack begins with.
    pub registers: &'c Registers,
    /// The process's memory.
    pub memory: &'c ProcessMemory,
    /// False if the order of this call among those of its address space is not sure.
    pub in_order: bool,
}

/// The highest errno, which the kernel returns negated (include/linux/err.h).
const MAX_ERRNO: i64 = 4095;

impl<'c> MemoryCall<'c> {
    /// The call that a thread has finished. None if it has failed, or is none of the memory calls.
    pub(super) fn finished(
        tid: i32,
        thread: TracedThread,
        registers: &'c Registers,
        memory: &'c ProcessMemory,
        in_order: bool,
    ) -> Option<Self> {
        let call = registers.system_call()?;
        let kind = MemoryCallKind::of(call.number)?;
        let result = registers.result();
        if (-MAX_ERRNO..0).contains(&result) {
            return None;
        }
        let result = result.cast_unsigned();
        // brk does not fail: it returns the end as it is.
        if kind == MemoryCallKind::Break && call.arguments[0] != result && call.arguments[0] != 0 {
            return None;
        }
        let TracedThread { pid, space } = thread;
        let arguments = call.arguments;
        Some(Self { tid, pid, space, kind, arguments, result, registers, memory, in_order })
    }
}
