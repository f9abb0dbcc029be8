//! x86-64.
//!
//! A ptrace-stop in the middle of a system call is inside the kernel's `get_signal()`
//! (arch/x86/kernel/signal.c): the result is in rax already, the call's number still in orig_rax. A
//! result of -512 to -516 is the kernel's note to restart the call, on which it acts when the thread is
//! resumed; a plain -EINTR is final.

use super::{Registers, SystemCall};
use crate::request;

/// How the instruction `syscall` is written.
const SYSCALL: u64 = 0x050f;
/// Its length in bytes.
const SYSCALL_LENGTH: u64 = 2;
/// include/linux/errno.h: restart the call, unless a handler runs (then it gives EINTR).
const ERESTARTNOHAND: i64 = 514;
/// Restart the call by way of restart_syscall(2), which knows what is left of its time.
const ERESTART_RESTARTBLOCK: i64 = 516;

/// Bytes below the stack that belong to the function that runs, and that a signal leaves alone.
pub(crate) const RED_ZONE: Option<u64> = Some(128);
/// io_pgetevents(2), which libc has for some C libraries alone.
pub(crate) const IO_PGETEVENTS: i64 = 333;

impl Registers {
    /// The address of the instruction that is next (rip).
    #[must_use]
    pub fn instruction_pointer(&self) -> u64 {
        self.0.rip
    }

    /// The top of the stack (rsp).
    #[must_use]
    pub fn stack_pointer(&self) -> u64 {
        self.0.rsp
    }

    /// rbp: the frame, in code that keeps frame pointers.
    #[must_use]
    pub fn frame_pointer(&self) -> u64 {
        self.0.rbp
    }

    /// The system call that the thread is in. None if it was stopped in code of its own.
    #[must_use]
    pub fn system_call(&self) -> Option<SystemCall> {
        let r = &self.0;
        let number = r.orig_rax.cast_signed();
        (number >= 0)
            .then_some(SystemCall { number, arguments: [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9] })
    }

    /// The system call's result: an errno below 0.
    pub(crate) fn result(&self) -> i64 {
        self.0.rax.cast_signed()
    }

    pub(crate) fn set_result(&mut self, result: i64) {
        self.0.rax = result.cast_unsigned();
    }

    pub(crate) fn set_argument(&mut self, index: usize, value: u64) {
        let r = &mut self.0;
        let places = [&mut r.rdi, &mut r.rsi, &mut r.rdx, &mut r.r10, &mut r.r8, &mut r.r9];
        if let Some(place) = places.into_iter().nth(index) {
            *place = value;
        }
    }

    /// True if the call was made by the 64-bit instruction, so that its number means what we think.
    pub(crate) fn called_by_instruction(&self, tid: i32) -> bool {
        request::peek(tid, self.0.rip.wrapping_sub(SYSCALL_LENGTH))
            .is_ok_and(|word| word & 0xffff == SYSCALL)
    }

    /// Notes that an interrupted call is to be restarted if no handler runs. The kernel acts on that when
    /// it knows whether one does, so nothing can come in between. `_before` is the call as it was before
    /// the interrupt, which other processors need.
    pub(crate) fn restart_call(&mut self, _before: Option<&SystemCall>) -> bool {
        self.set_result(-ERESTARTNOHAND);
        true
    }

    /// Turns the registers of a thread that was stopped in a system call into those of one that is about
    /// to make the call, for a stop after which the kernel does not read the result any more.
    pub(crate) fn rewind_interrupted_call(&mut self) {
        let Some(call) = self.system_call() else { return };
        let number = match -self.result() {
            512..=514 => call.number,
            ERESTART_RESTARTBLOCK => libc::SYS_restart_syscall,
            _ => return,
        };
        self.set_result(number);
        self.0.rip -= SYSCALL_LENGTH;
        self.0.orig_rax = u64::MAX;
    }

    /// Makes the registers those of a thread that is about to make `call`, by the instruction that
    /// the thread has made its last call by.
    pub(crate) fn make_call(&mut self, call: &SystemCall) {
        self.set_result(call.number);
        for (index, value) in call.arguments.into_iter().enumerate() {
            self.set_argument(index, value);
        }
        self.0.rip -= SYSCALL_LENGTH;
        self.0.orig_rax = u64::MAX;
    }

    /// The registers of a thread that is about to make a call by the instruction at `place`.
    pub(crate) fn at_call(&self, place: u64, stack: u64, number: u64) -> Self {
        let mut registers = *self;
        registers.make_call(&SystemCall { number: number.cast_signed(), arguments: [0; 6] });
        registers.0.rip = place;
        registers.0.rsp = stack;
        registers
    }

    /// The registers as they are when an interrupted call is to be made again.
    pub(crate) fn after_interrupted_call(&self) -> Self {
        let mut registers = *self;
        registers.rewind_interrupted_call();
        registers
    }

    /// In the order of a `struct sigcontext`, up to the flags.
    pub(crate) fn in_signal_frame(&self) -> [u64; 18] {
        let r = &self.0;
        [
            r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx,
            r.rdx, r.rax, r.rcx, r.rsp, r.rip, r.eflags,
        ]
    }

    /// Those of the code and of the stack.
    pub(crate) fn selectors(&self) -> [u64; 2] {
        [self.0.cs & 0xffff, self.0.ss & 0xffff]
    }
}
