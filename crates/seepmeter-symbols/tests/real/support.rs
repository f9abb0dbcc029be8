//! Programs that stand at a known place, and a tracer just large enough to look at them.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use seepmeter_symbols::{AddressSpace, End, Frame, Images, Name, Process, Registers, StackCopy};

/// How much of a stack is copied.
pub(crate) const COPY: usize = 64 << 10;

/// A target's source, in `tests/real/targets`.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/targets").join(name)
}

/// Builds `source` with a compiler; none, and a word about it, where there is no such compiler.
pub(crate) fn build(compiler: &str, source: &Path, to: &Path, flags: &[&str]) -> Option<PathBuf> {
    let mut command = Command::new(compiler);
    command.arg(source).arg("-o").arg(to).args(flags);
    match command.output() {
        Ok(output) if output.status.success() => Some(to.to_owned()),
        Ok(output) => {
            panic!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Err(error) => {
            eprintln!("NOT RUN: {compiler} can't be executed here: {error}");
            None
        }
    }
}

/// Where a program is; none, and a word about it, where it is not on this machine.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(name));
    let found = found.filter(|path| path.is_file()).find_map(|path| real(&path));
    if found.is_none() {
        eprintln!("NOT RUN: there is no {name} here");
    }
    found
}

/// The program itself, where the one in PATH is a script that executes it.
fn real(path: &Path) -> Option<PathBuf> {
    let is_elf = |path: &Path| std::fs::read(path).is_ok_and(|text| text.starts_with(b"\x7fELF"));
    if is_elf(path) {
        return Some(path.to_owned());
    }
    let asked =
        Command::new(path).args(["-c", "import sys; print(sys.executable)"]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(asked.stdout).ok()?.trim());
    is_elf(&path).then_some(path)
}

/// A running target; it ends with the test.
pub(crate) struct Target {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Target {
    /// Starts a program and waits for its first line.
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        // SAFETY: prctl is a plain system call; after the fork nothing else is done.
        unsafe {
            command.pre_exec(|| {
                // The target ends with the thread that started it, even where that is killed.
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut target = Self { child, output };
        target.line();
        target
    }

    pub(crate) fn path(path: &Path) -> Self {
        Self::start(&mut Command::new(path))
    }

    /// Waits for one more line.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).unwrap();
        assert!(read > 0, "the target has ended before it said where it is");
        line.trim_end().to_owned()
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Its threads, the first of them first.
    pub(crate) fn threads(&self) -> Vec<i32> {
        let folder = format!("/proc/{}/task", self.pid());
        let entries = std::fs::read_dir(folder).unwrap();
        let mut threads: Vec<i32> =
            entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
        threads.sort_unstable();
        threads
    }

    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: a plain system call; the child is not reaped yet, so the pid is its own.
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0);
    }

    /// Waits until a thread sleeps in the kernel.
    pub(crate) fn asleep(&self, tid: i32) {
        self.asleep_process(tid);
    }

    /// Waits until a thread of this or another process sleeps in the kernel.
    pub(crate) fn asleep_process(&self, tid: i32) {
        let stat = format!("/proc/{tid}/stat");
        for _ in 0..5000 {
            let text = std::fs::read_to_string(&stat).unwrap();
            if text.rsplit(')').next().unwrap().trim_start().starts_with('S') {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        panic!("the target did not come to rest");
    }

    /// Looks at its first thread, once that is asleep.
    pub(crate) fn look_asleep(&self) -> Taken {
        self.asleep(self.pid());
        Taken::of(self.pid(), self.pid(), COPY)
    }

    pub(crate) fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.end();
    }
}

/// What is taken while a thread stands still.
pub(crate) struct Taken {
    pub(crate) pid: i32,
    pub(crate) registers: Registers,
    pub(crate) stack: Vec<u8>,
    pub(crate) maps: Vec<u8>,
}

impl Taken {
    /// Stops a thread, takes a look, and lets it go.
    pub(crate) fn of(pid: i32, tid: i32, bytes: usize) -> Self {
        let stopped = Stopped::seize(tid);
        let registers = stopped.registers();
        let stack = read_memory(pid, registers.sp, bytes);
        let maps = std::fs::read(format!("/proc/{pid}/maps")).unwrap();
        Self { pid, registers, stack, maps }
    }

