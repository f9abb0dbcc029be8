//! System calls that an interrupt would end are made again, with what is left of their time.
//!
//! A halt interrupts whatever call a thread waits in. Most are done again by the kernel. Some, such as
//! epoll_wait(2), would give the program an EINTR that it would not have seen without a tracer. For
//! those ([`calls`]) the result is changed into the kernel's own note "do it again unless a handler
//! runs" (ERESTARTNOHAND). The kernel acts on it after all signals are sorted out, so there is no race:
//! where a handler runs, the call gives EINTR, as it would have.
//!
//! A call that is made again would wait its whole time again. With a halt a second, a timer of 5 s would
//! never go off. So the call is given what is left:
//!
//! - How long it has waited: where it is the call that was made again at an earlier halt, and the thread
//!   has slept since, that is known exactly. Else it has waited since the thread last ran
//!   ([`LastRun`]). Where the kernel does not tell that, the call is taken to have just begun, since
//!   a time that is over too early is the worse mistake. By some milliseconds it can be made on a virtual
//!   machine whose processors are taken away: the scheduler's clock by which a thread's last run is told
//!   does not count that time as ours does. Up to 23 ms were seen on a busy one.
//! - Where nothing is left, the call ends as it does when its time is over.
//! - Else its argument is changed: the milliseconds in their register, or the register that points to
//!   the time. It then points to the far end of the red zone, the 128 bytes below the stack that the
//!   System V ABI gives a function and that the frame of a signal handler leaves alone. (Below it a
//!   handler that runs just before the call is made again would overwrite the time.) aarch64 has none.
//!   Both are right for code of the C library's alone ([`wrappers`]): a program may count on the old
//!   value of the register, since a system call changes none of its arguments, but the library's code
//!   is behind a function call, which such registers need not survive; and its few instructions
//!   around a call don't fill a red zone. Others wait their whole time again, until it is over as
//!   seen from here; so they are late by one look at most.

mod calls;
mod clock;
mod last_run;
mod socket;
mod wrappers;

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use calls::{Limit, Repeatable, URING_ARGUMENT};
use clock::Nanoseconds;
use last_run::LastRun;
use wrappers::Wrappers;

use crate::arch::{RED_ZONE, Registers, SystemCall};
use crate::memory::Memory;

/// How long after it was let go a thread may still have run to go back to sleep.
const BACK_TO_SLEEP: Nanoseconds = 3_000_000;
const EINTR: i64 = -(libc::EINTR as i64);

/// What is known of the calls that the threads of one process wait in.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    threads: HashMap<i32, Waiter>,
    last_run: LastRun,
    wrappers: Wrappers,
    program: PathBuf,
}

/// A thread that was looked at.
#[derive(Debug, Default)]
struct Waiter {
    /// What it was in before the halt, and since when.
    before: Option<Before>,
    /// The call that was made again at an earlier halt.
    again: Option<Again>,
}

/// What a thread was doing when it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Running,
    /// It waited, or nothing can be said.
    Other,
}

#[derive(Debug, Clone, Copy)]
struct Before {
    call: SystemCall,
    asleep_since: Option<Nanoseconds>,
}

#[derive(Debug, Clone, Copy)]
struct Again {
    /// As it was set.
    call: SystemCall,
    /// Its argument was changed, to a value that a new call would hardly have.
    shortened: bool,
    stack: u64,
    whole: Nanoseconds,
    began: Nanoseconds,
    let_go: Nanoseconds,
}

