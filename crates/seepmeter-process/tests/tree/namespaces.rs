//! Processes in pid namespaces of their own.

use std::process::Command;

use crate::watched::{Watched, Way, not_run};

/// The words before a command that is to have a pid and a mount namespace of its own; none, loudly, if
/// this is not allowed here.
const UNSHARE: [&str; 4] = ["unshare", "--pid", "--fork", "--mount-proc"];

fn can_unshare(test: &str) -> bool {
    let tried = Command::new(UNSHARE[0]).args(&UNSHARE[1..]).arg("true").output();
    let why = match tried {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    not_run(test, &why);
    false
}

#[test]
fn a_child_in_its_own_pid_and_mount_namespace_is_known_by_its_outer_pid() {
    if !can_unshare("a pid namespace in the tree") {
        return;
    }
    for way in [Way::Events, Way::Cgroup, Way::NewPids] {
        let words: Vec<&str> =
            UNSHARE.into_iter().chain(["sh", "-c", "sh -c 'cat; :'; :"]).collect();
        let Some(mut watched) = Watched::spawn(way, &words) else { continue };
        let cat = watched.until_running("cat", 1).remove(0);
        let inner = std::fs::read_to_string(format!("/proc/{}/status", cat.key.pid)).unwrap();
        let pids = inner.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
        let pids: Vec<&str> = pids.split_whitespace().collect();
        let outer = cat.key.pid.to_string();
        // The last is its pid in there; this test may be in a namespace itself.
        assert!(pids.len() >= 2 && pids[pids.len() - 2] == outer, "{pids:?}");
        watched.close_input();
        watched.until_all_ended();
    }
}

/// Before Linux 6.14 there is one pid_max for all namespaces, and this machine needs its own.
fn has_pid_max_of_namespaces() -> bool {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = text.split(['.', '-']).map_while(|word| word.trim().parse::<u32>().ok());
    (numbers.next().unwrap(), numbers.next().unwrap()) >= (6, 14)
}

const INNER: &str = "SEEPMETER_TEST_SMALL_PID_MAX";

#[test]
fn a_pid_that_is_given_again_is_another_process() {
    if std::env::var_os(INNER).is_some() {
        return pids_are_given_again();
    }
    if !has_pid_max_of_namespaces() {
        return not_run("pids that are given again", "pid_max is one for all before Linux 6.14");
    }
    if !can_unshare("pids that are given again") {
        return;
    }
    let own = std::env::current_exe().unwrap();
    let test = "namespaces::a_pid_that_is_given_again_is_another_process";
    let output = Command::new(UNSHARE[0])
        .args(&UNSHARE[1..])
        .arg(own)
        .args([test, "--exact", "--nocapture"])
        .env(INNER, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    eprintln!("{said}");
}

/// In a namespace with 101 pids, of which each is given every hundred forks or so. Others fork as well.
fn pids_are_given_again() {
    std::fs::write("/proc/sys/kernel/pid_max", "401").unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            let mut others = Vec::new();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let mut child = Command::new("sleep").arg("0.01").spawn().unwrap();
                others.push(child.id().cast_signed());
                child.wait().unwrap();
            }
            others
        });
        for way in [Way::Cgroup, Way::NewPids] {
            let script =
                "i=0; while [ $i -lt 400 ]; do sh -c 'sleep 0.005; :'; i=$((i + 1)); done; :";
            let Some(mut watched) = Watched::shell(way, script) else { continue };
            let ended = watched.until_all_ended();
            let mut pids: Vec<i32> = ended.keys().map(|key| key.pid).collect();
            pids.sort_unstable();
            let all = pids.len();
            pids.dedup();
            assert!(pids.len() < all, "{way:?}: no pid was given again: {all} processes");
            let known = watched.known_descendants();
            assert!((100..=800).contains(&known), "{way:?}: {known} of 800");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(others.join().unwrap().len() > 1);
    });
}
