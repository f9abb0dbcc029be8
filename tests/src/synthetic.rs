//! Recordings made in a moment, of runs that would take minutes.

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use seepmeter_record::conventions::{DescriptorKind, MappingClass, attribute, metric};
use seepmeter_record::{
    AttributeKey, AttributeType, Attributes, Cost, End, Footer, Frame, FrameId, Header, Metric,
    MetricId, MetricSpec, Point, Record, Sample, SamplerId, SamplerInfo, Stack, StackId, Subject,
    SubjectId, SubjectKind, TargetEnd, TargetInfo, TargetOrigin, jsonl,
};

const SECOND: u64 = 1_000_000_000;
const TARGET: SubjectId = SubjectId(0);

type Value = Box<dyn Fn(i64) -> i64>;

/// A metric of a subject, and its value at each sample.
struct Course {
    subject: SubjectId,
    metric: MetricSpec<'static>,
    value: Value,
}

/// A recording of a process (`rss`) and of its parts, with a sample a second.
pub struct Synthetic {
    samples: i64,
    target: Subject,
    parts: Vec<Subject>,
    courses: Vec<Course>,
    frames: Vec<Frame>,
    stacks: Vec<Stack>,
}

impl Synthetic {
    /// So many samples of a resident set.
    #[must_use]
    pub fn rss(samples: i64, value: impl Fn(i64) -> i64 + 'static) -> Self {
        let target = Subject {
            id: TARGET,
            parent: None,
            kind: SubjectKind::Process,
            name: "made-up".into(),
            attributes: Attributes::new().with(attribute::PID, 7).with(attribute::START_TIME, 1),
        };
        let empty = Self {
            samples,
            target,
            parts: Vec::new(),
            courses: Vec::new(),
            frames: Vec::new(),
            stacks: Vec::new(),
        };
        empty.metric(metric::RSS, value)
    }

    /// Fifty MB and 20 kB more at each sample, under some noise.
    #[must_use]
    pub fn leak(samples: i64, seed: u64) -> Self {
        Self::rss(samples, move |i| 50_000_000 + 20_000 * i + noise(seed, i, 40_000))
    }

    /// Fifty MB and some noise.
    #[must_use]
    pub fn flat(samples: i64, seed: u64) -> Self {
        Self::rss(samples, move |i| 50_000_000 + noise(seed, i, 40_000))
    }

    /// Its process has an attribute, such as a limit.
    #[must_use]
    pub fn with<T: AttributeType>(mut self, key: AttributeKey<T>, value: T) -> Self {
        self.target.attributes = self.target.attributes.with(key, value);
        self
    }

    /// Its process has another metric.
    #[must_use]
    pub fn metric(self, metric: MetricSpec<'static>, value: impl Fn(i64) -> i64 + 'static) -> Self {
        self.course(TARGET, metric, value)
    }

