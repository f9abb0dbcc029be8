//! Something that happened.

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use super::subject::AnyValue;
use super::{AttributeType, AttributeValue, SamplerId, SubjectId};
use crate::Bytes;
use crate::jsonl::limits::{MOST_ATTRIBUTES, too_many};

/// Something that happened.
///
/// In a recording it is one flat object: `t`, `kind`, `subject` and `sampler`, where there are such,
/// and the fields of the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, in nanoseconds since the stream's start.
    pub t: u64,
    /// To which subject.
    pub subject: Option<SubjectId>,
    /// To, or by, which sampler.
    pub sampler: Option<SamplerId>,
    /// What happened.
    pub kind: EventKind,
}

impl Event {
    /// An event of no subject and no sampler.
    #[must_use]
    pub fn new(t: u64, kind: EventKind) -> Self {
        Self { t, subject: None, sampler: None, kind }
    }

    /// The same, of a subject.
    #[must_use]
    pub fn of(self, subject: SubjectId) -> Self {
        Self { subject: Some(subject), ..self }
    }

    /// The same, of a sampler.
    #[must_use]
    pub fn by(self, sampler: SamplerId) -> Self {
        Self { sampler: Some(sampler), ..self }
    }
}

/// An event that lacks a field, or whose field is of another type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event `{kind}` needs {what} `{field}`")]
pub struct InvalidEvent {
    /// The kind's word.
    pub kind: &'static str,
    /// The field's name.
    pub field: &'static str,
    /// The field's type in words, with its article.
    pub what: &'static str,
}

/// The value of an event's field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum FieldValue<'a> {
    /// A number.
    Int(i64),
    /// Bytes, mostly text.
    Text(&'a Bytes),
}

/// The type of a kind's field. A kind has one number and one text at most, so that the plugin ABI
/// needs but one struct for all of them.
trait EventField: Sized {
    /// The type in words, with its article.
    const WHAT: &'static str;
    /// True of a text, false of a number.
    const IS_TEXT: bool;

    fn from_value(value: Option<&AttributeValue>) -> Option<Self>;

    /// None where the field is optional and absent.
    fn value(&self) -> Option<FieldValue<'_>>;
}

macro_rules! number_fields {
    ($($number:ty),+) => {$(
        impl EventField for $number {
            const WHAT: &'static str = "a number";
            const IS_TEXT: bool = false;

            fn from_value(value: Option<&AttributeValue>) -> Option<Self> {
                AttributeType::from_value(value?)
            }

            fn value(&self) -> Option<FieldValue<'_>> {
                Some(FieldValue::Int(i64::try_from(*self).unwrap_or(i64::MAX)))
            }
        }
    )+};
}

number_fields!(i32, u64);

impl EventField for Option<i64> {
    const WHAT: &'static str = "a number or no";
    const IS_TEXT: bool = false;

    fn from_value(value: Option<&AttributeValue>) -> Option<Self> {
        value.map_or(Some(None), |value| AttributeType::from_value(value).map(Some))
    }

    fn value(&self) -> Option<FieldValue<'_>> {
        self.map(FieldValue::Int)
    }
}

impl EventField for Option<Bytes> {
    const WHAT: &'static str = "a text or no";
    const IS_TEXT: bool = true;

    fn from_value(value: Option<&AttributeValue>) -> Option<Self> {
        value.map_or(Some(None), |value| AttributeType::from_value(value).map(Some))
    }

    fn value(&self) -> Option<FieldValue<'_>> {
        self.as_ref().map(FieldValue::Text)
    }
}

impl EventField for Bytes {
    const WHAT: &'static str = "a text";
    const IS_TEXT: bool = true;

    fn from_value(value: Option<&AttributeValue>) -> Option<Self> {
        AttributeType::from_value(value?)
    }

    fn value(&self) -> Option<FieldValue<'_>> {
        Some(FieldValue::Text(self))
    }
}

