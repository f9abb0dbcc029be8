//! From a stream to the series that are judged.

use std::collections::HashMap;

use seepmeter_analysis::{
    Judgement, Series, Settings, Thinner, Unit, Word, attribute, judge, judge_with_parts,
};
use seepmeter_record::{
    Attr, Catalog, MetricId, Record, Sample, SamplerId, Subject, SubjectId, limit_attr,
    subject_kind,
};

use super::{Nearest, Part, RSS, Verdict};

/// Buckets for the whole: the judge lays a series on a quarter as many cells.
const WHOLE_BUCKETS: usize = 4096;

/// Buckets for each part: attribution looks at an eighth as many. Ten thousand parts that all change
/// all the time take 160 MB; parts that stand still take next to nothing.
const PART_BUCKETS: usize = 256;

/// Keeps of a stream what the judge needs, in bounded memory.
#[derive(Debug)]
pub struct Collector {
    metric: String,
    catalog: Catalog,
    /// The first process of the stream.
    target: Option<SubjectId>,
    ids: Ids,
    standing: Standing,
    whole: Option<Thinner>,
    /// The address space, for the limit that bounds it.
    vsize: Option<Thinner>,
    parts: HashMap<SubjectId, PartSeries>,
    /// How many looks each sampler has taken, and when the last was.
    looks: HashMap<SamplerId, u64>,
    end: u64,
    /// Which sampler tells the judged metric of the whole.
    heard: Option<SamplerId>,
    /// The kernel's own mark of the largest resident set.
    peak: Option<i64>,
}

/// The metrics that are collected.
#[derive(Debug, Default)]
struct Ids {
    judged: Option<MetricId>,
    swap: Option<MetricId>,
    vsize: Option<MetricId>,
    peak: Option<MetricId>,
}

/// The target's values that stand.
#[derive(Debug, Default)]
struct Standing {
    judged: Option<i64>,
    swap: i64,
}

#[derive(Debug)]
struct PartSeries {
    series: Thinner,
    sampler: SamplerId,
}

impl Collector {
    /// Collects what it takes to judge this metric (`rss`). With `rss`, what is swapped out counts in:
    /// swapping hides growth.
    #[must_use]
    pub fn new(metric: &str) -> Self {
        Self {
            metric: metric.to_owned(),
            catalog: Catalog::default(),
            target: None,
            ids: Ids::default(),
            standing: Standing::default(),
            whole: None,
            vsize: None,
            parts: HashMap::new(),
            looks: HashMap::new(),
            end: 0,
            heard: None,
            peak: None,
        }
    }

    /// Takes one record.
    pub fn take(&mut self, record: &Record) {
        self.catalog.learn(record);
        match record {
            Record::Metric(metric) => {
                let name = &*metric.name;
                if name == self.metric {
                    self.ids.judged = Some(metric.id);
                } else if name == "swap" && self.metric == RSS {
                    self.ids.swap = Some(metric.id);
                } else if name == "vsize" {
                    self.ids.vsize = Some(metric.id);
                } else if name == "peak" && self.metric == RSS {
                    self.ids.peak = Some(metric.id);
                }
            }
            Record::Subject(subject)
                if self.target.is_none() && &*subject.kind == subject_kind::PROCESS =>
            {
                self.target = Some(subject.id);
            }
            Record::Sample(sample) => self.take_sample(sample),
            Record::Event(event) if event.kind.ends_subject() => {
                if let Some(part) = event.subject.and_then(|subject| self.parts.get_mut(&subject)) {
                    part.series.push(event.t, 0);
                }
            }
            Record::Header(_) | Record::Subject(_) | Record::Event(_) | Record::Footer(_) => {}
        }
    }

    fn take_sample(&mut self, sample: &Sample) {
        let t = sample.t;
        self.end = self.end.max(t);
        *self.looks.entry(sample.sampler).or_default() += 1;
        let mut seen = false;
        for point in &sample.points {
            let metric = Some(point.metric);
            if Some(point.subject) != self.target {
                if metric == self.ids.judged {
                    let part = self.parts.entry(point.subject).or_insert_with(|| PartSeries {
                        series: Thinner::new(PART_BUCKETS),
                        sampler: sample.sampler,
                    });
                    part.series.push(t, point.value);
                }
            } else if metric == self.ids.judged {
                // Of two samplers that tell it, the first to do so is heard.
                if *self.heard.get_or_insert(sample.sampler) == sample.sampler {
                    self.standing.judged = Some(point.value);
                    seen = true;
                }
            } else if metric == self.ids.swap {
                self.standing.swap = point.value;
                seen = true;
            } else if metric == self.ids.peak {
                self.peak = self.peak.max(Some(point.value));
            } else if metric == self.ids.vsize {
                self.vsize
                    .get_or_insert_with(|| Thinner::new(WHOLE_BUCKETS / 4))
                    .push(t, point.value);
            }
        }
        if let (true, Some(judged)) = (seen, self.standing.judged) {
            let whole = self.whole.get_or_insert_with(|| Thinner::new(WHOLE_BUCKETS));
            whole.push(t, judged.saturating_add(self.standing.swap));
        }
    }