    /// Looks at a thread before each of its next instructions.
    pub(crate) fn at_steps(pid: i32, steps: usize) -> Vec<Self> {
        let stopped = Stopped::seize(pid);
        let maps = std::fs::read(format!("/proc/{pid}/maps")).unwrap();
        let looks = (0..steps).map(|_| {
            stopped.step();
            let registers = stopped.registers();
            let stack = read_memory(pid, registers.sp, COPY);
            Self { pid, registers, stack, maps: maps.clone() }
        });
        looks.collect()
    }

    pub(crate) fn copy(&self) -> StackCopy<'_> {
        StackCopy { base: self.registers.sp, bytes: &self.stack }
    }

    pub(crate) fn unwind(&self, space: &AddressSpace) -> (Vec<Frame>, End) {
        let mut frames = Vec::new();
        let end = space.unwind(&self.registers, self.copy(), &mut frames);
        (frames, end)
    }

    /// Its frames by name, with an address space and images of its own.
    pub(crate) fn stack(&self) -> Stack {
        let mut images = Images::new();
        let mut process = Process::new(self.pid, &mut images);
        let space = process.space(&self.maps, &mut images).unwrap();
        self.named(&space, &mut images)
    }

    pub(crate) fn named(&self, space: &AddressSpace, images: &mut Images) -> Stack {
        let (frames, end) = self.unwind(space);
        let names = frames.iter().map(|frame| space.name(frame, images)).collect();
        Stack { names, frames, end }
    }
}

/// A stack in words.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) names: Vec<Rc<[Name]>>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) end: End,
}

impl Stack {
    /// The functions' names, the innermost first, with inlined ones; `?` where there is none.
    pub(crate) fn functions(&self) -> Vec<String> {
        let names = self.names.iter().flat_map(|names| names.iter());
        names.map(|name| name.function.as_deref().unwrap_or("?").to_owned()).collect()
    }

    /// True where these functions follow one another, from the inside out, with nothing between.
    pub(crate) fn has(&self, chain: &[&str]) -> bool {
        self.functions().windows(chain.len()).any(|window| window == chain)
    }

    #[track_caller]
    pub(crate) fn must_have(&self, chain: &[&str]) {
        assert!(self.has(chain), "{chain:?} is not in {self}");
    }

    #[track_caller]
    pub(crate) fn must_be_whole(&self) {
        assert!(self.end.is_whole(), "{self}");
    }

    pub(crate) fn named(&self, function: &str) -> &Name {
        let mut names = self.names.iter().flat_map(|names| names.iter());
        let found = names.find(|name| name.function.as_deref() == Some(function));
        found.unwrap_or_else(|| panic!("{function} is not in {self}"))
    }
}

impl std::fmt::Display for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for name in self.names.iter().flat_map(|names| names.iter()) {
            let place = name.file.as_ref().map(|file| file.display().to_string());
            let inlined = if name.inlined { " (inlined)" } else { "" };
            let line = name.line.unwrap_or(0);
            writeln!(f, "  {name}{inlined} {}:{line}", place.unwrap_or_default())?;
        }
        write!(f, "  {:?}", self.end)
    }
}

/// A thread that is stopped, until this is dropped.
struct Stopped {
    tid: i32,
}