macro_rules! event_kinds {
    ($($(#[$doc:meta])+ $variant:ident = $word:literal {
        $($(#[$field_doc:meta])+ $field:ident: $type:ty,)*
    })+) => {
        /// What happened, with what is known of it.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum EventKind {
            $($(#[$doc])+ $variant { $($(#[$field_doc])+ $field: $type,)* },)+
            /// A kind that this version does not know: a plugin's own, or a later version's.
            Other {
                /// The kind's word.
                kind: Box<str>,
                /// The kind's number, if it has one.
                number: Option<i64>,
                /// The kind's text, if it has one.
                text: Bytes,
            },
        }

        impl EventKind {
            /// The words of all kinds that this version knows, each with the names of its fields, in the
            /// order of the book.
            pub const KNOWN: &[(&'static str, &[&'static str])] =
                &[$(($word, &[$(stringify!($field),)*]),)+];

            /// The kind's word in a recording.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant { .. } => $word,)+
                    Self::Other { kind, .. } => kind,
                }
            }

            /// The kind's fields that have a value, by their names.
            #[must_use]
            pub fn fields(&self) -> SmallVec<[(&'static str, FieldValue<'_>); 2]> {
                let mut fields = SmallVec::new();
                match self {
                    $(Self::$variant { $($field,)* } => {
                        $(fields.extend($field.value().map(|value| (stringify!($field), value)));)*
                    })+
                    Self::Other { kind: _, number, text } => {
                        fields.extend(number.value().map(|value| ("number", value)));
                        let text = text.value().filter(|_| !text.is_empty());
                        fields.extend(text.map(|value| ("text", value)));
                    }
                }
                fields
            }

            /// A kind from its word and its fields; `field` finds a field by its name, and by whether it
            /// is a text.
            ///
            /// # Errors
            /// A field that is not there, or of another type.
            pub fn from_fields(
                word: &str,
                field: impl Fn(&str, bool) -> Option<AttributeValue>,
            ) -> Result<Self, InvalidEvent> {
                Ok(match word {
                    $($word => Self::$variant { $($field: find($word, stringify!($field), &field)?,)* },)+
                    other => Self::Other {
                        kind: other.into(),
                        number: find("other", "number", &field)?,
                        text: find("other", "text", &field).unwrap_or_default(),
                    },
                })
            }
        }
    };
}

fn find<T: EventField>(
    kind: &'static str,
    name: &'static str,
    field: impl Fn(&str, bool) -> Option<AttributeValue>,
) -> Result<T, InvalidEvent> {
    let value = field(name, T::IS_TEXT);
    T::from_value(value.as_ref()).ok_or(InvalidEvent { kind, field: name, what: T::WHAT })
}

