//! Recordings made up in a moment, of watches that would take minutes.

use std::io::BufWriter;
use std::path::{Path, PathBuf};

use seepmeter_record::{
    Attr, Cost, End, Footer, Header, Metric, MetricId, Point, Record, Sample, SamplerId,
    SamplerInfo, Subject, SubjectId, TargetInfo, Unit, jsonl, subject_kind,
};

const SECOND: u64 = 1_000_000_000;

type Value = Box<dyn Fn(i64) -> i64>;

/// A recording of a look a second of a process (`rss`), and of its parts.
pub struct Synthetic {
    looks: i64,
    attrs: Vec<(String, Attr)>,
    /// Of the process: name, unit, and what it is at each look.
    metrics: Vec<(&'static str, Unit, Value)>,
    parts: Vec<(Subject, Value)>,
    /// Other metrics of parts: the part's number, the metric's name, and what it is at each look.
    of_parts: Vec<(u32, &'static str, Value)>,
    name: String,
}

impl Synthetic {
    /// So many looks at a resident set.
    #[must_use]
    pub fn rss(looks: i64, value: impl Fn(i64) -> i64 + 'static) -> Self {
        Self {
            looks,
            attrs: vec![("pid".into(), Attr::Int(7)), ("start".into(), Attr::Int(1))],
            metrics: vec![("rss", Unit::Bytes, Box::new(value))],
            parts: Vec::new(),
            of_parts: Vec::new(),
            name: "made-up".to_owned(),
        }
    }

    /// Fifty MB and 20 kB more at each look, under some noise.
    #[must_use]
    pub fn leak(looks: i64, seed: u64) -> Self {
        Self::rss(looks, move |i| 50_000_000 + 20_000 * i + noise(seed, i, 40_000))
    }

    /// Fifty MB and some noise.
    #[must_use]
    pub fn flat(looks: i64, seed: u64) -> Self {
        Self::rss(looks, move |i| 50_000_000 + noise(seed, i, 40_000))
    }

    /// Its process has an attribute, such as a limit.
    #[must_use]
    pub fn attr(mut self, name: &str, value: i64) -> Self {
        self.attrs.push((name.to_owned(), Attr::Int(value)));
        self
    }

    /// Its process has another metric.
    #[must_use]
    pub fn metric(
        mut self,
        name: &'static str,
        unit: Unit,
        value: impl Fn(i64) -> i64 + 'static,
    ) -> Self {
        self.metrics.push((name, unit, Box::new(value)));
        self
    }

    /// Its process has another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// Its process has a part, with a resident set of its own.
    #[must_use]
    pub fn part(self, name: &str, class: &str, value: impl Fn(i64) -> i64 + 'static) -> Self {
        let attrs = vec![("class".into(), Attr::Text(class.into()))];
        self.subject(subject_kind::MAPPING, name, attrs, value)
    }

    /// Its process has a thread, of whose stack so much is resident.
    #[must_use]
    pub fn thread_stack(self, tid: i64, value: impl Fn(i64) -> i64 + 'static) -> Self {
        let name = format!("stack of thread {tid} (worker)");
        let attrs =
            vec![("class".into(), Attr::Text("stack".into())), ("tid".into(), Attr::Int(tid))];
        self.subject(subject_kind::MAPPING, &name, attrs, value)
    }

    /// The part that was made last has another metric, of bytes.
    #[must_use]
    pub fn of_part(mut self, name: &'static str, value: impl Fn(i64) -> i64 + 'static) -> Self {
        self.of_parts.push((self.parts.len() as u32, name, Box::new(value)));
        self
    }

    /// Its process has a child.
    #[must_use]
    pub fn child(self, name: &str, pid: i64, value: impl Fn(i64) -> i64 + 'static) -> Self {
        let attrs = vec![("pid".into(), Attr::Int(pid)), ("start".into(), Attr::Int(2))];
        self.subject(subject_kind::PROCESS, name, attrs, value)
    }

    fn subject(
        mut self,
        kind: &str,
        name: &str,
        attrs: Vec<(String, Attr)>,
        value: impl Fn(i64) -> i64 + 'static,
    ) -> Self {
        let id = SubjectId(self.parts.len() as u32 + 1);
        let subject =
            Subject { id, parent: Some(SubjectId(0)), kind: kind.into(), name: name.into(), attrs };
        self.parts.push((subject, Box::new(value)));
        self
    }

    /// Every metric once, in the order of their numbers.
    fn metric_names(&self) -> Vec<(&'static str, Unit)> {
        let mut names: Vec<_> = self.metrics.iter().map(|(name, unit, _)| (*name, *unit)).collect();
        for (_, name, _) in &self.of_parts {
            if !names.iter().any(|(known, _)| known == name) {
                names.push((name, Unit::Bytes));
            }
        }
        names
    }

    /// Writes it into this folder. Of every value only the changes are told, but for the first metric.
    ///
    /// # Panics
    /// Where it can't be written.
    #[must_use]
    pub fn write(&self, folder: &Path, file: &str) -> PathBuf {
        let path = folder.join(file);
        let mut out = BufWriter::new(std::fs::File::create(&path).expect("a file"));
        let mut write = |record: &Record| jsonl::write_record(&mut out, record).expect("a line");
        write(&Record::Header(header()));
        for (id, (name, unit)) in (0..).zip(self.metric_names()) {
            let (id, help) = (MetricId(id), "made up".into());
            write(&Record::Metric(Metric { id, name: name.into(), unit, help }));
        }
        write(&Record::Subject(Subject {
            id: SubjectId(0),
            parent: None,
            kind: subject_kind::PROCESS.into(),
            name: self.name.as_bytes().into(),
            attrs: self.attrs.clone(),
        }));
        for (subject, _) in &self.parts {
            write(&Record::Subject(subject.clone()));
        }
        let metrics = (0..).zip(&self.metrics).map(|(id, (_, _, value))| (0, id, value));
        let parts = (1..).zip(&self.parts).map(|(id, (_, value))| (id, 0, value));
        let names = self.metric_names();
        let id = |wanted: &str| names.iter().position(|(name, _)| *name == wanted);
        let of_parts = self.of_parts.iter();
        let of_parts =
            of_parts.map(|(part, name, value)| (*part, id(name).unwrap_or(0) as u32, value));
        let all: Vec<(u32, u32, &Value)> = metrics.chain(parts).chain(of_parts).collect();
        let mut told = vec![None; all.len()];
        for i in 0..self.looks {
            let points =
                all.iter().zip(&mut told).filter_map(|((subject, metric, value), told)| {
                    let value = value(i);
                    let always = (*subject, *metric) == (0, 0);
                    let is_new = told.replace(value) != Some(value) || always;
                    let (subject, metric) = (SubjectId(*subject), MetricId(*metric));
                    is_new.then_some(Point { subject, metric, value })
                });
            let points = points.collect();
            let t = i as u64 * SECOND;
            write(&Record::Sample(Sample { t, sampler: SamplerId(0), took: 1000, points }));
        }
        write(&Record::Footer(Footer {
            t: self.looks as u64 * SECOND,
            end: End::Exited(0),
            samples: self.looks as u64,
            late: 0,
            missed: 0,
            lost: Vec::new(),
            cost: Cost::default(),
        }));
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
        page_size: 4096,
        target: TargetInfo::Command(vec!["made-up".into()]),
        samplers: vec![SamplerInfo {
            name: "statm".to_owned(),
            interval: SECOND,
            options: Vec::new(),
        }],
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
