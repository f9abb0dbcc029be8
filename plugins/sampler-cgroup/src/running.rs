//! The sampler while the run lasts: the cgroups that targets are in.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use seepmeter_plugin::record::{Event, EventKind, SubjectId, SubjectKind};
use seepmeter_plugin::{
    Error, ErrorKind, NewSubject, RunningSampler, SampleBuilder, Stream, SubjectTable, Target,
};
use seepmeter_process::Limits;
use seepmeter_process::proc::{ProcError, ProcRoot};

use crate::CgroupOptions;
use crate::files::METRICS;
use crate::group::Group;
use crate::place::Place;

/// /proc/PID/cgroup is a line for each hierarchy, with a path of up to 4 KiB.
const LONGEST: usize = 128 << 10;

/// The running sampler.
#[derive(Debug)]
pub struct RunningCgroup {
    reads_pressure: bool,
    targets: Vec<CgroupTarget>,
    /// One for each cgroup that a target is in.
    groups: Vec<Group>,
    /// By the folders of the cgroups.
    table: SubjectTable<PathBuf>,
    buffer: Vec<u8>,
    /// The first sample was taken: targets that come from here on are not those of the beginning.
    sampled: bool,
}

/// A target, and the cgroup that it is in.
#[derive(Debug)]
struct CgroupTarget {
    subject: SubjectId,
    pid: i32,
    root: ProcRoot,
    /// The open /proc/PID/cgroup, and what stood there.
    file: File,
    text: Vec<u8>,
    /// The folder of its cgroup; none if that is not mounted here.
    folder: Option<PathBuf>,
    /// The target has ended, and its cgroup was sampled since.
    ended: bool,
}

impl RunningCgroup {
    pub(crate) fn new(options: &CgroupOptions, stream: &mut dyn Stream) -> Self {
        let metrics = METRICS.iter().map(|metric| stream.metric(&metric.of(SubjectKind::Cgroup)));
        Self {
            reads_pressure: options.pressure,
            targets: Vec::new(),
            groups: Vec::new(),
            table: SubjectTable::new(metrics.collect()),
            buffer: Vec::new(),
            sampled: false,
        }
    }

    /// The folder of a target's cgroup, which is watched from here on.
    fn watch(&mut self, target: &CgroupTarget, stream: &mut dyn Stream) -> Result<PathBuf, Error> {
        let pid = target.pid;
        let place = Place::of(&target.text, &target.root).ok_or_else(|| {
            Error::failed(format!(
                "no cgroup with a memory controller of process {pid} is mounted here: /proc/{pid}/cgroup names \
                 none, or one outside of what /proc/self/mountinfo shows; mount cgroup2 (mount -t cgroup2 none \
                 /sys/fs/cgroup), run seepmeter outside of the container, or leave the sampler cgroup out"
            ))
        })?;
        let folder = place.memory.folder();
        if let Some(below) = &place.below {
            let text = format!(
                "the cgroup {} has no memory controller of its own; the values are those of {}",
                below.display(),
                place.memory.path.display()
            );
            let kind = EventKind::Fallback { text: text.into() };
            stream.event(Event::new(stream.now(), kind).of(target.subject));
        }
        if !self.groups.iter().any(|group| group.place.memory.folder() == folder) {
            let attributes = Limits::of(pid, &target.root).memory_attributes();
            self.groups.push(Group::open(place, attributes, self.reads_pressure));
        }
        Ok(folder)
    }

    /// Sees whether a target has gone to another cgroup; an error if it has ended.
    fn follow(&mut self, at: usize, stream: &mut dyn Stream) -> Result<(), Error> {
        let target = &self.targets[at];
        self.buffer.resize(LONGEST, 0);
        let length = target.file.read_at(&mut self.buffer, 0).map_err(|_| Error::gone())?;
        let text = &self.buffer[..length];
        if *text == *target.text {
            return Ok(());
        }
        // One that ends is in no cgroup of version 1 any more.
        if target.root.process(target.pid).stat().map_err(meaning)?.is_exiting() {
            return Ok(());
        }
        let text = text.to_vec();
        let mut target = self.targets.swap_remove(at);
        target.text = text;
        let outcome = self.watch(&target, stream);
        if let Err(error) = &outcome {
            let text = format!("its cgroup is not sampled any more: {error}");
            stream.incomplete(target.subject, Some(1), text);
        }
        target.folder = outcome.ok();
        self.targets.push(target);
        let last = self.targets.len() - 1;
        self.targets.swap(at, last);
        Ok(())
    }

    /// Forgets the cgroups that no target is in.
    fn forget_left(&mut self) {
        let Self { groups, targets, .. } = self;
        groups.retain(|group| {
            let folder = group.place.memory.folder();
            targets.iter().any(|target| target.folder.as_ref() == Some(&folder))
        });
    }
}

impl CgroupTarget {
    fn open(target: &Target) -> Result<Self, Error> {
        let root = ProcRoot::new(&target.proc_root);
        let folder = root.process(target.pid);
        Ok(Self {
            subject: target.subject,
            pid: target.pid,
            file: folder.open("cgroup").map_err(meaning)?,
            text: folder.read("cgroup").map_err(meaning)?,
            folder: None,
            ended: false,
            root,
        })
    }
}

fn meaning(error: ProcError) -> Error {
    if error.is_gone() { Error::gone() } else { Error::of(&error) }
}

impl RunningSampler for RunningCgroup {
    fn add_target(&mut self, target: &Target, stream: &mut dyn Stream) -> Result<(), Error> {
        let mut target = CgroupTarget::open(target)?;
        let folder = self.watch(&target, stream);
        target.folder = Some(folder.map_err(|error| error.into_skip_if(self.sampled))?);
        self.targets.push(target);
        Ok(())
    }

    fn remove_target(&mut self, subject: SubjectId, _stream: &mut dyn Stream) -> Result<(), Error> {
        self.targets.retain(|target| target.subject != subject);
        Ok(())
    }

    fn sample(&mut self, sample: &mut SampleBuilder<'_>) -> Result<(), Error> {
        self.sampled = true;
        let mut all_gone = true;
        for at in 0..self.targets.len() {
            match self.follow(at, sample.stream()) {
                Ok(()) => all_gone = false,
                // How it ended, by the OOM killer perhaps, stands in the files of its cgroup after that.
                Err(error) if error.kind() == ErrorKind::Gone => {
                    all_gone &= std::mem::replace(&mut self.targets[at].ended, true);
                }
                Err(error) => return Err(error),
            }
        }
        if all_gone {
            return Err(Error::gone());
        }
        self.forget_left();
        let Self { groups, table, buffer, .. } = self;
        table.begin();
        for group in groups {
            let values = group.read(buffer);
            table.observe(&group.place.memory.folder(), &values, sample, |_| NewSubject {
                parent: None,
                kind: SubjectKind::Cgroup,
                name: group.place.memory.path.as_os_str().as_encoded_bytes().into(),
                attributes: group.attributes.clone(),
            });
        }
        table.end_unobserved(sample.stream());
        Ok(())
    }
}