    /// Its process has another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.target.name = name.into();
        self
    }

    /// Its process has a part, with a resident set of its own.
    #[must_use]
    pub fn part(
        self,
        name: &str,
        class: MappingClass,
        value: impl Fn(i64) -> i64 + 'static,
    ) -> Self {
        let attributes = Attributes::new().with(attribute::CLASS, class);
        self.subject(SubjectKind::Mapping, name, attributes, value)
    }

    /// The part that was made last has an attribute, such as its file.
    ///
    /// # Panics
    /// If there is no part.
    #[must_use]
    pub fn with_of_part<T: AttributeType>(mut self, key: AttributeKey<T>, value: T) -> Self {
        let part = self.parts.last_mut().expect("a part");
        part.attributes = std::mem::take(&mut part.attributes).with(key, value);
        self
    }

    /// Its process has a thread, of whose stack so much is resident.
    #[must_use]
    pub fn thread_stack(self, tid: i32, value: impl Fn(i64) -> i64 + 'static) -> Self {
        let name = format!("stack of thread {tid} (worker)");
        let attributes = Attributes::new()
            .with(attribute::CLASS, MappingClass::ThreadStack)
            .with(attribute::TID, tid);
        self.subject(SubjectKind::Mapping, &name, attributes, value)
    }

    /// The part that was made last has another metric.
    #[must_use]
    pub fn of_part(
        self,
        metric: MetricSpec<'static>,
        value: impl Fn(i64) -> i64 + 'static,
    ) -> Self {
        let part = self.parts.last().unwrap_or(&self.target);
        let (id, metric) = (part.id, metric.of(part.kind.clone()));
        self.course(id, metric, value)
    }

    /// Its process has a child.
    #[must_use]
    pub fn child(self, name: &str, pid: i32, value: impl Fn(i64) -> i64 + 'static) -> Self {
        let attributes = Attributes::new().with(attribute::PID, pid).with(attribute::START_TIME, 2);
        self.subject(SubjectKind::Process, name, attributes, value)
    }

    /// Its process has a group of descriptors, of a kind or with a name too, and so many are open.
    #[must_use]
    pub fn descriptors(
        mut self,
        kind: DescriptorKind,
        file: &str,
        value: impl Fn(i64) -> i64 + 'static,
    ) -> Self {
        let name = format!("{} {file}", kind.plural());
        let attributes = Attributes::new().with(attribute::DESCRIPTOR, kind);
        let kind = SubjectKind::DescriptorGroup;
        let id = self.add(Some(TARGET), kind.clone(), name.trim_end(), attributes);
        self.course(id, metric::FDS.of(kind), value)
    }

    /// There is a cgroup with this limit, and so much anonymous memory in it.
    #[must_use]
    pub fn cgroup(mut self, name: &str, limit: u64, value: impl Fn(i64) -> i64 + 'static) -> Self {
        let attributes = Attributes::new().with(attribute::CGROUP_LIMIT, limit);
        let id = self.add(None, SubjectKind::Cgroup, name, attributes);
        self.course(id, metric::CGROUP_ANON.of(SubjectKind::Cgroup), value)
    }

    /// There is a stack of these functions, the outermost first; the first one has the number 0.
    #[must_use]
    pub fn stack(mut self, functions: &[&str]) -> Self {
        let frames = functions.iter().rev().map(|function| self.frame(function)).collect();
        let id = StackId(self.stacks.len() as u32);
        self.stacks.push(Stack { id, frames, truncated: None });
        self
    }

    fn frame(&mut self, function: &str) -> FrameId {
        let function = Some(function.into());
        if let Some(known) = self.frames.iter().find(|frame| frame.function == function) {
            return known.id;
        }
        let id = FrameId(self.frames.len() as u32);
        let address = u64::from(id.0);
        let (image, file, line, inlined) = (None, None, None, Vec::new());
        self.frames.push(Frame { id, image, address, function, file, line, inlined });
        id
    }

    /// So many bytes are mapped from the stack that was made last.
    #[must_use]
    pub fn maps(mut self, value: impl Fn(i64) -> i64 + 'static) -> Self {
        let stack = StackId(self.stacks.len() as u32 - 1);
        let attributes = Attributes::new().with(attribute::STACK, stack);
        let id = self.add(Some(TARGET), SubjectKind::Stack, "a stack", attributes);
        self.course(id, metric::MAPPED.of(SubjectKind::Stack), value)
    }

    /// Its process has a thread, which is in the stack of this number.
    #[must_use]
    pub fn thread(mut self, name: &str, stack: impl Fn(i64) -> i64 + 'static) -> Self {
        let id = self.add(Some(TARGET), SubjectKind::Thread, name, Attributes::new());
        self.course(id, metric::STACK.of(SubjectKind::Thread), stack)
    }

    fn subject(
        mut self,
        kind: SubjectKind,
        name: &str,
        attributes: Attributes,
        value: impl Fn(i64) -> i64 + 'static,
    ) -> Self {
        let id = self.add(Some(TARGET), kind.clone(), name, attributes);
        self.course(id, metric::RSS.of(kind), value)
    }

    fn add(
        &mut self,
        parent: Option<SubjectId>,
        kind: SubjectKind,
        name: &str,
        attributes: Attributes,
    ) -> SubjectId {
        let id = SubjectId(self.parts.len() as u32 + 1);
        self.parts.push(Subject { id, parent, kind, name: name.into(), attributes });
        id
    }

    fn course(
        mut self,
        subject: SubjectId,
        metric: MetricSpec<'static>,
        value: impl Fn(i64) -> i64 + 'static,
    ) -> Self {
        self.courses.push(Course { subject, metric, value: Box::new(value) });
        self
    }

    /// Every metric once, in the order of their numbers.
    fn metrics(&self) -> Vec<&MetricSpec<'static>> {
        let mut metrics = Vec::new();
        for course in &self.courses {
            if !metrics.contains(&&course.metric) {
                metrics.push(&course.metric);
            }
        }
        metrics
    }

    /// Writes it into this folder. Of every value only the changes are emitted, but for the first metric.
    ///
    /// # Panics
    /// If it can't be written.
    #[must_use]
    pub fn write(&self, folder: &Path, file: &str) -> PathBuf {
        let path = folder.join(file);
        let mut out = BufWriter::new(std::fs::File::create(&path).expect("a file"));
        let mut write = |record: &Record| jsonl::write_record(&mut out, record).expect("a line");
        let metrics = self.metrics();
        write(&Record::Header(Arc::new(header())));
        for (id, spec) in (0..).map(MetricId).zip(&metrics) {
            write(&Record::Metric(Arc::new(metric_record(id, spec))));
        }
        self.frames.iter().for_each(|frame| write(&Record::Frame(Arc::new(frame.clone()))));
        self.stacks.iter().for_each(|stack| write(&Record::Stack(Arc::new(stack.clone()))));
        for subject in std::iter::once(&self.target).chain(&self.parts) {
            write(&Record::Subject(Arc::new(subject.clone())));
        }
        let id = |spec| metrics.iter().position(|metric| *metric == spec).unwrap_or(0) as u32;
        let ids: Vec<_> = self.courses.iter().map(|course| MetricId(id(&course.metric))).collect();
        let mut last_emitted = vec![None; self.courses.len()];
        for i in 0..self.samples {
            let courses = self.courses.iter().zip(&ids).zip(&mut last_emitted);
            let points = courses.filter_map(|((course, metric), last_emitted)| {
                let value = (course.value)(i);
                let (subject, metric) = (course.subject, *metric);
                let always = (subject, metric) == (TARGET, MetricId(0));
                let changed = last_emitted.replace(value) != Some(value) || always;
                changed.then_some(Point { subject, metric, value })
            });
            let (points, t) = (points.collect(), i as u64 * SECOND);
            let sampler = SamplerId(0);
            write(&Record::Sample(Sample { t, sampler, duration: 1000, partial: false, points }));
        }
        write(&Record::Footer(footer(self.samples as u64)));
        path
    }
}

