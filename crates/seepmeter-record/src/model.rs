//! The kinds of records, and what each says.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use crate::Bytes;

/// One record of a stream.
///
/// In JSONL each is an object with one key, the kind: `{"sample":{…}}`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    /// The stream's first record.
    Header(Header),
    /// Defines a metric, before its first point.
    Metric(Metric),
    /// Defines a subject, before its first point.
    Subject(Subject),
    /// One look of one sampler.
    Sample(Sample),
    /// Something happened.
    Event(Event),
    /// The stream's last record; a stream without it was cut off.
    Footer(Footer),
}

/// A sampler's place in [`Header::samplers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SamplerId(pub u16);

/// A metric's number within its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(transparent)]
pub struct MetricId(pub u32);

/// A subject's number within its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(transparent)]
pub struct SubjectId(pub u32);

/// What the whole stream is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The recording format's version, [`crate::FORMAT`].
    pub format: u32,
    /// The version of the seepmeter that sampled.
    pub seepmeter: String,
    /// Wall-clock time of the stream's time 0, RFC 3339 with its offset from UTC.
    pub start: String,
    /// The machine's name (`uname -n`).
    pub host: Bytes,
    /// The kernel's release (`uname -r`).
    pub kernel: Bytes,
    /// The size of a page in bytes.
    pub page_size: u64,
    /// What is watched.
    pub target: TargetInfo,
    /// The samplers, in the order of their [`SamplerId`]s.
    pub samplers: Vec<SamplerInfo>,
}

/// What was asked to be watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetInfo {
    /// A command that seepmeter spawned: its words.
    Command(Vec<Bytes>),
    /// A process that ran already: its pid.
    Pid(i32),
}

/// One sampler of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamplerInfo {
    /// The sampler's name (`statm`).
    pub name: String,
    /// Nanoseconds from tick to tick, as asked for.
    pub interval: u64,
    /// Every option with its value, defaults included.
    #[serde(with = "crate::pairs")]
    pub options: Vec<(String, String)>,
}

/// What a metric's integers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Unit {
    /// Bytes.
    #[serde(rename = "bytes")]
    Bytes,
    /// Things.
    #[serde(rename = "count")]
    Count,
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nanoseconds,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Count => "count",
            Self::Nanoseconds => "ns",
        })
    }
}

/// Defines a metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// Its number in this stream.
    pub id: MetricId,
    /// Its name: `rss`, `pss`, `heap`.
    pub name: Box<str>,
    /// What its integers count.
    pub unit: Unit,
    /// One line of help.
    pub help: Box<str>,
}

/// Defines a thing that has metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Its number in this stream.
    pub id: SubjectId,
    /// The subject it is a part of: a mapping's process, a process's parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SubjectId>,
    /// What it is: one of [`subject_kind`], or a sampler's own word.
    pub kind: Box<str>,
    /// Its name for people.
    pub name: Bytes,
    /// What else is known of it: a process has `pid` and `start`, see [`Subject::process_key`].
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "crate::pairs")]
    pub attrs: Vec<(String, Attr)>,
}

/// The kinds of [`Subject`] that Seepmeter itself knows.
pub mod subject_kind {
    /// A process, keyed by the attributes `pid` and `start`.
    pub const PROCESS: &str = "process";
    /// A thread of a process.
    pub const THREAD: &str = "thread";
    /// A mapping, or a group of mappings, of a process.
    pub const MAPPING: &str = "mapping";
    /// A stack of frames.
    pub const STACK: &str = "stack";
}

impl Subject {
    /// The value of an attribute.
    #[must_use]
    pub fn attr(&self, key: &str) -> Option<&Attr> {
        self.attrs.iter().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    /// A process's key: its pid and its start time in clock ticks since boot (field 22 of
    /// /proc/PID/stat, proc_pid_stat(5)). The pid alone is no key: pids are used again.
    #[must_use]
    pub fn process_key(&self) -> Option<(i64, i64)> {
        match (self.attr("pid")?, self.attr("start")?) {
            (Attr::Int(pid), Attr::Int(start)) => Some((*pid, *start)),
            _ => None,
        }
    }
}

/// The attributes of a process's subject that say how large it may become, in bytes; each is there
/// where there is such a limit.
pub mod limit_attr {
    /// The memory limit of its cgroup: it bounds what is resident.
    pub const CGROUP: &str = "limit.cgroup";
    /// What of that was used when the watch began, by all its processes together.
    pub const CGROUP_USED: &str = "used.cgroup";
    /// RLIMIT_AS: it bounds the address space.
    pub const ADDRESS_SPACE: &str = "limit.address_space";
    /// The machine's memory.
    pub const MACHINE: &str = "limit.machine";
    /// What of that was still to be had when the watch began.
    pub const MACHINE_AVAILABLE: &str = "available.machine";
}

/// The value of a subject's attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Attr {
    /// A number.
    Int(i64),
    /// Bytes, mostly text.
    Text(Bytes),
}

/// One look of one sampler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When the look began, in nanoseconds since the stream's start (CLOCK_MONOTONIC).
    pub t: u64,
    /// Whose look it was.
    pub sampler: SamplerId,
    /// How long the look took, in nanoseconds.
    pub took: u64,
    /// What was seen, and is not as it was.
    pub points: Points,
}

/// The points of one look. As many as `statm` has stand in place, so that a look needs no allocation.
pub type Points = SmallVec<[Point; 8]>;

