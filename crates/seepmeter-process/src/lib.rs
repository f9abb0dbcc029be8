//! Whom Seepmeter watches: a command that it spawns, or a process that runs already.
//!
//! A command is spawned in two steps. [`Command::spawn`] forks, and the child is [`HeldChild`] before its
//! exec; whoever wants the process from its first instruction attaches now. [`HeldChild::release`] lets it
//! go and returns at the moment of its exec, or with the reason why there was none. The end of a
//! process is awaited on its [`Process::pidfd`], and only then is a child reaped.
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

mod limits;
pub mod priority;
pub mod proc;
mod process;
mod signals;
mod spawn;
pub mod system;
pub mod threads;
pub mod wait;

pub use limits::{CgroupLimit, Limits};
pub use process::{AttachError, Process, ProcessKey};
pub use signals::{ReceivedSignal, ChildSignals, Signals};
pub use spawn::{Child, Command, ExecError, HeldChild};
