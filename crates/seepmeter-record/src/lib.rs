//! What flows through Seepmeter.
//!
//! A run is one stream of [`Record`]s. Its first record is the [`Header`], its last the [`Footer`];
//! between them are definitions ([`Metric`], [`Subject`], [`Image`], [`Frame`], [`Stack`]), [`Sample`]s
//! and [`Event`]s. Samplers emit records and know no sink; sinks consume records and know no sampler.
//! Live, recorded ([`jsonl`]) and replayed, the stream is the same.
//!
//! A series is a step function: a [`Point`] stands until the next point of the same subject and
//! metric, or until its subject ends ([`EventKind::ends_subject`]). So a sampler emits only what
//! changed. [`CurrentValues`] knows which values stand, and names and metrics are agreed on in
//! [`conventions`].
//!
//! ```
//! use seepmeter_record::{MetricId, Point, Record, Sample, SamplerId, SubjectId, jsonl};
//!
//! let sample = Sample {
//!     t: 1_000_000_000,
//!     sampler: SamplerId(0),
//!     duration: 780,
//!     partial: false,
//!     points: [Point { subject: SubjectId(0), metric: MetricId(0), value: 4096 }].into_iter().collect(),
//! };
//! let mut line = Vec::new();
//! jsonl::write_record(&mut line, &Record::Sample(sample)).unwrap();
//! assert_eq!(
//!     line,
//!     b"{\"sample\":{\"t\":1000000000,\"sampler\":0,\"duration\":780,\"points\":[[0,0,4096]]}}\n"
//! );
//! ```

mod bytes;
pub mod conventions;
mod current;
pub mod human;
pub mod jsonl;
mod model;
mod pairs;
mod printable;
mod restarts;
mod stack_profile;
mod stacks;
mod standard_input;
mod stream_state;
mod subject_tree;

pub use bytes::{Bytes, hex};
pub use conventions::{DescriptorKind, MappingClass};
pub use current::{CurrentPoint, CurrentValues};
pub use model::{
    AttributeKey, AttributeType, AttributeValue, Attributes, Cost, Dropped, End, Event, EventKind,
    FieldValue, Footer, Frame, FrameId, Header, Image, ImageId, InlinedCall, InvalidEvent, Metric,
    MetricId, MetricKind, MetricSpec, Point, Points, Record, Sample, SamplerId, SamplerInfo, Stack,
    StackId, Subject, SubjectId, SubjectKind, TargetEnd, TargetInfo, TargetOrigin, Unit,
};
pub use printable::{is_printable, printable, printable_json, printable_lines};
pub use restarts::{Restart, RestartLog};
pub use stack_profile::{ProfiledStack, StackProfile, StackWeight};
pub use stacks::StackDefinitions;
pub use standard_input::standard_input;
pub use stream_state::StreamState;

/// The version of the recording format that this crate writes and reads.
///
/// Fields and record kinds may be added under one version, and readers pass over those they do not
/// know; anything that would be misread by an older reader raises the version.
pub const FORMAT: u32 = 1;