/// The value that one metric of one subject has from now on.
///
/// In JSONL: `[subject, metric, value]`. Laid out as plugins see it, so that points need no copying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Point {
    /// Of what.
    pub subject: SubjectId,
    /// Which metric.
    pub metric: MetricId,
    /// How much, in the metric's unit.
    pub value: i64,
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.subject, self.metric, self.value).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (subject, metric, value) = Deserialize::deserialize(deserializer)?;
        Ok(Self { subject, metric, value })
    }
}

/// Something that happened. All kinds have one shape, so that a kind that is not known passes
/// through unharmed; what `value` and `text` mean is said at each [`EventKind`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in nanoseconds since the stream's start.
    pub t: u64,
    /// What happened.
    pub kind: EventKind,
    /// To which subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectId>,
    /// To, or by, which sampler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler: Option<SamplerId>,
    /// The kind's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<i64>,
    /// The kind's words.
    #[serde(default, skip_serializing_if = "Bytes::is_empty")]
    pub text: Bytes,
}

impl Event {
    /// An event of which nothing is known yet but its kind and its time.
    #[must_use]
    pub fn new(t: u64, kind: EventKind) -> Self {
        Self { t, kind, subject: None, sampler: None, value: None, text: Bytes::default() }
    }

    /// The same, of a subject.
    #[must_use]
    pub fn of(mut self, subject: SubjectId) -> Self {
        self.subject = Some(subject);
        self
    }

    /// The same, of a sampler.
    #[must_use]
    pub fn by(mut self, sampler: SamplerId) -> Self {
        self.sampler = Some(sampler);
        self
    }

    /// The same, with the kind's number.
    #[must_use]
    pub fn value(mut self, value: i64) -> Self {
        self.value = Some(value);
        self
    }

    /// The same, with the kind's words.
    #[must_use]
    pub fn text(mut self, text: impl Into<Bytes>) -> Self {
        self.text = text.into();
        self
    }
}

macro_rules! event_kinds {
    ($($(#[$doc:meta])+ $variant:ident = $word:literal,)+) => {
        /// The kinds of events.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum EventKind {
            $($(#[$doc])+ $variant,)+
            /// A kind that this version does not know: a plugin's own, or a later version's.
            Other(Box<str>),
        }

        impl EventKind {
            /// The kind's word in a recording.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for EventKind {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    other => Self::Other(other.into()),
                }
            }
        }
    };
}

event_kinds! {
    /// The target was spawned and is held before its exec.
    Spawned = "spawned",
    /// The watching of a running target began.
    Attached = "attached",
    /// The target's exec succeeded; its own code runs from here on.
    Exec = "exec",
    /// The target's exec failed; `value` is the errno.
    ExecFailed = "exec-failed",
    /// A subject came to be by a fork; `subject` is the child.
    Forked = "forked",
    /// A process exited; `value` is its status.
    Exited = "exited",
    /// A process was killed by a signal; `value` is the signal's number.
    Killed = "killed",
    /// A subject ended, and how is not known.
    Gone = "gone",
    /// A sampler failed and takes no more looks; `text` says why.
    SamplerFailed = "sampler-failed",
    /// A sink failed and was closed; `text` names it and says why.
    SinkFailed = "sink-failed",
    /// `value` looks began more than half an interval after their tick.
    Late = "late",
    /// `value` ticks passed without a look.
    Missed = "missed",
    /// `value` looks were left out; `text` says why the last one was.
    Skipped = "skipped",
    /// A sink fell behind and did not get `value` samples; `text` names it.
    Lost = "lost",
    /// A mark set by the user; `text` is theirs.
    Marker = "marker",
    /// A sampler's looks cost more than the budget; `value` is its interval in ns from here on.
    BackedOff = "backed-off",
    /// Seepmeter itself was stopped and now goes on (SIGCONT).
    Continued = "continued",
    /// The target can't do without a sampler whose watching is over: seepmeter stays, and lets it see to
    /// the target until that ends; `text` says why.
    Lingers = "lingers",
    /// A signal was sent to the target, passed on or to end it; `value` is its number.
    Forwarded = "forwarded",
}

impl EventKind {
    /// True where the subject of such an event has no values any more.
    #[must_use]
    pub fn ends_subject(&self) -> bool {
        matches!(self, Self::Exited | Self::Killed | Self::Gone)
    }
}

impl Serialize for EventKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(&*String::deserialize(deserializer)?))
    }
}

/// How the stream ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footer {
    /// When, in nanoseconds since the stream's start.
    pub t: u64,
    /// What became of the target.
    pub end: End,
    /// Looks taken, of all samplers.
    pub samples: u64,
    /// Looks that began more than half an interval after their tick.
    pub late: u64,
    /// Ticks that passed without a look.
    pub missed: u64,
    /// What sinks did not get, for those that lost any.
    pub lost: Vec<Lost>,
    /// What seepmeter itself took.
    pub cost: Cost,
}

/// What became of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// It exited with this status.
    Exited(i32),
    /// It was killed by this signal.
    Killed(i32),
    /// It ended, and how is not known: it was not seepmeter's child.
    Gone,
    /// It was still running when the watching stopped.
    Left,
    /// Its exec failed with this errno.
    NotStarted(i32),
}

/// What one sink did not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// The sink, as the user named it.
    pub sink: String,
    /// How many samples.
    pub samples: u64,
}

/// What seepmeter itself took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// CPU time of all its threads, user and system, in nanoseconds.
    pub cpu: u64,
    /// Its own largest resident set, in bytes.
    pub peak_rss: u64,
}
