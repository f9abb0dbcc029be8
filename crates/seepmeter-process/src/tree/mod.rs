//! A target and all its descendants: who is there, since when, and what has become of them.
//!
//! A [`ProcessTree`] is asked at each tick, or when its descriptor is readable, and reports each process that
//! has [started, executed something else or ended](TreeChange). How it finds them depends on what is allowed
//! here, and [`Discovery`] says what is in use, the best first:
//!
//! 1. The kernel's *process events* report each fork, exec and exit. Nothing is missed.
//! 2. A *cgroup* of a spawned target's own lists all its processes at each tick, whoever their parents are.
//!    It is used beside the events too, for the kernel keeps the peak of its memory.
//! 3. A spawned target's orphans become children of this process, the *subreaper*, if there is neither: the
//!    target could notice that.
//! 4. *New pids*: at each tick those that the kernel has given since the last one are tried, and belong to the
//!    tree if their parents do. An orphan is found if it was known before its parent has ended.
//!
//! A process that is known stays known until it ends, whoever its parent is then, and whatever session or
//! namespace it is in. It is held by its pidfd, so it can't be mistaken for another.
//!
//! What nobody has seen is counted: [`TreeCounts::brief`]. With events the number is exact. Without them it is
//! what the kernel has added to the accounts of the parents, "at least 31".
//!
//! A tree follows a bounded number of processes, and says how many were beyond. [`Role`] groups them for
//! people and verdicts.
//!
//! ```
//! use std::os::fd::AsFd;
//! use std::time::{Duration, Instant};
//!
//! use seepmeter_process::tree::{TreeChange, ProcessTree, TreeOptions};
//! use seepmeter_process::wait::wait_one_readable;
//! use seepmeter_process::{ChildSignals, Command};
//!
//! let command = Command::new(["sh", "-c", "sleep 0.2 & sleep 0.1; wait"])?;
//! let held = command.spawn(&ChildSignals::as_they_are()?)?;
//! let mut tree = ProcessTree::of_child(&held, TreeOptions::default())?;
//! let child = held.release().expect("sh can be executed");
//!
//! while !child.process().has_ended()? {
//!     let next_tick = Instant::now() + Duration::from_millis(20);
//!     wait_one_readable(tree.as_fd(), Some(next_tick))?;
//!     for change in tree.refresh()? {
//!         match change {
//!             TreeChange::Started(process) | TreeChange::Executed(process) => println!("{}", process.role),
//!             TreeChange::Ended { process, reason } => println!("{}: {reason:?}", process.role),
//!             TreeChange::EventsDropped => println!("some were missed"),
//!             _ => {}
//!         }
//!     }
//!     tree.read_statm(|process, statm| {
//!         let pages = statm.map(|statm| statm.resident);
//!         println!("{} {}: {pages:?}", process.role, process.key.pid);
//!     });
//! }
//! println!("found by {}; {} lived too briefly", tree.discovery(), tree.counts().brief);
//! println!("{} are still running", tree.descendants().count());
//! tree.end(Duration::from_secs(1))?;
//! child.reap()?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod accounting;
mod change;
mod discovery;
mod end_tree;
mod filter;
mod members;
mod new_pids;
mod orphans;
mod own_cgroup;
pub(crate) mod process_events;
mod process_tree;
mod role;
mod statm;

pub use change::{BriefProcesses, EndReason, FoundBy, TreeChange, TreeCounts, TreeProcess};
pub use discovery::{Discovery, Listing, Mechanism};
pub use end_tree::TreeEnd;
pub use filter::NameFilter;
pub use process_tree::{BATCH, CgroupUse, ProcessTree, TreeOptions};
pub use role::{Program, Role};
