//! Made-up runs for tests.

use seepmeter_analysis::Series;
use seepmeter_record::{MappingClass, SubjectKind};

use crate::part::Part;
use crate::run_series::{PartSeries, RunSeries};

pub(crate) const SECOND: u64 = 1_000_000_000;

/// A sample a second.
pub(crate) fn series(samples: u64, value: impl Fn(i64) -> i64) -> Series {
    Series::from_pairs((0..samples).map(|i| (i * SECOND, value(i as i64))))
}

/// A mapping.
pub(crate) fn part(name: &str, series: Series) -> PartSeries {
    let (kind, name) = (SubjectKind::Mapping, name.to_owned());
    let part = Part { family: name.clone(), name, kind, class: None };
    PartSeries { part, last_observed: series.end(), series, causes: Vec::new() }
}

/// The anonymous mappings of one size.
pub(crate) fn anonymous(size: &str, series: Series) -> PartSeries {
    let mut known = part(&format!("{} {size}", Part::ANONYMOUS), series);
    known.part.family = Part::ANONYMOUS.to_owned();
    known.part.kind = SubjectKind::MappingGroup;
    known.part.class = Some(MappingClass::Anonymous);
    known
}

/// A process of these parts.
pub(crate) fn run_of(parts: Vec<PartSeries>) -> RunSeries {
    let whole = Series::sum(&parts.iter().map(|known| &known.series).collect::<Vec<_>>());
    RunSeries { parts, ..RunSeries::of_resident("worker", whole) }
}
