//! A program with an anonymous mapping that has a name: `test-target named [NAME]`. It says `named`, or
//! `nameless` if the kernel has no such names, and ends with its input.

use std::ffi::CString;
use std::num::NonZeroUsize;

use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use seepmeter_tests::target::{argument, read_to_end, say};

const BYTES: usize = 8 << 20;

pub(crate) fn run() {
    let name = CString::new(argument(1).unwrap_or_else(|| "a pool".to_owned())).expect("a name");
    let length = NonZeroUsize::new(BYTES).expect("some bytes");
    let (prot, flags) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE);
    // SAFETY: a new anonymous mapping, at an address that the kernel chooses.
    let start = unsafe { mmap_anonymous(None, length, prot, flags) }.expect("memory");
    // SAFETY: all of the mapping is ours and writable.
    unsafe { start.cast::<u8>().as_ptr().write_bytes(1, BYTES) };
    // SAFETY: the mapping is ours, and the name is copied during the call.
    let done = unsafe {
        let (start, name) = (start.as_ptr(), name.as_ptr());
        libc::prctl(libc::PR_SET_VMA, libc::PR_SET_VMA_ANON_NAME, start, BYTES, name)
    };
    say(if done == 0 { "named" } else { "nameless" });
    read_to_end();
}
