//! From a stream to the series that are judged.

use std::collections::HashMap;

use seepmeter_analysis::{
    Attribution, Judgement, Series, Settings, Thinner, TimeToLimit, Word, attribute, judge,
    judge_with_parts,
};
use seepmeter_record::{
    Attr, Catalog, MetricId, Record, Sample, SamplerId, SubjectId, limit_attr, subject_kind,
};

use super::parts::Parts;
use super::shares::natures;
use super::{Hidden, Nature, Nearest, Part, RSS, Verdict, unit_of};

/// Buckets for the whole: the judge lays a series on half as many cells.
const WHOLE_BUCKETS: usize = 2048;

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
    parts: Parts,
    /// How many looks each sampler has taken.
    looks: HashMap<SamplerId, u64>,
    /// When the last look was, in ns.
    end: u64,
    /// When each sampler's last look was, in ns, and how many came before the one before them.
    last: HashMap<SamplerId, u64>,
    backwards: u64,
}

/// The metrics that are collected.
#[derive(Debug, Default)]
struct Ids {
    judged: Option<MetricId>,
    swap: Option<MetricId>,
    vsize: Option<MetricId>,
    peak: Option<MetricId>,
    thp: Option<MetricId>,
    lazyfree: Option<MetricId>,
}

impl Ids {
    /// The nature that a metric of a part tells of.
    fn nature(&self, metric: MetricId) -> Option<Nature> {
        match Some(metric) {
            id if id == self.thp => Some(Nature::HugePages),
            id if id == self.lazyfree => Some(Nature::LazyFree),
            _ => None,
        }
    }
}

/// The target's values that stand.
#[derive(Debug, Default)]
struct Standing {
    judged: Option<i64>,
    swap: i64,
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
            parts: Parts::default(),
            looks: HashMap::new(),
            end: 0,
            last: HashMap::new(),
            backwards: 0,
        }
    }

    /// Takes one record.
    pub fn take(&mut self, record: &Record) {
        self.catalog.learn(record);
        match record {
            Record::Metric(metric) => {
                self.meet(&metric.name, metric.id);
            }
            Record::Subject(subject)
                if self.target.is_none() && &*subject.kind == subject_kind::PROCESS =>
            {
                self.target = Some(subject.id);
            }
            Record::Sample(sample) => self.take_sample(sample),
            Record::Event(event) if event.kind.ends_subject() => {
                if let Some(subject) = event.subject {
                    self.parts.end(event.t, subject);
                }
            }
            Record::Header(_) | Record::Subject(_) | Record::Event(_) | Record::Footer(_) => {}
        }
    }

    fn meet(&mut self, name: &str, id: MetricId) {
        let of_rss = self.metric == RSS;
        let place = match name {
            // Whatever it is, it is judged.
            name if name == self.metric => &mut self.ids.judged,
            "swap" if of_rss => &mut self.ids.swap,
            "peak" if of_rss => &mut self.ids.peak,
            "thp" if self.is_resident() => &mut self.ids.thp,
            "lazyfree" if self.is_resident() => &mut self.ids.lazyfree,
            "vsize" => &mut self.ids.vsize,
            _ => return,
        };
        *place = Some(id);
    }

    /// True where what is judged is resident memory, which the cgroup and the machine bound.
    fn is_resident(&self) -> bool {
        matches!(self.metric.as_str(), RSS | "pss")
    }

    fn take_sample(&mut self, sample: &Sample) {
        let t = sample.t;
        self.end = self.end.max(t);
        *self.looks.entry(sample.sampler).or_default() += 1;
        let before = self.last.insert(sample.sampler, t);
        self.backwards += u64::from(before.is_some_and(|before| before > t));
        for point in &sample.points {
            let metric = Some(point.metric);
            if Some(point.subject) != self.target {
                if metric == self.ids.judged {
                    let look = (t, sample.sampler);
                    self.parts.take(look, (point.subject, point.value), &self.catalog);
                } else if let Some(nature) = self.ids.nature(point.metric) {
                    self.parts.take_nature(t, point.subject, nature, point.value);
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
        self.parts.looked(t, sample.sampler);
    }

    /// How many looks have a time before that of the same sampler's look before them: no clock that only
    /// goes forwards has said so. They are taken as at the time of that.
    #[must_use]
    pub fn backwards(&self) -> u64 {
        self.backwards
    }

    /// Why there is no verdict, for a message.
    #[must_use]
    pub fn lack(&self) -> String {
        let metrics = self.catalog.metrics();
        let names: Vec<&str> = metrics.iter().map(|metric| &*metric.name).collect();
        if names.is_empty() {
            return "nothing was sampled".to_owned();
        }
        if self.ids.judged.is_some() {
            return format!("in {} looks no value of `{}` was told", self.all_looks(), self.metric);
        }
        format!("there is no metric `{}`; there are: {}", self.metric, names.join(", "))
    }

    /// The verdict.
    ///
    /// # Errors
    /// Why there is none, for a message.
    pub fn verdict_or_lack(&self) -> Result<Verdict, String> {
        self.verdict().ok_or_else(|| self.lack())
    }

    fn all_looks(&self) -> u64 {
        self.looks.values().sum()
    }

    /// What is judged, and true where it is a sum: a metric that the target itself does not have is
    /// that of all its parts together.
    fn whole(&self) -> (Option<Series>, bool) {
        match &self.whole {
            Some(whole) => (Some(whole.clone().finish()), false),
            None => (self.parts.sum(), true),
        }
    }

    /// The verdict; none where there is no such metric, or no value of it in looks enough. A watch that
    /// ended before its first look is too short, as any other.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        let unit = self.catalog.metric(self.ids.judged?)?.unit;
        let settings = Settings { unit: unit_of(unit), ..Settings::default() };
        let (whole, summed) = self.whole();
        if whole.is_none() && self.all_looks() >= settings.least_looks {
            return None;
        }
        let whole = whole.unwrap_or_default();
        let parts = self.parts.named(&self.catalog, &self.looks, self.end);
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
        let natures = attribution.as_ref().map(|told| {
            let cycle = judgement.cycle;
            let gain = |series: &Series| gain_of(series, &whole, judgement.span, cycle);
            natures(&told.shares, &self.parts.natures(&self.catalog, self.end, gain))
        });
        // What a part gains, others lose: that reaches no limit.
        let grows = hidden.is_none().then_some(&judgement);
        let limit = self.limit(grows, &whole, &settings);
        judgement.peak = judgement.peak.max(self.kernel_peak);
        if summed && self.parts.len() > 0 {
            let said = format!("{} is the sum of {} parts", self.metric, self.parts.len());
            judgement.explanation.insert(0, said);
        }
        Some(Verdict {
            target: self.target_name(),
            metric: self.metric.clone(),
            unit,
            limit,
            judgement,
            hidden,
            attribution,
            natures: natures.unwrap_or_default(),
            parts,
        })
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
        if self.is_resident() {
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

/// What a series gained over a span, as a share of the whole's growth would be made of it.
fn gain_of(series: &Series, whole: &Series, span: Option<(u64, u64)>, cycle: Option<u64>) -> f64 {
    let gain = |span| {
        let attribution = attribute(whole, [((), series.clone())], span, cycle);
        attribution.shares.first().map_or(0.0, |share| share.gain)
    };
    span.map_or(0.0, gain)
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
