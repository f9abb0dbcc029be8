//! Why a process can't be traced, and what to do about it.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use crate::tasks;

/// Why a process could not be traced or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// There is none with this pid, or it has ended.
    #[error("process {pid} can't be traced: it has ended; `ps` lists the running ones")]
    Gone {
        /// The process.
        pid: i32,
    },
    /// It is a kernel thread.
    #[error("process {pid} ({name}) is a kernel thread and can't be traced")]
    Kernel {
        /// The process.
        pid: i32,
        /// Its name.
        name: String,
    },
    /// It is the tracer's own.
    #[error(
        "process {pid} can't be traced by itself: a thread can't trace its own process; run the tracer in another one"
    )]
    Own {
        /// The process.
        pid: i32,
    },
    /// Another tracer has it.
    #[error(
        "process {pid} is traced already, by process {tracer} ({name}), and the kernel allows one tracer; end that one first"
    )]
    Traced {
        /// The process.
        pid: i32,
        /// Its tracer: the process of the thread that `TracerPid` of its status names.
        tracer: i32,
        /// The tracer's name.
        name: String,
    },
    /// Yama forbids it.
    #[error(
        "process {pid} can't be traced: /proc/sys/kernel/yama/ptrace_scope is {scope}, which {meaning}; run the tracer with CAP_SYS_PTRACE (as root), let it spawn the process itself, or set ptrace_scope to 0"
    )]
    Scope {
        /// The process.
        pid: i32,
        /// The value of the file.
        scope: i32,
        /// What that means, in words.
        meaning: &'static str,
    },
    /// It belongs to another user.
    #[error(
        "process {pid} belongs to user {owner}, and the tracer runs as user {own}; run the tracer as user {owner} or with CAP_SYS_PTRACE (as root)"
    )]
    OtherUser {
        /// The process.
        pid: i32,
        /// Its user id.
        owner: u32,
        /// The tracer's.
        own: u32,
    },
    /// Its user may not read its memory.
    #[error(
        "process {pid} has made itself not dumpable (prctl PR_SET_DUMPABLE, or an executable that is setuid, has capabilities or can't be read), so only CAP_SYS_PTRACE may trace it; run the tracer as root"
    )]
    NotDumpable {
        /// The process.
        pid: i32,
    },
    /// None of the above: capabilities, a container, a security module.
    #[error(
        "process {pid} can't be traced: {source}; the tracer needs the capability CAP_SYS_PTRACE (for a container --cap-add SYS_PTRACE), and seccomp profiles and security modules must allow ptrace"
    )]
    Forbidden {
        /// The process.
        pid: i32,
        /// What the kernel answered.
        source: io::Error,
    },
    /// It executes 32-bit code.
    #[error(
        "process {pid} executes 32-bit code, whose registers and stacks this tracer does not know; sample it without stopping it"
    )]
    ThirtyTwoBit {
        /// The process.
        pid: i32,
    },
    /// Some threads had not stopped in time, and the others run on.
    #[error(
        "{} of the threads of process {pid} had not stopped in time ({}), so it was let go; try a longer time limit; a thread in state D stops only when what it waits for is over", .threads.len(), listed(.threads)
    )]
    Late {
        /// The process.
        pid: i32,
        /// The threads.
        threads: Vec<LateThread>,
    },
    /// Its threads could not be listed, though it has not ended.
    #[error("cannot list the threads of process {pid}: {source}")]
    List {
        /// The process.
        pid: i32,
        /// What the kernel answered.
        source: io::Error,
    },
    /// A request that should not fail did.
    #[error("{doing} of process {pid} failed: {source}; it may just have ended, so try again")]
    Request {
        /// What was being done.
        doing: &'static str,
        /// The process.
        pid: i32,
        /// What the kernel answered.
        source: io::Error,
    },
}

/// A thread that has not stopped in time, and runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LateThread {
    /// Its thread id.
    pub tid: i32,
    /// The letter of its state (proc(5)). None if it could not be read.
    pub state: Option<char>,
}

impl LateThread {
    /// With the state that it is in now.
    pub(crate) fn now(pid: i32, tid: i32) -> Self {
        Self { tid, state: tasks::state(pid, tid) }
    }
}

/// `4711 in state D`.
impl fmt::Display for LateThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in state {}", self.tid, self.state.unwrap_or('?'))
    }
}

fn listed(threads: &[LateThread]) -> String {
    let some = threads.iter().take(8).map(ToString::to_string);
    let more = if threads.len() > 8 { ", …" } else { "" };
    some.collect::<Vec<_>>().join(", ") + more
}

/// Why a thread could not be seized.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It has ended.
    Ended,
    /// This very thread traces it already.
    OurOwn,
    For(TraceError),
}

/// What the kernel's EPERM means here.
pub(crate) fn explain(pid: i32, tid: i32, source: io::Error) -> Refusal {
    if tasks::has_ended(pid, tid) {
        return Refusal::Ended;
    }
    let tracer = tasks::tracer(tid);
    if tracer == Some(nix::unistd::gettid().as_raw()) {
        return Refusal::OurOwn;
    }
    Refusal::For(if pid == std::process::id().cast_signed() {
        TraceError::Own { pid }
    } else if let Some(tracer) = tracer {
        // The kernel names a thread.
        let tracer = tasks::process_of(tracer).unwrap_or(tracer);
        TraceError::Traced { pid, tracer, name: name(tracer) }
    } else if tasks::folder(pid).stat().is_ok_and(|stat| stat.is_of_the_kernel()) {
        TraceError::Kernel { pid, name: name(pid) }
    } else {
        not_allowed(pid, source)
    })
}

/// Why a process of one thread could not be seized.
pub(crate) fn refused(pid: i32, source: io::Error) -> TraceError {
    match explain(pid, pid, source) {
        Refusal::For(error) => error,
        Refusal::Ended | Refusal::OurOwn => TraceError::Gone { pid },
    }
}

fn not_allowed(pid: i32, source: io::Error) -> TraceError {
    let own = nix::unistd::geteuid().as_raw();
    let owner = tasks::folder(pid).status().ok().and_then(|status| status.uid);
    // The kernel gives what is in the folder of a process that is not dumpable to root (proc(5)).
    let file = fs::metadata(tasks::folder(pid).file("stat")).map(|file| file.uid()).ok();
    match (owner, file) {
        (Some(owner), _) if owner != own && own != 0 => TraceError::OtherUser { pid, owner, own },
        (Some(owner), Some(file)) if file != owner => TraceError::NotDumpable { pid },
        _ => scope(pid).unwrap_or(TraceError::Forbidden { pid, source }),
    }
}

/// Yama's refusal (Documentation/admin-guide/LSM/Yama.rst), if there is one.
fn scope(pid: i32) -> Option<TraceError> {
    let text = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok()?;
    let scope = text.trim().parse().ok()?;
    let meaning = match scope {
        1 => "lets a process trace only its own descendants",
        2 => "lets only administrators trace",
        3 => "lets nobody trace, and can't be lowered before the next boot",
        _ => return None,
    };
    Some(TraceError::Scope { pid, scope, meaning })
}

fn name(pid: i32) -> String {
    String::from_utf8_lossy(&tasks::folder(pid).comm().unwrap_or_default()).into_owned()
}
