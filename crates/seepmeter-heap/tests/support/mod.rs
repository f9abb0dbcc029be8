//! The program with known blocks, and copies of its memory that can be damaged.

use std::cell::Cell;
use std::error::Error;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use seepmeter_snapshot::{ImageThread, MemoryImage, MemorySource, Region, SnapshotMemory};

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Live,
    Leaked,
    Freed,
}

/// What the program says of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    pub(crate) state: State,
    pub(crate) address: u64,
    pub(crate) size: u64,
}

/// A running `truth.c`, which ends with this value.
pub(crate) struct Target {
    child: Child,
    pub(crate) notes: Vec<Note>,
    folder: tempfile::TempDir,
}

impl Target {
    pub(crate) fn start(flags: &[&str]) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let program = folder.path().join("truth");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/truth.c");
        let mut cc = Command::new("cc");
        let status =
            cc.args(["-O1", "-pthread"]).args(flags).args([source, "-o"]).arg(&program).status()?;
        assert!(status.success(), "cc has not compiled {source} with {flags:?}");
        Self::run(Command::new(program), folder)
    }

    /// A Python that keeps half of its 2,000 objects, each of which is one block. Its last line has in the place
    /// of a size how many blocks it counts.
    pub(crate) fn python() -> Result<Self, Box<dyn Error>> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/truth.py");
        let mut python = Command::new("python3");
        python.arg(script).env_remove("PYTHONMALLOC");
        Self::run(python, tempfile::tempdir()?)
    }

    fn run(mut program: Command, folder: tempfile::TempDir) -> Result<Self, Box<dyn Error>> {
        let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut notes = Vec::new();
        for line in BufReader::new(child.stdout.take().ok_or("no output")?).lines() {
            let line = line?;
            let words: Vec<&str> = line.split(' ').collect();
            let &[state, address, size] = words.as_slice() else { break };
            let state = match state {
                "live" => State::Live,
                "leaked" => State::Leaked,
                _ => State::Freed,
            };
            notes.push(Note {
                state,
                address: u64::from_str_radix(address, 16)?,
                size: size.parse()?,
            });
        }
        // It says "ready" before its last steps; then it waits for its input.
        let mut target = Self { child, notes, folder };
        while !std::fs::read_to_string(format!("/proc/{}/syscall", target.pid()))?
            .starts_with("0 0x0 ")
        {
            let status = target.child.try_wait()?;
            assert!(status.is_none(), "the program has ended before it was ready: {status:?}");
            std::thread::yield_now();
        }
        Ok(target)
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub(crate) fn kill(&self) {
        // SAFETY: kill(2) touches no memory; the child is not reaped yet.
        assert_eq!(unsafe { libc::kill(self.pid(), libc::SIGKILL) }, 0);
        // Its memory is gone when it is a zombie.
        let statm = format!("/proc/{}/statm", self.pid());
        while std::fs::read_to_string(&statm).is_ok_and(|text| !text.starts_with("0 ")) {
            std::thread::yield_now();
        }
    }

    pub(crate) fn core(&self) -> Result<PathBuf, Box<dyn Error>> {
        let prefix = self.folder.path().join("core");
        let output =
            Command::new("gcore").arg("-o").arg(&prefix).arg(self.pid().to_string()).output();
        let output = output.map_err(|error| format!("this test needs gcore, of gdb: {error}"))?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(format!("{}.{}", prefix.display(), self.pid()).into())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A copy of an image's writable memory.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    regions: Vec<Region>,
    threads: Vec<ImageThread>,
    bytes: Vec<(u64, Vec<u8>)>,
    pid: i32,
}

/// Reads more often than this are a list without an end.
const MAX_READS: u64 = 20_000_000;

#[derive(Debug)]
struct CopySource<'c>(&'c Copy, Cell<u64>);

impl MemorySource for CopySource<'_> {
    fn read_many(&self, pieces: &mut [SnapshotMemory<'_>]) -> io::Result<()> {
        self.1.set(self.1.get() + pieces.len() as u64);
        assert!(self.1.get() < MAX_READS, "it reads without an end");
        for piece in pieces {
            piece.read = 0;
            // On from one region to the next.
            while let Some((at, into)) = self.0.place(piece.address + piece.read as u64) {
                let (bytes, room) = (&self.0.bytes[at].1[into..], &mut piece.bytes[piece.read..]);
                let count = bytes.len().min(room.len());
                room[..count].copy_from_slice(&bytes[..count]);
                piece.read += count;
                if count == 0 {
                    break;
                }
            }
        }
        Ok(())
    }
}

impl Copy {
    pub(crate) fn of(image: &MemoryImage<'_>) -> Self {
        let writable = |region: &&Region| region.perms.write && region.perms.read;
        let read = |region: &Region| {
            let mut bytes = vec![0; region.size() as usize];
            let read = image.read(region.start, &mut bytes);
            bytes.truncate(read);
            (region.start, bytes)
        };
        let bytes = image.regions().iter().filter(writable).map(read).collect();
        let (regions, threads) = (image.regions().to_vec(), image.threads().to_vec());
        Self { regions, threads, bytes, pid: image.pid() }
    }

    pub(crate) fn image(&self) -> MemoryImage<'_> {
        let source = Box::new(CopySource(self, Cell::new(0)));
        let (regions, threads) = (self.regions.clone(), self.threads.clone());
        let machine = seepmeter_snapshot::Machine::own();
        MemoryImage::of_parts(self.pid, machine, regions, threads, source)
    }

    /// As if no program or library had writable data.
    pub(crate) fn forget_image_data(&mut self) {
        self.regions.retain(|region| !region.is_image_data());
    }

    /// As if this file were mapped.
    pub(crate) fn map_file(&mut self, path: &[u8]) {
        let mut file = self.regions.iter().find(|it| it.perms.exec).expect("code").clone();
        (file.start, file.end, file.path) = (0x1000, 0x2000, path.into());
        self.regions.push(file);
    }

    fn place(&self, address: u64) -> Option<(usize, usize)> {
        let next = self.bytes.partition_point(|(start, _)| *start <= address);
        let at = next.checked_sub(1)?;
        let into = usize::try_from(address - self.bytes[at].0).ok()?;
        (into < self.bytes[at].1.len()).then_some((at, into))
    }

    pub(crate) fn word(&self, address: u64) -> u64 {
        self.image().word(address).unwrap_or(0)
    }

    pub(crate) fn set_word(&mut self, address: u64, word: u64) {
        if let Some((at, into)) = self.place(address) {
            let bytes = self.bytes[at].1[into..].iter_mut();
            bytes.zip(word.to_le_bytes()).for_each(|(place, byte)| *place = byte);
        }
    }

    /// The addresses of words that are not zero and have to do with memory: of data, and in heaps.
    pub(crate) fn interesting_words(&self) -> Vec<u64> {
        let mut words = Vec::new();
        for (start, bytes) in &self.bytes {
            let region = self.regions.iter().find(|region| region.start == *start);
            let is_data = region.is_some_and(Region::is_image_data);
            for (at, word) in bytes.as_chunks().0.iter().enumerate() {
                let word = u64::from_le_bytes(*word);
                let is_pointer = self.place(word).is_some();
                let is_size = word % 16 == 5 || word % 16 == 1 || word % 16 == 2;
                if is_pointer || is_data && word != 0 || is_size && word < 1 << 24 {
                    words.push(start + 8 * at as u64);
                }
            }
        }
        words
    }
}
