//! The memory calls of a target that is followed: each is entered into the ledger under the stack that
//! made it.
//!
//! A call is taken while its thread stands still, with a copy of its stack, and put into a queue. Its
//! stack is unwound and named when the thread runs on.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use seepmeter_plugin::record::{Event, EventKind, MetricId, SubjectId, Unit};
use seepmeter_plugin::{Error, Look, Stream, Target};
use seepmeter_process::proc::ProcRoot;
use seepmeter_process::system::page_size;
use seepmeter_process::wait::is_readable;
use seepmeter_symbols::StackCopy;
use seepmeter_tracer::{
    AddressSpaceId, FollowStatus, FollowedStop, Follower, MemoryCall, MemoryCallKind, Registers,
    TraceEvent, gains_rights,
};

use crate::code::Code;
use crate::ledger::{Call, Ledger};
use crate::registers;

/// How much of a caller's stack is copied. Allocators are called from anywhere, seldom deep.
const DEPTH: usize = 8 << 10;

/// So many calls may wait for their stacks to be unwound: 16 MiB of stacks.
const QUEUE: usize = 2048;

/// For no longer than this do calls wait in the queue.
const SLICE: Duration = Duration::from_millis(50);

/// So long after the watching a target that has ended may take until all of its ends have been seen.
const ENDING: Duration = Duration::from_millis(200);

/// How long it is served at a time when nobody asks any more. The end of a target that its parent has
/// reaped is seen only then.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// mremap(2): the old range stays mapped.
const MREMAP_DONTUNMAP: u64 = 4;

/// The advices of madvise(2) that give pages back: MADV_DONTNEED, MADV_FREE, MADV_REMOVE,
/// MADV_DONTNEED_LOCKED (include/uapi/asm-generic/mman-common.h).
const GIVES_BACK: [u64; 4] = [4, 8, 9, 24];

/// The target as it is followed.
pub(crate) struct Calls {
    pid: i32,
    follower: Follower,
    /// Its address space.
    space: Option<AddressSpaceId>,
    queue: Vec<Waiting>,
    ledger: Ledger,
    metrics: Metrics,
    count: i64,
    out_of_order: bool,
    told_out_of_order: bool,
}

struct Metrics {
    calls: MetricId,
    mapped: MetricId,
    given_back: MetricId,
}

/// Something that has happened and is yet to be entered.
enum Waiting {
    Call { call: Call, registers: Box<Registers>, stack: Box<[u8]>, code_changes: bool },
    Executed,
}

impl Calls {
    /// Follows a target that is held before its exec.
    pub(crate) fn begin(target: &Target, stream: &mut dyn Stream) -> Result<Self, Error> {
        if !target.spawned {
            return Err(Error::failed(
                "calls=memory follows a target from its first instruction: it takes a filter that can't be taken off again, so only for a command that seepmeter spawns (seepmeter run); leave calls= out to attach",
            ));
        }
        refuse_where_rights_are_lost(target)?;
        let follower = Follower::begin(target.pid).map_err(Error::failed)?;
        let mut metric = |name, unit, help| stream.metric(name, unit, help);
        let metrics = Metrics {
            calls: metric("memory_calls", Unit::Count, "memory calls that have succeeded so far"),
            mapped: metric(
                "mapped",
                Unit::Bytes,
                "address space mapped here and not unmapped since",
            ),
            given_back: metric("given_back", Unit::Bytes, "given back by madvise(2) here so far"),
        };
        Ok(Self {
            pid: target.pid,
            space: follower.space(target.pid),
            follower,
            queue: Vec::new(),
            ledger: Ledger::new(page_size()),
            metrics,
            count: 0,
            out_of_order: false,
            told_out_of_order: false,
        })
    }

    /// True where the target has ended. What it has mapped until then can still be told.
    pub(crate) fn has_ended(&self) -> bool {
        self.follower.space(self.pid).is_none()
    }

