//! Made-up streams for tests.

use std::sync::Arc;

use seepmeter_record::conventions::{attribute, metric};
use seepmeter_record::{
    Attributes, Event, EventKind, FORMAT, Header, Metric, MetricId, MetricSpec, Point, Record,
    Sample, SamplerId, SamplerInfo, Subject, SubjectId, SubjectKind,
};

use crate::collector::Collector;
use crate::conclusion::JudgeOptions;
use crate::made_up::SECOND;
use crate::run_series::{RunSeries, Scope};

/// A collector, and the stream that it observes.
pub(super) struct Stream {
    pub(super) collector: Collector,
    subjects: u32,
}

impl Stream {
    pub(super) fn new() -> Self {
        Self::of(JudgeOptions::default())
    }

    pub(super) fn of(options: JudgeOptions) -> Self {
        let sampler = SamplerInfo {
            name: "statm".to_owned(),
            interval: SECOND,
            first_interval: None,
            options: Vec::new(),
        };
        let header = Header {
            format: FORMAT,
            seepmeter: "0".to_owned(),
            start: "2026-11-23T12:00:00.0+00:00".to_owned(),
            host: "h".into(),
            kernel: "6.18".into(),
            boot_id: None,
            page_size: 4096,
            targets: Vec::new(),
            samplers: vec![sampler],
        };
        let mut collector = Collector::new(options);
        collector.observe(&Record::Header(header.into()));
        for (id, spec) in (0..).map(MetricId).zip([metric::RSS, metric::SHARED]) {
            let MetricSpec { name, unit, kind, subject_kind, help } = spec;
            let (name, help, sampler) = (name.into(), help.into(), SamplerId(0));
            let metric = Metric { id, name, unit, kind, subject_kind, sampler, help };
            collector.observe(&Record::Metric(Arc::new(metric)));
        }
        Self { collector, subjects: 0 }
    }

    pub(super) fn event(&mut self, t: u64, subject: SubjectId, kind: EventKind) {
        let subject = Some(subject);
        self.collector.observe(&Record::Event(Event { t, subject, sampler: None, kind }));
    }

    /// A process that comes at this time; a target if it has no parent.
    pub(super) fn process(&mut self, t: u64, parent: Option<SubjectId>, name: &str) -> SubjectId {
        self.begin(t, parent, name, Attributes::new())
    }

    /// A target that comes at this time, the successor of another one if there was one.
    pub(super) fn successor(&mut self, t: u64, of: Option<SubjectId>, name: &str) -> SubjectId {
        let attributes = Attributes::new().with_known(attribute::PREDECESSOR, of);
        self.begin(t, None, name, attributes)
    }

    fn begin(
        &mut self,
        t: u64,
        parent: Option<SubjectId>,
        name: &str,
        attributes: Attributes,
    ) -> SubjectId {
        let id = SubjectId(self.subjects);
        self.subjects += 1;
        let attributes = attributes.with(attribute::PID, id.0.cast_signed() + 1);
        let (kind, name) = (SubjectKind::Process, name.into());
        let subject = Subject { id, parent, kind, name, attributes };
        self.collector.observe(&Record::Subject(subject.into()));
        self.event(t, id, EventKind::Attached {});
        id
    }

    /// A sample of resident sets, and of how much of each is shared.
    pub(super) fn sample(&mut self, t: u64, values: &[(SubjectId, i64, i64)]) {
        let points = values.iter().flat_map(|&(subject, rss, shared)| {
            let point = |metric, value| Point { subject, metric: MetricId(metric), value };
            [point(0, rss), point(1, shared)]
        });
        let (sampler, points) = (SamplerId(0), points.collect());
        let sample = Sample { t, sampler, duration: 1, partial: false, points };
        self.collector.observe(&Record::Sample(sample));
    }

    pub(super) fn end(&mut self, t: u64, subject: SubjectId) {
        self.event(t, subject, EventKind::Exited { status: 0 });
    }

    pub(super) fn of_scope(&self, scope: Scope) -> Vec<RunSeries> {
        let series = self.collector.series("rss").unwrap();
        series.into_iter().filter(|run| run.scope == scope).collect()
    }

    pub(super) fn sum(&self) -> Vec<(u64, i64)> {
        self.of_scope(Scope::AllTargets)[0].whole.points().to_vec()
    }
}
