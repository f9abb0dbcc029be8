//! What a process has in use at its end: all memory but pages of files that the kernel can drop and read again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use seepmeter_maps::DeletedFiles;
use seepmeter_maps::class::{MappingGroup, ThreadStacks, classify};
use seepmeter_maps::maps::MappingHeader;
use seepmeter_maps::smaps::{Parser, SmapsFigures};
use seepmeter_process::proc::{ProcError, ProcFolder, ProcRoot};
use seepmeter_process::system::page_size;
use seepmeter_record::MappingClass;
use seepmeter_tracer::LastThread;

/// What a process has in use, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EndMemory {
    /// The file that the process executes; empty if that is not known.
    pub(crate) program: PathBuf,
    pub(crate) bytes: u64,
    /// The kernel's high-water mark of the resident set.
    pub(crate) peak_rss: Option<u64>,
    /// By class; empty if that is not known.
    pub(crate) classes: BTreeMap<MappingClass, u64>,
    /// True if the program frees at its end what it still has.
    pub(crate) frees_at_exit: bool,
    /// True if it was read at the very end.
    pub(crate) exact: bool,
}

impl EndMemory {
    /// Of a process whose last thread is stopped at its end.
    pub(crate) fn at_end(thread: LastThread) -> Result<Self, ProcError> {
        let folder = ProcRoot::default().process(thread.pid).thread(thread.tid);
        let peak_rss = folder.status()?.peak_rss;
        let classes = by_class(&folder)?;
        let program = folder.exe().unwrap_or_default();
        let frees_at_exit = is_python(&program);
        let bytes = classes.values().sum();
        Ok(Self { program, bytes, peak_rss, classes, frees_at_exit, exact: true })
    }

    /// What the processes of a run had in use at their ends: of each program the one with most, all in one. So a leak in
    /// any of them shows, and more processes of one program do not look like one. None if there is none.
    pub(crate) fn of_run(processes: Vec<Self>) -> Option<Self> {
        let mut programs: BTreeMap<PathBuf, Self> = BTreeMap::new();
        for process in processes {
            match programs.get(&process.program) {
                Some(known) if known.bytes >= process.bytes => {}
                _ => drop(programs.insert(process.program.clone(), process)),
            }
        }
        programs.into_values().reduce(|mut sum, process| {
            let Self { program: _, bytes, peak_rss, classes, frees_at_exit, exact } = process;
            sum.frees_at_exit |= frees_at_exit;
            sum.bytes += bytes;
            sum.peak_rss = sum.peak_rss.max(peak_rss);
            sum.exact &= exact;
            for (class, bytes) in classes {
                *sum.classes.entry(class).or_default() += bytes;
            }
            sum
        })
    }

    /// Of a process that runs: its resident set and what of it is swapped out. None if it has ended.
    pub(crate) fn sample(folder: &ProcFolder) -> Option<Self> {
        let resident = folder.statm().ok()?.resident * page_size();
        let status = folder.status().ok()?;
        let bytes = (resident > 0).then_some(resident)? + status.swap.unwrap_or(0);
        Some(Self { bytes, peak_rss: status.peak_rss, ..Self::default() })
    }
}

/// Python's finalization frees all modules and what they hold (Py_FinalizeEx).
fn is_python(program: &Path) -> bool {
    program.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"python"))
}

/// Sums smaps by class of mapping.
fn by_class(folder: &ProcFolder) -> Result<BTreeMap<MappingClass, u64>, ProcError> {
    let text = folder.read("smaps")?;
    let mut parser = Parser::default();
    let mut lines: Vec<(MappingHeader<'static>, Vec<u8>)> = Vec::new();
    let mut figures: Vec<SmapsFigures> = Vec::new();
    let mut take = |entry: seepmeter_maps::smaps::Entry<'_>| {
        lines.push((MappingHeader { path: &[], ..entry.header }, entry.header.path.to_vec()));
        figures.push(entry.figures);
    };
    parser.push(&text, &mut take);
    parser.finish(&mut take);
    let headers: Vec<MappingHeader<'_>> =
        lines.iter().map(|(header, path)| MappingHeader { path, ..*header }).collect();
    let mut files = DeletedFiles::seen_from(folder.file("root"));
    let groups = classify(&headers, &ThreadStacks::default(), &mut files);
    let mut classes = BTreeMap::new();
    for (group, figures) in groups.iter().zip(&figures) {
        *classes.entry(group.class()).or_default() += in_use(group, figures);
    }
    classes.retain(|_, bytes| *bytes > 0);
    Ok(classes)
}

/// What of a mapping is in use. Of a file only what was written privately.
fn in_use(group: &MappingGroup, figures: &SmapsFigures) -> u64 {
    let SmapsFigures { rss, anonymous, swap, hugetlb, .. } = *figures;
    match group {
        MappingGroup::File(_) => anonymous + swap + hugetlb,
        MappingGroup::Kernel { .. } => 0,
        _ => rss + swap + hugetlb,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_of_its_own_and_less_than_is_resident() {
        let own = ProcRoot::default().own();
        let kept = std::hint::black_box(vec![1_u8; 8 << 20]);
        let classes = by_class(&own).unwrap();
        let in_use: u64 = classes.values().sum();
        assert!(in_use > kept.len() as u64, "{classes:?}");
        assert!(in_use < own.status().unwrap().rss.unwrap(), "{classes:?}");
        assert!(EndMemory::sample(&own).unwrap().bytes > in_use);
    }

    #[test]
    fn of_each_program_the_process_that_held_most_counts_and_programs_are_summed() {
        let process = |program: &str, bytes: u64| EndMemory {
            program: program.into(),
            bytes,
            peak_rss: Some(2 * bytes),
            classes: BTreeMap::from([(MappingClass::Heap, bytes)]),
            frees_at_exit: is_python(Path::new(program)),
            exact: true,
        };
        let run =
            vec![process("sh", 3), process("work", 40), process("work", 50), process("ls", 2)];
        assert!(is_python(Path::new("/bin/python3.11")) && !run[0].frees_at_exit);
        let run = EndMemory::of_run(run).unwrap();
        assert_eq!((run.bytes, run.peak_rss, run.exact), (55, Some(100), true));
        assert_eq!(run.classes, BTreeMap::from([(MappingClass::Heap, 55)]));
        assert_eq!(EndMemory::of_run(Vec::new()), None);
    }

    #[test]
    fn pages_of_a_file_are_not_held_but_what_was_written_privately_is() {
        let figures = SmapsFigures { rss: 100, anonymous: 30, swap: 5, ..SmapsFigures::default() };
        let line = b"7f00-8f00 rw-p 00000000 fe:00 9    /lib/x.so";
        let header = MappingHeader::parse(line).unwrap();
        let mut files = DeletedFiles::seen_from("/proc/self/root".into());
        let of_file = classify(&[header], &ThreadStacks::default(), &mut files);
        // The file is not there, so it has been deleted or is a file, whatever the machine has.
        let file = MappingGroup::File(of_file[0].file().unwrap().clone());
        assert_eq!(in_use(&file, &figures), 35);
        assert_eq!(in_use(&MappingGroup::Heap, &figures), 105);
    }
}
