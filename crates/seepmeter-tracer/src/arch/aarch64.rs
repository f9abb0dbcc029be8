//! aarch64. Written from arch/arm64/kernel/signal.c. It is type-checked (`cargo check -p
//! seepmeter-tracer --target aarch64-unknown-linux-gnu`), and has never run on a machine.
//!
//! There the kernel puts pc and x0 back for a call that is to be restarted *before* a tracer sees the
//! ptrace-stop. A plain -EINTR it leaves, and by then the number of the call (forgotten) and its first
//! argument (overwritten by the result) can be had neither by ptrace nor from /proc. So a call with a
//! final EINTR can be restarted only if it was seen before the interrupt; and if a handler runs, the call
//! is restarted after it, which without a tracer would have ended with EINTR.

use super::{Registers, SystemCall};
use crate::request;

/// How the instruction `svc #0` is written.
const SVC: u64 = 0xd400_0001;
/// Its length in bytes.
const SVC_LENGTH: u64 = 4;

/// Bytes below the stack that belong to the function that runs, and that a signal leaves alone.
pub(crate) const RED_ZONE: Option<u64> = None;
/// io_pgetevents(2), which libc has for some C libraries alone.
pub(crate) const IO_PGETEVENTS: i64 = 292;

impl Registers {
    /// The address of the instruction that is next (pc).
    #[must_use]
    pub fn instruction_pointer(&self) -> u64 {
        self.0.pc
    }

    /// The top of the stack (sp).
    #[must_use]
    pub fn stack_pointer(&self) -> u64 {
        self.0.sp
    }

    /// x29: the frame, in code that keeps frame pointers.
    #[must_use]
    pub fn frame_pointer(&self) -> u64 {
        self.0.regs[29]
    }

    /// The system call that the thread was last in: its number as x8 still has it.
    #[must_use]
    pub fn system_call(&self) -> Option<SystemCall> {
        let [a, b, c, d, e, f, ..] = self.0.regs;
        Some(SystemCall { number: self.0.regs[8].cast_signed(), arguments: [a, b, c, d, e, f] })
    }

    /// The system call's result: an errno below 0.
    pub(crate) fn result(&self) -> i64 {
        self.0.regs[0].cast_signed()
    }

    pub(crate) fn set_result(&mut self, result: i64) {
        self.0.regs[0] = result.cast_unsigned();
    }

    pub(crate) fn set_argument(&mut self, index: usize, value: u64) {
        if let Some(place) = self.0.regs.get_mut(index).filter(|_| index < 6) {
            *place = value;
        }
    }

    /// True if the instruction before this one is a system call.
    pub(crate) fn called_by_instruction(&self, tid: i32) -> bool {
        request::peek(tid, self.0.pc.wrapping_sub(SVC_LENGTH))
            .is_ok_and(|word| word & 0xffff_ffff == SVC)
    }

    /// Puts an interrupted call back, if it was the same one before the interrupt. Its first
    /// argument is then that one's; the others are in their registers, as they are or as they were set.
    pub(crate) fn restart_call(&mut self, before: Option<&SystemCall>) -> bool {
        let Some(before) =
            before.filter(|call| Some(call.number) == self.system_call().map(|c| c.number))
        else {
            return false;
        };
        self.0.regs[0] = before.arguments[0];
        self.0.pc -= SVC_LENGTH;
        true
    }

    /// Nothing to do: the kernel has put pc and x0 back before the stop.
    pub(crate) fn rewind_interrupted_call(&mut self) {}

    /// Makes the registers those of a thread that is about to make `call`, by the instruction that
    /// the thread has made its last call by. The kernel has put pc back to it for a call that is to be
    /// restarted; otherwise it is the one before.
    pub(crate) fn make_call(&mut self, call: &SystemCall) {
        for (index, value) in call.arguments.into_iter().enumerate() {
            self.set_argument(index, value);
        }
        self.0.regs[8] = call.number.cast_unsigned();
        self.0.pc -= SVC_LENGTH;
    }

    /// The registers of a thread that is about to make a call by the instruction at `place`.
    pub(crate) fn at_call(&self, place: u64, stack: u64, number: u64) -> Self {
        let mut registers = *self;
        registers.make_call(&SystemCall { number: number.cast_signed(), arguments: [0; 6] });
        registers.0.pc = place;
        registers.0.sp = stack;
        registers
    }

    /// The kernel has put an interrupted call back before the stop.
    pub(crate) fn after_interrupted_call(&self) -> Self {
        *self
    }

    /// No process is forked here as yet, so its order is that of x86-64 in length alone.
    pub(crate) fn in_signal_frame(&self) -> [u64; 18] {
        [0; 18]
    }

    /// There are none.
    pub(crate) fn selectors(&self) -> [u64; 2] {
        [0; 2]
    }
}
