//! What to do next about memory that grows.

use std::collections::BTreeMap;

use seepmeter_analysis::{Classification, Judgement};
use seepmeter_record::conventions::{attribute, metric};
use seepmeter_record::{MappingClass, Subject};
use serde::{Deserialize, Serialize};

use crate::run_series::{RunSeries, Scope};
use crate::verdict::{MaskedGrowth, PartGrowth};

/// What to do next about something that grows: one step, by what it is and by whose program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextStep {
    /// The heap of a JavaScript engine: V8.
    V8Heap,
    /// The memory of a Java virtual machine.
    Jvm,
    /// The memory of CPython.
    CPython,
    /// The memory of the Go runtime.
    Go,
    /// What malloc has of a program of none of these: `[heap]`, its arenas, and large blocks.
    Malloc,
    /// The stacks of threads.
    ThreadStacks,
    /// Files that were deleted and are still mapped.
    DeletedFiles,
    /// Shared memory.
    SharedMemory,
    /// Open descriptors.
    Descriptors,
    /// The number of mappings.
    Mappings,
}

/// The runtimes that are known by a mapped file, whose name begins so and goes on with no letter.
const RUNTIMES: [(&str, NextStep); 9] = [
    ("libjvm", NextStep::Jvm),
    ("libnode", NextStep::V8Heap),
    ("libv8", NextStep::V8Heap),
    ("node", NextStep::V8Heap),
    ("nodejs", NextStep::V8Heap),
    ("electron", NextStep::V8Heap),
    ("chrome", NextStep::V8Heap),
    ("libpython", NextStep::CPython),
    ("python", NextStep::CPython),
];

impl NextStep {
    /// The step after a verdict on a process; none unless it is growing, or if it is not known what grows.
    pub(crate) fn after(
        judgement: &Judgement,
        masked: Option<&MaskedGrowth>,
        shares: Option<&[PartGrowth]>,
        run: &RunSeries,
    ) -> Option<Self> {
        if judgement.classification != Classification::Growing || run.scope == Scope::AllTargets {
            return None;
        }
        if let Some(step) = Self::of_count(&run.metric) {
            return Some(step);
        }
        let class = match masked {
            Some(masked) => masked.part.class.as_ref()?,
            None => largest_class(shares?)?,
        };
        Self::of_class(class, run.runtime)
    }

    /// The step if what grows is a number of things.
    fn of_count(name: &str) -> Option<Self> {
        match name {
            name if name == metric::FDS.name => Some(Self::Descriptors),
            name if name == metric::THREADS.name => Some(Self::ThreadStacks),
            name if name == metric::MAPPINGS.name => Some(Self::Mappings),
            _ => None,
        }
    }

    fn of_class(class: &MappingClass, runtime: Option<Self>) -> Option<Self> {
        match class {
            MappingClass::ThreadStack => Some(Self::ThreadStacks),
            MappingClass::DeletedFile => Some(Self::DeletedFiles),
            MappingClass::SharedMemory | MappingClass::Memfd => Some(Self::SharedMemory),
            MappingClass::Heap
            | MappingClass::Arena
            | MappingClass::Anonymous
            | MappingClass::Named
            | MappingClass::Jit => Some(runtime.unwrap_or(Self::Malloc)),
            _ => None,
        }
    }

    /// The runtime that a mapping shows: its library or program is mapped, or it has given its memory a name.
    pub(crate) fn of_runtime(mapping: &Subject) -> Option<Self> {
        let name = mapping.get(attribute::FILE)?;
        match mapping.get(attribute::CLASS)? {
            MappingClass::Named if name.as_bytes().starts_with(b"[anon: Go: ") => Some(Self::Go),
            MappingClass::File | MappingClass::DeletedFile => {
                let file = name.as_bytes().rsplit(|byte| *byte == b'/').next()?;
                let is = |(name, _): &&(&str, Self)| {
                    let rest = file.strip_prefix(name.as_bytes());
                    rest.is_some_and(|rest| {
                        !rest.first().is_some_and(|c| c.is_ascii_alphabetic() || b"-_".contains(c))
                    })
                };
                RUNTIMES.iter().find(is).map(|(_, step)| *step)
            }
            _ => None,
        }
    }

