//! Whom Seepmeter watches: commands that it spawns, and processes that run already; and the helpers for
//! the system that everything else uses.
//!
//! A command is spawned in two steps. [`Command::spawn`] forks, and the child is [`HeldChild`] before its
//! exec; whoever wants the process from its first instruction attaches now. [`HeldChild::release`] lets it
//! go and returns at the moment of its exec, or with the reason why there was none. The end of a
//! process is awaited on its [`Process::pidfd`], and only then is a child reaped. A process is known by
//! its [`ProcessKey`], since its pid alone is given to another one later.
//!
//! - [`proc`] reads procfs, [`threads`] the threads of a process; [`find`] finds processes by name, [`tree`] follows
//!   the descendants of one.
//! - [`marks`] receives what a target writes about its own work.
//! - [`start`] knows what was closed and ignored when this process began.
//! - [`wait`] waits for descriptors, [`system`] has the page size and the clocks, [`priority`] keeps
//!   the CPU while a target waits.
//!
//! System calls are made by nix. A call that nix does not have, or whose answer it loses, is made by
//! rustix if that has it, and by libc otherwise, with a comment that says why.
//!
//! ```
//! use seepmeter_process::{ChildSignals, Command};
//! use seepmeter_record::End;
//!
//! let command = Command::new(["sh", "-c", "exit 3"])?;
//! let held = command.spawn(&ChildSignals::as_they_are()?)?;
//! let child = held.release().expect("sh can be executed");
//! child.process().wait()?;
//! assert_eq!(child.reap()?, End::Exited(3));
//! # Ok::<(), std::io::Error>(())
//! ```

mod cgroup;
mod final_message;
pub mod find;
mod limits;
pub mod marks;
mod memory_events;
mod out_of_memory;
mod output;
pub mod priority;
pub mod proc;
mod process;
mod signals;
mod spawn;
pub mod start;
pub mod system;
#[cfg(test)]
mod testing;
pub mod threads;
pub mod tree;
pub mod wait;

pub use cgroup::{Cgroup, CgroupLimit, CgroupVersion};
pub use final_message::FinalMessage;
pub use limits::{Limits, ShmLimit, stack_size};
pub use memory_events::{MemoryEvents, OomKill};
pub use out_of_memory::{GuardedAllocator, has_room_for_thread, set_if_out_of_memory};
pub use output::{WaitingWriter, write_until};
pub use process::{AttachError, Process, ProcessKey};
pub use signals::{ChildSignals, ReceivedSignal, Signals, deliver};
pub use spawn::{Child, Command, ExecError, HeldChild, Streams};
