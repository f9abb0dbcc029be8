//! What differs between processors: registers, and how a system call is restarted.

use std::fmt;
use std::io;
use std::mem::{MaybeUninit, size_of};

use crate::request;

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{IO_PGETEVENTS, RED_ZONE};

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::{IO_PGETEVENTS, RED_ZONE};

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("seepmeter-tracer knows only the registers of x86-64 and aarch64");

/// A system call that a thread is in, or has just been interrupted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemCall {
    /// Its number, of the processor's own list.
    pub number: i64,
    /// Its arguments. Those behind the ones that the call takes mean nothing.
    pub arguments: [u64; 6],
}

/// A thread's registers.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Registers(libc::user_regs_struct);

/// Why the registers could not be read.
#[derive(Debug)]
pub(crate) enum RegistersError {
    /// The thread executes 32-bit code.
    ThirtyTwoBit,
    Kernel(io::Error),
}

impl Registers {
    pub(crate) fn read(tid: i32) -> Result<Self, RegistersError> {
        let mut raw = MaybeUninit::<libc::user_regs_struct>::zeroed();
        let filled = request::read_registers(tid, libc::NT_PRSTATUS, &mut raw)
            .map_err(RegistersError::Kernel)?;
        if filled != size_of::<libc::user_regs_struct>() {
            return Err(RegistersError::ThirtyTwoBit);
        }
        // SAFETY: numbers only, and the kernel has filled in all of them.
        Ok(Self(unsafe { raw.assume_init() }))
    }

    pub(crate) fn write(&self, tid: i32) -> io::Result<()> {
        request::write_registers(tid, libc::NT_PRSTATUS, &self.0)
    }

    /// All of them, as the kernel gives them. On aarch64 x30 is the link register.
    #[must_use]
    pub fn raw(&self) -> &libc::user_regs_struct {
        &self.0
    }
}

impl fmt::Debug for Registers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
