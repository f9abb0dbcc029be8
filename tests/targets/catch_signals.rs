//! A program that tells every signal that it gets: it says `ready PID`, then a signal's name for each
//! that comes, and `done` when its standard input ends.

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::getpid;
use seepmeter_tests::target::{read_to_end, say};

/// Tells the main thread of the end; higher than the others, so that they are reported before it.
const END: Signal = Signal::SIGIO;

pub(crate) fn run() {
    let printed: SigSet = [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGTERM,
        Signal::SIGCONT,
        END,
    ]
    .into_iter()
    .collect();
    // Before there is a second thread, which then blocks them too.
    printed.thread_block().expect("sigmask");
    say(&format!("ready {}", std::process::id()));
    std::thread::spawn(|| {
        read_to_end();
        kill(getpid(), END)
    });
    loop {
        match printed.wait().expect("sigwait") {
            END => return say("done"),
            signal => say(signal.as_str()),
        }
    }
}
