//! Why a process can't be traced, and what to do about it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use crate::tasks;

/// Why a process could not be traced or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// There is none of this pid, or it has ended.
    #[error("process {pid} can't be traced: it has ended; `ps` lists those that there are")]
    Gone {
        /// The process.
        pid: i32,
    },
    /// It belongs to the kernel.
    #[error("process {pid} ({name}) is a thread of the kernel and can't be traced")]
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
        /// What the file says.
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
    /// Its memory is not to be read by its user.
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
    /// Some threads had not halted in time, and the others run on.
    #[error(
        "{} of the threads of process {pid} had not halted in time ({}), so it was let go; a longer limit may do, and a thread in state D halts only when what it waits for is over", .threads.len(), listed(.threads)
    )]
    Late {
        /// The process.
        pid: i32,
        /// The threads and their states (proc(5)).
        threads: Vec<(i32, char)>,
    },
    /// What should not fail did.
    #[error("{doing} of process {pid} failed: {source}; it may just have ended, so look again")]
    Request {
        /// What was being done.
        doing: &'static str,
        /// The process.
        pid: i32,
        /// What the kernel answered.
        source: io::Error,
    },
}

fn listed(threads: &[(i32, char)]) -> String {
    let some = threads.iter().take(8).map(|(tid, state)| format!("{tid} in state {state}"));
    let more = if threads.len() > 8 { ", …" } else { "" };
    some.collect::<Vec<_>>().join(", ") + more
}

/// /proc/PID/stat's flag of kernel threads (include/linux/sched.h).
const PF_KTHREAD: u32 = 0x0020_0000;

/// What a refusal to seize a thread means.
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
    let tracer = tasks::status(tid, "TracerPid").and_then(|value| value.parse().ok()).unwrap_or(0);
    // SAFETY: asks for the caller's own tid.
    if tracer == unsafe { libc::gettid() } {
        return Refusal::OurOwn;
    }
    Refusal::For(if pid == std::process::id().cast_signed() {
        TraceError::Own { pid }
    } else if tracer != 0 {
        // What the kernel names is a thread.
        let tracer =
            tasks::status(tracer, "Tgid").and_then(|value| value.parse().ok()).unwrap_or(tracer);
        TraceError::Traced { pid, tracer, name: name(tracer) }
    } else if is_of_the_kernel(pid) {
        TraceError::Kernel { pid, name: name(pid) }
    } else {
        not_allowed(pid, source)
    })
}

fn not_allowed(pid: i32, source: io::Error) -> TraceError {
    // SAFETY: asks for the caller's own id.
    let own = unsafe { libc::geteuid() };
    let owner =
        tasks::status(pid, "Uid").and_then(|ids| ids.split_ascii_whitespace().next()?.parse().ok());
    // The kernel gives what is in the folder of a process that is not dumpable to root (proc(5)).
    let file = fs::metadata(format!("/proc/{pid}/stat")).map(|file| file.uid()).ok();
    match (owner, file) {
        (Some(owner), _) if owner != own && own != 0 => TraceError::OtherUser { pid, owner, own },
        (Some(owner), Some(file)) if file != owner => TraceError::NotDumpable { pid },
        _ => scope(pid).unwrap_or(TraceError::Forbidden { pid, source }),
    }
}

/// Yama's objection (Documentation/admin-guide/LSM/Yama.rst), where it is there and has one.
fn scope(pid: i32) -> Option<TraceError> {
    let text = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok()?;
    let scope = text.trim().parse().ok()?;
    let meaning = match scope {
        1 => "lets a process trace its own descendants alone",
        2 => "lets administrators trace alone",
        3 => "lets nobody trace, and can't be lowered before the next boot",
        _ => return None,
    };
    Some(TraceError::Scope { pid, scope, meaning })
}

fn is_of_the_kernel(pid: i32) -> bool {
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let Some(end_of_name) = memchr::memrchr(b')', &stat) else { return false };
    // Behind the name: state, ppid, pgrp, session, tty, tpgid, flags.
    let flags = String::from_utf8_lossy(&stat[end_of_name + 1..])
        .split_ascii_whitespace()
        .nth(6)
        .and_then(|field| field.parse::<u32>().ok());
    flags.is_some_and(|flags| flags & PF_KTHREAD != 0)
}

fn name(pid: i32) -> String {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim_end().to_owned()
}
