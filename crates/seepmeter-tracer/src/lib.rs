//! A tracee: stopped, looked at, and let go unharmed.
//!
//! ```no_run
//! use std::time::{Duration, Instant};
//! use seepmeter_tracer::{Options, Tracee};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut tracee = Tracee::new(4711, Options::default())?;
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
//! What a target may notice of it is that it stood still for some time, and no more:
//!
//! - Threads are seized (PTRACE_SEIZE) and interrupted, never attached to with a SIGSTOP.
//! - Signals that come meanwhile are passed on; a process that is stopped as a group stays so.
//! - System calls are made again as without a tracer, also those that the kernel would have ended with
//!   EINTR, and wait no longer than they would have.
//! - No breakpoint is set, nothing is written to code, and nothing is left behind where the tracer is
//!   killed, at whatever moment.
//!
//! What it may notice nonetheless, as it may of a Ctrl-Z and `fg`:
//!
//! - A write(2) to a pipe or a socket that had to wait in the middle ends with what it has written, and
//!   so does a read(2) with MSG_WAITALL.
//! - A connect(2) of a socket with SO_SNDTIMEO gives EINTR. Other calls of sockets with such limits are
//!   made again, and late by one stop at most.
//! - A wait with a limit may be over some milliseconds early where a virtual machine loses its processors.
//! - Signals that the target ignores end its calls for a moment while it is traced; they are made again.
//! - Where the tracer is killed while the target stands still, a call that was interrupted may give EINTR
//!   if it had not been seen to yet.
//!
//! What the tracer's own process may notice: a real-time signal that had no handler gets one, for the sake of
//! the deadlock between a seize and an exec (see `rescue.rs`).
//!
//! The kernel's rules that this rests on are in ptrace(2), and in kernel/ptrace.c and kernel/signal.c.

mod arch;
mod error;
mod follow;
mod memory;
mod patience;
mod request;
mod rescue;
mod restart;
mod rights;
mod stop;
mod tasks;
mod thread;
mod tracee;
mod urgent;
mod wait;

pub use arch::{Registers, SystemCall};
pub use error::TraceError;
pub use follow::{
    FollowedStop, Follower, HELD_AT_MOST, Happening, MemoryCall, MemoryCallKind, Served, Space,
};
pub use memory::{Memory, Piece};
pub use rights::gains_rights;
pub use stop::{HaltedThread, Stop, Timing};
pub use tracee::{Late, Options, Tracee};
pub use wait::Halt;
