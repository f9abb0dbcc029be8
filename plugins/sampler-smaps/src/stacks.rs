//! Where the threads' stacks are.
//!
//! Since Linux 4.5 maps names the main thread's stack alone. Where another thread's stack pointer
//! stands is in /proc/PID/task/TID/syscall while it waits in a system call; where it waited once its
//! stack is, for as long as it lives. Reading that file takes the right to trace the target.

use seepmeter_maps::class::{ThreadStack, ThreadStacks};
use seepmeter_plugin::Error;
use seepmeter_process::proc::ProcFolder;
use seepmeter_process::stack_size;
use seepmeter_process::threads::ThreadTable;

use crate::source::meaning;

/// The threads of the target, with the stack pointers that are known.
#[derive(Debug)]
pub(crate) struct StackTable {
    pid: i32,
    threads: ThreadTable<Option<u64>>,
    usual_size: Option<u64>,
}

impl StackTable {
    pub(crate) fn new(pid: i32, process: ProcFolder) -> Self {
        let usual_size = stack_size(&process);
        Self { pid, threads: ThreadTable::new(process), usual_size }
    }

    /// Looks for threads that came and went, and for the stacks that are not known yet.
    pub(crate) fn refresh(&mut self) -> Result<(), Error> {
        self.threads.refresh().map_err(meaning)?;
        self.threads.take_ended().for_each(drop);
        let process = self.threads.process().clone();
        for thread in self.threads.iter_mut() {
            if thread.data.is_none() && thread.tid != self.pid {
                match process.thread(thread.tid).stack_pointer() {
                    Ok(pointer) => thread.data = pointer,
                    // Without the right, or in a kernel without the file, it is not known.
                    Err(error) if error.is_gone() || error.is_denied() => {}
                    Err(error) if error.is_unsupported() => {}
                    Err(error) => return Err(meaning(error)),
                }
            }
        }
        Ok(())
    }

    /// How many threads there are; none if they are not shown.
    pub(crate) fn count(&self) -> Option<u64> {
        Some(self.threads.iter().count() as u64).filter(|count| *count > 0)
    }

    /// The stacks that are known.
    pub(crate) fn stacks(&self) -> ThreadStacks<'_> {
        let known = self.threads.iter().filter_map(|thread| {
            Some(ThreadStack { pointer: thread.data?, tid: thread.tid, name: &thread.name })
        });
        known.collect::<ThreadStacks<'_>>().with_usual_size(self.usual_size)
    }
}
