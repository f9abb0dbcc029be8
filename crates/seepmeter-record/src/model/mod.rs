//! The kinds of records, and what each says. One file a kind.

mod code;
mod event;
mod footer;
mod header;
mod metric;
mod open_words;
mod sample;
mod subject;

pub(crate) use open_words::open_words;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Bytes;

pub use code::{Frame, Image, InlinedCall, Stack};
pub use event::{Event, EventKind, FieldValue, InvalidEvent};
pub use footer::{Cost, Dropped, End, Footer, TargetEnd};
pub use header::{Header, SamplerInfo, TargetInfo, TargetOrigin};
pub use metric::{Metric, MetricKind, MetricSpec, Unit};
pub use sample::{Point, Points, Sample};
pub use subject::{AttributeKey, AttributeType, AttributeValue, Attributes, Subject, SubjectKind};

macro_rules! ids {
    ($($(#[$doc:meta])+ $name:ident($number:ty);)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[repr(transparent)]
        pub struct $name(pub $number);
    )+};
}

ids! {
    /// A sampler's place in [`Header::samplers`].
    SamplerId(u16);
    /// A metric's number within its stream.
    MetricId(u32);
    /// A subject's number within its stream. Numbers are given in increasing order and never twice.
    SubjectId(u32);
    /// An image's number within its stream.
    ImageId(u32);
    /// A frame's number within its stream.
    FrameId(u32);
    /// A stack's number within its stream.
    StackId(u32);
}

/// One record of a stream.
///
/// In a recording each is a JSON object with one key, the kind: `{"sample":{…}}`. Definitions are
/// shared: whoever keeps one keeps a reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    /// The stream's first record.
    Header(Arc<Header>),
    /// Defines a metric, before its first point.
    Metric(Arc<Metric>),
    /// Defines a subject, before its first point.
    Subject(Arc<Subject>),
    /// Defines a file that holds code, before its first frame.
    Image(Arc<Image>),
    /// Defines an address in an image, before the first stack that holds it.
    Frame(Arc<Frame>),
    /// Defines a stack, before the first subject or point that names it.
    Stack(Arc<Stack>),
    /// One observation by one sampler.
    Sample(Sample),
    /// Something happened.
    Event(Event),
    /// The stream's last record; a stream without it was cut off.
    Footer(Footer),
}

impl Record {
    /// About how much memory it takes, in bytes: itself, and the texts and lists in it.
    #[must_use]
    pub fn size(&self) -> usize {
        /// What the allocator and the counts of references add.
        const SHARED: usize = 64;
        let text = |text: &Bytes| text.as_bytes().len();
        let optional = |it: &Option<Bytes>| it.as_ref().map_or(0, text);
        let attributes = |attributes: &Attributes| -> usize {
            let of_value = |value: &AttributeValue| match value {
                AttributeValue::Text(value) => text(value),
                AttributeValue::Int(_) => 0,
            };
            let size = size_of::<(String, AttributeValue)>();
            attributes.iter().map(|(key, value)| size + key.len() + of_value(value)).sum()
        };
        let content = match self {
            Self::Header(_) | Self::Footer(_) => 0,
            Self::Metric(it) => size_of_val(&**it) + it.name.len() + it.help.len(),
            Self::Subject(it) => size_of_val(&**it) + text(&it.name) + attributes(&it.attributes),
            Self::Image(it) => {
                let id = it.build_id.as_ref().map_or(0, |id| id.len());
                size_of_val(&**it) + text(&it.path) + id
            }
            Self::Frame(it) => {
                let inlined = it
                    .inlined
                    .iter()
                    .map(|call| size_of_val(call) + text(&call.function) + optional(&call.file));
                let inlined: usize = inlined.sum();
                size_of_val(&**it) + optional(&it.function) + optional(&it.file) + inlined
            }
            Self::Stack(it) => {
                size_of_val(&**it) + size_of_val(&*it.frames) + optional(&it.truncated)
            }
            Self::Sample(it) => {
                if it.points.spilled() {
                    size_of_val(&*it.points)
                } else {
                    0
                }
            }
            Self::Event(it) => {
                let fields = it.kind.fields().into_iter();
                let texts = fields.filter_map(|(_, value)| match value {
                    FieldValue::Text(value) => Some(text(value)),
                    FieldValue::Int(_) => None,
                });
                texts.sum()
            }
        };
        size_of::<Self>() + SHARED + content
    }

    /// When it was made, in nanoseconds since the stream's start; definitions have no time.
    #[must_use]
    pub fn time(&self) -> Option<u64> {
        match self {
            Self::Sample(sample) => Some(sample.t),
            Self::Event(event) => Some(event.t),
            Self::Footer(footer) => Some(footer.t),
            Self::Header(_)
            | Self::Metric(_)
            | Self::Subject(_)
            | Self::Image(_)
            | Self::Frame(_)
            | Self::Stack(_) => None,
        }
    }
}
