//! ExitTracer: what a process holds is read at its very end, however it ends.

mod support;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;

use seepmeter_process::proc::ProcRoot;
use seepmeter_process::system::page_size;
use seepmeter_process::{ChildSignals, Command};
use seepmeter_record::End;
use seepmeter_tracer::{ExitTracer, TraceError};

/// What exits.c holds.
const HELD: u64 = 16 << 20;

fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| support::compile("exits.c", &[]).expect("the tests need a C compiler"))
}

/// How a command ended, its pid, and the resident bytes that each process had at its end.
struct Traced {
    end: End,
    pid: i32,
    resident: HashMap<i32, u64>,
}

fn traced<W: Into<OsString>>(words: impl IntoIterator<Item = W>) -> Traced {
    let command = Command::new(words).unwrap();
    let held = command.spawn(&ChildSignals::as_they_are().unwrap()).unwrap();
    let pid = held.process().pid();
    // A tracer waits on its own thread, so that it can handle a stop before the exec.
    std::thread::scope(|scope| {
        let (say, begun) = std::sync::mpsc::channel();
        let tracer = scope.spawn(move || {
            let tracer = ExitTracer::begin(pid).unwrap();
            say.send(()).unwrap();
            let mut resident = HashMap::new();
            let read = |thread: seepmeter_tracer::LastThread, _: &[i32]| {
                let folder = ProcRoot::default().process(thread.pid).thread(thread.tid);
                let bytes = folder.statm().unwrap().resident * page_size();
                assert_eq!(resident.insert(thread.pid, bytes), None, "each is shown once");
            };
            tracer.run_to_exit(read).unwrap();
            resident
        });
        begun.recv().unwrap();
        let child = held.release().unwrap();
        child.process().wait().unwrap();
        let resident = tracer.join().unwrap();
        Traced { end: child.reap().unwrap(), pid, resident }
    })
}

fn of_program(way: &str) -> Traced {
    traced([program().as_os_str(), way.as_ref()])
}

#[test]
fn trap_44_what_a_process_holds_is_read_at_its_end_however_it_ends() {
    for (way, end) in [
        ("returns", End::Exited(0)),
        ("killed", End::Killed(libc::SIGKILL)),
        ("thread-exits", End::Exited(5)),
        ("leader-first", End::Exited(6)),
        ("many-threads", End::Exited(0)),
    ] {
        for _ in 0..10 {
            let traced = of_program(way);
            assert_eq!(traced.end, end, "{way}");
            let resident = traced.resident.get(&traced.pid).copied().unwrap_or(0);
            assert!((HELD..HELD + (4 << 20)).contains(&resident), "{way}: {resident}");
        }
    }
}

#[test]
fn every_descendant_is_shown_at_its_end_and_its_parent_reaps_it() {
    let traced = of_program("forks");
    assert_eq!((traced.end, traced.resident.len()), (End::Exited(0), 21));
    let program = program().to_str().unwrap();
    let script = format!("{program} killed; test $? = 137 && {program} returns & wait $!");
    let traced = self::traced(["sh", "-c", &script]);
    assert_eq!(traced.end, End::Exited(0));
    let large = traced.resident.values().filter(|bytes| **bytes >= HELD).count();
    assert_eq!(large, 2, "{:?}", traced.resident);
}

#[test]
fn a_program_that_executes_another_is_shown_once_and_signals_reach_it() {
    let script = "trap 'exec sh -c \"exit 4\"' USR1; kill -USR1 $$; while :; do :; done";
    let traced = self::traced(["sh", "-c", script]);
    assert_eq!((traced.end, traced.resident.len()), (End::Exited(4), 1));
}

#[test]
fn a_process_that_has_ended_can_t_be_traced() {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let pid = child.id().cast_signed();
    child.wait().unwrap();
    assert!(matches!(ExitTracer::begin(pid), Err(TraceError::Gone { .. })));
}
