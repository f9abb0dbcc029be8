//! What flows through Seepmeter.
//!
//! A run is one stream of [`Record`]s. Its first record is the [`Header`], its last the [`Footer`];
//! between them stand definitions ([`Metric`], [`Subject`]), looks ([`Sample`]) and happenings
//! ([`Event`]). Samplers make records and know no sink; sinks take records and know no sampler.
//! Live, written to disk ([`jsonl`]) and replayed, the stream is the same.
//!
//! A series is a step function: a [`Point`] stands until the next point of the same subject and
//! metric, or until its subject's end ([`EventKind::ends_subject`]). So a sampler needs to tell only
//! what changed.
//!
//! ```
//! use seepmeter_record::{jsonl, Metric, MetricId, Point, Record, Sample, SamplerId, SubjectId, Unit};
//!
//! let rss = Metric {
//!     id: MetricId(0),
//!     name: "rss".into(),
//!     unit: Unit::Bytes,
//!     help: "resident set".into(),
//! };
//! let look = Sample {
//!     t: 1_000_000_000,
//!     sampler: SamplerId(0),
//!     took: 780,
//!     points: [Point { subject: SubjectId(0), metric: rss.id, value: 4096 }].into_iter().collect(),
//! };
//! let mut line = Vec::new();
//! jsonl::write_record(&mut line, &Record::Sample(look)).unwrap();
//! assert_eq!(line, b"{\"sample\":{\"t\":1000000000,\"sampler\":0,\"took\":780,\"points\":[[0,0,4096]]}}\n");
//! ```

mod bytes;
mod catalog;
pub mod human;
pub mod jsonl;
mod model;
mod pairs;

pub use bytes::Bytes;
pub use catalog::{Catalog, Dangling};
pub use model::{
    Attr, Cost, End, Event, EventKind, Footer, Header, Lost, Metric, MetricId, Point, Points,
    Record, Sample, SamplerId, SamplerInfo, Subject, SubjectId, TargetInfo, Unit, limit_attr,
    subject_kind,
};

/// The version of the recording format that this crate writes and reads.
///
/// Fields and record kinds may be added under one version, and readers pass over those they do not
/// know; anything that would be misread by an older reader raises the version.
pub const FORMAT: u32 = 1;
