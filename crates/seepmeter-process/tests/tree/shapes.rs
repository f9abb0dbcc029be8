//! Trees of all shapes.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use seepmeter_process::Process;
use seepmeter_process::proc::ProcRoot;
use seepmeter_process::tree::{
    EndReason, FoundBy, NameFilter, ProcessTree, TreeChange, TreeOptions,
};
use seepmeter_record::End;

use crate::watched::{Watched, Way};

const ALL: [Way; 3] = [Way::Events, Way::Cgroup, Way::NewPids];
/// Those that find an orphan whose parent was never seen.
const ORPHANS: [Way; 2] = [Way::Events, Way::Cgroup];

#[test]
fn a_wrapper_script_and_what_it_runs_are_found_with_parents_and_names() {
    for way in ALL {
        let Some(mut watched) = Watched::shell(way, "cat <&3 & sh -c 'cat <&3; :' & wait; :")
        else {
            continue;
        };
        let cats = watched.until_running("cat", 2);
        let shell = watched.until_running("sh -c (child)", 1).remove(0);
        let target = watched.tree.target();
        let parents: Vec<_> = cats.iter().map(|cat| cat.parent.unwrap()).collect();
        assert!(parents.contains(&target) && parents.contains(&shell.key), "{way:?}: {parents:?}");
        assert_eq!(shell.parent, Some(target));
        assert!(cats.iter().all(|cat| cat.name == b"cat" && cat.command[0] == b"cat"));
        assert_ne!(cats[0].role, cats[1].role, "one is the child of another shell");
        watched.close_input();
        let ended = watched.until_all_ended();
        assert_eq!(ended.len(), 4, "{way:?}");
        if way == Way::Events {
            assert!(ended.values().all(|end| *end == End::Exited(0)), "{ended:?}");
        }
    }
}

#[test]
fn a_process_that_executes_another_program_is_the_same_process_with_another_role() {
    for way in ALL {
        let Some(mut watched) = Watched::shell(way, "sh -c 'read line; exec cat' <&3 & wait; :")
        else {
            continue;
        };
        let before = watched.until_running("sh -c (child)", 1).remove(0);
        watched.say("go");
        let after = watched.until_running("cat", 1).remove(0);
        assert_eq!(before.key, after.key, "{way:?}");
        assert!(watched.changes.contains(&TreeChange::Executed(after)), "{way:?}");
    }
}

#[test]
fn a_daemon_that_forks_twice_and_takes_its_own_session_is_found() {
    for way in ORPHANS {
        let Some(mut watched) = Watched::shell(way, "(setsid cat <&3 &); (exec cat <&3) ; :")
        else {
            continue;
        };
        let cats = watched.until_running("cat", 2);
        let own = std::process::id().cast_signed();
        for cat in &cats {
            let parent = ProcRoot::default().process(cat.key.pid).stat().unwrap().ppid;
            assert_ne!(parent, own, "its parent is who it would be without us");
        }
        watched.close_input();
        watched.until_all_ended();
    }
}

#[test]
fn an_orphan_that_was_known_before_stays_known_in_every_way() {
    for way in ALL {
        let script = "sh -c 'cat <&3 & read line <&3' & wait $!; cat <&3";
        let Some(mut watched) = Watched::shell(way, script) else { continue };
        // Whoever reads the line first: both cats would end by the closed input alone.
        let cat = watched.until_running("cat", 1).remove(0);
        let middle = cat.parent.unwrap();
        let root = ProcRoot::default();
        Process::open(middle.pid, &root)
            .unwrap()
            .signal(nix::sys::signal::Signal::SIGKILL)
            .unwrap();
        watched.until("it is an orphan", |_| {
            let stat = root.process(cat.key.pid).stat().unwrap();
            (stat.ppid != middle.pid).then_some(())
        });
        watched.until_running("cat", 2);
        watched.close_input();
        let ended = watched.until_all_ended();
        assert!(ended.contains_key(&cat.key), "{way:?}");
        if way == Way::Events {
            assert_eq!(ended[&middle], End::Killed(9));
        }
    }
}

