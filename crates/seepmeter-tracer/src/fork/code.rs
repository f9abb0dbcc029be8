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
    /// The end of a signal handler.
    pub(super) signal_return: u64,
    length: usize,
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
        let (mut call, mut signal_return) = (None, None);
        let mut left = MAX_CODE;
        for mapping in maps::parse(&text) {
            if !(mapping.perms.exec && mapping.perms.read) {
                continue;
            }
            let size = (mapping.end - mapping.start).min(left);
            left -= size;
            search(&memory, mapping.start..mapping.start + size, |address, bytes| {
                let at = |pattern| memchr::memmem::find(bytes, pattern);
                call = call.or_else(|| Some(address + at(CALL)? as u64));
                signal_return = signal_return.or_else(|| {
                    let found = SIGNAL_RETURN.iter().find_map(|code| Some((at(code)?, code.len())));
                    found.map(|(at, length)| (address + at as u64, length))
                });
                call.is_some() && signal_return.is_some()
            });
            if let (Some(call), Some((signal_return, length))) = (call, signal_return) {
                return Ok(Self { call, signal_return, length });
            }
        }
        Err(ForkError::NoCode { pid })
    }

    /// True if they are still there.
    pub(super) fn is_there(&self, memory: &ProcessMemory) -> bool {
        let is = |address, code: &[u8]| {
            let mut bytes = [0; 16];
            let bytes = &mut bytes[..code.len()];
            memory.read(address, bytes).is_ok_and(|read| read == code.len()) && bytes == code
        };
        let returns = SIGNAL_RETURN.iter().find(|code| code.len() == self.length);
        is(self.call, CALL) && returns.is_some_and(|code| is(self.signal_return, code))
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
