//! What a process has in use at its end: all memory but pages of files that the kernel can drop and read again.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use seepmeter_maps::class::{ThreadStacks, classify};
use seepmeter_maps::maps::MappingHeader;
use seepmeter_maps::smaps::{Parser, SmapsFigures};
use seepmeter_maps::{DeletedFiles, MappingGroup};
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

/// A process that has ended.
#[derive(Clone, Debug)]
pub(crate) struct EndedProcess {
    pub(crate) pid: i32,
    pub(crate) memory: EndMemory,
    /// The pids of the other processes of the run that ran at its end.
    pub(crate) living: Vec<i32>,
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

    /// What the processes of a run, in the order of their ends, had in use together: of each program those that ran
    /// at one time and had most at their ends, all in one. So a leak in any of them shows, and that of each worker
    /// of a pool; and more processes one after another do not look like one. None if there is none.
    pub(crate) fn of_run(ended: Vec<EndedProcess>) -> Option<Self> {
        let mut most: BTreeMap<PathBuf, Self> = BTreeMap::new();
        // By pid, the next process to end; from the last one back.
        let mut later: HashMap<i32, Self> = HashMap::new();
        for EndedProcess { pid, memory, living } in ended.into_iter().rev() {
            let beside = living.iter().filter_map(|pid| later.get(pid));
            let of_program = beside.filter(|other| other.program == memory.program);
            let together = of_program.cloned().fold(memory.clone(), Self::plus);
            match most.get(&together.program) {
                Some(known) if known.bytes >= together.bytes => {}
                _ => drop(most.insert(together.program.clone(), together)),
            }
            later.insert(pid, memory);
        }
        most.into_values().reduce(Self::plus)
    }

    /// Both together; the peak is that of one of them.
    fn plus(mut self, other: Self) -> Self {
        let Self { program: _, bytes, peak_rss, classes, frees_at_exit, exact } = other;
        self.frees_at_exit |= frees_at_exit;
        self.bytes += bytes;
        self.peak_rss = self.peak_rss.max(peak_rss);
        self.exact &= exact;
        for (class, bytes) in classes {
            *self.classes.entry(class).or_default() += bytes;
        }
        self
    }

    /// Of a process that runs: its resident set and what of it is swapped out. None if it has ended.
    pub(crate) fn sample(folder: &ProcFolder) -> Option<Self> {
        let resident = folder.statm().ok()?.resident * page_size();
        let status = folder.status().ok()?;
        let bytes = (resident > 0).then_some(resident)? + status.swap.unwrap_or(0);
        let program = folder.exe().unwrap_or_default();
        Some(Self { program, bytes, peak_rss: status.peak_rss, ..Self::default() })
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

    fn process(pid: i32, program: &str, bytes: u64, living: &[i32]) -> EndedProcess {
        let memory = EndMemory {
            program: program.into(),
            bytes,
            peak_rss: Some(2 * bytes),
            classes: BTreeMap::from([(MappingClass::Heap, bytes)]),
            frees_at_exit: is_python(Path::new(program)),
            exact: true,
        };
        EndedProcess { pid, memory, living: living.to_vec() }
    }

    #[test]
    fn of_each_program_the_process_that_held_most_counts_and_programs_are_summed() {
        // A shell that runs one after another, of which one has the pid of an earlier one.
        let run = vec![
            process(2, "work", 40, &[1]),
            process(3, "work", 50, &[1]),
            process(2, "ls", 2, &[1]),
            process(1, "sh", 3, &[]),
        ];
        let run = EndMemory::of_run(run).unwrap();
        assert_eq!((run.bytes, run.peak_rss, run.exact), (55, Some(100), true));
        assert_eq!(run.classes, BTreeMap::from([(MappingClass::Heap, 55)]));
        assert_eq!(EndMemory::of_run(Vec::new()), None);
        assert!(is_python(Path::new("/bin/python3.11")) && !run.frees_at_exit);
    }

    #[test]
    fn processes_of_one_program_that_ran_at_one_time_are_summed() {
        // Three workers at once, and before them one alone with less than all three.
        let run = vec![
            process(9, "work", 70, &[1]),
            process(2, "work", 40, &[1, 3, 4]),
            process(3, "work", 50, &[1, 4]),
            process(4, "work", 10, &[1]),
            process(1, "sh", 3, &[]),
        ];
        assert_eq!(EndMemory::of_run(run).unwrap().bytes, 40 + 50 + 10 + 3);
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
