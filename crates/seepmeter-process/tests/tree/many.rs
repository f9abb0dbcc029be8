//! Many processes, and such as live briefly.

use std::fs;
use std::time::Duration;

use seepmeter_process::tree::TreeChange;

use crate::watched::{Watched, Way};

/// A shell that forks so many processes, one after another.
fn one_after_another(count: u32, command: &str) -> String {
    format!("i=0; while [ $i -lt {count} ]; do {command}; i=$((i + 1)); done; :")
}

/// With events all are known, unless the kernel has dropped some, and then that is reported.
fn assert_complete(watched: &Watched, forks: u64, dropped_is_fine: bool) {
    let (known, brief) = (watched.known_descendants(), watched.tree.counts().brief);
    if watched.changes.contains(&TreeChange::EventsDropped) {
        assert!(dropped_is_fine && !brief.is_exact && known <= forks, "{known} of {forks}");
    } else {
        assert!(brief.is_exact);
        assert_eq!(known, forks);
    }
}

#[test]
fn five_hundred_children_one_after_another_are_all_counted_with_events() {
    let script = one_after_another(500, "/bin/true");
    let Some(mut watched) = Watched::shell(Way::Events, &script) else { return };
    watched.until_all_ended();
    assert_complete(&watched, 500, true);
}

#[test]
fn without_events_there_were_at_least_as_many_as_are_counted() {
    for way in [Way::Cgroup, Way::NewPids] {
        let script = one_after_another(500, "/bin/true");
        let Some(mut watched) = Watched::shell(way, &script) else { continue };
        watched.until_all_ended();
        let known = watched.known_descendants();
        assert!(!watched.tree.counts().brief.is_exact);
        assert!((1..=500).contains(&known), "{way:?}: {known}");
    }
}

#[test]
fn no_brief_process_is_counted_if_all_were_reported() {
    for way in [Way::Events, Way::Cgroup, Way::NewPids] {
        // Each is found before the next one is forked.
        let script = "while read line <&3; do sh -c 'read line' <&3; done";
        let Some(mut watched) = Watched::shell(way, script) else { continue };
        for _ in 0..20 {
            watched.say("fork");
            watched.until_running("sh -c (child)", 1);
            watched.say("end");
            watched.until_running("sh -c (child)", 0);
        }
        watched.close_input();
        watched.until_all_ended();
        assert_eq!(watched.tree.counts().brief.at_least, 0, "{way:?}: {:?}", watched.tree.counts());
        assert_eq!(watched.tree.counts().started, 21);
    }
}

#[test]
fn a_storm_of_two_thousand_children_is_counted_with_events() {
    let script = one_after_another(2000, "{ ( : ) & }") + " wait";
    let Some(mut watched) = Watched::shell(Way::Events, &script) else { return };
    watched.until_all_ended();
    assert_complete(&watched, 2000, true);
}

#[test]
fn make_with_two_jobs_is_a_tree_of_its_recipes() {
    let folder = tempfile::tempdir().unwrap();
    let recipes: String = (0..30).map(|i| format!("r{i}:; @sleep 0.01; true\n")).collect();
    let all: String = (0..30).map(|i| format!(" r{i}")).collect();
    fs::write(folder.path().join("Makefile"), format!("all:{all}\n{recipes}")).unwrap();
    let words = ["make", "-s", "-j2", "-C", folder.path().to_str().unwrap()];
    for way in [Way::Events, Way::Cgroup, Way::NewPids] {
        let Some(mut watched) = Watched::spawn(way, &words) else { continue };
        watched.until_all_ended();
        let known = watched.known_descendants();
        match way {
            // A shell and a sleep for each recipe.
            Way::Events => assert_complete(&watched, 60, true),
            _ => assert!((1..=60).contains(&known), "{way:?}: {known}"),
        }
    }
}

#[test]
fn if_events_are_dropped_that_is_reported_and_what_runs_is_found_all_the_same() {
    let script = "read line <&3; while :; do ( : ) & ( : ) & ( : ) & wait; [ -e \"$0\" ] || break; done; cat <&3; :";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("go on");
    fs::write(&file, "").unwrap();
    let words = ["sh", "-c", &format!("exec 3<&0; {script}"), file.to_str().unwrap()];
    let Some(mut watched) = Watched::spawn(Way::Events, &words) else { return };
    watched.say("go");
    // Nobody reads the events meanwhile.
    for seconds in 1.. {
        std::thread::sleep(Duration::from_secs(seconds));
        watched.refresh();
        if watched.changes.contains(&TreeChange::EventsDropped) {
            break;
        }
        assert!(seconds < 8, "no event was dropped");
    }
    assert!(!watched.tree.counts().brief.is_exact);
    fs::remove_file(&file).unwrap();
    watched.until_running("cat", 1);
    watched.close_input();
    watched.until_all_ended();
}
