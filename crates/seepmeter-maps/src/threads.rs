//! Which thread's stack a mapping is.
//!
//! Since Linux 4.5 maps names the main thread's stack alone. Where another thread's stack pointer
//! stands is told by /proc/PID/task/TID/syscall while it waits in a system call; where it waited once
//! its stack is, for as long as it lives. Reading that file takes the right to trace the target.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// Names are read again at each look only where there are no more threads than this.
const FEW: usize = 256;

/// The threads of a process, and where their stacks are.
#[derive(Debug, Default)]
pub struct Threads {
    known: HashMap<i32, Thread>,
    look: u32,
}

#[derive(Debug, Default)]
struct Thread {
    name: Vec<u8>,
    stack_pointer: Option<u64>,
    seen: u32,
}

/// A thread whose stack is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack<'a> {
    /// An address within it.
    pub pointer: u64,
    /// The thread's id.
    pub tid: i32,
    /// The thread's name.
    pub name: &'a [u8],
}

impl Threads {
    /// Looks for threads that came and went; the first is the main thread, whose stack has a name.
    pub fn refresh(&mut self, tasks: &Path, pid: i32) {
        self.look = self.look.wrapping_add(1);
        let Ok(folders) = fs::read_dir(tasks) else { return };
        let few = self.known.len() <= FEW;
        for folder in folders.flatten() {
            let tid = folder.file_name().to_str().and_then(|name| name.parse().ok());
            let Some(tid) = tid.filter(|tid| *tid != pid) else { continue };
            let thread = self.known.entry(tid).or_default();
            thread.seen = self.look;
            if few || thread.name.is_empty() {
                thread.name = fs::read(folder.path().join("comm")).unwrap_or_default();
                thread.name.pop_if(|last| *last == b'\n');
            }
            if thread.stack_pointer.is_none() {
                let text = fs::read(folder.path().join("syscall")).unwrap_or_default();
                thread.stack_pointer = stack_pointer(&text);
            }
        }
        self.known.retain(|_, thread| thread.seen == self.look);
    }

    /// The known stacks, in the order of their addresses.
    #[must_use]
    pub fn stacks(&self) -> Vec<Stack<'_>> {
        let mut stacks: Vec<Stack<'_>> = self
            .known
            .iter()
            .filter_map(|(&tid, Thread { name, stack_pointer, .. })| {
                Some(Stack { pointer: (*stack_pointer)?, tid, name })
            })
            .collect();
        stacks.sort_unstable_by_key(|stack| (stack.pointer, stack.tid));
        stacks
    }
}

/// The stack pointer of a thread that waits, from proc_pid_syscall(5):
///
/// ```text
/// running
/// NUMBER ARGUMENT×6 STACK-POINTER PROGRAM-COUNTER      in a system call
/// -1 STACK-POINTER PROGRAM-COUNTER                     blocked elsewhere
/// ```
fn stack_pointer(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let pointer = words.get(words.len().checked_sub(2)?)?.strip_prefix("0x")?;
    u64::from_str_radix(pointer, 16).ok().filter(|pointer| *pointer != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_threads_stack_pointer_is_the_last_but_one_word() {
        let waiting = b"202 0x1 0x80 0x2 0x0 0x0 0x0 0x7f22deadbee0 0x7f22aaaa0000\n";
        assert_eq!(stack_pointer(waiting), Some(0x7f22_dead_bee0));
        assert_eq!(stack_pointer(b"-1 0x7ffc00 0x40\n"), Some(0x7ffc00));
        for none in [&b"running\n"[..], b"", b"x", b"-1 0x0 0x0", b"1 zz 0x2", b"\xff \xff"] {
            assert_eq!(stack_pointer(none), None);
        }
    }
}
