//! The stream's first record.

use serde::{Deserialize, Serialize};

use super::SubjectId;
use crate::Bytes;
use crate::jsonl::limits;

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
    /// Which boot of the machine it was: /proc/sys/kernel/random/boot_id, where that can be read.
    /// Start times of processes are comparable within one boot only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// The size of a page in bytes.
    pub page_size: u64,
    /// What is watched from the start. A target that comes later is announced by an event of kind
    /// [`attached`](crate::EventKind::Attached).
    #[serde(deserialize_with = "limits::targets")]
    pub targets: Vec<TargetInfo>,
    /// The samplers, in the order of their [`SamplerId`](crate::SamplerId)s, which is the order in
    /// which the user named them.
    #[serde(deserialize_with = "limits::samplers")]
    pub samplers: Vec<SamplerInfo>,
}

/// One target of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TargetFields")]
pub struct TargetInfo {
    /// Its subject, which is defined behind the header.
    pub subject: SubjectId,
    /// How the user named it.
    #[serde(flatten)]
    pub origin: TargetOrigin,
}

/// How the user named a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetOrigin {
    /// A command that seepmeter spawned: its words.
    Command(Vec<Bytes>),
    /// A process that ran already: its pid.
    Pid(i32),
    /// A cgroup: its path below the mount point of cgroups.
    Cgroup(Bytes),
}

/// A [`TargetInfo`] as it is read: a derived reader of what is flattened keeps every unknown field until it
/// has read them all.
#[derive(Deserialize)]
struct TargetFields {
    subject: SubjectId,
    command: Option<Words>,
    pid: Option<i32>,
    cgroup: Option<Bytes>,
}

#[derive(Deserialize)]
struct Words(#[serde(deserialize_with = "limits::words")] Vec<Bytes>);

impl TryFrom<TargetFields> for TargetInfo {
    type Error = &'static str;

    fn try_from(fields: TargetFields) -> Result<Self, Self::Error> {
        let TargetFields { subject, command, pid, cgroup } = fields;
        let command = command.map(|Words(words)| TargetOrigin::Command(words));
        let named = command.or(pid.map(TargetOrigin::Pid)).or(cgroup.map(TargetOrigin::Cgroup));
        let origin = named.ok_or("a target needs a `command`, a `pid` or a `cgroup`")?;
        Ok(Self { subject, origin })
    }
}

/// One sampler of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamplerInfo {
    /// The sampler's name (`statm`).
    pub name: String,
    /// Nanoseconds from tick to tick, as asked for.
    pub interval: u64,
    /// Nanoseconds between the first ticks, if ticks become sparser with time, up to `interval`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_interval: Option<u64>,
    /// Every option with its value, defaults included.
    #[serde(with = "crate::pairs")]
    pub options: Vec<(String, String)>,
}
