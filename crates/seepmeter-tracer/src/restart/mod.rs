//! System calls that an interrupt would end are restarted, with what is left of their time.
//!
//! A ptrace-stop interrupts whatever call a thread waits in. Most are restarted by the kernel. Some, such
//! as epoll_wait(2), would give the program an EINTR that it would not have seen without a tracer. For
//! those ([`calls`]) the result is changed into the kernel's own note "restart unless a handler runs"
//! (ERESTARTNOHAND). The kernel acts on it after all signals are sorted out, so there is no race: if a
//! handler runs, the call gives EINTR, as it would have.
//!
//! A restarted call would wait its whole time again. With a stop a second, a timer of 5 s would never
//! fire. So the call is given what is left:
//!
//! - How long it has waited: if the call was restarted at an earlier stop, and the thread has slept since,
//!   that is known exactly. Otherwise it has waited since the thread last ran ([`SleepStarts`]). If the
//!   kernel does not say when that was, the call is taken to have just begun, since a wait that ends too
//!   early is the worse mistake. On a virtual machine whose processors are taken away it can still end
//!   some milliseconds early: the scheduler's clock does not count that time as the monotonic clock does.
//!   Up to 23 ms were seen on a busy one.
//! - If nothing is left, the call ends as it does when its time is over.
//! - Otherwise its argument is changed: the milliseconds in their register, or the register that points
//!   to the time. It then points to the far end of the red zone, the 128 bytes below the stack that the
//!   System V ABI gives a function and that the frame of a signal handler leaves alone. (Below it a
//!   handler that runs just before the call is restarted would overwrite the time.) aarch64 has none.
//!   Both are right only for code of the C library ([`LibcCode`]): a program may count on the old value of
//!   the register, since a system call changes none of its arguments, but the library's code is behind a
//!   function call, which such registers need not survive; and its few instructions around a call do not
//!   fill a red zone. Other calls wait their whole time again, until it is over as seen from here; so they
//!   are late by one stop at most.

mod calls;
mod clock;
mod libc_code;
mod sleep_start;
mod socket_timeout;

use std::collections::HashMap;
use std::path::PathBuf;

use calls::{Limit, RestartRule, URING_ARGUMENT};
use clock::Nanoseconds;
use libc_code::LibcCode;
use sleep_start::SleepStarts;

use crate::arch::{RED_ZONE, Registers, SystemCall};
use crate::memory::ProcessMemory;
use crate::tasks;

/// How long after it was resumed a thread may still have run to go back to sleep.
const BACK_TO_SLEEP: Nanoseconds = 3_000_000;
const EINTR: i64 = -(libc::EINTR as i64);

/// What is known of the calls that the threads of one process wait in.
#[derive(Debug, Default)]
pub(crate) struct SyscallRestarts {
    threads: HashMap<i32, ThreadCalls>,
    sleep_starts: SleepStarts,
    libc_code: LibcCode,
    program: PathBuf,
}

/// The calls of one thread.
#[derive(Debug, Default)]
struct ThreadCalls {
    /// What it waited in before the stop.
    before: Option<WaitingCall>,
    /// The call that was restarted at an earlier stop.
    restarted: Option<TimedCall>,
}

/// What a thread was doing when it was inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    Running,
    /// It waited, or it is not known.
    Other,
}

/// A call that a thread waits in.
#[derive(Debug, Clone, Copy)]
struct WaitingCall {
    call: SystemCall,
    asleep_since: Option<Nanoseconds>,
}

/// A call that waits for a limited time, and is restarted.
#[derive(Debug, Clone, Copy)]
struct TimedCall {
    /// With the arguments that were set.
    call: SystemCall,
    /// Its argument was changed, to a value that a new call would hardly have.
    is_shortened: bool,
    stack: u64,
    whole: Nanoseconds,
    began: Nanoseconds,
    resumed: Nanoseconds,
}

/// An argument of a call, to be changed.
struct NewArgument {
    index: usize,
    value: u64,
}

