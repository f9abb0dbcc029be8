//! The memory calls of a target that is followed: what each maps belongs to the stack that made it.
//!
//! A call is taken while its thread is stopped, with a copy of its stack, and put into a queue. Its stack
//! is unwound and named when the thread runs on.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use seepmeter_plugin::record::conventions::{attribute, metric};
use seepmeter_plugin::record::{Attributes, MetricId, StackId, SubjectId, SubjectKind};
use seepmeter_plugin::{
    Error, NewSubject, SampleBuilder, Stream, SubjectTable, Target, Until, point_value,
};
use seepmeter_process::proc::ProcRoot;
use seepmeter_process::system::page_size;
use seepmeter_process::wait::is_readable;
use seepmeter_stacks::{StackTable, TargetCode};
use seepmeter_symbols::StackCopy;
use seepmeter_tracer::{
    AddressSpaceId, FollowStatus, FollowedStop, Follower, MemoryCall, MemoryCallKind, Registers,
    TraceEvent, gains_rights,
};

use crate::mapped_regions::{Extent, MappedRegions, RegionChange, StackTotals};
use crate::registers::unwind_registers;

/// How much of a caller's stack is copied. Allocators are called from anywhere, seldom deep.
const DEPTH: usize = 8 << 10;

/// So many calls may wait for their stacks to be unwound: 16 MiB of stacks.
const QUEUE: usize = 2048;

/// For no longer than this do calls wait in the queue.
const SLICE: Duration = Duration::from_millis(50);

/// How long the ends of a target that has just ended, and of what it forked, are waited for.
const ENDING: Duration = Duration::from_millis(200);

/// How long the calls are handled at a time after the run. The end of a target that its parent has reaped
/// is seen only then.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// mremap(2): the old range stays mapped.
const MREMAP_DONTUNMAP: u64 = 4;

/// The advices of madvise(2) that give pages back: MADV_DONTNEED, MADV_FREE, MADV_REMOVE,
/// MADV_DONTNEED_LOCKED (include/uapi/asm-generic/mman-common.h).
const GIVES_BACK: [u64; 4] = [4, 8, 9, 24];

/// A followed target.
pub(crate) struct MemoryCalls {
    pid: i32,
    follower: Follower,
    /// Its address space.
    space: Option<AddressSpaceId>,
    queue: CallQueue,
    subjects: SubjectTable<StackId>,
    metric: MetricId,
    count: i64,
    disorder: Disorder,
}

/// Whether calls came in an order that is not sure.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disorder {
    None,
    Unreported,
    Reported,
}

/// The metrics of memory calls.
#[derive(Clone, Copy)]
pub(crate) struct MemoryCallMetrics {
    memory_calls: MetricId,
    mapped: MetricId,
    given_back: MetricId,
}

impl MemoryCallMetrics {
    pub(crate) fn define(stream: &mut dyn Stream) -> Self {
        Self {
            memory_calls: stream.metric(&metric::MEMORY_CALLS),
            mapped: stream.metric(&metric::MAPPED.of(SubjectKind::Stack)),
            given_back: stream.metric(&metric::GIVEN_BACK.of(SubjectKind::Stack)),
        }
    }
}

/// What unwinds and names the stacks of calls.
pub(crate) struct Unwinder<'a> {
    pub(crate) code: &'a mut TargetCode,
    pub(crate) table: &'a mut StackTable,
    pub(crate) stream: &'a mut dyn Stream,
}

impl Unwinder<'_> {
    /// A stack of just now: the mappings are read anew if they seem to have changed.
    fn stack(&mut self, registers: &Registers, bytes: &[u8]) -> StackId {
        let registers = unwind_registers(registers);
        let copy = StackCopy { base: registers.sp, bytes };
        self.code.refresh(&registers, copy, self.table);
        self.table.stack(self.code, &registers, copy, self.stream).id
    }
}

