//! A program that fills a file in a /dev/shm of its own: `test-target shm LIMIT KIB SECONDS`, a tmpfs of LIMIT MiB,
//! of which it touches KIB more ten times a second. It says `ready`, or `not allowed` if it may not mount.

use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::unistd::getuid;
use seepmeter_tests::target::{argument, say};

const NONE: Option<&str> = None;

pub(crate) fn run() {
    let limit: usize = argument(1).expect("the limit in MiB");
    let step = argument::<usize>(2).expect("the KiB of a step") << 10;
    let time = Duration::from_secs(argument(3).expect("the seconds"));
    let Ok(file) = mount_own(limit).and_then(|()| file(limit << 20)) else {
        say("not allowed");
        return;
    };
    let length = NonZeroUsize::new(limit << 20).expect("some bytes");
    let (prot, flags) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED);
    // SAFETY: a new mapping, wherever the kernel wants it.
    let start = unsafe { mmap(None, length, prot, flags, &file, 0) }.expect("mmap").cast::<u8>();
    say("ready");
    let begin = Instant::now();
    for from in (0..limit << 20).step_by(step) {
        for place in (from..from + step).step_by(4096) {
            // SAFETY: within the mapping, which nothing refers to.
            unsafe { start.add(place).write_volatile(1) };
        }
        if begin.elapsed() > time {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    say("done");
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// A tmpfs of so many MiB at /dev/shm, which no other process sees.
fn mount_own(limit: usize) -> std::io::Result<()> {
    let uid = getuid();
    if uid.is_root() {
        unshare(CloneFlags::CLONE_NEWNS)?;
    } else {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
        fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    }
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?;
    let size = format!("size={limit}m");
    mount(Some("none"), "/dev/shm", Some("tmpfs"), MsFlags::empty(), Some(&*size))?;
    Ok(())
}

/// One of this length, all of it a hole.
fn file(length: usize) -> std::io::Result<File> {
    let file = File::options().read(true).write(true).create_new(true).open("/dev/shm/grows")?;
    file.set_len(length as u64)?;
    Ok(file)
}