impl SyscallRestarts {
    /// Notes what a thread waits in, before it is interrupted. Costs some µs.
    pub(crate) fn inspect(&mut self, pid: i32, tid: i32) -> Activity {
        let thread = self.threads.entry(tid).or_default();
        thread.before = None;
        let text = tasks::folder(pid).thread(tid).read("syscall").unwrap_or_default();
        if text.starts_with(b"running") {
            return Activity::Running;
        }
        let Some((call, instruction)) = parse_call(&text) else { return Activity::Other };
        if let Some(RestartRule { limit, .. }) = calls::restart_rule(&call) {
            let timed = match limit {
                Limit::None => false,
                // Whether the socket has a timeout is asked at the stop; most have none.
                Limit::Socket(_) => thread.restarted.is_some(),
                Limit::Milliseconds(_) | Limit::Timespec(_) | Limit::Uring(_) => true,
            };
            let asleep_since = timed.then(|| self.sleep_starts.of(pid, tid)).flatten();
            thread.before = Some(WaitingCall { call, asleep_since });
            self.libc_code.learn(pid, instruction);
        }
        Activity::Other
    }

    /// What was noted of a thread is outdated: it runs on, and is not inspected before its next stop.
    pub(crate) fn forget_waiting_call(&mut self, tid: i32) {
        if let Some(thread) = self.threads.get_mut(&tid) {
            thread.before = None;
        }
    }

    /// Forgets the threads that are no more.
    pub(crate) fn keep(&mut self, lives: impl Fn(i32) -> bool) {
        self.threads.retain(|tid, _| lives(*tid));
    }

    /// Forgets all if the process executes another program than at the last stop.
    pub(crate) fn check_program(&mut self, pid: i32) {
        let program = tasks::folder(pid).exe().unwrap_or_default();
        if program != self.program {
            self.forget();
            self.program = program;
        }
    }

    /// Forgets all: the process has executed another program.
    pub(crate) fn forget(&mut self) {
        self.threads.clear();
        self.libc_code = LibcCode::default();
    }

    /// Sets the registers of a stopped thread so that an interrupted call is restarted. True if they were
    /// changed.
    pub(crate) fn prepare_restart(
        &mut self,
        tid: i32,
        registers: &mut Registers,
        memory: &ProcessMemory,
    ) -> bool {
        if registers.result() != EINTR {
            return false;
        }
        let Some(interrupted) = registers.system_call() else { return false };
        let thread = self.threads.entry(tid).or_default();
        let call = thread.with_first_argument(interrupted);
        let Some(rule) = calls::restart_rule(&call) else { return false };
        if !registers.called_by_instruction(tid) {
            return false;
        }
        let before = thread.before.map(|before| before.call);
        let timed = thread.timed(&call, rule.limit, registers.stack_pointer(), memory);
        let earlier = std::mem::take(&mut thread.restarted);
        let Some(mut timed) = timed else {
            let for_ever = !matches!(rule.limit, Limit::Socket(_));
            return for_ever && registers.restart_call(before.as_ref());
        };
        let left = timed.whole - (timed.resumed - timed.began);
        if left <= 0 {
            registers.set_result(rule.result_when_over);
            return true;
        }
        let may_change = self.libc_code.contains(registers.instruction_pointer());
        if !registers.restart_call(before.as_ref()) {
            thread.restarted = earlier;
            return false;
        }
        if may_change
            && let Some(NewArgument { index, value }) = timed.shorten(rule.limit, left, memory)
        {
            registers.set_argument(index, value);
            timed.call.arguments[index] = value;
            timed.is_shortened = true;
        }
        thread.restarted = Some(timed);
        true
    }
}

impl ThreadCalls {
    /// The call with its first argument. On aarch64 that is overwritten at the stop; the call that was
    /// seen before has it.
    fn with_first_argument(&self, mut call: SystemCall) -> SystemCall {
        if let Some(before) = self.before.filter(|before| before.call.number == call.number) {
            call.arguments[0] = before.call.arguments[0];
        }
        call
    }