impl MemoryCalls {
    /// Follows a target that is held before its exec.
    pub(crate) fn begin(target: &Target, metrics: MemoryCallMetrics) -> Result<Self, Error> {
        if !target.spawned {
            return Err(Error::skip(
                "calls=memory follows a target from its first instruction, with a filter that can't be taken off again, so it is only for a command that seepmeter spawns (seepmeter run); leave calls= out to attach",
            ));
        }
        refuse_if_rights_are_lost(target)?;
        let follower = Follower::begin(target.pid).map_err(Error::failed)?;
        Ok(Self {
            pid: target.pid,
            space: follower.space(target.pid),
            follower,
            queue: CallQueue { calls: Vec::new(), regions: MappedRegions::new(page_size()) },
            subjects: SubjectTable::new(vec![metrics.mapped, metrics.given_back]),
            metric: metrics.memory_calls,
            count: 0,
            disorder: Disorder::None,
        })
    }

    /// True if the target has ended. What it has mapped until then is known still.
    pub(crate) fn has_ended(&self) -> bool {
        self.follower.space(self.pid).is_none()
    }

    /// Stops the target, which goes on being followed. None if it has ended.
    pub(crate) fn stop(&mut self, deadline: Instant) -> Option<FollowedStop<'_>> {
        self.follower.stop(self.pid, deadline)
    }

    /// Handles the calls until the deadline, or until `wake` can be read.
    pub(crate) fn handle(
        &mut self,
        deadline: Instant,
        wake: Option<BorrowedFd<'_>>,
        unwinder: &mut Unwinder<'_>,
    ) -> Result<(), Error> {
        loop {
            let slice = deadline.min(Instant::now() + SLICE);
            let status = self.handle_slice(slice, wake, unwinder).map_err(cannot_wait)?;
            if status == FollowStatus::AllExited {
                // Whoever waits for the end will stop us.
                return Ok(());
            }
            let woken = wake.map(is_readable).transpose().map_err(cannot_wait)?.unwrap_or(false);
            if woken || Instant::now() >= deadline {
                return Ok(());
            }
        }
    }

    fn handle_slice(
        &mut self,
        until: Instant,
        wake: Option<BorrowedFd<'_>>,
        unwinder: &mut Unwinder<'_>,
    ) -> io::Result<FollowStatus> {
        let Self { pid, follower, space, queue, count, disorder, .. } = self;
        let status = follower.handle_events(until, wake, &mut |event| {
            match event {
                TraceEvent::MemoryCall(call) if Some(call.space) == *space => {
                    *count += 1;
                    if !call.in_order && *disorder == Disorder::None {
                        *disorder = Disorder::Unreported;
                    }
                    queue.push(&call, unwinder.code);
                }
                TraceEvent::Executed { pid: who, space: new } if who == *pid => {
                    *space = Some(new);
                    // The calls until now are of the program before.
                    queue.apply(unwinder);
                    queue.regions.clear();
                    unwinder.code.program_changed();
                }
                _ => {}
            }
            // More calls than can wait: the caller waits for us instead, since none may be lost.
            if queue.calls.len() >= QUEUE {
                queue.apply(unwinder);
            }
        });
        queue.apply(unwinder);
        status
    }

    /// The same for a target that is watched no more.
    pub(crate) fn handle_unwatched(&mut self, until: Until<'_>) -> Result<FollowStatus, Error> {
        let Until { deadline, wake } = until;
        self.follower.handle_events(deadline, Some(wake), &mut |_| {}).map_err(cannot_wait)
    }

    /// Handles the calls until the last process that is followed has ended: the filter can't be taken
    /// off, and without a tracer their calls would fail.
    pub(crate) fn handle_to_the_end(mut self, stream: &mut dyn Stream) -> Result<(), Error> {
        let mut handle = |time| {
            let deadline = Instant::now() + time;
            self.follower.handle_events(deadline, None, &mut |_| {}).map_err(cannot_wait)
        };
        if handle(ENDING)? == FollowStatus::AllExited {
            return Ok(());
        }
        stream.keep_alive(
            "the target, or what it has started, is still running under the filter of calls=memory, and its memory calls would fail without seepmeter, which therefore stays until the last of them ends",
        );
        while handle(AFTERWARDS)? == FollowStatus::Running {}
        Ok(())
    }

    /// Emits what has changed since the last sample.
    pub(crate) fn emit(
        &mut self,
        process: SubjectId,
        table: &StackTable,
        sample: &mut SampleBuilder<'_>,
    ) {
        sample.point(process, self.metric, self.count);
        let changed = self.queue.regions.take_changed();
        let totals = match sample.facts().partial {
            true => self.queue.regions.all().collect(),
            false => changed,
        };
        for StackTotals { stack, mapped, given_back } in totals {
            let given_back = Some(point_value(given_back)).filter(|bytes| *bytes > 0);
            let values = [Some(point_value(mapped)), given_back];
            self.subjects.observe(&stack, &values, sample, |stack| NewSubject {
                parent: Some(process),
                kind: SubjectKind::Stack,
                name: table.name(*stack).into(),
                attributes: Attributes::new().with(attribute::STACK, *stack),
            });
        }
        if self.disorder == Disorder::Unreported {
            self.disorder = Disorder::Reported;
            let text = "two threads made memory calls at the same time, and one call took longer than the other could be delayed: where their ranges overlap, `mapped` may be of the wrong stack";
            sample.stream().incomplete(process, None, text.to_owned());
        }
    }
}

