//! The subjects of mappings: all mappings of one group together.

use std::collections::HashMap;

use seepmeter_maps::class::{ThreadStacks, classify};
use seepmeter_maps::smaps::{Parser, SmapsFigures};
use seepmeter_maps::{DeletedFiles, MappingGroup, group_title, maps};
use seepmeter_plugin::record::conventions::metric;
use seepmeter_plugin::record::{MetricId, MetricSpec, SubjectId, SubjectKind};
use seepmeter_plugin::{NewSubject, SampleBuilder, SubjectTable, point_value};
use seepmeter_process::proc::ProcFolder;

const METRIC_COUNT: usize = 6;

/// The metrics of a group. All but the first need smaps.
static METRICS: [MetricSpec<'static>; METRIC_COUNT] = [
    metric::VSIZE,
    metric::RSS,
    metric::ANONYMOUS,
    metric::SWAP,
    metric::PSS,
    metric::PRIVATE_DIRTY,
];

/// The metrics of a group that are read.
pub(crate) fn metrics(with_smaps: bool) -> &'static [MetricSpec<'static>] {
    if with_smaps { &METRICS } else { &METRICS[..1] }
}

/// What the kernel says of the mappings.
#[derive(Debug)]
pub(crate) enum MappingsText {
    /// /proc/PID/maps.
    Maps(Vec<u8>),
    /// /proc/PID/smaps.
    Smaps(Vec<u8>),
}

impl MappingsText {
    /// The text, in which the lines that name mappings are those of maps.
    pub(crate) fn bytes(&self) -> &[u8] {
        let (Self::Maps(text) | Self::Smaps(text)) = self;
        text
    }

    /// The figures of each mapping, in their order; none of maps.
    fn figures(&self) -> Vec<SmapsFigures> {
        let mut figures = Vec::new();
        if let Self::Smaps(text) = self {
            let mut parser = Parser::default();
            parser.push(text, |entry| figures.push(entry.figures));
            parser.finish(|entry| figures.push(entry.figures));
        }
        figures
    }
}

/// The groups that there are.
#[derive(Debug)]
pub(crate) struct Groups {
    process: SubjectId,
    subjects: SubjectTable<MappingGroup>,
    files: DeletedFiles,
}

/// The mappings of one group taken together.
struct GroupSum {
    group: MappingGroup,
    /// In the order of [`METRICS`].
    values: [Option<i64>; METRIC_COUNT],
}

impl Groups {
    /// The groups of the process of this folder. `metrics` are those of a group.
    pub(crate) fn new(process: SubjectId, folder: &ProcFolder, metrics: Vec<MetricId>) -> Self {
        let files = DeletedFiles::seen_from(folder.file("root"));
        Self { process, subjects: SubjectTable::new(metrics), files }
    }

    /// Emits the groups of these mappings. `stacks` are those of the threads.
    pub(crate) fn emit(
        &mut self,
        text: &MappingsText,
        stacks: &ThreadStacks<'_>,
        sample: &mut SampleBuilder<'_>,
    ) {
        self.subjects.begin();
        let process = self.process;
        for GroupSum { group, values } in self.sums(text, stacks) {
            self.subjects.observe(&group, &values, sample, |group| NewSubject {
                parent: Some(process),
                kind: SubjectKind::MappingGroup,
                name: group_title(group).into(),
                attributes: group.attributes(),
            });
        }
        self.subjects.end_unobserved(sample.stream());
    }

    /// The sums of all groups, in the order in which their first mappings lie.
    fn sums(&mut self, text: &MappingsText, stacks: &ThreadStacks<'_>) -> Vec<GroupSum> {
        // The lines that name mappings are the same in both texts.
        let headers = maps::parse(text.bytes());
        let figures = text.figures();
        let groups = classify(&headers, stacks, &mut self.files);
        let mut sums: Vec<GroupSum> = Vec::new();
        let mut places = HashMap::new();
        for (at, (header, group)) in headers.iter().zip(groups).enumerate() {
            // [vsyscall] is one page of the kernel's in its own half, the same in every process.
            if header.end > 1 << 63 {
                continue;
            }
            let place = *places.entry(group.together()).or_insert_with_key(|group| {
                sums.push(GroupSum { group: group.clone(), values: [None; METRIC_COUNT] });
                sums.len() - 1
            });
            sums[place].add(header.len(), figures.get(at));
        }
        sums
    }
}

impl GroupSum {
    fn add(&mut self, size: u64, figures: Option<&SmapsFigures>) {
        let figures = figures.map(|figures| {
            let SmapsFigures { rss, anonymous, swap, pss, private_dirty, .. } = *figures;
            [rss, anonymous, swap, pss, private_dirty]
        });
        let bytes = std::iter::once(size).chain(figures.into_iter().flatten());
        for (sum, bytes) in self.values.iter_mut().zip(bytes) {
            *sum = Some(sum.unwrap_or(0).saturating_add(point_value(bytes)));
        }
    }
}
