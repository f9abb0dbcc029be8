//! What to run, and why it could not begin.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use seepmeter_plugin::{Error, NewSubject, SamplerFactory, SinkFactory, Target};
use seepmeter_record::conventions::attribute;
use seepmeter_record::{Attributes, Bytes, EventKind, SubjectId, SubjectKind, TargetOrigin};

/// How far apart a sampler's ticks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TickInterval {
    /// The same all the time.
    Fixed(Duration),
    /// Dense at first, sparser with time: after six seconds there are 300 ticks in the watch, and never
    /// fewer from then on. After five minutes they are a second apart. A sampler that pauses or
    /// blocks the target ticks once a second from the first.
    Auto,
}

impl TickInterval {
    /// The shortest that `Auto` is: 50 samples a second of a sampler such as statm cost less than a
    /// thousandth of a CPU.
    const FIRST: Duration = Duration::from_millis(20);
    /// The longest that `Auto` is: the interval of the tools that people know.
    const LAST: Duration = Duration::from_secs(1);
    /// How many ticks `Auto` has in the watch, as soon as it can: what a verdict needs.
    const TICKS: u32 = 300;

    /// That between the first two ticks.
    pub(crate) fn shortest(self) -> Duration {
        self.after(Duration::ZERO)
    }

    /// That of a watch that lasts long.
    pub(crate) fn longest(self) -> Duration {
        self.after(Duration::MAX)
    }

    /// That to the next tick, for a tick that is so long after the first.
    pub(crate) fn after(self, elapsed: Duration) -> Duration {
        match self {
            Self::Fixed(interval) => interval,
            Self::Auto => (elapsed / Self::TICKS).clamp(Self::FIRST, Self::LAST),
        }
    }
}

/// A sampler to run.
#[derive(Clone)]
pub struct SamplerPlan {
    /// As the user named it, for messages.
    pub label: String,
    /// Who makes it.
    pub factory: Arc<SamplerFactory>,
    /// From tick to tick.
    pub interval: TickInterval,
    /// The share of its interval that its samples may take, if they pause the target.
    pub budget: f64,
    /// Its options as the user wrote them.
    pub options: Vec<(String, String)>,
}

impl SamplerPlan {
    /// From tick to tick, as this sampler is to tick.
    pub(crate) fn tick_interval(&self) -> TickInterval {
        match self.factory.info().pauses {
            true => TickInterval::Fixed(self.interval.longest()),
            false => self.interval,
        }
    }
}

/// A sink to run.
#[derive(Clone)]
pub struct SinkPlan {
    /// As the user named it, for messages.
    pub label: String,
    /// Who makes it.
    pub factory: Arc<SinkFactory>,
    /// Its options as the user wrote them.
    pub options: Vec<(String, String)>,
}

/// A process to watch.
#[derive(Clone, Debug)]
pub struct TargetSpec {
    /// How the user named it; a descendant by its pid.
    pub origin: TargetOrigin,
    /// The process that forked it, if that is watched too.
    pub parent: Option<SubjectId>,
    /// Its name for people.
    pub name: Bytes,
    /// Its process id.
    pub pid: i32,
    /// Field 22 of its /proc/PID/stat, in clock ticks since boot.
    pub start_time: u64,
    /// What else is known of it: its limits.
    pub attributes: Attributes,
    /// Where procfs is mounted.
    pub proc_root: PathBuf,
    /// The file that a command will execute, as far as that is known.
    pub executable: Option<PathBuf>,
}

impl TargetSpec {
    fn is_spawned(&self) -> bool {
        matches!(self.origin, TargetOrigin::Command(_))
    }

    /// The event that begins its watch.
    pub(crate) fn first_event(&self) -> EventKind {
        if self.is_spawned() { EventKind::Spawned {} } else { EventKind::Attached {} }
    }

    /// Its subject.
    pub(crate) fn new_subject(&self) -> NewSubject {
        let identity = Attributes::new()
            .with(attribute::PID, self.pid)
            .with(attribute::START_TIME, self.start_time);
        let others = self.attributes.iter().map(|(key, value)| (key.to_owned(), value.clone()));
        let identity = identity.iter().map(|(key, value)| (key.to_owned(), value.clone()));
        NewSubject {
            parent: self.parent,
            kind: SubjectKind::Process,
            name: self.name.clone(),
            attributes: identity.chain(others).collect(),
        }
    }

    /// It as samplers get it.
    pub(crate) fn target(self, subject: SubjectId) -> Target {
        let spawned = self.is_spawned();
        let Self { pid, start_time, proc_root, executable, .. } = self;
        Target { pid, start_time, subject, spawned, proc_root, executable }
    }
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A sampler can't be made or started.
    #[error("sampler {label}: {error}")]
    Sampler {
        /// As the user named it.
        label: String,
        /// What went wrong.
        error: Error,
    },
    /// A sink can't be made.
    #[error("sink {label}: {error}")]
    Sink {
        /// As the user named it.
        label: String,
        /// What went wrong.
        error: Error,
    },
    /// The system refused a thread, a pipe or a fact.
    #[error("cannot set up the run")]
    System(#[from] io::Error),
}