/// The calls that are yet to be applied.
struct CallQueue {
    calls: Vec<QueuedCall>,
    regions: MappedRegions,
}

struct QueuedCall {
    change: RegionChange,
    registers: Box<Registers>,
    stack: Box<[u8]>,
}

impl CallQueue {
    /// Adds a call, whose thread is stopped; not one that changes nothing of what is emitted.
    fn push(&mut self, call: &MemoryCall<'_>, code: &mut TargetCode) {
        let Some(change) = region_change(call) else { return };
        let executable = libc::PROT_EXEC as u64;
        if call.kind == MemoryCallKind::Map && call.arguments[2] & executable != 0 {
            code.code_was_mapped();
        }
        let pointer = call.registers.stack_pointer();
        let mut stack = vec![0; code.copy_length(call.tid, pointer, DEPTH)];
        // Of a process that was just killed nothing can be read: its stack ends at once.
        let read = call.memory.read(pointer, &mut stack).unwrap_or(0);
        stack.truncate(read);
        let (registers, stack) = (Box::new(*call.registers), stack.into());
        self.calls.push(QueuedCall { change, registers, stack });
    }

    /// Applies all calls, each under its stack.
    fn apply(&mut self, unwinder: &mut Unwinder<'_>) {
        for QueuedCall { change, registers, stack } in self.calls.drain(..) {
            let stack = unwinder.stack(&registers, &stack);
            self.regions.apply(change, stack);
        }
    }
}

/// What a call has changed; none if that is not emitted.
fn region_change(call: &MemoryCall<'_>) -> Option<RegionChange> {
    let arguments = call.arguments;
    let argument = Extent { start: arguments[0], length: arguments[1] };
    Some(match call.kind {
        MemoryCallKind::Break => RegionChange::HeapEnd(call.result),
        MemoryCallKind::Map => RegionChange::Map(Extent { start: call.result, ..argument }),
        MemoryCallKind::Unmap => RegionChange::Unmap(argument),
        MemoryCallKind::Remap => RegionChange::Remap {
            old: argument,
            new: Extent { start: call.result, length: arguments[2] },
            keeps_old: arguments[3] & MREMAP_DONTUNMAP != 0,
        },
        MemoryCallKind::Advise if GIVES_BACK.contains(&arguments[2]) => {
            RegionChange::GiveBack(argument.length)
        }
        MemoryCallKind::Advise => return None,
    })
}

fn cannot_wait(error: io::Error) -> Error {
    Error::io("cannot wait for the target's memory calls", &error)
}

/// Refuses a target that would be another program without the rights that its file gives: before it is
/// followed, since that can't be taken back.
fn refuse_if_rights_are_lost(target: &Target) -> Result<(), Error> {
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