#[test]
fn a_child_that_outlives_the_target_is_listed_and_ended() {
    for way in ALL {
        let Some(mut watched) = Watched::shell(way, "trap '' TERM; cat <&3 & read line <&3") else {
            continue;
        };
        let cat = watched.until_running("cat", 1).remove(0);
        watched.say("go");
        // One of the two has read the line: cat goes on after it.
        watched.tree.signal(nix::sys::signal::Signal::SIGKILL, |key| *key != cat.key);
        let target = watched.tree.target();
        watched.until("the target has ended", |watched| {
            watched.tree.running().all(|process| process.key != target).then_some(())
        });
        let left: Vec<_> = watched.tree.descendants().map(|process| process.key).collect();
        assert_eq!(left, [cat.key], "{way:?}");
        let end = watched.tree.end(Duration::from_millis(50)).unwrap();
        assert_eq!(end.killed.iter().map(|it| it.key).collect::<Vec<_>>(), [cat.key]);
        assert!(end.left.is_empty());
        watched.until_all_ended();
    }
}

#[test]
fn a_whole_tree_is_ended_and_nobody_else() {
    let mut other = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    for way in ALL {
        let script = "cat <&3 & (trap '' TERM; cat <&3) & (cat <&3 & cat <&3) & wait";
        let Some(mut watched) = Watched::shell(way, script) else { continue };
        watched.until("all cats run", |watched| {
            let cats = watched.tree.running().filter(|it| it.name == b"cat").count();
            (cats == 4).then_some(())
        });
        let end = watched.tree.end(Duration::from_secs(1)).unwrap();
        assert!(end.left.is_empty() && !end.killed.is_empty(), "{end:?}");
        assert!(end.killed.len() <= 2, "only who ignores SIGTERM: {end:?}");
        watched.until_all_ended();
    }
    assert!(other.try_wait().unwrap().is_none(), "a process of nobody's tree has ended");
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn a_tree_forty_deep_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("deep.sh");
    let text = "if [ \"$1\" -gt 0 ]; then sh \"$0\" $(($1 - 1)); else cat; fi; :\n";
    fs::write(&script, text).unwrap();
    for way in ALL {
        let words = ["sh", script.to_str().unwrap(), "39"];
        let Some(mut watched) = Watched::spawn(way, &words) else { continue };
        let cat = watched.until_running("cat", 1).remove(0);
        let mut depth = 0;
        let mut at = cat;
        while let Some(parent) = at.parent {
            depth += 1;
            let found = watched.tree.running().find(|it| it.key == parent).cloned();
            at = found.expect("its parent runs");
        }
        assert_eq!((depth, at.key), (40, watched.tree.target()), "{way:?}");
        // However deep, it is one pool.
        watched.until_running("sh deep.sh (child)", 39);
        watched.close_input();
        watched.until_all_ended();
    }
}