    /// The step, for people.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::V8Heap => {
                "V8 heap: take two heap snapshots some time apart and compare them (node --heapsnapshot-signal=SIGUSR2, \
                 or Memory in the developer tools)"
            }
            Self::Jvm => {
                "JVM: take a heap dump (jcmd PID GC.heap_dump FILE); if the Java heap is steady, jcmd PID \
                 VM.native_memory (-XX:NativeMemoryTracking=summary)"
            }
            Self::CPython => {
                "CPython: compare two snapshots of tracemalloc; memray (--native) shows what C extensions allocate"
            }
            Self::Go => {
                "Go: compare two heap profiles (net/http/pprof, go tool pprof -base OLD NEW)"
            }
            Self::Malloc => {
                "see which code takes it from the kernel, in a test: seepmeter run -s ptrace,calls=memory,unsafe=yes -o \
                 stacks,weight=mapped; heaptrack, bcc's memleak or a LeakSanitizer build show each allocation"
            }
            Self::ThreadStacks => {
                "see where the threads stand, and which are joined or detached: -s ptrace -o stacks"
            }
            Self::DeletedFiles => {
                "see which files are kept: ls -l /proc/PID/map_files, lsof +L1 -p PID"
            }
            Self::SharedMemory => {
                "see who else has it, and what is left over: ls -l /dev/shm, ipcs -mp, lsof of the file"
            }
            Self::Descriptors => {
                "see which code opens them: strace -f -k -e trace=%desc,%network -p PID; what is open now: ls -l \
                 /proc/PID/fd"
            }
            Self::Mappings => {
                "see which code maps them, in a test: seepmeter run -s ptrace,calls=memory,unsafe=yes -o \
                 stacks,weight=mapped; what is mapped now: /proc/PID/maps"
            }
        }
    }
}

/// The class whose parts have gained most together: each of many deleted files has gained little.
fn largest_class(shares: &[PartGrowth]) -> Option<&MappingClass> {
    let mut gains: BTreeMap<&MappingClass, f64> = BTreeMap::new();
    for growth in shares {
        if let Some(class) = &growth.part.class {
            *gains.entry(class).or_default() += growth.gain;
        }
    }
    let (class, gain) = gains.into_iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    (gain > 0.0).then_some(class)
}

#[cfg(test)]
mod tests {
    use seepmeter_record::{Attributes, SubjectId, SubjectKind};

    use super::*;

    fn runtime(class: MappingClass, file: &str) -> Option<NextStep> {
        let attributes =
            Attributes::new().with(attribute::CLASS, class).with(attribute::FILE, file.into());
        let (id, kind) = (SubjectId(1), SubjectKind::MappingGroup);
        let name = "what people read of it".into();
        NextStep::of_runtime(&Subject { id, parent: None, kind, name, attributes })
    }

    fn step(grows: MappingClass, file: &str) -> Option<NextStep> {
        NextStep::of_class(&grows, runtime(MappingClass::File, file))
    }

    #[test]
    fn a_runtime_is_known_by_its_mapped_file_whatever_of_its_memory_grows() {
        for class in [MappingClass::Heap, MappingClass::Anonymous, MappingClass::Arena] {
            for (file, expected) in [
                ("/usr/lib/jvm/java-17/lib/server/libjvm.so", NextStep::Jvm),
                ("/usr/bin/node", NextStep::V8Heap),
                ("/opt/electron", NextStep::V8Heap),
                ("/lib/libnode.so.108", NextStep::V8Heap),
                ("/usr/lib/libpython3.11.so.1.0", NextStep::CPython),
                ("/usr/bin/python3.11", NextStep::CPython),
                ("/usr/bin/node-exporter", NextStep::Malloc),
                ("/usr/bin/pythonesque", NextStep::Malloc),
                ("/lib/libc.so.6", NextStep::Malloc),
            ] {
                assert_eq!(step(class.clone(), file), Some(expected), "{class:?} {file}");
            }
        }
        assert_eq!(runtime(MappingClass::Named, "[anon: Go: heap]"), Some(NextStep::Go));
        assert_eq!(runtime(MappingClass::DeletedFile, "/opt/electron"), Some(NextStep::V8Heap));
    }

    #[test]
    fn what_is_not_the_runtimes_has_a_step_of_its_own_and_files_have_none() {
        let node = "/usr/bin/node";
        assert_eq!(step(MappingClass::ThreadStack, node), Some(NextStep::ThreadStacks));
        assert_eq!(step(MappingClass::DeletedFile, node), Some(NextStep::DeletedFiles));
        assert_eq!(step(MappingClass::SharedMemory, node), Some(NextStep::SharedMemory));
        assert_eq!(step(MappingClass::File, node), None);
        assert_eq!(step(MappingClass::MainStack, node), None);
    }
}
