//! Kinds that are hard by what they do with memory.

use std::ffi::{CString, c_int, c_void};
use std::fs::File;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::{LONG_ENOUGH, map};

/// Files whose names look like lines of /proc/PID/maps are mapped, deleted ones and such that have no path.
pub(super) fn files() {
    let program = std::env::current_exe().expect("a program");
    let folder = program.parent().expect("a folder").to_owned();
    let names = ["\n7f00-7f01 rw-p 00000000 00:00 0", " (deleted)", "[heap]", "\u{1b}[31m\u{9b}2J"];
    let paths: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    for (name, path) in names.iter().zip(&paths) {
        map_file(&File::create_new(path).expect("a file"));
        let name = CString::new(*name).expect("no NUL");
        map_file(&memfd_create(name.as_c_str(), MFdFlags::empty()).expect("a memfd").into());
    }
    thread::sleep(LONG_ENOUGH / 2);
    paths.iter().for_each(|path| std::fs::remove_file(path).expect("its removal"));
    assert!(paths.iter().all(|path| path.as_os_str().as_bytes().starts_with(b"/")));
}

fn map_file(file: &File) {
    file.set_len(4096).expect("a size");
    let length = NonZeroUsize::new(4096).expect("a length");
    // SAFETY: a new mapping, wherever the kernel wants it.
    unsafe { mmap(None, length, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, file, 0) }.expect("memory");
}

/// A process that is no thread has all of its memory too, and ends later than it was sampled.
pub(super) fn shared() {
    extern "C" fn sleeps(_: *mut c_void) -> c_int {
        let time = libc::timespec { tv_sec: 0, tv_nsec: 250_000_000 };
        // SAFETY: sleeps, and touches nothing of what it shares.
        unsafe { libc::syscall(libc::SYS_nanosleep, &raw const time, 0) };
        0
    }
    let mut stack = vec![0_u64; 8192];
    let top = stack.as_mut_ptr_range().end;
    let flags = libc::CLONE_VM | libc::SIGCHLD;
    // SAFETY: the child has a stack of its own, which outlives it.
    let pid = unsafe { libc::clone(sleeps, top.cast(), flags, std::ptr::null_mut()) };
    assert!(pid > 0, "{}", std::io::Error::last_os_error());
    waitpid(Pid::from_raw(pid), None).expect("its end");
}

/// Its stack grows deep, and is sampled there.
pub(super) fn stack() {
    fn deep(levels: u8) -> u8 {
        let frame = [levels; 4096];
        if levels == 0 {
            thread::sleep(LONG_ENOUGH / 2);
        } else {
            std::hint::black_box(deep(levels - 1));
        }
        std::hint::black_box(&frame)[1]
    }
    (0..2).for_each(|_| assert_eq!(deep(u8::MAX), u8::MAX));
}

/// A mapping grows, moves, shrinks and gets holes, all the time.
pub(super) fn remaps() {
    const PAGE: usize = 4096;
    let mut place = map(PAGE, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE).expect("memory");
    let mut pages = 1;
    for turn in 0..20_000 {
        let wanted = 1 + turn * 7 % 64;
        // SAFETY: a mapping of our own, which nothing refers to, wherever it moves; each page that is written to
        // or given back is one of it.
        unsafe {
            let moved = libc::mremap(
                place.as_ptr(),
                pages * PAGE,
                wanted * PAGE,
                libc::MREMAP_MAYMOVE,
            );
            place = std::ptr::NonNull::new(moved).expect("memory");
            pages = wanted;
            place.byte_add((pages - 1) * PAGE).cast::<u8>().write(1);
            libc::madvise(place.byte_add(pages / 2 * PAGE).as_ptr(), PAGE, libc::MADV_DONTNEED);
        }
    }
}

/// It sets its own high-water mark back, all the time: `clear_refs` of proc(5).
pub(super) fn high_water() {
    for _ in 0..100 {
        std::fs::write("/proc/self/clear_refs", "5").expect("its high-water mark");
        thread::sleep(Duration::from_millis(2));
    }
}
