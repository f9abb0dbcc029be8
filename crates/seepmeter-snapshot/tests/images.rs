//! Images of real processes and core files, and of files that are none.

use std::error::Error;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use seepmeter_record::MappingClass;
use seepmeter_snapshot::{MemoryImage, SnapshotError, Window};
use seepmeter_tracer::{Tracee, TraceeOptions};

type Outcome = Result<(), Box<dyn Error>>;

/// A running `target.c`, which ends with this value.
struct Target {
    child: Child,
    words: u64,
    data: u64,
    folder: tempfile::TempDir,
}

impl Target {
    fn start() -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let program = folder.path().join("target");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/target.c");
        let status =
            Command::new("cc").args(["-O1", "-pthread", source, "-o"]).arg(&program).status()?;
        assert!(status.success(), "cc has not compiled {source}");
        let mut child =
            Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let address = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16);
        let (words, data) = line.trim().split_once(' ').ok_or("no addresses")?;
        Ok(Self { words: address(words)?, data: address(data)?, child, folder })
    }

    fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    fn core(&self) -> Result<PathBuf, Box<dyn Error>> {
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

fn expect_known_memory(image: &MemoryImage<'_>, target: &Target) {
    assert_eq!(image.pid(), target.pid());
    assert_eq!(image.word(target.data), Some(0x1122_3344_5566_7788));
    let known = |index: u64| Some(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut window = Window::new(image, target.words + 65536);
    for index in 0..8192 {
        assert_eq!(window.word(target.words + 8 * index), known(index));
    }
    assert_eq!(window.peek(target.words), known(0));
    assert_eq!(window.word(target.words + 65536), None, "the window ends there");
    assert_eq!(window.word(target.words + 65530), None, "a word that ends behind it");
    let (mut next, mut buffer) = (target.words, vec![0; 1000]);
    let unread = image.read_range(target.words..target.words + 65536, &mut buffer, |at, bytes| {
        assert_eq!(at, next);
        next += bytes.len() as u64;
    });
    assert_eq!((unread, next), (0, target.words + 65536));
    assert_eq!(image.threads().len(), 2);
    for thread in image.threads() {
        let stack = image.region_at(thread.stack_pointer).expect("a stack");
        assert!(stack.perms.write && thread.registers.contains(&thread.stack_pointer));
        assert!(image.word(thread.stack_pointer).is_some());
    }
    assert!(image.region_at(target.data).is_some_and(|region| region.is_image_data()));
    let heap = image.region_at(target.words).expect("a heap");
    assert!(heap.is_anonymous() && heap.range().contains(&target.words));
    image.check().expect("the source was there all the time");
}

#[test]
fn a_stopped_process_has_its_memory_its_classes_and_its_registers() -> Outcome {
    let target = Target::start()?;
    let mut tracee = Tracee::new(target.pid(), TraceeOptions::default())?;
    let stop = tracee.stop(Instant::now() + Duration::from_secs(10))?;
    let image = MemoryImage::of_stop(&stop)?;
    expect_known_memory(&image, &target);
    let class = |address| image.region_at(address).map(|region| region.class.clone());
    assert_eq!(class(target.words), Some(MappingClass::Heap));
    let stacks: Vec<_> =
        image.threads().iter().filter_map(|thread| class(thread.stack_pointer)).collect();
    assert!(stacks.contains(&MappingClass::MainStack), "{stacks:?}");
    assert!(stacks.contains(&MappingClass::ThreadStack), "{stacks:?}");
    assert_eq!(image.word(0), None);
    assert_eq!(image.word(u64::MAX - 3), None);
    Ok(())
}

#[test]
fn a_process_in_a_group_stop_is_read_and_stays_in_it() -> Outcome {
    let target = Target::start()?;
    // SAFETY: kill(2) touches no memory; the child is not reaped yet.
    assert_eq!(unsafe { libc::kill(target.pid(), libc::SIGSTOP) }, 0);
    let mut tracee = Tracee::new(target.pid(), TraceeOptions::default())?;
    let stop = tracee.stop(Instant::now() + Duration::from_secs(10))?;
    expect_known_memory(&MemoryImage::of_stop(&stop)?, &target);
    stop.detach();
    tracee.settle(Instant::now() + Duration::from_secs(10));
    // It goes back into the stop by itself, when it has a processor.
    let is_stopped = || -> io::Result<bool> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", target.pid()))?;
        Ok(stat.split(") ").nth(1).is_some_and(|rest| rest.starts_with('T')))
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_stopped()? {
        assert!(Instant::now() < deadline, "it runs");
        std::thread::yield_now();
    }
    Ok(())
}

#[test]
fn a_core_file_of_gcore_has_the_same_memory() -> Outcome {
    let target = Target::start()?;
    expect_known_memory(&MemoryImage::of_core(target.core()?)?, &target);
    Ok(())
}

#[test]
fn a_program_is_no_core_file_and_the_error_says_so() {
    let error = MemoryImage::of_core("/proc/self/exe").expect_err("it is a program");
    assert!(matches!(error, SnapshotError::NoCore { .. }), "{error}");
    assert!(error.to_string().contains("another kind"), "{error}");
    let error = MemoryImage::of_core("/nowhere/core").expect_err("it is not there");
    assert!(matches!(error, SnapshotError::CoreFile { .. }), "{error}");
}

/// The smallest core file that has a thread, a file and two mappings.
fn small_core() -> Vec<u8> {
    let mut notes = Vec::new();
    let mut note = |kind: u32, content: &[u8]| {
        for word in [5, content.len() as u32, kind] {
            notes.extend(word.to_le_bytes());
        }
        notes.extend(b"CORE\0\0\0\0");
        notes.extend(content);
        notes.resize(notes.len().next_multiple_of(4), 0);
    };
    note(1, &[7; 336]);
    let mut files: Vec<u8> =
        [1u64, 4096, 0x1000, 0x2000, 0].iter().flat_map(|it| it.to_le_bytes()).collect();
    files.extend(b"/lib/x\0");
    note(0x4649_4c45, &files);
    let mut core = b"\x7fELF\x02\x01\x01".to_vec();
    core.resize(16, 0);
    core.extend([4, 0, 62, 0, 1, 0, 0, 0]);
    for word in [0u64, 64, 0] {
        core.extend(word.to_le_bytes());
    }
    core.extend([0, 0, 0, 0, 64, 0, 56, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    let mut program = |kind: u32, flags: u32, offset: u64, address: u64, size: u64| {
        core.extend(kind.to_le_bytes());
        core.extend(flags.to_le_bytes());
        for word in [offset, address, 0, size, size, 4] {
            core.extend(word.to_le_bytes());
        }
    };
    let behind = 232 + notes.len() as u64;
    program(4, 4, 232, 0, notes.len() as u64);
    program(1, 6, behind, 0x1000, 0x1000);
    program(1, 6, behind + 0x1000, 0x5000, 0x1000);
    core.extend(notes);
    core.resize(core.len() + 0x2000, 0xab);
    core
}

fn image_of(bytes: &[u8], folder: &Path) -> Result<MemoryImage<'static>, Box<dyn Error>> {
    let path = folder.join("core");
    fs::File::create(&path)?.write_all(bytes)?;
    Ok(MemoryImage::of_core(path)?)
}

#[test]
fn the_mappings_of_files_have_their_paths_and_the_rest_can_be_read() -> Outcome {
    let folder = tempfile::tempdir()?;
    let image = image_of(&small_core(), folder.path())?;
    assert_eq!(image.regions().len(), 2);
    assert_eq!(&*image.regions()[0].path, b"/lib/x");
    assert_eq!(image.threads().len(), 1);
    assert_eq!(image.word(0x5008), Some(0xabab_abab_abab_abab));
    assert_eq!(image.word(0x5ffc), None);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn no_core_file_makes_it_panic(
        changes in prop::collection::vec((0usize..700, any::<u8>()), 1..12),
        cut in 0usize..9000,
    ) {
        let mut core = small_core();
        for (at, byte) in changes {
            core[at] = byte;
        }
        core.truncate(cut.max(64));
        let folder = tempfile::tempdir().expect("a folder");
        let Ok(image) = image_of(&core, folder.path()) else { return Ok(()) };
        let mut buffer = vec![0; 4096];
        let mut end = 0;
        for region in image.regions() {
            prop_assert!(region.start >= end && region.start < region.end);
            end = region.end;
            let few = region.start..region.end.min(region.start.saturating_add(1 << 20));
            let size = few.end - few.start;
            let mut read = 0;
            let unread = image.read_range(few, &mut buffer, |_, bytes| read += bytes.len() as u64);
            prop_assert_eq!(read + unread, size);
        }
    }
}
