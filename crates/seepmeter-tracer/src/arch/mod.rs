//! What differs between processors: registers, and how a system call is done again.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::Registers;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{IO_PGETEVENTS, RED_ZONE};

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "aarch64")]
pub use aarch64::Registers;
#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::{IO_PGETEVENTS, RED_ZONE};

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("seepmeter-tracer knows the registers of x86-64 and aarch64 alone");

/// A system call that a thread is in, or has just been interrupted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemCall {
    /// Its number, of the processor's own list.
    pub number: i64,
    /// Its arguments, as many as it takes.
    pub arguments: [u64; 6],
}

/// Why there are no registers.
#[derive(Debug)]
pub(crate) enum RegistersError {
    /// The thread executes 32-bit code.
    ThirtyTwoBit,
    Kernel(std::io::Error),
}
