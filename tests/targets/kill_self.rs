//! A program that kills itself with the signal that it is given: `test-target kill-self NUMBER`. It leaves no core.

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, Signal, raise, signal};
use seepmeter_tests::target::argument;

pub(crate) fn run() {
    let number: i32 = argument(1).unwrap_or(9);
    let deadly = Signal::try_from(number).expect("a signal's number");
    setrlimit(Resource::RLIMIT_CORE, 0, 0).expect("setrlimit");
    if !matches!(deadly, Signal::SIGKILL) {
        // SAFETY: SIG_DFL runs no code of ours.
        unsafe { signal(deadly, SigHandler::SigDfl) }.expect("signal");
    }
    SigSet::from(deadly).thread_unblock().expect("sigmask");
    raise(deadly).expect("raise");
}
