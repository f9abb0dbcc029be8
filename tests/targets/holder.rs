//! No target, but a host of one: it spawns a command through seepmeter-process, holds it, and says
//! `held PID`. It releases it at a line on its standard input: `test-target holder COMMAND [ARG…]`.

use seepmeter_process::{ChildSignals, Command};
use seepmeter_tests::target::{arguments_from, say, wait_for_line};

pub(crate) fn run() {
    let command = Command::new(arguments_from(1)).expect("test-target holder COMMAND");
    let signals = ChildSignals::as_they_are().expect("sigprocmask");
    let held = command.spawn(&signals).expect("spawn");
    say(&format!("held {}", held.process().pid()));
    wait_for_line();
    let child = held.release().expect("exec");
    say("released");
    child.process().wait().expect("poll");
    say(&format!("{:?}", child.reap().expect("waitid")));
}
