//! The harness of Seepmeter's end-to-end tests: it runs the command as it was built, on real programs.
//!
//! [`seepmeter`] is a run of the command, [`run_target`] one of a target of `tests/targets/`. Tests
//! wait for events (a line that a target says, the end of a process), never for a time to pass; every
//! wait has a [limit], and what a test has started is ended when it is dropped.

mod built;
mod cgroup;
mod judged;
pub mod plugin;
mod process_tree;
mod recording;
mod run;
mod since;
mod slower;
pub mod synthetic;
pub mod target;
mod terminal;

use std::time::Duration;

pub use built::{copy_seepmeter, folder, seepmeter_path, test_target};
pub use cgroup::TestCgroup;
pub use judged::{replay, verdict};
pub use process_tree::ProcessTree;
pub use recording::{Recording, recorded};
pub use run::{FinishedRun, Run, RunningProgram, run, run_target, seepmeter};
pub use since::{eventually, long, long_or_not_run, not_run};
pub use slower::slower;
pub use terminal::Terminal;

/// How long anything may take before a test gives up: far more than a busy machine needs. The long
/// tests (`SEEPMETER_LONG=1`) take longer by themselves.
#[must_use]
pub fn limit() -> Duration {
    Duration::from_secs(if long() { 600 } else { 60 })
}

/// The words of a command line, whatever they are made of: `words!["run", "-q", path]`.
#[macro_export]
macro_rules! words {
    ($($word:expr),* $(,)?) => {
        ::std::vec![$(::std::ffi::OsString::from(::std::convert::AsRef::<::std::ffi::OsStr>::as_ref(&$word))),*]
    };
}