impl Stopped {
    fn seize(tid: i32) -> Self {
        // SAFETY: seizing and interrupting a child pass no memory.
        let seized = unsafe { libc::ptrace(libc::PTRACE_SEIZE, tid, 0, 0) };
        assert_eq!(seized, 0, "seize {tid}: {}", std::io::Error::last_os_error());
        let stopped = Self { tid };
        // SAFETY: as above.
        unsafe { libc::ptrace(libc::PTRACE_INTERRUPT, tid, 0, 0) };
        stopped.wait();
        stopped
    }

    /// Waits for the stop that was asked for; signals that come first are passed on.
    fn wait(&self) {
        loop {
            let mut status = 0;
            // SAFETY: `status` is an int to be written to.
            let waited = unsafe { libc::waitpid(self.tid, &mut status, libc::__WALL) };
            assert_eq!(waited, self.tid, "wait: {}", std::io::Error::last_os_error());
            assert!(libc::WIFSTOPPED(status), "the target has ended: {status:#x}");
            if status >> 16 == libc::PTRACE_EVENT_STOP {
                return;
            }
            let signal = libc::WSTOPSIG(status);
            // SAFETY: the thread is stopped; the signal is a number.
            unsafe { libc::ptrace(libc::PTRACE_CONT, self.tid, 0, signal) };
        }
    }

    /// Lets the thread execute one instruction.
    fn step(&self) {
        // SAFETY: the thread is stopped; no memory is passed.
        let stepped = unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, self.tid, 0, 0) };
        assert_eq!(stepped, 0, "step: {}", std::io::Error::last_os_error());
        let mut status = 0;
        // SAFETY: `status` is an int to be written to.
        let waited = unsafe { libc::waitpid(self.tid, &mut status, libc::__WALL) };
        assert!(waited == self.tid && libc::WIFSTOPPED(status), "{status:#x}");
    }

    fn registers(&self) -> Registers {
        // SAFETY: all zeros are a valid set of registers.
        let mut found: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        let mut vector = libc::iovec {
            iov_base: (&raw mut found).cast(),
            iov_len: size_of::<libc::user_regs_struct>(),
        };
        const NT_PRSTATUS: libc::c_long = 1;
        // SAFETY: the vector describes `found`, which holds all general registers.
        let got =
            unsafe { libc::ptrace(libc::PTRACE_GETREGSET, self.tid, NT_PRSTATUS, &raw mut vector) };
        assert_eq!(got, 0, "registers: {}", std::io::Error::last_os_error());
        native(&found)
    }
}

#[cfg(target_arch = "x86_64")]
fn native(found: &libc::user_regs_struct) -> Registers {
    Registers { ip: found.rip, sp: found.rsp, fp: found.rbp, lr: 0 }
}

#[cfg(target_arch = "aarch64")]
fn native(found: &libc::user_regs_struct) -> Registers {
    Registers { ip: found.pc, sp: found.sp, fp: found.regs[29], lr: found.regs[30] }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // SAFETY: it passes no memory; where the thread has ended it does nothing.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.tid, 0, 0) };
    }
}

/// Up to `length` bytes of a process from `address` on, as far as they can be read.
fn read_memory(pid: i32, address: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: length };
    let pages: Vec<libc::iovec> = pages(address, length as u64)
        .map(|(from, size)| libc::iovec { iov_base: from as *mut _, iov_len: size as usize })
        .collect();
    // SAFETY: `local` describes `bytes`; the other addresses are read in the other process.
    let read = unsafe {
        libc::process_vm_readv(pid, &local, 1, pages.as_ptr(), pages.len() as libc::c_ulong, 0)
    };
    bytes.truncate(usize::try_from(read).unwrap_or(0));
    bytes
}

/// A stretch cut at each page: a read ends at the first page that is not there.
fn pages(address: u64, length: u64) -> impl Iterator<Item = (u64, u64)> {
    let end = address + length;
    let mut at = address;
    std::iter::from_fn(move || {
        let next = ((at | 0xfff) + 1).min(end);
        let page = (at, next - at);
        at = next;
        (page.1 > 0).then_some(page)
    })
}
