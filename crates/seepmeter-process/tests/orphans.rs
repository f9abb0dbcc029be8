//! Orphans that become children of this process. That holds for the whole process, so it has tests of its
//! own, and one runs at a time.

#![allow(clippy::print_stderr, reason = "a test that can't be run says so")]

#[path = "tree/watched.rs"]
#[allow(dead_code, unreachable_pub, reason = "the other tests need the rest")]
mod watched;

use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use seepmeter_process::proc::ProcRoot;
use seepmeter_process::tree::FoundBy;
use watched::{Watched, Way};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The children of this process that are zombies.
fn zombies() -> Vec<i32> {
    let root = ProcRoot::default();
    let own = std::process::id().cast_signed();
    let children = root.children(own).unwrap();
    let is_zombie = |pid: &i32| root.process(*pid).stat().is_ok_and(|stat| stat.state == 'Z');
    children.into_iter().filter(is_zombie).collect()
}

#[test]
fn trap_9_a_daemon_that_forks_twice_is_found_and_reaped() {
    let _alone = alone();
    let Some(mut watched) = Watched::shell(Way::Subreaper, "(setsid cat <&3 &); (exec cat <&3); :")
    else {
        return;
    };
    let cats = watched.until_running("cat", 2);
    let own = std::process::id().cast_signed();
    let root = ProcRoot::default();
    let of_own: Vec<_> =
        cats.iter().filter(|cat| root.process(cat.key.pid).stat().unwrap().ppid == own).collect();
    assert_eq!(of_own.len(), 1, "one is an orphan: {cats:?}");
    let daemon = of_own[0].key;
    watched.close_input();
    watched.until_all_ended();
    assert!(root.process(daemon.pid).stat().is_err(), "it was reaped");
    watched.until("no zombie is left but the target", |watched| {
        (zombies() == [watched.tree.target().pid]).then_some(())
    });
}

#[test]
fn orphans_that_live_briefly_leave_no_zombies() {
    let _alone = alone();
    let script = "i=0; while [ $i -lt 100 ]; do ( /bin/true & ); i=$((i + 1)); done; cat <&3; :";
    let Some(mut watched) = Watched::shell(Way::Subreaper, script) else { return };
    watched.until_running("cat", 1);
    watched.until("no zombie is left", |_| zombies().is_empty().then_some(()));
    watched.close_input();
    watched.until_all_ended();
}

#[test]
fn other_children_of_this_process_are_neither_followed_nor_reaped() {
    let _alone = alone();
    let Some(mut watched) = Watched::shell(Way::Subreaper, "(setsid cat <&3 &); (exec cat <&3); :")
    else {
        return;
    };
    watched.until_running("cat", 2);
    let mut other = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let mut brief = Command::new("sh").args(["-c", "exit 3"]).spawn().unwrap();
    let pids = [other.id(), brief.id()].map(u32::cast_signed);
    let brief_is_zombie =
        || ProcRoot::default().process(pids[1]).stat().is_ok_and(|stat| stat.state == 'Z');
    watched.until("it waits to be reaped", |_| brief_is_zombie().then_some(()));
    for _ in 0..20 {
        watched.refresh();
    }
    assert!(watched.tree.running().all(|process| !pids.contains(&process.key.pid)));
    assert!(watched.tree.running().all(|process| process.found_by != FoundBy::Event));
    assert_eq!(brief.wait().unwrap().code(), Some(3), "nobody else has reaped it");
    drop(other.stdin.take());
    assert!(other.wait().unwrap().success());
}