impl Restarts {
    /// Asks what a thread waits in, before it is interrupted. Costs some µs.
    pub(crate) fn ask(&mut self, pid: i32, tid: i32) -> Asked {
        let waiter = self.threads.entry(tid).or_default();
        waiter.before = None;
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")) else {
            return Asked::Other;
        };
        if text.starts_with("running") {
            return Asked::Running;
        }
        let Some((call, instruction)) = parse_call(&text) else { return Asked::Other };
        if let Some(Repeatable { limit, .. }) = calls::repeatable(&call) {
            let timed = match limit {
                Limit::None => false,
                // Whether the socket has a limit is asked at the halt; most have none.
                Limit::Socket(_) => waiter.again.is_some(),
                Limit::Milliseconds(_) | Limit::Timespec(_) | Limit::Uring(_) => true,
            };
            let asleep_since = timed.then(|| self.last_run.of(pid, tid)).flatten();
            waiter.before = Some(Before { call, asleep_since });
            self.wrappers.learn(pid, instruction);
        }
        Asked::Other
    }

    /// What was asked of a thread is over: it runs on, and is not asked before its next halt.
    pub(crate) fn asked_no_more(&mut self, tid: i32) {
        if let Some(waiter) = self.threads.get_mut(&tid) {
            waiter.before = None;
        }
    }

    /// Forgets the threads that are no more.
    pub(crate) fn keep(&mut self, lives: impl Fn(i32) -> bool) {
        self.threads.retain(|tid, _| lives(*tid));
    }

    /// Forgets all where the process executes another program than at the last stop.
    pub(crate) fn check_program(&mut self, pid: i32) {
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        if program != self.program {
            self.forget();
            self.program = program;
        }
    }

    /// Forgets all: the process has executed another program.
    pub(crate) fn forget(&mut self) {
        self.threads.clear();
        self.wrappers = Wrappers::default();
    }

    /// Sets the registers of a halted thread so that an interrupted call is made again. True where they
    /// were changed.
    pub(crate) fn mend(&mut self, tid: i32, registers: &mut Registers, memory: &Memory) -> bool {
        if registers.result() != EINTR {
            return false;
        }
        let Some(seen) = registers.system_call() else { return false };
        let waiter = self.threads.entry(tid).or_default();
        // On aarch64 the first argument is overwritten by then; what was seen before has it.
        let call = match waiter.before {
            Some(before) if before.call.number == seen.number => SystemCall {
                arguments: {
                    let mut arguments = seen.arguments;
                    arguments[0] = before.call.arguments[0];
                    arguments
                },
                ..seen
            },
            _ => seen,
        };
        let Some(what) = calls::repeatable(&call) else { return false };
        if !registers.called_by_instruction(tid) {
            return false;
        }
        let before = waiter.before.map(|before| before.call);
        let again = waiter.plan(&call, what.limit, registers.stack_pointer(), memory);
        let Some(mut again) = again else {
            waiter.again = None;
            let for_ever = !matches!(what.limit, Limit::Socket(_));
            return for_ever && registers.do_call_again(before.as_ref());
        };
        let left = again.whole - (again.let_go - again.began);
        if left <= 0 {
            waiter.again = None;
            registers.set_result(what.result_when_over);
            return true;
        }
        let shorten = self.wrappers.knows(registers.instruction_pointer());
        if !registers.do_call_again(before.as_ref()) {
            return false;
        }
        if shorten
            && let Some((index, value)) = shortened(&call, what.limit, left, again.stack, memory)
        {
            registers.set_argument(index, value);
            again.call.arguments[index] = value;
            again.shortened = true;
        }
        waiter.again = Some(again);
        true
    }
}

impl Waiter {
    /// The call as one that has been waiting for some time. None where it waits for ever.
    fn plan(&self, call: &SystemCall, limit: Limit, stack: u64, memory: &Memory) -> Option<Again> {
        let now = clock::now();
        let asleep_since = self
            .before
            .filter(|before| before.call == *call)
            .and_then(|before| before.asleep_since);
        if let Some(known) = self.again
            && known.call == *call
            && known.stack == stack
            && (known.shortened
                || asleep_since.is_some_and(|since| since <= known.let_go + BACK_TO_SLEEP))
        {
            return Some(Again { let_go: now, ..known });
        }
        let whole = limit.read(call, memory)?;
        let began = asleep_since.unwrap_or(now).min(now);
        Some(Again { call: *call, shortened: false, stack, whole, began, let_go: now })
    }
}

/// Writes down a shorter time; returns which argument is to have which value.
fn shortened(
    call: &SystemCall,
    limit: Limit,
    left: Nanoseconds,
    stack: u64,
    memory: &Memory,
) -> Option<(usize, u64)> {
    let place = || stack.checked_sub(RED_ZONE?);
    match limit {
        // A socket's option is the program's own, and stays.
        Limit::None | Limit::Socket(_) => None,
        // Rounded up, since a wait must not end too early.
        Limit::Milliseconds(index) => Some((index, (left as u64).div_ceil(1_000_000))),
        Limit::Timespec(index) => {
            let place = place()?;
            write_time(place, left, memory)?;
            Some((index, place))
        }
        Limit::Uring(index) => {
            let place = place()?;
            let mut argument = [0; URING_ARGUMENT];
            (memory.read(call.arguments[index], &mut argument).ok()? == argument.len())
                .then_some(())?;
            argument[16..].copy_from_slice(&place.to_ne_bytes());
            write_time(place, left, memory)?;
            memory.write(place + 16, &argument).ok()?;
            Some((index, place + 16))
        }
    }
}

fn write_time(place: u64, left: Nanoseconds, memory: &Memory) -> Option<()> {
    let mut time = [0; 16];
    time[..8].copy_from_slice(&(left / 1_000_000_000).to_ne_bytes());
    time[8..].copy_from_slice(&(left % 1_000_000_000).to_ne_bytes());
    memory.write(place, &time).ok()
}

/// The call that a sleeping thread is in, and its instruction pointer, as /proc/PID/task/TID/syscall
/// tells (proc(5)): `232 0x5 0x7f… 0x400 0x1388 0x0 0x0 SP PC`. A thread that runs says `running`, one
/// that sleeps outside of a call `-1 SP PC`.
fn parse_call(text: &str) -> Option<(SystemCall, u64)> {
    let mut words = text.split_ascii_whitespace();
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
    fn what_the_kernel_says_of_a_call_is_understood() {
        let text = "232 0x5 0x7ffd 0x400 0x1388 0x0 0x8 0x7ffc 0x7f01\n";
        let (call, instruction) = parse_call(text).unwrap();
        assert_eq!((call.number, instruction), (232, 0x7f01));
        assert_eq!(call.arguments, [5, 0x7ffd, 0x400, 0x1388, 0, 8]);
        for text in ["running\n", "-1 0x7ffc 0x7f01\n", "", "232 0x5"] {
            assert!(parse_call(text).is_none(), "{text}");
        }
    }
}
