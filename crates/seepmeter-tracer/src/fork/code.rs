//! Instructions of the target's own that a thread of it can be made to execute.

use std::ops::Range;

use seepmeter_maps::maps;
use seepmeter_process::proc::ProcRoot;

use super::ForkError;
use crate::memory::ProcessMemory;

/// `syscall; ret`.
const CALL: &[u8] = &[0x0f, 0x05, 0xc3];
/// `mov $15, %rax; syscall` in both of its encodings: rt_sigreturn(2), which every C library has for its signal
/// handlers.
const SIGNAL_RETURN: [&[u8]; 2] = [
    &[0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05],
    &[0xb8, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05],
];
/// `pop %rax; ret`, in programs that have no signal handlers: the number of the call comes from the stack then.
const POP: &[u8] = &[0x58, 0xc3];
const RT_SIGRETURN: u64 = 15;
/// How much of a mapping is read at once, and by how much the pieces overlap.
const PIECE: usize = 1 << 20;
const OVERLAP: u64 = 16;
/// No more of a program's code is searched.
const MAX_CODE: u64 = 256 << 20;

/// Where a process has the instructions that a fork is made by. They are looked for while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForkCode {
    /// A system call, and a return.
    pub(super) call: u64,
    signal_return: SignalReturn,
}

/// How a signal handler ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SignalReturn {
    /// By the C library's own code, in one of its encodings.
    Own(u64, &'static [u8]),
    /// By a call whose number is popped here.
    Popped(u64),
}

impl ForkCode {
    /// Looks for them in the code of a process.
    ///
    /// # Errors
    /// If its mappings can't be read, or it has no such code.
    pub fn find(pid: i32) -> Result<Self, ForkError> {
        if !cfg!(target_arch = "x86_64") {
            return Err(ForkError::Processor);
        }
        let reading = |error| ForkError::Maps { pid, source: Box::new(error) };
        let text = ProcRoot::default().process(pid).read("maps").map_err(reading)?;
        let memory = ProcessMemory::of(pid);
        let (mut call, mut own, mut popped) = (None, None, None);
        let mut left = MAX_CODE;
        for mapping in maps::parse(&text) {
            if !(mapping.perms.exec && mapping.perms.read) {
                continue;
            }
            let size = (mapping.end - mapping.start).min(left);
            left -= size;
            search(&memory, mapping.start..mapping.start + size, |address, bytes| {
                let at = |code| Some(address + memchr::memmem::find(bytes, code)? as u64);
                call = call.or_else(|| at(CALL));
                popped = popped.or_else(|| at(POP).map(SignalReturn::Popped));
                own = own.or_else(|| {
                    SIGNAL_RETURN.iter().find_map(|code| Some(SignalReturn::Own(at(code)?, code)))
                });
                call.is_some() && own.is_some()
            });
        }
        match (call, own.or(popped)) {
            (Some(call), Some(signal_return)) => Ok(Self { call, signal_return }),
            _ => Err(ForkError::NoCode { pid }),
        }
    }

    /// What a stack has before a frame that a signal handler returns by.
    pub(super) fn signal_return(&self) -> Vec<u64> {
        match self.signal_return {
            SignalReturn::Own(code, _) => vec![code],
            SignalReturn::Popped(code) => vec![code, RT_SIGRETURN, self.call],
        }
    }

    /// True if they are still there.
    pub(super) fn is_there(&self, memory: &ProcessMemory) -> bool {
        let is = |address, code: &[u8]| {
            let mut bytes = [0; 16];
            let bytes = &mut bytes[..code.len()];
            memory.read(address, bytes).is_ok_and(|read| read == code.len()) && bytes == code
        };
        let returns = match self.signal_return {
            SignalReturn::Own(address, code) => is(address, code),
            SignalReturn::Popped(address) => is(address, POP),
        };
        is(self.call, CALL) && returns
    }
}

/// Hands on a range in pieces until `found` says that it is enough.
fn search(memory: &ProcessMemory, range: Range<u64>, mut found: impl FnMut(u64, &[u8]) -> bool) {
    let mut buffer = vec![0; PIECE];
    let mut start = range.start;
    while start < range.end {
        let want = (range.end - start).min(PIECE as u64);
        let read = memory.read(start, &mut buffer[..want as usize]).unwrap_or(0);
        if read == 0 || found(start, &buffer[..read]) || start + want == range.end {
            return;
        }
        start += want - OVERLAP;
    }
}
