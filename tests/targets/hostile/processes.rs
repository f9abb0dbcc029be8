//! Kinds that are hard by what they do with processes and threads.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, raise, sigaction};
use nix::sys::wait::waitpid;
use nix::unistd::{getppid, setsid};
use seepmeter_tests::target::{argument, end_with, say};

use super::{LONG_ENOUGH, child};

/// Executes this program again, as this kind, with a further argument.
fn again(kind: &str, argument: u32) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(["hostile", kind, &argument.to_string()]);
    command
}

/// It executes itself, again and again.
pub(super) fn execs() {
    let turn: u32 = argument(2).unwrap_or(0);
    if turn < 30 {
        panic!("{}", again("execs", turn + 1).exec());
    }
}

/// A thread executes the program again, by which the leader becomes that thread.
pub(super) fn thread_exec() {
    if argument::<u32>(2).is_none() {
        let _ = thread::spawn(|| panic!("{}", again("thread-exec", 1).exec())).join();
    }
}

/// It executes itself with a megabyte of odd variables, and a thousand arguments.
pub(super) fn environment() {
    if argument::<u32>(2).is_none() {
        let value = "\n\u{9b}2J=".repeat(1000);
        let mut command = again("environment", 1);
        command.args((0..1000).map(|number| format!("a) R {number}\n")));
        command.envs((0..150).map(|number| (format!("\u{1b}[31m{number}"), &value)));
        panic!("{}", command.exec());
    }
}

/// The leader ends, and a thread goes on.
pub(super) fn leader() {
    thread::spawn(|| {
        thread::sleep(LONG_ENOUGH);
        say("end");
        end_with(7)
    });
    // SAFETY: ends this thread alone. What it has is never dropped, and nobody relies on that it is.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

/// Children leave the session, and their children live on without them.
pub(super) fn daemons() {
    for _ in 0..20 {
        let pid = child(|| {
            let _ = setsid();
            let _ = child(|| thread::sleep(LONG_ENOUGH / 2));
        });
        waitpid(pid, None).expect("its end");
    }
}

/// It stops itself; a child lets it go on.
pub(super) fn stopped() {
    let pid = child(|| {
        for _ in 0..10 {
            thread::sleep(Duration::from_millis(20));
            let _ = kill(getppid(), Signal::SIGCONT);
        }
    });
    raise(Signal::SIGSTOP).expect("a stop");
    waitpid(pid, None).expect("its end");
}

/// A filter refuses to it what samplers are made of.
pub(super) fn seccomp() {
    const REFUSED: [libc::c_long; 6] = [
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_perf_event_open,
        libc::SYS_pidfd_open,
        libc::SYS_kcmp,
    ];
    let step = |code: u32, jt, k| libc::sock_filter { code: code as u16, jt, jf: 0, k };
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    // The number of the call is the first word of what a filter is shown: seccomp(2).
    let mut filter = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for (place, call) in REFUSED.iter().enumerate() {
        filter.push(step(equal, (REFUSED.len() - place) as u8, *call as u32));
    }
    filter.push(step(libc::BPF_RET, 0, libc::SECCOMP_RET_ALLOW));
    filter.push(step(libc::BPF_RET, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program and its steps live until the call is over, and it has as many as it says.
    let set = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
    };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the filter refuses it.
    let refused = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
    assert_eq!((refused, nix::errno::Errno::last()), (-1, nix::errno::Errno::EPERM));
}

/// A child of its own traces it, if nobody else does.
pub(super) fn traced() {
    // SAFETY: a flag of this process: any process may trace it (Yama).
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
    let pid = child(|| {
        // SAFETY: the parent stops at nothing that this tracer does not ask for, and runs on when it ends.
        unsafe { libc::ptrace(libc::PTRACE_SEIZE, getppid().as_raw(), 0, 0) };
        thread::sleep(LONG_ENOUGH);
    });
    waitpid(pid, None).expect("its end");
}

/// Hundreds of children that nobody reaps.
pub(super) fn zombies() {
    for _ in 0..300 {
        let _ = child(|| ());
    }
}

/// Hundreds of threads that live at the same time.
pub(super) fn crowd() {
    let all = Arc::new(Barrier::new(401));
    for _ in 0..400 {
        let all = Arc::clone(&all);
        thread::spawn(move || all.wait());
    }
    thread::sleep(LONG_ENOUGH);
    all.wait();
}

/// Many threads end it at the same moment.
pub(super) fn race() {
    let all = Arc::new(Barrier::new(50));
    thread::sleep(LONG_ENOUGH);
    say("end");
    for _ in 1..50 {
        let all = Arc::clone(&all);
        thread::spawn(move || {
            all.wait();
            end_now()
        });
    }
    all.wait();
    end_now()
}

fn end_now() -> ! {
    // SAFETY: ends the process without running what was registered for its exit.
    unsafe { libc::_exit(7) }
}

/// It gets SIGTRAPs of its own, as many as it sends.
pub(super) fn traps() {
    static TRAPS: AtomicU32 = AtomicU32::new(0);
    extern "C" fn count(_: i32) {
        TRAPS.fetch_add(1, Ordering::Relaxed);
    }
    let action = SigAction::new(SigHandler::Handler(count), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler touches an atomic alone.
    unsafe { sigaction(Signal::SIGTRAP, &action) }.expect("a handler");
    for _ in 0..200 {
        raise(Signal::SIGTRAP).expect("a signal");
        thread::sleep(Duration::from_millis(1));
    }
    say(&format!("traps {}", TRAPS.load(Ordering::Relaxed)));
}
