//! Streams for the tests of sinks.

use std::path::PathBuf;

use seepmeter_plugin::{Error, Sink};
use seepmeter_record::conventions::{attribute, metric};
use seepmeter_record::{
    Attributes, Cost, End, Event, EventKind, FORMAT, Footer, Header, Metric, MetricId, MetricSpec,
    Point, Record, Sample, SamplerId, SamplerInfo, Subject, SubjectId, SubjectKind, TargetEnd,
    TargetInfo, TargetOrigin,
};

/// A stream while it is made: its header grows with its targets.
pub(super) struct TestStream {
    header: Header,
    metrics: Vec<Metric>,
    subjects: Vec<Subject>,
    records: Vec<Record>,
}

impl TestStream {
    /// Sampler 0 is statm and sampler 1 is smaps, and both measure the resident set of processes.
    pub(super) fn of_two_samplers() -> Self {
        let sampler = |name: &str| SamplerInfo {
            first_interval: None,
            name: name.to_owned(),
            interval: 200_000_000,
            options: Vec::new(),
        };
        let header = Header {
            format: FORMAT,
            seepmeter: "0.1.0".to_owned(),
            start: "2026-11-23T12:00:00.0+00:00".to_owned(),
            host: "h".into(),
            kernel: "6.18".into(),
            boot_id: None,
            page_size: 4096,
            targets: Vec::new(),
            samplers: vec![sampler("statm"), sampler("smaps")],
        };
        let (metrics, subjects, records) = (Vec::new(), Vec::new(), Vec::new());
        let mut stream = Self { header, metrics, subjects, records };
        stream.metric(0, &metric::RSS);
        stream.metric(0, &metric::PEAK);
        stream.metric(1, &metric::RSS);
        stream.metric(1, &metric::PSS);
        stream.metric(1, &metric::RSS.of(SubjectKind::MappingGroup));
        stream
    }

    pub(super) fn metric(&mut self, sampler: u16, spec: &MetricSpec<'_>) {
        let MetricSpec { name, unit, kind, subject_kind, help } = spec.clone();
        let metric = Metric {
            id: MetricId(u32::try_from(self.metrics.len()).unwrap()),
            name: name.into(),
            unit,
            kind,
            subject_kind,
            sampler: SamplerId(sampler),
            help: help.into(),
        };
        self.metrics.push(metric.clone());
        self.records.push(Record::Metric(metric.into()));
    }

    pub(super) fn subject(
        &mut self,
        parent: Option<SubjectId>,
        kind: SubjectKind,
        name: &str,
        attributes: Attributes,
    ) -> SubjectId {
        let id = SubjectId(u32::try_from(self.subjects.len()).unwrap());
        let subject = Subject { id, parent, kind, name: name.into(), attributes };
        self.subjects.push(subject.clone());
        self.records.push(Record::Subject(subject.into()));
        id
    }

    /// A target that is there from the start.
    pub(super) fn target(&mut self, name: &str, pid: i32) -> SubjectId {
        let attributes = Attributes::new().with(attribute::PID, pid);
        let subject = self.subject(None, SubjectKind::Process, name, attributes);
        self.header.targets.push(TargetInfo { subject, origin: TargetOrigin::Pid(pid) });
        subject
    }

    pub(super) fn mapping(&mut self, process: SubjectId, name: &str) -> SubjectId {
        self.subject(Some(process), SubjectKind::MappingGroup, name, Attributes::new())
    }

    /// A sample by a sampler that has defined these metrics for subjects of these kinds.
    pub(super) fn sample(&mut self, t: u64, sampler: u16, points: &[(SubjectId, &str, i64)]) {
        let point = |&(subject, name, value): &(SubjectId, &str, i64)| {
            let kind = &self.subjects[subject.0 as usize].kind;
            let metric = self.metrics.iter().find(|metric| {
                &*metric.name == name
                    && metric.subject_kind == *kind
                    && metric.sampler == SamplerId(sampler)
            });
            Point { subject, metric: metric.unwrap().id, value }
        };
        let points = points.iter().map(point).collect();
        let (sampler, duration, partial) = (SamplerId(sampler), 1, false);
        self.records.push(Record::Sample(Sample { t, sampler, duration, partial, points }));
    }

    /// Makes the last sample a partial one.
    pub(super) fn partial(&mut self) {
        if let Some(Record::Sample(sample)) = self.records.last_mut() {
            sample.partial = true;
        }
    }

    pub(super) fn record(&mut self, record: Record) {
        self.records.push(record);
    }

    pub(super) fn event(&mut self, t: u64, subject: Option<SubjectId>, kind: EventKind) {
        self.records.push(Record::Event(Event { t, subject, sampler: None, kind }));
    }

    pub(super) fn exit(&mut self, t: u64, subject: SubjectId, status: i32) {
        self.event(t, Some(subject), EventKind::Exited { status });
    }

    pub(super) fn backed_off(&mut self, t: u64, sampler: u16, interval: u64) {
        let event = Event::new(t, EventKind::BackedOff { interval }).by(SamplerId(sampler));
        self.records.push(Record::Event(event));
    }

    pub(super) fn sampler_failed(&mut self, t: u64, sampler: u16, reason: &str) {
        let kind = EventKind::SamplerFailed { reason: reason.into() };
        self.records.push(Record::Event(Event::new(t, kind).by(SamplerId(sampler))));
    }

    pub(super) fn footer(&mut self, t: u64, ends: &[(SubjectId, End)]) {
        let end = |&(subject, end): &(SubjectId, End)| TargetEnd { subject, end };
        let footer = Footer {
            t,
            ends: ends.iter().map(end).collect(),
            samples: 4,
            late: 1,
            missed: 2,
            dropped: Vec::new(),
            cost: Cost::default(),
        };
        self.records.push(Record::Footer(footer));
    }

    /// All records, from the header on.
    pub(super) fn records(&self) -> Vec<Record> {
        let header = Record::Header(self.header.clone().into());
        std::iter::once(header).chain(self.records.iter().cloned()).collect()
    }
}

/// Runs a sink on records: what it has written to the path that it was made with.
pub(super) fn output_of<S: Sink>(
    make: impl FnOnce(PathBuf) -> Result<S, Error>,
    records: Vec<Record>,
) -> String {
    output_after(make, records, |_| Ok(()))
}

/// The same, with what is done before the sink stops.
pub(super) fn output_after<S: Sink>(
    make: impl FnOnce(PathBuf) -> Result<S, Error>,
    records: Vec<Record>,
    before_stop: impl FnOnce(&mut S) -> Result<(), Error>,
) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let mut sink = make(path.clone()).unwrap();
    records.iter().try_for_each(|record| sink.write(record)).unwrap();
    before_stop(&mut sink).unwrap();
    sink.stop().unwrap();
    std::fs::read_to_string(path).unwrap()
}