#[test]
fn the_descendants_of_a_process_that_runs_already_are_included() {
    for way in [Way::Events, Way::NewPids] {
        let mut target = Command::new("sh")
            .args(["-c", "exec 3<&0; cat <&3 & sh -c 'cat <&3 & echo; wait' & wait"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Read::read_exact(target.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        let process = Process::open(target.id().cast_signed(), &ProcRoot::default()).unwrap();
        let mut tree = ProcessTree::of_process(&process, way.options()).unwrap();
        let started = |changes: Vec<TreeChange>| {
            let started = changes.into_iter().filter_map(|change| match change {
                TreeChange::Started(process) => Some((process.found_by, process.key)),
                _ => None,
            });
            started.collect::<Vec<_>>()
        };
        let found = started(tree.refresh().unwrap());
        assert_eq!(found[0], (FoundBy::Target, process.key()));
        assert_eq!(found.len(), 4, "{way:?}: {found:?}");
        assert!(found[1..].iter().all(|(by, _)| *by == FoundBy::Parent));
        drop(target.stdin.take());
        target.wait().unwrap();
    }
}

#[test]
fn only_what_the_filter_matches_is_reported_and_an_exec_may_change_that() {
    for way in ALL {
        let filter = Some(NameFilter::new("cat*").unwrap());
        let options = TreeOptions { filter, ..way.options() };
        let script = "exec 3<&0; sh -c 'cat <&3; :' & sh -c 'exec cat' <&3 & wait; :";
        let Some(mut watched) = Watched::spawn_with(way, options, &["sh", "-c", script]) else {
            continue;
        };
        watched.until_running("cat", 2);
        watched.close_input();
        let ended = watched.until_all_ended();
        assert_eq!(ended.len(), 3, "{way:?}: the target and two");
        assert_eq!(watched.tree.counts().started, 3);
        assert!(NameFilter::new("[").is_err());
    }
}

#[test]
fn what_no_longer_matches_the_filter_is_left_out() {
    for way in ALL {
        let filter = Some(NameFilter::new("sh").unwrap());
        let options = TreeOptions { filter, ..way.options() };
        let script = "exec 3<&0; sh -c 'read line; exec cat' <&3 & wait; :";
        let Some(mut watched) = Watched::spawn_with(way, options, &["sh", "-c", script]) else {
            continue;
        };
        watched.until_running("sh -c (child)", 1);
        watched.say("go");
        watched.until("it is left out", |watched| {
            let mut changes = watched.changes.iter();
            let left_out = |it: &&TreeChange| {
                matches!(it, TreeChange::Ended { reason: EndReason::LeftOut, .. })
            };
            changes.find(left_out).map(drop)
        });
        assert_eq!(watched.tree.descendants().count(), 1, "it is known, and would be ended");
    }
}

#[test]
fn what_is_beyond_the_bound_is_counted_and_ended_and_followed_when_there_is_room() {
    for way in ALL {
        let options = TreeOptions { most: 3, ..way.options() };
        let script = "exec 3<&0; for i in 1 2 3 4 5; do cat <&3 & done; wait; :";
        let Some(mut watched) = Watched::spawn_with(way, options, &["sh", "-c", script]) else {
            continue;
        };
        watched.until("three are beyond", |watched| {
            (watched.tree.counts().beyond_bound == 3).then_some(())
        });
        assert_eq!(watched.tree.running().count(), 3);
        let cats = watched.tree.descendants().map(|it| it.key).collect::<Vec<_>>();
        watched.tree.signal(nix::sys::signal::Signal::SIGKILL, |key| *key == cats[0]);
        watched.until("another one is followed", |watched| {
            let mut running = watched.tree.descendants();
            running.any(|process| !cats.contains(&process.key)).then_some(())
        });
        let end = watched.tree.end(Duration::from_secs(20)).unwrap();
        assert!(end.killed.is_empty() && end.left.is_empty(), "{way:?}: {end:?}");
    }
}

#[test]
fn statm_is_read_of_all_and_of_none_that_has_ended() {
    for way in ALL {
        let Some(mut watched) = Watched::shell(way, "cat <&3 & cat <&3 & wait; :") else {
            continue;
        };
        watched.until_running("cat", 2);
        let mut sizes = Vec::new();
        watched
            .tree
            .read_statm(|process, pages| sizes.push((process.key, pages.unwrap().resident)));
        assert_eq!(sizes.len(), 3);
        assert!(sizes.iter().all(|(_, resident)| *resident > 0), "{sizes:?}");
        watched.close_input();
        watched.child.process().wait().unwrap();
        // Their ends have not been reported yet.
        let mut count = 0;
        watched.tree.read_statm(|_, _| count += 1);
        assert_eq!(count, 0, "{way:?}");
    }
}

#[test]
fn the_target_has_a_cgroup_of_its_own_with_a_peak_and_it_is_gone_afterwards() {
    let Some(mut watched) = Watched::shell(Way::Cgroup, "(cat <&3 &) ; cat <&3") else { return };
    watched.until_running("cat", 2);
    let folders: Vec<_> = watched.tree.cgroup_folders().map(ToOwned::to_owned).collect();
    assert!(!folders.is_empty() && folders.iter().all(|folder| folder.exists()));
    if folders.iter().any(|folder| {
        folder.join("memory.peak").exists() || folder.join("memory.max_usage_in_bytes").exists()
    }) {
        assert!(watched.tree.memory_peak().unwrap() > 4096);
    } else {
        crate::watched::not_run(
            "the peak of a cgroup",
            "there is no memory controller, or no peak",
        );
    }
    drop(watched);
    assert!(folders.iter().all(|folder| !folder.exists()), "{folders:?}");
}

#[test]
fn who_follows_a_tree_is_no_part_of_it() {
    let parent =
        Process::open(std::os::unix::process::parent_id().cast_signed(), &ProcRoot::default());
    let options = TreeOptions { events: false, ..TreeOptions::default() };
    let tree = ProcessTree::of_process(&parent.unwrap(), options).unwrap();
    let own = std::process::id().cast_signed();
    assert!(tree.running().all(|process| process.key.pid != own));
}
