//! The metrics of processes, threads and groups of mappings, as far as they are read.

use seepmeter_plugin::Stream;
use seepmeter_plugin::record::conventions::metric;
use seepmeter_plugin::record::{MetricId, MetricKind, MetricSpec, SubjectKind, Unit};

use crate::groups;
use crate::options::{PtraceOptions, ReadItem};
use crate::registers;

/// The metrics' numbers in the stream.
pub(crate) struct Metrics {
    pub(crate) pause: MetricId,
    pub(crate) pause_stop: MetricId,
    pub(crate) pause_read: MetricId,
    pub(crate) pause_resume: MetricId,
    pub(crate) threads: MetricId,
    pub(crate) rss: MetricId,
    /// Of a thread: its stack, then its registers.
    pub(crate) thread: Vec<MetricId>,
    /// Of a group of mappings; see [`groups::metrics`].
    pub(crate) group: Vec<MetricId>,
}

impl Metrics {
    pub(crate) fn define(options: &PtraceOptions, stream: &mut dyn Stream) -> Self {
        let mut thread = Vec::new();
        if options.reads(ReadItem::Stacks) {
            thread.push(stream.metric(&metric::STACK.of(SubjectKind::Thread)));
        }
        if options.reads(ReadItem::Registers) {
            let register = |name| {
                let help = "register, as a signed number";
                MetricSpec::new(name, Unit::Count, MetricKind::Gauge, help).of(SubjectKind::Thread)
            };
            thread.extend(registers::NAMES.map(|name| stream.metric(&register(name))));
        }
        let of_groups = match options.reads_mappings() {
            true => groups::metrics(options.reads(ReadItem::Smaps)),
            false => &[],
        };
        let of_group = |spec: &MetricSpec<'_>| stream.metric(&spec.of(SubjectKind::MappingGroup));
        let group = of_groups.iter().map(of_group).collect();
        Self {
            pause: stream.metric(&metric::PAUSE),
            pause_stop: stream.metric(&metric::PAUSE_STOP),
            pause_read: stream.metric(&metric::PAUSE_READ),
            pause_resume: stream.metric(&metric::PAUSE_RESUME),
            threads: stream.metric(&metric::THREADS),
            rss: stream.metric(&metric::RSS),
            thread,
            group,
        }
    }
}
