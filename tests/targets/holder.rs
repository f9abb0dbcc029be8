//! No target, but a host of one: it spawns a command through seepmeter-process, holds it, and says
//! `held PID`. It releases it at a line on its standard input: `target-holder COMMAND [ARG…]`.

use seepmeter_process::{ChildSignals, Command};
use seepmeter_tests::target::{say, wait_for_line};

fn main() {
    let command = Command::new(std::env::args_os().skip(1)).expect("target-holder COMMAND");
    let signals = ChildSignals::as_they_are().expect("sigprocmask");
    let held = command.spawn(&signals).expect("spawn");
    say(&format!("held {}", held.process().pid()));
    wait_for_line();
    let child = held.release().expect("exec");
    say("released");
    child.process().wait().expect("poll");
    say(&format!("{:?}", child.reap().expect("waitid")));
}