    /// Stops the target, which goes on being followed. None where it has ended.
    pub(crate) fn stop(&mut self, deadline: Instant) -> Option<FollowedStop<'_>> {
        self.follower.stop(self.pid, deadline)
    }

    /// Lets the followed ones do their calls until the deadline, or until `wake` can be read.
    pub(crate) fn serve(
        &mut self,
        (deadline, wake): (Instant, Option<BorrowedFd<'_>>),
        code: &mut Code,
        stream: &mut dyn Stream,
    ) -> Result<(), Error> {
        loop {
            let slice = deadline.min(Instant::now() + SLICE);
            let served = self.serve_once((slice, wake), code, stream);
            if served.map_err(cannot_wait)? == FollowStatus::AllExited {
                // Whoever watches for the end will stop us.
                return Ok(());
            }
            let woken = wake.map(is_readable).transpose().map_err(cannot_wait)?.unwrap_or(false);
            if woken || Instant::now() >= deadline {
                return Ok(());
            }
        }
    }

    fn serve_once(
        &mut self,
        (until, wake): (Instant, Option<BorrowedFd<'_>>),
        code: &mut Code,
        stream: &mut dyn Stream,
    ) -> io::Result<FollowStatus> {
        let Self { pid, follower, space, queue, count, out_of_order, ledger, .. } = self;
        let served = follower.handle_events(until, wake, &mut |event| {
            match event {
                TraceEvent::MemoryCall(call) if Some(call.space) == *space => {
                    *count += 1;
                    *out_of_order |= !call.in_order;
                    queue.extend(waiting(&call, code));
                }
                TraceEvent::Executed { pid: who, space: new } if who == *pid => {
                    *space = Some(new);
                    queue.push(Waiting::Executed);
                }
                _ => {}
            }
            // More calls than can wait: the caller waits for us instead, since none may be lost.
            if queue.len() >= QUEUE {
                enter(queue, ledger, code, stream);
            }
        });
        enter(queue, ledger, code, stream);
        served
    }

    /// Lets the followed ones do their calls until the last of them has ended: the filter can't be
    /// taken off, and without a tracer their calls would fail.
    pub(crate) fn serve_to_the_end(mut self, stream: &mut dyn Stream) -> Result<(), Error> {
        let mut served = self.serve_untold(ENDING);
        if matches!(served, Ok(FollowStatus::Running)) {
            let text = "the target, or what it has started, still runs under the filter of calls=memory, and its memory calls would fail without seepmeter, which therefore stays until the last of them ends";
            stream.event(Event::new(stream.now(), EventKind::Lingers).text(text));
        }
        while matches!(served, Ok(FollowStatus::Running)) {
            served = self.serve_untold(AFTERWARDS);
        }
        served.map(drop).map_err(cannot_wait)
    }

    fn serve_untold(&mut self, time: Duration) -> io::Result<FollowStatus> {
        self.follower.handle_events(Instant::now() + time, None, &mut |_| {})
    }

    /// Tells what has changed since the last look.
    pub(crate) fn tell(&mut self, process: SubjectId, look: &mut Look<'_>) {
        look.point(process, self.metrics.calls, self.count);
        for (owner, account) in self.ledger.take_changes() {
            let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
            look.point(SubjectId(owner), self.metrics.mapped, bytes(account.mapped));
            if account.given_back > 0 {
                look.point(SubjectId(owner), self.metrics.given_back, bytes(account.given_back));
            }
        }
        if self.out_of_order && !self.told_out_of_order {
            self.told_out_of_order = true;
            let stream = look.stream();
            let kind = EventKind::Other("calls-out-of-order".into());
            let text = "two threads called at a time, one of them for longer than it could be waited for: where their ranges overlap, `mapped` may be of the other";
            stream.event(Event::new(stream.now(), kind).text(text));
        }
    }
}

/// Enters all that waits into the ledger, each call under its stack.
fn enter(queue: &mut Vec<Waiting>, ledger: &mut Ledger, code: &mut Code, stream: &mut dyn Stream) {
    for waiting in queue.drain(..) {
        match waiting {
            Waiting::Executed => {
                ledger.clear();
                code.target_mut().program_changed();
            }
            Waiting::Call { call, registers, stack, code_changes } => {
                let registers = registers::to_unwind(&registers);
                let copy = StackCopy { base: registers.sp, bytes: &stack };
                let owner = code.stack_now(&registers, copy, stream);
                ledger.enter(call, owner.0);
                if code_changes {
                    code.target_mut().code_was_mapped();
                }
            }
        }
    }
}

fn cannot_wait(error: io::Error) -> Error {
    Error::io("cannot wait for the target's memory calls", &error)
}

/// What the sampler's own options can't know: whether the target would be another program without the
/// rights that its file gives. Before it is followed, since that can't be taken back.
fn refuse_where_rights_are_lost(target: &Target) -> Result<(), Error> {
    let Some(file) = target.executable.as_deref().filter(|_| !may_filter_anything()) else {
        return Ok(());
    };
    match gains_rights(file) {
        Ok(false) | Err(_) => Ok(()),
        Ok(true) => Err(Error::failed(format!(
            "calls=memory would change the target: {} is setuid, setgid or has capabilities, and would not get them under the filter; run seepmeter as root, or leave calls= out",
            file.display()
        ))),
    }
}

/// True with CAP_SYS_ADMIN, with which a filter needs no no_new_privs (seccomp(2)).
fn may_filter_anything() -> bool {
    const CAP_SYS_ADMIN: u32 = 21;
    let status = ProcRoot::default().own().status();
    status.is_ok_and(|status| status.has_capability(CAP_SYS_ADMIN))
}

/// None for a call that changes nothing of what is told.
fn waiting(call: &MemoryCall<'_>, code: &Code) -> Option<Waiting> {
    let arguments = call.arguments;
    let entry = match call.kind {
        MemoryCallKind::Break => Call::Brk { end: call.result },
        MemoryCallKind::Map => Call::Map { start: call.result, length: arguments[1] },
        MemoryCallKind::Unmap => Call::Unmap { start: arguments[0], length: arguments[1] },
        MemoryCallKind::Remap => Call::Remap {
            old: arguments[0],
            old_length: arguments[1],
            new: call.result,
            new_length: arguments[2],
            keeps: arguments[3] & MREMAP_DONTUNMAP != 0,
        },
        MemoryCallKind::Advise if GIVES_BACK.contains(&arguments[2]) => {
            Call::GiveBack { length: arguments[1] }
        }
        MemoryCallKind::Advise => return None,
    };
    let executable = libc::PROT_EXEC as u64;
    let code_changes = call.kind == MemoryCallKind::Map && arguments[2] & executable != 0;
    let pointer = call.registers.stack_pointer();
    let mut stack = vec![0; code.target().copy_length(call.tid, pointer, DEPTH)];
    let read = call.memory.read(pointer, &mut stack).unwrap_or(0);
    stack.truncate(read);
    Some(Waiting::Call {
        call: entry,
        registers: Box::new(*call.registers),
        stack: stack.into(),
        code_changes,
    })
}