event_kinds! {
    /// The target was spawned and is held before its exec.
    Spawned = "spawned" {}
    /// The watch of a running target began.
    Attached = "attached" {}
    /// A process executes another program from here on.
    Exec = "exec" {
        /// What it is called from here on, if that is another name.
        name: Option<Bytes>,
    }
    /// The target's exec failed.
    ExecFailed = "exec-failed" {
        /// Why, as in errno(3).
        errno: i32,
    }
    /// A process was forked: the subject of the event.
    Forked = "forked" {}
    /// A process exited.
    Exited = "exited" {
        /// Its exit status.
        status: i32,
    }
    /// A process was killed by a signal.
    Killed = "killed" {
        /// The signal's number.
        signal: i32,
    }
    /// A subject ended, and how is not known.
    Gone = "gone" {}
    /// The watch of a target ended before the target did.
    Detached = "detached" {}
    /// A sampler failed and takes no more samples.
    SamplerFailed = "sampler-failed" {
        /// Why.
        reason: Bytes,
    }
    /// A sink failed and was closed.
    SinkFailed = "sink-failed" {
        /// Which, and why.
        reason: Bytes,
    }
    /// Samples began more than half an interval after their tick.
    Late = "late" {
        /// How many.
        samples: u64,
    }
    /// Ticks passed without a sample.
    Missed = "missed" {
        /// How many.
        ticks: u64,
    }
    /// A sampler left samples out.
    Skipped = "skipped" {
        /// How many.
        samples: u64,
        /// Why the last of them was.
        reason: Bytes,
    }
    /// A sink was too slow and did not get samples.
    Dropped = "dropped" {
        /// How many.
        samples: u64,
        /// Which sink, as the user named it.
        sink: Bytes,
    }
    /// A mark: what the target or the user says of the work that is done.
    Marker = "marker" {
        /// The value of a counter, if it is one.
        number: Option<i64>,
        /// The counter's name, or a text.
        text: Bytes,
    }
    /// Marks did not become events of their own.
    MarksDropped = "marks-dropped" {
        /// How many.
        marks: u64,
        /// Why.
        reason: Bytes,
    }
    /// Sampling cost more than the budget and was slowed down, or is cheap again and was sped up.
    BackedOff = "backed-off" {
        /// Nanoseconds from tick to tick from here on.
        interval: u64,
    }
    /// A sampler could not observe all that it was to observe.
    Incomplete = "incomplete" {
        /// How many things it left out, if that can be counted.
        count: Option<i64>,
        /// What, and why.
        text: Bytes,
    }
    /// A sampler measures in another way than usual, since the usual one can't be had.
    Fallback = "fallback" {
        /// How, and why.
        text: Bytes,
    }
    /// Seepmeter itself was stopped and now goes on (SIGCONT).
    Continued = "continued" {}
    /// The target still needs a sampler after the run: seepmeter stays until the target ends.
    KeepAlive = "keep-alive" {
        /// Why.
        reason: Bytes,
    }
    /// The recording goes on in another file.
    ContinuedIn = "continued-in" {
        /// As which part, counted from 1.
        part: u64,
    }
    /// This file goes on from another one.
    ContinuedFrom = "continued-from" {
        /// Which part of the recording that was, counted from 1.
        part: u64,
    }
    /// How the descendants of a target are found.
    Discovery = "discovery" {
        /// 1 if every process is known of, however briefly it lives.
        exact: Option<i64>,
        /// By what, and why not by something better.
        text: Bytes,
    }
    /// Processes lived too briefly to be followed; if the kernel's events are not in use, there may have been
    /// more.
    BriefProcesses = "brief-processes" {
        /// How many.
        processes: u64,
    }
    /// Processes of the target's tree are not followed: what they hold is not known.
    NotFollowed = "not-followed" {
        /// How many, beside those of an earlier event, if that can be counted.
        processes: Option<i64>,
        /// Why, and what to do about it.
        reason: Bytes,
    }
    /// The most that a spawned target and its descendants have had at once, as the cgroup that they had for
    /// themselves was charged: with page cache and kernel memory.
    CgroupPeak = "cgroup-peak" {
        /// How much; none if it is not known.
        bytes: Option<i64>,
        /// Why it is not known, or empty.
        reason: Bytes,
    }
    /// Seepmeter sent a signal to the target: one that it passed on, or to end the target.
    Forwarded = "forwarded" {
        /// The signal's number.
        signal: i32,
    }
}

impl EventKind {
    /// True where the subject of such an event, and all that is a part of it, has no values any more.
    #[must_use]
    pub fn ends_subject(&self) -> bool {
        matches!(
            self,
            Self::Exited { .. } | Self::Killed { .. } | Self::Gone {} | Self::Detached {}
        )
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { t, subject, sampler, kind } = self;
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("t", t)?;
        object.serialize_entry("kind", kind.as_str())?;
        if let Some(subject) = subject {
            object.serialize_entry("subject", subject)?;
        }
        if let Some(sampler) = sampler {
            object.serialize_entry("sampler", sampler)?;
        }
        for (name, value) in kind.fields() {
            object.serialize_entry(name, &value)?;
        }
        object.end()
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Event;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a `t` and a `kind`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event, A::Error> {
                let (mut t, mut kind, mut subject, mut sampler) = (None, None, None, None);
                let mut fields: Vec<(String, AttributeValue)> = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    match &*key {
                        "t" => t = Some(map.next_value()?),
                        "kind" => kind = Some(map.next_value::<String>()?),
                        "subject" => subject = map.next_value()?,
                        "sampler" => sampler = map.next_value()?,
                        // Of any type: those of a kind that is not known are passed over.
                        _ => {
                            let AnyValue(value) = map.next_value()?;
                            fields.extend(value.map(|value| (key, value)));
                        }
                    }
                    if fields.len() > MOST_ATTRIBUTES {
                        return Err(too_many(MOST_ATTRIBUTES, "fields of an event"));
                    }
                }
                let missing = A::Error::missing_field;
                let (t, kind) =
                    (t.ok_or_else(|| missing("t"))?, kind.ok_or_else(|| missing("kind"))?);
                let field = |name: &str, _| {
                    let found = fields.iter().rfind(|(known, _)| known == name);
                    found.map(|(_, value)| value.clone())
                };
                let kind = EventKind::from_fields(&kind, field).map_err(A::Error::custom)?;
                Ok(Event { t, subject, sampler, kind })
            }
        }
        deserializer.deserialize_map(Fields)
    }
}
