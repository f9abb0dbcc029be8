//! The requests of ptrace(2) that are needed, one function each.
//!
//! Only the thread that seized may make them: any other gets ESRCH from the kernel. So does a request for
//! a tracee that is not in a ptrace-stop, or is dying. The errors are the kernel's own.

use std::io::{self, Error};
use std::ptr;

/// PTRACE_EVENT_STOP: an interrupt, a group-stop, or a new thread. (libc has it for glibc alone.)
pub(crate) const EVENT_STOP: i32 = 128;

/// PTRACE_GETSIGMASK and PTRACE_SETSIGMASK (include/uapi/linux/ptrace.h), which libc has for some C libraries alone.
const GET_SIGNAL_MASK: Request = 0x420a;
const SET_SIGNAL_MASK: Request = 0x420b;
/// PTRACE_GET_RSEQ_CONFIGURATION, since Linux 5.13.
const GET_RSEQ_CONFIGURATION: Request = 0x420f;

/// The type that the C library gives a request.
#[cfg(target_env = "musl")]
type Request = libc::c_int;
/// The type that the C library gives a request.
#[cfg(not(target_env = "musl"))]
type Request = libc::c_uint;

/// Every request goes through here. Not through nix: it has no PTRACE_LISTEN, delivers no real-time
/// signals, and does not say how many bytes of registers there are.
fn ptrace(request: Request, tid: i32, address: usize, data: usize) -> io::Result<i64> {
    // SAFETY: the callers below pass a request that reads or writes no memory of ours, or a pointer to
    // memory of ours that lives until the call is over.
    let result = unsafe {
        libc::ptrace(
            request,
            tid,
            ptr::without_provenance_mut::<libc::c_void>(address),
            ptr::without_provenance_mut::<libc::c_void>(data),
        )
    };
    if result == -1 { Err(Error::last_os_error()) } else { Ok(result) }
}

/// Makes this thread the tracer of thread `tid`, which runs on.
pub(crate) fn seize(tid: i32, options: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_SEIZE, tid, 0, options as usize).map(drop)
}

/// Makes a tracee stop as soon as it can, which is when its next system call ends or is interrupted.
pub(crate) fn interrupt(tid: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_INTERRUPT, tid, 0, 0).map(drop)
}

/// Lets a stopped tracee run on, and delivers the signal (0 is none).
pub(crate) fn run_on(tid: i32, signal: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_CONT, tid, 0, signal as usize).map(drop)
}

/// As [`run_on`], but only to the next start or end of a system call.
pub(crate) fn run_to_call(tid: i32, signal: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_SYSCALL, tid, 0, signal as usize).map(drop)
}

/// Leaves a tracee in its group-stop; a wait returns it when that ends.
pub(crate) fn listen(tid: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_LISTEN, tid, 0, 0).map(drop)
}

/// As [`run_on`], and ends the tracing. A thread in a group-stop stays stopped.
pub(crate) fn detach(tid: i32, signal: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_DETACH, tid, 0, signal as usize).map(drop)
}

/// Whom the event is about: the child, or the tid that a thread had before its exec. None if the thread
/// dies meanwhile: then there is nothing to learn any more.
pub(crate) fn event_tid(tid: i32) -> Option<i32> {
    let mut message: libc::c_ulong = 0;
    let place = (&raw mut message).expose_provenance();
    ptrace(libc::PTRACE_GETEVENTMSG, tid, 0, place).ok()?;
    message.try_into().ok()
}

/// What a siginfo_t says of a ptrace-stop.
pub(crate) struct SignalInformation {
    pub(crate) signal: i32,
    /// If ptrace itself has stopped the thread, it has the event above the signal.
    pub(crate) code: i32,
}

/// Why a thread is stopped. Fails with ESRCH if it is not.
pub(crate) fn signal_information(tid: i32) -> io::Result<SignalInformation> {
    let mut information = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    let place = information.as_mut_ptr().expose_provenance();
    ptrace(libc::PTRACE_GETSIGINFO, tid, 0, place)?;
    // SAFETY: zeros are a good siginfo_t, and the kernel has filled it in.
    let information = unsafe { information.assume_init() };
    Ok(SignalInformation { signal: information.si_signo, code: information.si_code })
}

/// Reads a set of registers (`NT_PRSTATUS`…) into `place`; returns how many bytes the kernel filled.
pub(crate) fn read_registers<T>(tid: i32, set: i32, place: &mut T) -> io::Result<usize> {
    let mut part =
        libc::iovec { iov_base: (&raw mut *place).cast(), iov_len: std::mem::size_of::<T>() };
    let address = (&raw mut part).expose_provenance();
    ptrace(libc::PTRACE_GETREGSET, tid, set as usize, address)?;
    Ok(part.iov_len)
}

/// Writes a set of registers.
pub(crate) fn write_registers<T>(tid: i32, set: i32, registers: &T) -> io::Result<()> {
    let mut part = libc::iovec {
        iov_base: (&raw const *registers).cast_mut().cast(),
        iov_len: std::mem::size_of::<T>(),
    };
    let address = (&raw mut part).expose_provenance();
    ptrace(libc::PTRACE_SETREGSET, tid, set as usize, address).map(drop)
}

/// Reads a set of registers of any size into `place`; returns how many bytes the kernel filled.
pub(crate) fn read_register_bytes(tid: i32, set: i32, place: &mut [u8]) -> io::Result<usize> {
    let mut part = libc::iovec { iov_base: place.as_mut_ptr().cast(), iov_len: place.len() };
    let address = (&raw mut part).expose_provenance();
    ptrace(libc::PTRACE_GETREGSET, tid, set as usize, address)?;
    Ok(part.iov_len)
}

/// The signals that a stopped thread blocks, a bit for each.
pub(crate) fn signal_mask(tid: i32) -> io::Result<u64> {
    let mut mask = 0u64;
    let address = (&raw mut mask).expose_provenance();
    ptrace(GET_SIGNAL_MASK, tid, size_of::<u64>(), address)?;
    Ok(mask)
}

/// Sets the signals that a stopped thread blocks. SIGKILL and SIGSTOP it never does.
pub(crate) fn set_signal_mask(tid: i32, mask: u64) -> io::Result<()> {
    let address = (&raw const mask).expose_provenance();
    ptrace(SET_SIGNAL_MASK, tid, size_of::<u64>(), address).map(drop)
}

/// Where a stopped thread has its `struct rseq`. None if it has none; an error if the kernel does not say it.
pub(crate) fn restartable_sequences(tid: i32) -> io::Result<Option<u64>> {
    // struct ptrace_rseq_configuration: its first word is the address.
    let mut configuration = [0u64; 3];
    let address = (&raw mut configuration).expose_provenance();
    ptrace(GET_RSEQ_CONFIGURATION, tid, size_of_val(&configuration), address)?;
    Ok(Some(configuration[0]).filter(|&address| address != 0))
}

/// Sets the options of a stopped tracee (`PTRACE_O_…`).
pub(crate) fn set_options(tid: i32, options: i32) -> io::Result<()> {
    ptrace(libc::PTRACE_SETOPTIONS, tid, 0, options as usize).map(drop)
}

/// Reads the word at an address of the tracee's. (The C library's function returns -1 for an error and
/// for a word of -1; the bare system call writes the word to memory.)
pub(crate) fn peek(tid: i32, address: u64) -> io::Result<u64> {
    let mut word: libc::c_ulong = 0;
    // SAFETY: the kernel writes one word to `word`.
    let result = unsafe {
        libc::syscall(libc::SYS_ptrace, libc::PTRACE_PEEKDATA, tid, address, &raw mut word)
    };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(word) }
}
