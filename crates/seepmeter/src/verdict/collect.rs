//! From a stream to the series that are judged.

use std::collections::{BTreeMap, HashMap};

use seepmeter_analysis::{
    Attribution, Judgement, Series, Settings, Thinner, TimeToLimit, Word, attribute, judge,
    judge_with_parts,
};
use seepmeter_record::{
    Attr, Catalog, MetricId, Record, Sample, SamplerId, Subject, SubjectId, limit_attr,
    subject_kind,
};

use super::{Hidden, Nearest, Part, RSS, Verdict, unit_of};

/// Buckets for the whole: the judge lays a series on half as many cells.
const WHOLE_BUCKETS: usize = 2048;

/// Buckets for each of the first parts: attribution looks at an eighth as many.
const PART_BUCKETS: usize = 256;

/// So many parts are kept as finely as that, and all later ones as finely as attribution looks: so ten
/// thousand parts that all change all the time take 30 MB. Parts that stand still take next to nothing.
const FINE_PARTS: usize = 512;
const COARSE_BUCKETS: usize = 32;

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
    /// Which sampler tells the judged metric of the whole: what its looks do not tell stands as it was.
    heard: Option<SamplerId>,
    /// The kernel's own mark of the largest resident set, which no spike between two looks escapes.
    kernel_peak: Option<i64>,
    /// The address space, for the limit that bounds it.
    vsize: Option<Thinner>,
    parts: HashMap<SubjectId, PartSeries>,
    /// How many looks each sampler has taken, and when the last was.
    looks: HashMap<SamplerId, u64>,
    end: u64,
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
            heard: None,
            kernel_peak: None,
            vsize: None,
            parts: HashMap::new(),
            looks: HashMap::new(),
            end: 0,
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
                } else if name == "peak" && self.metric == RSS {
                    self.ids.peak = Some(metric.id);
                } else if name == "vsize" {
                    self.ids.vsize = Some(metric.id);
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
        for point in &sample.points {
            let metric = Some(point.metric);
            if Some(point.subject) != self.target {
                if metric == self.ids.judged {
                    let many = self.parts.len() >= FINE_PARTS;
                    let buckets = if many { COARSE_BUCKETS } else { PART_BUCKETS };
                    let part = self.parts.entry(point.subject).or_insert_with(|| PartSeries {
                        series: Thinner::new(buckets),
                        sampler: sample.sampler,
                    });
                    part.series.push(t, point.value);
                }
            } else if metric == self.ids.judged {
                // Of two samplers that tell it, the first to do so is heard.
                if *self.heard.get_or_insert(sample.sampler) == sample.sampler {
                    self.standing.judged = Some(point.value);
                }
            } else if metric == self.ids.swap {
                self.standing.swap = point.value;
            } else if metric == self.ids.peak {
                self.kernel_peak = self.kernel_peak.max(Some(point.value));
            } else if metric == self.ids.vsize {
                self.vsize
                    .get_or_insert_with(|| Thinner::new(WHOLE_BUCKETS / 4))
                    .push(t, point.value);
            }
        }
        let heard = self.heard == Some(sample.sampler);
        if let (true, Some(judged)) = (heard, self.standing.judged) {
            let whole = self.whole.get_or_insert_with(|| Thinner::new(WHOLE_BUCKETS));
            whole.push(t, judged.saturating_add(self.standing.swap));
        }
    }

    /// Why there is no verdict, for a message.
    #[must_use]
    pub fn lack(&self) -> String {
        let metrics = self.catalog.metrics();
        let names: Vec<&str> = metrics.iter().map(|metric| &*metric.name).collect();
        if names.is_empty() {
            return "nothing was sampled".to_owned();
        }
        format!("there is no metric `{}`; there are: {}", self.metric, names.join(", "))
    }

    /// The verdict; none where there is no such metric. A watch that ended before its first look is
    /// too short, as any other.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        let unit = self.catalog.metric(self.ids.judged?)?.unit;
        let settings = Settings { unit: unit_of(unit), ..Settings::default() };
        let whole = self.whole.clone().map(Thinner::finish).unwrap_or_default();
        let parts = self.parts();
        let by_part: Vec<(Part, &Series)> =
            parts.iter().map(|(part, series)| (part.clone(), series)).collect();
        let judged = judge_with_parts(&whole, &by_part, &settings);
        let mut judgement = judged.judgement;
        let alone = judged.alone;
        let hidden = judged.hidden.map(|(part, judgement)| Hidden {
            name: part.name,
            rate: judgement.rate,
            span: judgement.span,
            alone,
        });
        let attribution = attribution(&judgement, hidden.as_ref(), &whole, &parts);
        // What a part gains, others lose: that reaches no limit.
        let grows = hidden.is_none().then_some(&judgement);
        let limit = self.limit(grows, &whole, &settings);
        judgement.peak = judgement.peak.max(self.kernel_peak);
        Some(Verdict {
            target: self.target_name(),
            metric: self.metric.clone(),
            unit,
            limit,
            judgement,
            hidden,
            attribution,
            parts,
        })
    }

    /// The parts in the order of their names, those of one name taken together: to whoever reads of
    /// it, or names it in a gate, it is one thing. Processes are told apart by their pids.
    fn parts(&self) -> Vec<(Part, Series)> {
        let mut named: BTreeMap<Part, Vec<(SubjectId, Series)>> = BTreeMap::new();
        for (id, part) in &self.parts {
            if let Some((part, series)) = self.part((id, part)) {
                named.entry(part).or_default().push((*id, series));
            }
        }
        let mut parts = Vec::with_capacity(named.len());
        for (part, mut series) in named {
            if series.len() == 1 {
                parts.extend(series.pop().map(|(_, series)| (part, series)));
            } else if part.kind == subject_kind::PROCESS {
                parts.extend(series.into_iter().map(|(id, series)| {
                    let key = self.catalog.subject(id).and_then(Subject::process_key);
                    let pid = key.map_or(String::new(), |(pid, _)| format!(" (pid {pid})"));
                    (Part { name: format!("{}{pid}", part.name), ..part.clone() }, series)
                }));
            } else {
                let of_one_name: Vec<&Series> = series.iter().map(|(_, series)| series).collect();
                parts.push((part, Series::sum(&of_one_name)));
            }
        }
        parts
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
    fn limit(
        &self,
        judgement: Option<&Judgement>,
        whole: &Series,
        settings: &Settings,
    ) -> Option<Nearest> {
        let target = self.catalog.subject(self.target?)?;
        let limit = |name: &str| match target.attr(name)? {
            Attr::Int(bytes) => u64::try_from(*bytes).ok(),
            Attr::Text(_) => None,
        };
        let resident = |name, attr| {
            let (bytes, judgement) = (limit(attr)?, judgement?);
            // Where there is a cycle, its peaks have to fit under the limit too.
            let swing = judgement.peak.map_or(0.0, |peak| peak as f64) - judgement.level?;
            let headroom = judgement.cycle.map_or(0.0, |_| swing.max(0.0));
            let time = from_the_end(judgement.time_to_limit(bytes as f64, headroom)?, whole);
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
            let time = time.map(|time| from_the_end(time, &series));
            nearest.extend(time.map(|time| Nearest { name: "address space", bytes, time }));
        }
        nearest.into_iter().min_by_key(|limit| limit.time.likely)
    }
}

