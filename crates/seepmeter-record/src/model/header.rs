//! The stream's first record.

use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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

// By hand: a derived reader of what is flattened keeps every unknown field until it has read them all.
impl<'de> Deserialize<'de> for TargetInfo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = TargetInfo;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a `subject` and a `command`, `pid` or `cgroup`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TargetInfo, A::Error> {
                let (mut subject, mut origin) = (None, None);
                while let Some(key) = map.next_key::<Key>()? {
                    match key {
                        Key::Subject => subject = Some(map.next_value()?),
                        Key::Command => {
                            let Words(words) = map.next_value()?;
                            origin = Some(TargetOrigin::Command(words));
                        }
                        Key::Pid => origin = Some(TargetOrigin::Pid(map.next_value()?)),
                        Key::Cgroup => origin = Some(TargetOrigin::Cgroup(map.next_value()?)),
                        Key::Unknown => _ = map.next_value::<IgnoredAny>()?,
                    }
                }
                let missing = A::Error::missing_field;
                let subject = subject.ok_or_else(|| missing("subject"))?;
                let origin = origin.ok_or_else(|| missing("command` or `pid` or `cgroup"))?;
                Ok(TargetInfo { subject, origin })
            }
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Key {
            Subject,
            Command,
            Pid,
            Cgroup,
            #[serde(other)]
            Unknown,
        }
        #[derive(Deserialize)]
        struct Words(#[serde(deserialize_with = "limits::words")] Vec<Bytes>);

        deserializer.deserialize_map(Fields)
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