fn header() -> Header {
    Header {
        format: seepmeter_record::FORMAT,
        seepmeter: "0.1.0".to_owned(),
        start: "2026-01-01T00:00:00.000000000+00:00".to_owned(),
        host: "made-up".into(),
        kernel: "6.1".into(),
        boot_id: None,
        page_size: 4096,
        targets: vec![TargetInfo {
            subject: TARGET,
            origin: TargetOrigin::Command(vec!["made-up".into()]),
        }],
        samplers: vec![SamplerInfo {
            first_interval: None,
            name: "statm".to_owned(),
            interval: SECOND,
            options: Vec::new(),
        }],
    }
}

fn metric_record(id: MetricId, spec: &MetricSpec<'_>) -> Metric {
    let MetricSpec { name, unit, kind, subject_kind, help } = spec;
    let (name, help, subject_kind) = ((*name).into(), (*help).into(), subject_kind.clone());
    Metric { id, name, unit: *unit, kind: *kind, subject_kind, sampler: SamplerId(0), help }
}

fn footer(samples: u64) -> Footer {
    Footer {
        t: samples * SECOND,
        ends: vec![TargetEnd { subject: TARGET, end: End::Exited(0) }],
        samples,
        late: 0,
        missed: 0,
        dropped: Vec::new(),
        cost: Cost::default(),
    }
}

/// A number from 0 up to a range, the same for the same seed and place (splitmix64).
#[must_use]
pub fn noise(seed: u64, i: i64, range: i64) -> i64 {
    let mut z = seed.wrapping_mul(0xd129_0d3d_6a7c_5e11).wrapping_add(i as u64);
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) % range.max(1) as u64) as i64
}
