//! Stops any Linux process for a sample, and lets it go unharmed.
//!
//! ```no_run
//! use std::time::{Duration, Instant};
//! use seepmeter_tracer::{Tracee, TraceeOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut tracee = Tracee::new(4711, TraceeOptions::default())?;
//! let stop = tracee.stop(Instant::now() + Duration::from_millis(10))?;
//! for thread in stop.threads() {
//!     let mut stack = [0; 2048];
//!     let read = stop.memory().read(thread.registers().stack_pointer(), &mut stack)?;
//!     // … and nothing has moved meanwhile.
//! #   let _ = read;
//! }
//! let timing = stop.detach();
//! tracee.settle(Instant::now() + Duration::from_millis(10));
//! # let _ = timing;
//! # Ok(())
//! # }
//! ```
//!
//! A target may notice that it was stopped for some time, and no more:
//!
//! - Threads are seized (PTRACE_SEIZE) and interrupted, never attached to with a SIGSTOP.
//! - Signals that come meanwhile are delivered; a process in a group-stop stays in it.
//! - System calls are restarted as without a tracer, also those that the kernel would have ended with
//!   EINTR, and wait no longer than they would have.
//! - No breakpoint is set, nothing is written to code, and nothing is left behind if the tracer is killed,
//!   at whatever moment.
//!
//! What it may notice nonetheless, as it may of a Ctrl-Z and `fg`:
//!
//! - A write(2) to a pipe or a socket that had to wait in the middle ends with what it has written, and
//!   so does a read(2) with MSG_WAITALL.
//! - A connect(2) of a socket with SO_SNDTIMEO gives EINTR. Other calls of sockets with such timeouts are
//!   restarted, and late by one stop at most.
//! - A wait with a timeout may end some milliseconds early on a virtual machine that loses its processors.
//! - Signals that the target ignores interrupt its calls while it is traced; they are restarted.
//! - If the tracer is killed while the target is stopped, a call that was interrupted may give EINTR if
//!   its restart had not been prepared yet.
//!
//! What the tracer's own process may notice: a real-time signal that had no handler gets one, to resolve
//! the deadlock between a seize and an exec (see `exec_deadlock.rs`).
//!
//! The kernel's rules that this rests on are in ptrace(2), and in kernel/ptrace.c and kernel/signal.c.
//!
//! # System calls
//!
//! A system call goes through nix if nix has it. It goes through libc if nix does not have it or knows
//! less than the kernel says (ptrace and wait requests with real-time signals, calls between fork and
//! exit, calls by number), and the reason stands at the call.

mod arch;
mod error;
mod exec_deadlock;
mod exits;
mod follow;
mod fork;
mod memory;
mod poll_wait;
mod request;
mod restart;
mod rights;
mod stop;
mod tasks;
mod thread;
mod tracee;

mod wait;

pub use arch::{Registers, SystemCall};
pub use error::{LateThread, TraceError};
pub use exits::{ExitTracer, LastThread};
pub use follow::{
    AddressSpaceId, FollowStatus, FollowedStop, Follower, MAX_CALL_DELAY, MemoryCall,
    MemoryCallKind, TraceEvent,
};
pub use fork::{FORK_ROOM, ForkCode, ForkError, ForkedCopy};
pub use memory::{MemoryPiece, ProcessMemory};
pub use rights::gains_rights;
pub use stop::{PauseTiming, Stop, StoppedThread};
pub use tracee::{LatePolicy, Tracee, TraceeOptions};
pub use wait::PtraceStop;
