//! A program that is hard to watch: `test-target hostile KIND`, which exits with status 7. Its kinds are those
//! of [`KINDS`]; without one it says them. What each does is in the book, `docs/src/reliability.md`.

mod memory;
mod processes;

use std::ffi::{CStr, c_void};
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork, setsid};
use seepmeter_tests::target::{argument, end_with, say};

/// What it does, by the name of its kind.
const KINDS: [(&str, fn()); 31] = [
    ("names", names),
    ("mappings", mappings),
    ("merging", merging),
    ("threads", threads),
    ("children", children),
    ("undumpable", undumpable),
    ("reserved", reserved),
    ("vdso", vdso),
    ("deleted", deleted),
    ("signals", signals),
    ("descriptors", descriptors),
    ("limits", limits),
    ("session", session),
    ("vfork", vfork),
    ("execs", processes::execs),
    ("thread-exec", processes::thread_exec),
    ("environment", processes::environment),
    ("leader", processes::leader),
    ("daemons", processes::daemons),
    ("stopped", processes::stopped),
    ("seccomp", processes::seccomp),
    ("traced", processes::traced),
    ("zombies", processes::zombies),
    ("crowd", processes::crowd),
    ("race", processes::race),
    ("traps", processes::traps),
    ("files", memory::files),
    ("shared", memory::shared),
    ("stack", memory::stack),
    ("remaps", memory::remaps),
    ("high-water", memory::high_water),
];

/// As long as it takes to be sampled in a state.
const LONG_ENOUGH: Duration = Duration::from_millis(200);

pub(crate) fn run() {
    let Some(wanted) = argument::<String>(1) else {
        return KINDS.iter().for_each(|(kind, _)| say(kind));
    };
    let kind = KINDS.iter().find(|(kind, _)| *kind == wanted);
    kind.unwrap_or_else(|| panic!("there is no kind {wanted}")).1();
    thread::sleep(LONG_ENOUGH);
    say("end");
    end_with(7)
}

fn map(bytes: usize, prot: ProtFlags) -> Option<NonNull<c_void>> {
    let length = NonZeroUsize::new(bytes)?;
    let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
    // SAFETY: a new mapping, wherever the kernel wants it.
    unsafe { mmap_anonymous(None, length, prot, flags) }.ok()
}

/// Its name looks like the rest of a line of /proc/PID/stat, and then like other things.
fn names() {
    for name in [c"a) R 1 1", c"\n(\x1b[31m\"", c"", c") Z 0 0 0 0", c"\xff\xfe\xc2"] {
        set_name(name);
        thread::sleep(Duration::from_millis(40));
    }
}

fn set_name(name: &CStr) {
    // SAFETY: the name ends with a NUL.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Thousands of mappings, no two of them alike.
fn mappings() {
    for n in 0..8000 {
        let kinds = [ProtFlags::PROT_READ, ProtFlags::PROT_NONE, ProtFlags::PROT_WRITE];
        map(4096, kinds[n % kinds.len()]);
    }
}

/// Mappings that come and go all the time.
fn merging() {
    for _ in 0..20_000 {
        let mapping = map(3 * 4096, ProtFlags::PROT_READ).expect("memory");
        // SAFETY: the middle of a mapping of our own, which nothing refers to; and then all of it.
        unsafe {
            munmap(mapping.byte_add(4096), 4096).expect("munmap");
            munmap(mapping, 3 * 4096).expect("munmap");
        }
    }
}

fn threads() {
    for _ in 0..20 {
        let some: Vec<_> = (0..50).map(|_| thread::spawn(thread::yield_now)).collect();
        some.into_iter().for_each(|thread| thread.join().expect("a thread"));
    }
}

fn children() {
    for _ in 0..20 {
        let some: Vec<_> = (0..20).map(|_| child(|| ())).collect();
        some.into_iter().for_each(|pid| assert!(waitpid(pid, None).is_ok()));
    }
}

/// Forks a child that does this and ends.
fn child(act: fn()) -> nix::unistd::Pid {
    // SAFETY: there is one thread, and the child ends at once.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            act();
            // SAFETY: ends the child without running what its parent registered.
            unsafe { libc::_exit(0) }
        }
    }
}

fn undumpable() {
    // SAFETY: a flag of this process.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
}

/// More address space than any machine has memory.
fn reserved() {
    for _ in 0..8 {
        map(1 << 43, ProtFlags::PROT_NONE).expect("address space");
    }
}

/// Without its vdso, whose functions nobody may call from here on.
fn vdso() {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let line = maps.lines().find(|line| line.ends_with("[vdso]")).expect("a vdso");
    let (start, rest) = line.split_once('-').expect("a range");
    let end = rest.split(' ').next().expect("an end");
    let number = |hex| usize::from_str_radix(hex, 16).expect("a number");
    let length = number(end) - number(start);
    // SAFETY: only functions that read clocks are there, and a system call without them follows.
    unsafe {
        libc::munmap(number(start) as *mut c_void, length);
        libc::syscall(libc::SYS_nanosleep, &libc::timespec { tv_sec: 0, tv_nsec: 200_000_000 }, 0);
        libc::_exit(7);
    }
}

/// Its program is gone; the test has made a copy for it.
fn deleted() {
    std::fs::remove_file(std::env::current_exe().expect("a program")).expect("its removal");
}

fn signals() {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).expect("a mask");
}

/// All its descriptors are closed, the standard streams among them.
fn descriptors() {
    for number in 0..1024 {
        // SAFETY: nothing uses them any more.
        unsafe { libc::close(number) };
    }
}

fn limits() {
    for resource in [Resource::RLIMIT_NOFILE, Resource::RLIMIT_NPROC, Resource::RLIMIT_STACK] {
        setrlimit(resource, 0, 0).expect("a limit");
    }
}

fn session() {
    let pid = child(|| {
        let _ = setsid();
    });
    waitpid(pid, None).expect("its end");
    let _ = setsid();
}

/// A thread that waits in vfork(2) can't be stopped.
fn vfork() {
    let flags = libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: as vfork(2), but with memory of its own: the child sleeps and ends, and calls nothing else.
    unsafe {
        if libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) == 0 {
            libc::syscall(libc::SYS_nanosleep, &libc::timespec { tv_sec: 0, tv_nsec: 300_000_000 }, 0);
            libc::_exit(0);
        }
    }
}
