//! Registers: what unwinding needs of them, and all of them by name.

use seepmeter_tracer::Registers;

/// Those that unwinding begins with.
pub(crate) fn unwind_registers(registers: &Registers) -> seepmeter_symbols::UnwindRegisters {
    seepmeter_symbols::UnwindRegisters {
        ip: registers.instruction_pointer(),
        sp: registers.stack_pointer(),
        fp: registers.frame_pointer(),
        lr: link(registers),
    }
}

#[cfg(target_arch = "x86_64")]
fn link(_: &Registers) -> u64 {
    0
}

#[cfg(target_arch = "aarch64")]
fn link(registers: &Registers) -> u64 {
    registers.raw().regs[30]
}

/// How many registers there are.
#[cfg(target_arch = "x86_64")]
pub(crate) const COUNT: usize = 18;

/// Their names, in the order of [`values`].
#[cfg(target_arch = "x86_64")]
pub(crate) const NAMES: [&str; COUNT] = [
    "rip", "rsp", "rbp", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
    "r13", "r14", "r15", "eflags",
];

/// Their values.
#[cfg(target_arch = "x86_64")]
pub(crate) fn values(registers: &Registers) -> [u64; COUNT] {
    let r = registers.raw();
    [
        r.rip, r.rsp, r.rbp, r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.r8, r.r9, r.r10, r.r11,
        r.r12, r.r13, r.r14, r.r15, r.eflags,
    ]
}

#[cfg(target_arch = "aarch64")]
pub(crate) const COUNT: usize = 34;

#[cfg(target_arch = "aarch64")]
pub(crate) const NAMES: [&str; COUNT] = [
    "pc", "sp", "pstate", "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11",
    "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24",
    "x25", "x26", "x27", "x28", "x29", "x30",
];

#[cfg(target_arch = "aarch64")]
pub(crate) fn values(registers: &Registers) -> [u64; COUNT] {
    let r = registers.raw();
    let mut values = [0; COUNT];
    values[..3].copy_from_slice(&[r.pc, r.sp, r.pstate]);
    values[3..].copy_from_slice(&r.regs);
    values
}
