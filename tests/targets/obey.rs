//! A program for the tests to watch: does what it reads on its standard input, a line for each act, and
//! answers each with a line: `test-target obey`.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::{fs, io, ptr, thread};

use nix::libc::{self, MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, PROT_EXEC, PROT_NONE, PROT_READ, PROT_WRITE};

/// Does what it reads until its input ends.
pub(crate) fn run() {
    while let Some(line) = line() {
        let words: Vec<&str> = line.split(' ').collect();
        if words == ["leader-exit"] {
            thread::spawn(run);
            // SAFETY: ends this thread alone, which holds no lock: standard input is read unbuffered.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        }
        let answer = obey(&words);
        let mut out = io::stdout().lock();
        if writeln!(out, "{answer}").and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

/// The next line of standard input, byte by byte.
fn line() -> Option<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match io::stdin().lock().read(&mut byte) {
            Ok(1) if byte == *b"\n" => return String::from_utf8(line).ok(),
            Ok(1) => line.extend(byte),
            _ => return None,
        }
    }
}

fn obey(words: &[&str]) -> String {
    let number = |text: &str| text.parse::<usize>().unwrap_or(0);
    match words {
        ["anonymous", bytes] => {
            map(number(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1)
        }
        ["shared", bytes] => {
            map(number(bytes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1)
        }
        ["shared-each", count, bytes] => {
            let flags = MAP_SHARED | MAP_ANONYMOUS;
            let mut last = String::new();
            for _ in 0..number(count) {
                last = map(number(bytes), PROT_READ | PROT_WRITE, flags, -1);
            }
            last
        }
        ["jit", bytes] => {
            map(number(bytes), PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1)
        }
        ["reserve", bytes] => map(number(bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1),
        ["hugetlb", bytes] => map(
            number(bytes),
            PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | libc::MAP_HUGETLB,
            -1,
        ),
        ["touch", at, bytes] => touch(number(at), number(bytes)),
        ["memfd", name, bytes] => memfd(name, number(bytes)),
        ["file", path, bytes] => file(path, number(bytes)),
        ["unlink", path] => format!("{:?}", fs::remove_file(path)),
        ["thread", name] => named_thread(name),
        ["unjoined", count] => unjoined_threads(number(count)),
        _ => change(words),
    }
}

/// Changes what was mapped before.
fn change(words: &[&str]) -> String {
    let number = |text: &str| text.parse::<usize>().unwrap_or(0);
    match words {
        ["protect", at, bytes, access] => {
            let access = if *access == "none" { PROT_NONE } else { PROT_READ | PROT_WRITE };
            // SAFETY: the test gives a range of a mapping that it asked for.
            let done = unsafe { libc::mprotect(number(at) as *mut _, number(bytes), access) };
            done.to_string()
        }
        ["unmap", at, bytes] => {
            // SAFETY: the test gives a range of a mapping that it asked for and lets go of.
            unsafe { libc::munmap(number(at) as *mut _, number(bytes)) }.to_string()
        }
        ["map-at", at, bytes] => {
            // SAFETY: the test gives a range that it has reserved.
            let at = unsafe {
                libc::mmap(
                    number(at) as *mut _,
                    number(bytes),
                    PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | libc::MAP_FIXED,
                    -1,
                    0,
                )
            };
            (at as usize).to_string()
        }
        ["remap", at, old, new] => {
            // SAFETY: the test gives a mapping that it asked for, and uses the new address from here on.
            let at = unsafe {
                libc::mremap(number(at) as *mut _, number(old), number(new), libc::MREMAP_MAYMOVE)
            };
            (at as usize).to_string()
        }
        ["brk", bytes] => {
            // SAFETY: more heap; malloc of glibc copes with a break that others moved.
            let at = unsafe { libc::sbrk(isize::try_from(number(bytes)).unwrap_or(0)) };
            touch(at as usize, number(bytes))
        }
        _ => crate::leak_fds::obey(words).unwrap_or_else(|| "what?".to_owned()),
    }
}

fn map(bytes: usize, access: i32, kind: i32, file: i32) -> String {
    // SAFETY: a new mapping anywhere harms nothing.
    let at = unsafe { libc::mmap(ptr::null_mut(), bytes, access, kind, file, 0) };
    if at == libc::MAP_FAILED { "refused".to_owned() } else { (at as usize).to_string() }
}

fn touch(at: usize, bytes: usize) -> String {
    for page in (at..at + bytes).step_by(4096) {
        // SAFETY: the test gives a range of a mapping that it asked for.
        unsafe { (page as *mut u8).write_volatile(1) };
    }
    at.to_string()
}

fn memfd(name: &str, bytes: usize) -> String {
    let name = std::ffi::CString::new(name).unwrap_or_default();
    // SAFETY: the name ends in a zero.
    let file = unsafe { libc::memfd_create(name.as_ptr(), 0) };
    let length = i64::try_from(bytes).unwrap_or(0);
    // SAFETY: the call takes no pointers.
    unsafe { libc::ftruncate(file, length) };
    map(bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file)
}

fn file(path: &str, bytes: usize) -> String {
    use std::os::fd::AsRawFd;
    if fs::write(path, vec![1; bytes]).is_err() {
        return "refused".to_owned();
    }
    match fs::File::open(path) {
        Ok(file) => map(bytes, PROT_READ, MAP_PRIVATE, file.as_raw_fd()),
        Err(_) => "refused".to_owned(),
    }
}

/// Threads that end at once, and that nobody joins: their stacks, of the size that glibc takes, stay.
fn unjoined_threads(count: usize) -> String {
    extern "C" fn end(_: *mut libc::c_void) -> *mut libc::c_void {
        ptr::null_mut()
    }
    let mut last = 0;
    for _ in 0..count {
        // SAFETY: the function takes no notice of its argument, and the thread is never joined.
        let failed = unsafe { libc::pthread_create(&raw mut last, ptr::null(), end, ptr::null_mut()) };
        if failed != 0 {
            return "refused".to_owned();
        }
    }
    count.to_string()
}

/// A thread that has a name, an arena, and nothing to do.
fn named_thread(name: &str) -> String {
    let (ready, printed) = mpsc::channel();
    let name = std::ffi::CString::new(name).unwrap_or_default();
    thread::spawn(move || {
        // SAFETY: the name ends in a zero; the block is never freed and is this thread's arena's.
        let tid = unsafe {
            libc::prctl(libc::PR_SET_NAME, name.as_ptr());
            std::hint::black_box(libc::malloc(1000));
            libc::syscall(libc::SYS_gettid)
        };
        let _ = ready.send(tid);
        loop {
            thread::park();
        }
    });
    printed.recv().unwrap_or(0).to_string()
}