/// Whose growth it is; none where it has not grown. Where growth went so far is worth knowing before it
/// is sure that it will go on. Behind a hidden part there is no growth to have a share of, but who
/// gained and who lost is known.
fn attribution(
    judgement: &Judgement,
    hidden: Option<&Hidden>,
    whole: &Series,
    parts: &[(Part, Series)],
) -> Option<Attribution<Part>> {
    let rises = judgement.rate.is_some_and(|rate| rate.low > 0.0);
    let grows = judgement.word != Word::Steady && rises;
    let span = hidden.map_or(judgement.span, |hidden| hidden.span);
    let span = span.filter(|_| (grows || hidden.is_some()) && !parts.is_empty())?;
    let mut attribution = attribute(whole, parts.iter().cloned(), span, judgement.cycle);
    if hidden.is_some() {
        attribution.unexplained = None;
        attribution.shares.iter_mut().for_each(|share| share.share = None);
    }
    Some(attribution)
}

/// The level is that of the watch's last fifth, and so a tenth of the watch old at its end.
fn from_the_end(time: TimeToLimit, series: &Series) -> TimeToLimit {
    let old = series.span() / 10;
    TimeToLimit {
        soonest: time.soonest.saturating_sub(old),
        likely: time.likely.saturating_sub(old),
        latest: time.latest.map(|latest| latest.saturating_sub(old)),
    }
}
