//! The seccomp filter that stops a process at its memory calls, and at nothing else.
//!
//! In the kernel's classic BPF (Documentation/userspace-api/seccomp_filter.rst), over `struct
//! seccomp_data { int nr; __u32 arch; … }`.

use std::mem::size_of;

/// Where the number and the architecture are.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// AUDIT_ARCH_… of include/uapi/linux/audit.h: 64 bits, little endian, and the ELF machine.
#[cfg(target_arch = "x86_64")]
const OURS: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const OURS: u32 = 0xc000_00b7;

/// A system call that changes an address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemoryCallKind {
    /// brk(2).
    Break,
    /// mmap(2).
    Map,
    /// mremap(2).
    Remap,
    /// munmap(2).
    Unmap,
    /// madvise(2).
    Advise,
}

/// The calls, by their numbers.
const CALLS: [(i64, MemoryCallKind); 5] = [
    (libc::SYS_brk, MemoryCallKind::Break),
    (libc::SYS_mmap, MemoryCallKind::Map),
    (libc::SYS_mremap, MemoryCallKind::Remap),
    (libc::SYS_munmap, MemoryCallKind::Unmap),
    (libc::SYS_madvise, MemoryCallKind::Advise),
];

impl MemoryCallKind {
    pub(super) fn of(number: i64) -> Option<Self> {
        CALLS.iter().find(|(known, _)| *known == number).map(|(_, kind)| *kind)
    }
}

/// The size of one instruction in bytes.
pub(super) const INSTRUCTION: usize = size_of::<libc::sock_filter>();

/// The filter. Calls of another ABI (32-bit) pass: their numbers mean something else.
pub(super) fn program() -> Vec<libc::sock_filter> {
    let op = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let result = libc::BPF_RET | libc::BPF_K;
    // From the check of the architecture the way to "allow" leads over the load, the calls and itself.
    let over_all = CALLS.len() as u8 + 1;
    let mut program =
        vec![op(load, 0, 0, ARCHITECTURE), op(equal, 0, over_all, OURS), op(load, 0, 0, NUMBER)];
    for (index, (number, _)) in CALLS.iter().enumerate() {
        // To "trace", which stands behind the other calls and "allow".
        let over_others = (CALLS.len() - index) as u8;
        program.push(op(equal, over_others, 0, *number as u32));
    }
    program.push(op(result, 0, 0, libc::SECCOMP_RET_ALLOW));
    program.push(op(result, 0, 0, libc::SECCOMP_RET_TRACE));
    program
}

/// The program as the bytes that the kernel reads.
pub(super) fn bytes() -> Vec<u8> {
    program()
        .iter()
        .flat_map(|step| {
            let mut bytes = [0; INSTRUCTION];
            bytes[..2].copy_from_slice(&step.code.to_ne_bytes());
            bytes[2] = step.jt;
            bytes[3] = step.jf;
            bytes[4..].copy_from_slice(&step.k.to_ne_bytes());
            bytes
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The few instructions that the filter uses, executed.
    fn run(number: u32, architecture: u32) -> u32 {
        let program = program();
        let (mut at, mut value) = (0, 0);
        loop {
            let step = &program[at];
            at += 1;
            match u32::from(step.code) {
                code if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => {
                    value = if step.k == NUMBER { number } else { architecture };
                }
                code if code == libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K => {
                    at += usize::from(if value == step.k { step.jt } else { step.jf });
                }
                _ => return step.k,
            }
        }
    }

    #[test]
    fn the_memory_calls_stop_and_nothing_else_does() {
        for (number, kind) in CALLS {
            assert_eq!(run(number as u32, OURS), libc::SECCOMP_RET_TRACE);
            assert_eq!(MemoryCallKind::of(number), Some(kind));
            assert_eq!(run(number as u32, OURS ^ 1), libc::SECCOMP_RET_ALLOW);
        }
        let others = (0..600).filter(|number| MemoryCallKind::of(*number).is_none());
        for number in others {
            assert_eq!(run(number as u32, OURS), libc::SECCOMP_RET_ALLOW, "{number}");
        }
    }
}
