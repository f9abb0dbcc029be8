//! Trees whose processes have namespaces of their own. Needs the right to make them.

use std::collections::{HashMap, HashSet};
use std::process::Command;

use seepmeter_record::{Event, Record, SubjectId};
use seepmeter_tests::{not_run, seepmeter_path, words};

use crate::watched::{MIB, OWN, Watched};

const UNSHARE: [&str; 4] = ["unshare", "--pid", "--fork", "--mount-proc"];

/// False, loudly, if nobody may make namespaces here.
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
fn a_child_in_its_own_pid_and_mount_namespace_is_watched() {
    if !can_unshare("a tree with a pid namespace") {
        return;
    }
    let script = format!("{} sh -c '$T grow 40 1; echo $$'; echo $?", UNSHARE.join(" "));
    let seen = Watched::script(&script).both();
    assert_eq!(seen.done.out(), "ready\ndone\n1\n0\n");
    seen.assert_held(40 * MIB, OWN);
    assert_eq!(seen.named("test-target").len(), 1, "{:#?}", seen.processes());
    seen.assert_all_ended();
}

/// Before Linux 6.14 there is one pid_max for all namespaces, and this machine needs its own.
fn has_pid_max_of_namespaces() -> bool {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = text.split(['.', '-']).map_while(|word| word.trim().parse::<u32>().ok());
    (numbers.next().unwrap(), numbers.next().unwrap()) >= (6, 14)
}

#[test]
fn a_process_that_gets_the_pid_of_another_is_another_one() {
    let test = "a pid that is given again in a tree";
    if !has_pid_max_of_namespaces() {
        return not_run(test, "pid_max is one for all before Linux 6.14");
    }
    if !can_unshare(test) {
        return;
    }
    // Each child has another size, and each pid comes again after about a hundred of them.
    let inner = "echo 401 > /proc/sys/kernel/pid_max; $SEEPMETER run -q --no-summary -i 5ms \
                 -o jsonl,path=r.jsonl -o summary,path=summary.txt -- sh -c \
                 'i=0; while [ $i -lt 250 ]; do sh -c \"sleep 0.01; :\"; i=$((i + 1)); done; exit 5'";
    let words = UNSHARE.iter().map(Into::into).chain(words!["sh", "-c", inner]);
    let watched = Watched::new(words.collect());
    let done = watched.alone().env("SEEPMETER", seepmeter_path()).done().expect(5);
    let seen = watched.seen(done);
    let processes = seen.processes();
    let pids: HashSet<i32> = processes.iter().map(|process| process.pid).collect();
    assert!(pids.len() < processes.len(), "no pid was given again: {} processes", pids.len());
    seen.assert_counted(501);
    seen.assert_all_ended();
    // Nothing is sampled of a process that has ended, as of one that has its pid now would be.
    let mut ended: HashMap<SubjectId, u64> = HashMap::new();
    for record in &seen.recording.records {
        match record {
            Record::Event(Event { subject: Some(subject), kind, t, .. }) if kind.ends_subject() => {
                ended.insert(*subject, *t);
            }
            Record::Sample(sample) => {
                let late = sample.points.iter().find(|point| ended.contains_key(&point.subject));
                assert!(late.is_none(), "{late:?} after the end at {:?}", ended);
            }
            _ => {}
        }
    }
}
