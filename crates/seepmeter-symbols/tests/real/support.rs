//! Programs that wait at a known place, and a tracer just large enough to sample them.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use seepmeter_symbols::{
    AddressSpace, Function, ImageKind, Images, ProcessCode, RawFrame, ResolvedFrame, StackCopy,
    StackEnd, UnwindRegisters,
};

/// How much of a stack is copied.
pub(crate) const COPY: usize = 64 << 10;

/// A target's source, in `tests/real/targets`. The tests of a crate beside this one use them too.
pub(crate) fn source(name: &str) -> PathBuf {
    let folder = "../seepmeter-symbols/tests/real/targets";
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name)
}

/// Builds `source` with a compiler. Prints NOT RUN and returns none if there is no such compiler.
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

/// Where a program is. Prints NOT RUN and returns none if this machine has none.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(name));
    let found = found.filter(|path| path.is_file()).find_map(|path| real(&path));
    if found.is_none() {
        eprintln!("NOT RUN: there is no {name} here");
    }
    found
}

/// The program itself, if the one in PATH is a script that executes it.
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
                // The target ends with the thread that started it, even if that is killed.
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

    /// Samples its first thread, once that is asleep.
    pub(crate) fn sample_asleep(&self) -> ThreadSample {
        self.asleep(self.pid());
        ThreadSample::of(self.pid(), self.pid(), COPY)
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

/// What is copied while a thread is stopped.
pub(crate) struct ThreadSample {
    pub(crate) pid: i32,
    pub(crate) registers: UnwindRegisters,
    pub(crate) stack: Vec<u8>,
    pub(crate) maps: Vec<u8>,
}

impl ThreadSample {
    /// Stops a thread, copies, and lets it go.
    pub(crate) fn of(pid: i32, tid: i32, bytes: usize) -> Self {
        let stopped = Stopped::seize(tid);
        let registers = stopped.registers();
        let stack = read_memory(pid, registers.sp, bytes);
        let maps = std::fs::read(format!("/proc/{pid}/maps")).unwrap();
        Self { pid, registers, stack, maps }
    }

    /// Samples a thread before each of its next instructions.
    pub(crate) fn at_steps(pid: i32, steps: usize) -> Vec<Self> {
        let stopped = Stopped::seize(pid);
        let maps = std::fs::read(format!("/proc/{pid}/maps")).unwrap();
        let samples = (0..steps).map(|_| {
            stopped.step();
            let registers = stopped.registers();
            let stack = read_memory(pid, registers.sp, COPY);
            Self { pid, registers, stack, maps: maps.clone() }
        });
        samples.collect()
    }

    pub(crate) fn copy(&self) -> StackCopy<'_> {
        StackCopy { base: self.registers.sp, bytes: &self.stack }
    }

    pub(crate) fn unwind(&self, space: &AddressSpace) -> (Vec<RawFrame>, StackEnd) {
        let mut frames = Vec::new();
        let end = space.unwind(&self.registers, self.copy(), &mut frames);
        (frames, end)
    }

    /// Its frames by name, with an address space and images of its own.
    pub(crate) fn stack(&self) -> Stack {
        let mut images = Images::new();
        let mut process = ProcessCode::new(self.pid, &mut images);
        let space = process.space(&self.maps, &mut images).unwrap();
        self.named(&space, &mut images)
    }

    pub(crate) fn named(&self, space: &AddressSpace, images: &mut Images) -> Stack {
        let (frames, end) = self.unwind(space);
        let frames = frames.iter().map(|frame| space.resolve(frame, images)).collect();
        Stack { frames, end }
    }
}

/// A stack with its names.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) frames: Vec<Rc<ResolvedFrame>>,
    pub(crate) end: StackEnd,
}

impl Stack {
    /// The functions' names, the innermost first, with inlined ones; `?` where there is none.
    pub(crate) fn functions(&self) -> Vec<String> {
        let names = |frame: &Rc<ResolvedFrame>| match &*frame.functions {
            [] => vec!["?".to_owned()],
            functions => functions.iter().map(|function| function.name.to_string()).collect(),
        };
        self.frames.iter().flat_map(names).collect()
    }

    /// True if these functions follow one another, from the inside out, with nothing between.
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

    pub(crate) fn function(&self, name: &str) -> &Function {
        let mut functions = self.frames.iter().flat_map(|frame| frame.functions.iter());
        let found = functions.find(|function| &*function.name == name);
        found.unwrap_or_else(|| panic!("{name} is not in {self}"))
    }

    /// The frame of a function, and the kind of its image.
    pub(crate) fn frame_of(&self, name: &str) -> (&ResolvedFrame, ImageKind) {
        let found =
            self.frames.iter().find(|frame| frame.functions.iter().any(|it| &*it.name == name));
        let frame = found.unwrap_or_else(|| panic!("{name} is not in {self}"));
        (frame, image_kind(frame))
    }

    /// The first frame in an image of this kind.
    pub(crate) fn frame_in(&self, kind: ImageKind) -> Option<&ResolvedFrame> {
        self.frames.iter().map(|frame| &**frame).find(|frame| image_kind(frame) == kind)
    }
}

impl std::fmt::Display for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for frame in &self.frames {
            writeln!(f, "  {frame}")?;
            for function in frame.functions.iter() {
                writeln!(f, "    {} {:?}", function.name, function.source)?;
            }
        }
        write!(f, "  {:?}", self.end)
    }
}

fn image_kind(frame: &ResolvedFrame) -> ImageKind {
    frame.image.as_ref().unwrap().kind
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

    fn registers(&self) -> UnwindRegisters {
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
fn native(found: &libc::user_regs_struct) -> UnwindRegisters {
    UnwindRegisters { ip: found.rip, sp: found.rsp, fp: found.rbp, lr: 0 }
}

#[cfg(target_arch = "aarch64")]
fn native(found: &libc::user_regs_struct) -> UnwindRegisters {
    UnwindRegisters { ip: found.pc, sp: found.sp, fp: found.regs[29], lr: found.regs[30] }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // SAFETY: it passes no memory; if the thread has ended it does nothing.
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
