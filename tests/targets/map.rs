//! A program whose functions map memory and keep some of it: `test-target map [THREADS]`. It says `ready`, maps
//! at each line that it reads, says `mapped`, and ends when its standard input does.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::thread;

use nix::libc::c_void;
use nix::sys::mman::{MRemapFlags, MapFlags, ProtFlags, mmap_anonymous, mremap, munmap};
use seepmeter_tests::target::{argument, say};

const KIB: usize = 1 << 10;

pub(crate) fn run() {
    say("ready");
    let threads = argument(1).unwrap_or(1u32);
    while std::io::stdin().read_line(&mut String::new()).is_ok_and(|read| read > 0) {
        let map = || {
            keeps();
            gives_back();
            moves();
        };
        let threads: Vec<_> = (0..threads).map(|_| thread::spawn(map)).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("a thread"));
        say("mapped");
    }
}

/// Maps ten times 64 KiB and keeps all of it.
#[inline(never)]
fn keeps() {
    for _ in 0..10 {
        black_box(map(64 * KIB));
    }
}

/// Maps 1 MiB and gives all but 32 KiB in its middle back.
#[inline(never)]
fn gives_back() {
    let start = map(1024 * KIB);
    unmap(start, 500 * KIB);
    // SAFETY: within the mapping.
    let rest = unsafe { start.byte_add(532 * KIB) };
    unmap(rest, 492 * KIB);
    black_box(start);
}

/// Maps 16 KiB, which a mremap(2) of its own makes 48.
#[inline(never)]
fn moves() {
    let start = map(16 * KIB);
    // SAFETY: a mapping of our own, which nothing refers to.
    let moved = unsafe { mremap(start, 16 * KIB, 48 * KIB, MRemapFlags::MREMAP_MAYMOVE, None) };
    black_box(moved.expect("mremap"));
}

#[inline(never)]
fn map(bytes: usize) -> NonNull<c_void> {
    let length = NonZeroUsize::new(bytes).expect("some bytes");
    let (prot, flags) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE);
    // SAFETY: a new mapping, wherever the kernel wants it.
    black_box(unsafe { mmap_anonymous(None, length, prot, flags) }.expect("mmap"))
}

#[inline(never)]
fn unmap(start: NonNull<c_void>, bytes: usize) {
    // SAFETY: a part of a mapping of our own, which nothing refers to.
    unsafe { munmap(start, bytes) }.expect("munmap");
    black_box(());
}
