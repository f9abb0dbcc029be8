//! What differs between the architectures: registers, and what a signal leaves on the stack.
//!
//! A function that was interrupted by a signal has not called anything, so no unwind table of the
//! common kind finds it: the kernel has put its registers on the stack, and the handler returns to a
//! few instructions that ask the kernel to take them back. Those instructions are the same in every
//! C library. What stands on the stack is the kernel's `struct rt_sigframe`.

use framehop::UnwindRegsNative;

use crate::frame::Registers;
use crate::stack::Reader;

#[cfg(target_arch = "x86_64")]
mod native {
    use super::{Reader, Registers, UnwindRegsNative};

    /// The machine of an ELF file that can run here: EM_X86_64.
    pub(crate) const MACHINE: u16 = 62;

    /// `mov $15, %rax; syscall`: rt_sigreturn. glibc's, musl's and Go's `__restore_rt`.
    pub(crate) const TRAMPOLINE: [u8; 9] = [0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];

    /// Where the registers stand, from the stack pointer when the handler has returned: `uc_mcontext`
    /// is at 40 in the `struct ucontext` that lies there (arch/x86/include/uapi/asm/ucontext.h,
    /// sigcontext.h).
    const RBP: u64 = 40 + 8 * 10;
    const RSP: u64 = 40 + 8 * 15;
    const RIP: u64 = 40 + 8 * 16;

    pub(crate) fn registers(registers: &Registers) -> UnwindRegsNative {
        UnwindRegsNative::new(registers.ip, registers.sp, registers.fp)
    }

    pub(crate) fn frame_pointer(registers: &UnwindRegsNative) -> u64 {
        registers.bp()
    }

    pub(crate) fn set_frame_pointer(registers: &mut UnwindRegsNative, value: u64) {
        registers.set_bp(value);
    }

    /// The registers of the code that the signal interrupted; none where the copy does not hold them.
    pub(crate) fn interrupted(sp: u64, stack: &mut Reader<'_>) -> Option<Registers> {
        let mut at = |offset| stack.read(sp.wrapping_add(offset)).ok();
        Some(Registers { ip: at(RIP)?, sp: at(RSP)?, fp: at(RBP)?, lr: 0 })
    }
}

#[cfg(target_arch = "aarch64")]
mod native {
    use framehop::aarch64::PtrAuthMask;

    use super::{Reader, Registers, UnwindRegsNative};

    /// The machine of an ELF file that can run here: EM_AARCH64.
    pub(crate) const MACHINE: u16 = 183;

    /// `mov x8, #139; svc #0`: rt_sigreturn, in the vdso's `__kernel_rt_sigreturn`.
    pub(crate) const TRAMPOLINE: [u8; 8] = [0x68, 0x11, 0x80, 0xd2, 0x01, 0, 0, 0xd4];

    /// Where x0 stands, from the stack pointer when the handler has returned: a siginfo of 128 bytes,
    /// 168 of `struct ucontext` before its `uc_mcontext`, which is aligned to 16, and in that the
    /// fault address (arch/arm64/include/uapi/asm/ucontext.h, sigcontext.h).
    const X0: u64 = 128 + 176 + 8;

    /// User addresses have 48 bits, or 52; what authenticates a pointer stands above them
    /// (Documentation/arch/arm64/pointer-authentication.rst).
    const ADDRESS_BITS: u64 = (1 << 52) - 1;

    pub(crate) fn registers(registers: &Registers) -> UnwindRegsNative {
        let mask = PtrAuthMask(ADDRESS_BITS);
        UnwindRegsNative::new_with_ptr_auth_mask(mask, registers.lr, registers.sp, registers.fp)
    }

    pub(crate) fn frame_pointer(registers: &UnwindRegsNative) -> u64 {
        registers.fp()
    }

    pub(crate) fn set_frame_pointer(registers: &mut UnwindRegsNative, value: u64) {
        registers.set_fp(value);
    }

    /// The registers of the code that the signal interrupted; none where the copy does not hold them.
    pub(crate) fn interrupted(sp: u64, stack: &mut Reader<'_>) -> Option<Registers> {
        let mut x = |number: u64| stack.read(sp.wrapping_add(X0 + 8 * number)).ok();
        Some(Registers { fp: x(29)?, lr: x(30)?, sp: x(31)?, ip: x(32)? })
    }
}

pub(crate) use native::{
    MACHINE, TRAMPOLINE, frame_pointer, interrupted, registers, set_frame_pointer,
};
