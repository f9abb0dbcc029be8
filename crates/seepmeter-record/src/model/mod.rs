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

pub use code::{Frame, Image, InlinedCall, Stack};
pub use event::{Event, EventKind, InvalidEvent};
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