    /// The series of the whole; none where the metric was never sampled.
    #[must_use]
    pub fn series(&self) -> Option<Series> {
        Some(self.whole.clone()?.finish())
    }

    /// The metrics that were defined, for a message.
    #[must_use]
    pub fn metrics(&self) -> Vec<String> {
        self.catalog.metrics().iter().map(|metric| metric.name.to_string()).collect()
    }

    /// The verdict; none where the metric was never sampled.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        let whole = self.series()?;
        let settings = self.settings();
        let parts: Vec<(Part, Series)> = self.parts.iter().filter_map(|p| self.part(p)).collect();
        let by_part: Vec<(Part, &Series)> =
            parts.iter().map(|(part, series)| (part.clone(), series)).collect();
        let judged = judge_with_parts(&whole, &by_part, &settings);
        let mut judgement = judged.judgement;
        judgement.peak = judgement.peak.max(self.peak);
        // Where growth went so far is worth knowing before it is sure that it will go on.
        let grows = judgement.word != Word::Steady && judgement.rate.is_some_and(|r| r.low > 0.0);
        let attribution = judgement
            .span
            .filter(|_| grows && !parts.is_empty())
            .map(|span| attribute(&whole, parts.iter().cloned(), span, judgement.cycle));
        let parts: Vec<(Part, Judgement)> =
            parts.into_iter().map(|(part, series)| (part, judge(&series, &settings))).collect();
        Some(Verdict {
            target: self.target_name(),
            metric: self.metric.clone(),
            limit: self.limit(&judgement, &settings),
            judgement,
            hidden: judged.hidden.map(|(part, _)| part.name),
            attribution,
            parts,
        })
    }

    fn settings(&self) -> Settings {
        let counts = self
            .ids
            .judged
            .and_then(|id| self.catalog.metric(id))
            .is_some_and(|metric| metric.unit == seepmeter_record::Unit::Count);
        Settings { unit: if counts { Unit::Count } else { Unit::Bytes }, ..Settings::default() }
    }

    fn part(&self, (id, part): (&SubjectId, &PartSeries)) -> Option<(Part, Series)> {
        let Subject { name, kind, .. } = self.catalog.subject(*id)?;
        let class = match self.catalog.subject(*id)?.attr("class") {
            Some(Attr::Text(class)) => Some(class.to_string()),
            _ => None,
        };
        let looks = self.looks.get(&part.sampler).copied().unwrap_or(0);
        let series = part.series.clone().finish().with_looks(looks).with_end(self.end);
        Some((Part { name: name.to_string(), kind: kind.to_string(), class }, series))
    }

    fn target_name(&self) -> String {
        let target = self.target.and_then(|id| self.catalog.subject(id));
        target.map_or_else(|| "the target".to_owned(), |target| target.name.to_string())
    }

    /// The limit that is reached first. The cgroup and the machine bound what is resident, and
    /// RLIMIT_AS bounds the address space, which grows at a rate of its own.
    fn limit(&self, judgement: &Judgement, settings: &Settings) -> Option<Nearest> {
        let target = self.catalog.subject(self.target?)?;
        let limit = |name: &str| match target.attr(name)? {
            Attr::Int(bytes) => u64::try_from(*bytes).ok(),
            Attr::Text(_) => None,
        };
        let resident = |name, attr| {
            let bytes = limit(attr)?;
            // Where there is a cycle, its peaks have to fit under the limit too.
            let swing = judgement.peak.map_or(0.0, |peak| peak as f64) - judgement.level?;
            let headroom = judgement.cycle.map_or(0.0, |_| swing.max(0.0));
            let time = judgement.time_to_limit(bytes as f64, headroom)?;
            Some(Nearest { name, bytes, time })
        };
        let mut nearest = Vec::new();
        if matches!(self.metric.as_str(), "rss" | "pss") {
            nearest.extend(resident("cgroup", limit_attr::CGROUP));
            nearest.extend(resident("machine", limit_attr::MACHINE));
        }
        if let (Some(vsize), Some(bytes)) = (&self.vsize, limit(limit_attr::ADDRESS_SPACE)) {
            let looks = self.looks.values().copied().max().unwrap_or(0);
            let series = vsize.clone().finish().with_looks(looks).with_end(self.end);
            let time = judge(&series, settings).time_to_limit(bytes as f64, 0.0);
            nearest.extend(time.map(|time| Nearest { name: "address space", bytes, time }));
        }
        nearest.into_iter().min_by_key(|limit| limit.time.likely)
    }
}
