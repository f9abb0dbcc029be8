//! What differs between the architectures: the numbers of registers, and what a signal leaves on the
//! stack.
//!
//! A function that was interrupted by a signal has not called anything: the kernel has put its
//! registers on the stack, and the handler returns to a few instructions that ask the kernel to take
//! them back. Those instructions are the same in every C library; not all have a table that says what
//! they do. What stands on the stack is the kernel's `struct rt_sigframe`.

use crate::frame::UnwindRegisters;
use crate::stack::Reader;

#[cfg(target_arch = "x86_64")]
mod native {
    use gimli::{Register, X86_64};

    use super::{Reader, UnwindRegisters};

    /// The machine of an ELF file that can run here: EM_X86_64.
    pub(crate) const MACHINE: u16 = 62;
    pub(crate) const SP: Register = X86_64::RSP;
    pub(crate) const FP: Register = X86_64::RBP;
    pub(crate) const RETURN: Register = X86_64::RA;
    /// A call puts the return address on the stack: every frame has one there.
    pub(crate) const LINKS: bool = false;

    /// `mov $15, %rax; syscall`: rt_sigreturn. glibc's, musl's and Go's `__restore_rt`.
    pub(crate) const TRAMPOLINE: [u8; 9] = [0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];

    /// Where the registers stand, from the stack pointer when the handler has returned: `uc_mcontext`
    /// is at 40 in the `struct ucontext` that lies there (arch/x86/include/uapi/asm/ucontext.h,
    /// sigcontext.h).
    const RBP: u64 = 40 + 8 * 10;
    const RSP: u64 = 40 + 8 * 15;
    const RIP: u64 = 40 + 8 * 16;

    /// True if the last of these bytes end a call: `e8` with a distance of four bytes, or `ff /2`,
    /// which has two to seven bytes (Intel's manual, volume 2, CALL).
    pub(crate) fn is_call(code: &[u8; 8]) -> bool {
        let indirect = |length: usize| code[8 - length] == 0xff && code[9 - length] >> 3 & 7 == 2;
        code[3] == 0xe8 || (2..=7).any(indirect)
    }

    /// A return address as an address: nothing hides in it.
    pub(crate) fn plain(address: u64) -> u64 {
        address
    }

    /// The registers of the code that the signal interrupted; none if the copy does not hold them.
    pub(crate) fn interrupted(sp: u64, stack: &mut Reader<'_>) -> Option<UnwindRegisters> {
        let mut at = |offset| stack.read(sp.wrapping_add(offset)).ok();
        Some(UnwindRegisters { ip: at(RIP)?, sp: at(RSP)?, fp: at(RBP)?, lr: 0 })
    }
}

#[cfg(target_arch = "aarch64")]
mod native {
    use gimli::{AArch64, Register};

    use super::{Reader, UnwindRegisters};

    /// The machine of an ELF file that can run here: EM_AARCH64.
    pub(crate) const MACHINE: u16 = 183;
    pub(crate) const SP: Register = AArch64::SP;
    pub(crate) const FP: Register = AArch64::X29;
    pub(crate) const RETURN: Register = AArch64::X30;
    /// A call puts the return address into a register, and a leaf leaves it there.
    pub(crate) const LINKS: bool = true;

    /// `mov x8, #139; svc #0`: rt_sigreturn, in the vdso's `__kernel_rt_sigreturn`.
    pub(crate) const TRAMPOLINE: [u8; 8] = [0x68, 0x11, 0x80, 0xd2, 0x01, 0, 0, 0xd4];

    /// Where x0 stands, from the stack pointer when the handler has returned: a siginfo of 128 bytes,
    /// 168 of `struct ucontext` before its `uc_mcontext`, which is aligned to 16, and in that the
    /// fault address (arch/arm64/include/uapi/asm/ucontext.h, sigcontext.h).
    const X0: u64 = 128 + 176 + 8;

    /// True if the last of these bytes are `bl` or `blr` (the architecture's manual, C6.2).
    pub(crate) fn is_call(code: &[u8; 8]) -> bool {
        let word = u32::from_le_bytes([code[4], code[5], code[6], code[7]]);
        word >> 26 == 0b10_0101 || word & 0xffff_fc1f == 0xd63f_0000
    }

    /// A return address without what authenticates it, which stands above the 48 bits of an address
    /// (Documentation/arch/arm64/pointer-authentication.rst).
    pub(crate) fn plain(address: u64) -> u64 {
        address & ((1 << 48) - 1)
    }

    /// The registers of the code that the signal interrupted; none if the copy does not hold them.
    pub(crate) fn interrupted(sp: u64, stack: &mut Reader<'_>) -> Option<UnwindRegisters> {
        let mut x = |number: u64| stack.read(sp.wrapping_add(X0 + 8 * number)).ok();
        Some(UnwindRegisters { fp: x(29)?, lr: x(30)?, sp: x(31)?, ip: x(32)? })
    }
}

pub(crate) use native::{FP, LINKS, MACHINE, RETURN, SP, TRAMPOLINE, interrupted, is_call, plain};
