//! Trees that Python and Node.js make.

use seepmeter_record::EventKind;
use seepmeter_tests::{not_run, words};

use crate::watched::{MIB, Watched, found};

/// Three processes that take 20 MiB each, and say so.
const PYTHON: &str = r#"
import multiprocessing, sys, time

def work(n, ready, go):
    held = bytearray(b"x") * (20 << 20)
    ready.release()
    go.wait()
    sys.exit(len(held) >> 20)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    ready, go = context.Semaphore(0), context.Event()
    all = [context.Process(target=work, args=(n, ready, go)) for n in range(3)]
    for process in all: process.start()
    for _ in all: ready.acquire()
    time.sleep(0.5)
    go.set()
    for process in all: process.join()
    print("held", sum(process.exitcode for process in all), flush=True)
    sys.exit(9)
"#;

/// Processes of Python's multiprocessing: the main one, three workers, and with `spawn` one that keeps track
/// of semaphores.
fn multiprocessing(method: &str, processes: usize) {
    let Some(python) = found("python3") else {
        return not_run("Python multiprocessing", "python3 is not installed");
    };
    let watched = Watched::new(words![python, "work.py", method]).file("work.py", PYTHON);
    let seen = watched.both();
    assert_eq!(seen.done.status.code(), Some(9));
    assert_eq!(seen.done.out(), "held 60\n");
    // An interpreter takes 12 MiB for itself; what a fork has in common counts in each.
    seen.assert_held(60 * MIB, 14 * MIB);
    let large = seen.processes().into_iter().filter(|it| it.peak.is_some_and(|it| it > 20 * MIB));
    assert_eq!(large.count(), 3, "{:#?}", seen.processes());
    seen.assert_counted(processes);
    // What keeps track of semaphores ends when it finds that all others have.
    let is_left = |end: &Option<EventKind>| matches!(end, None | Some(EventKind::Detached {}));
    let left = seen.processes().into_iter().filter(|process| is_left(&process.end));
    assert!(left.count() <= processes - 4, "{:#?}", seen.processes());
}

#[test]
fn processes_that_python_spawns_are_watched() {
    multiprocessing("spawn", 5);
}

#[test]
fn processes_that_python_forks_are_watched() {
    multiprocessing("fork", 4);
}

/// A primary with two workers, of which one takes 48 MiB and says so.
const NODE: &str = r#"
const cluster = require('cluster');
if (cluster.isPrimary) {
    const workers = [cluster.fork({MIB: 0}), cluster.fork({MIB: 48})];
    let left = 2;
    for (const worker of workers) {
        worker.on('message', held => {
            console.log('held ' + held);
            setTimeout(() => worker.send('end'), 500);
        });
        worker.on('exit', () => { left -= 1; if (left === 0) process.exit(5); });
    }
} else {
    const held = Buffer.alloc(process.env.MIB << 20, 1);
    process.on('message', () => process.exit(held.length & 1));
    process.send(held.length >> 20);
}
"#;

#[test]
fn workers_of_a_node_cluster_are_watched() {
    let Some(node) = found("node") else {
        return not_run("a node cluster", "node is not installed");
    };
    let seen = Watched::new(words![node, "cluster.js"]).file("cluster.js", NODE).both();
    assert_eq!(seen.done.status.code(), Some(5));
    let peaks: Vec<i64> = seen.named("node cluster.js").iter().filter_map(|it| it.peak).collect();
    assert_eq!(peaks.len(), 2, "{:#?}", seen.processes());
    let more = (peaks[0] - peaks[1]).abs();
    // What else two workers hold differs by the moment of their last garbage collection.
    assert!((38 * MIB..=58 * MIB).contains(&more), "{} MiB of 48", more / MIB);
    seen.assert_counted(3);
    seen.assert_all_ended();
}