    /// The call as one that has been waiting for some time. None if it waits for ever.
    fn timed(
        &self,
        call: &SystemCall,
        limit: Limit,
        stack: u64,
        memory: &ProcessMemory,
    ) -> Option<TimedCall> {
        let now = clock::now()?;
        let before = self.before.filter(|before| before.call == *call);
        let asleep_since = before.and_then(|before| before.asleep_since);
        let slept_since = |time| asleep_since.is_some_and(|since| since <= time + BACK_TO_SLEEP);
        if let Some(known) = self.restarted
            && known.call == *call
            && known.stack == stack
            && (known.is_shortened || slept_since(known.resumed))
        {
            return Some(TimedCall { resumed: now, ..known });
        }
        let whole = limit.read(call, memory)?;
        let began = asleep_since.unwrap_or(now).min(now);
        Some(TimedCall { call: *call, is_shortened: false, stack, whole, began, resumed: now })
    }
}

impl TimedCall {
    /// Writes down a shorter time, if that can be done; returns the argument that the call needs then.
    fn shorten(
        &self,
        limit: Limit,
        left: Nanoseconds,
        memory: &ProcessMemory,
    ) -> Option<NewArgument> {
        let place = || self.stack.checked_sub(RED_ZONE?);
        match limit {
            // A socket's timeout is the program's own, and stays.
            Limit::None | Limit::Socket(_) => None,
            // Rounded up, since a wait must not end too early.
            Limit::Milliseconds(index) => {
                Some(NewArgument { index, value: (left as u64).div_ceil(1_000_000) })
            }
            Limit::Timespec(index) => {
                let place = place()?;
                write_time(place, left, memory)?;
                Some(NewArgument { index, value: place })
            }
            Limit::Uring(index) => {
                let place = place()?;
                let mut argument = [0; URING_ARGUMENT];
                let read = memory.read(self.call.arguments[index], &mut argument).ok()?;
                (read == argument.len()).then_some(())?;
                argument[16..].copy_from_slice(&place.to_ne_bytes());
                write_time(place, left, memory)?;
                memory.write(place + 16, &argument).ok()?;
                Some(NewArgument { index, value: place + 16 })
            }
        }
    }
}

fn write_time(place: u64, left: Nanoseconds, memory: &ProcessMemory) -> Option<()> {
    let mut time = [0; 16];
    time[..8].copy_from_slice(&(left / 1_000_000_000).to_ne_bytes());
    time[8..].copy_from_slice(&(left % 1_000_000_000).to_ne_bytes());
    memory.write(place, &time).ok()
}

/// The call that a sleeping thread is in, and its instruction pointer, as /proc/PID/task/TID/syscall
/// shows (proc(5)): `232 0x5 0x7f… 0x400 0x1388 0x0 0x0 SP PC`. A thread that runs says `running`, one
/// that sleeps outside of a call `-1 SP PC`.
fn parse_call(text: &[u8]) -> Option<(SystemCall, u64)> {
    let mut words = std::str::from_utf8(text).ok()?.split_ascii_whitespace();
    let number = words.next()?.parse().ok().filter(|number| *number >= 0)?;
    let mut values = words.map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok());
    let mut arguments = [0; 6];
    for argument in &mut arguments {
        *argument = values.next()??;
    }
    let _stack = values.next()??;
    Some((SystemCall { number, arguments }, values.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_line_of_a_call_is_parsed() {
        let text = b"232 0x5 0x7ffd 0x400 0x1388 0x0 0x8 0x7ffc 0x7f01\n";
        let (call, instruction) = parse_call(text).unwrap();
        assert_eq!((call.number, instruction), (232, 0x7f01));
        assert_eq!(call.arguments, [5, 0x7ffd, 0x400, 0x1388, 0, 8]);
        for text in ["running\n", "-1 0x7ffc 0x7f01\n", "", "232 0x5"] {
            assert!(parse_call(text.as_bytes()).is_none(), "{text}");
        }
    }
}
