//! From a stream to the series that are judged.

use std::collections::HashMap;

use seepmeter_analysis::{
    Attribution, Classification, Downsampler, Judgement, Override, PartSeries, Series, Span,
    attribute, judge_with_parts,
};
use seepmeter_record::{Catalog, MetricId, Record, Sample, SamplerId, SubjectId, subject_kind};

use super::limit::{Nearest, Seen, Space};
use super::parts::Parts;
use super::shares::natures;
use super::{Hidden, Nature, Part, RSS, Verdict, settings_of};

/// Buckets for the whole: the judge lays a series on half as many cells.
const WHOLE_BUCKETS: usize = 2048;

/// The metric that the limit of the address space bounds.
const VSIZE: &str = "vsize";

/// Keeps of a stream what the judge needs, in bounded memory.
#[derive(Debug)]
pub struct Collector {
    metric: String,
    catalog: Catalog,
    /// The first process of the stream.
    target: Option<SubjectId>,
    ids: Ids,
    standing: Standing,
    whole: Option<Downsampler>,
    /// Which sampler tells the judged metric of the whole: what its looks do not tell stands as it was.
    heard: Option<SamplerId>,
    /// The kernel's own mark of the largest resident set, which no spike between two looks escapes.
    kernel_peak: Option<i64>,
    /// The address space, for the limit that bounds it.
    vsize: Option<Vsize>,
    parts: Parts,
    /// The intervals that the samplers were asked for, ns, in the order of their ids.
    intervals: Vec<u64>,
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

/// The address space, and which sampler tells it: the first to do so.
#[derive(Debug)]
struct Vsize {
    series: Downsampler,
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
            parts: Parts::default(),
            intervals: Vec::new(),
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
            Record::Header(header) => {
                self.intervals = header.samplers.iter().map(|sampler| sampler.interval).collect();
            }
            Record::Subject(_) | Record::Event(_) | Record::Footer(_) => {}
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
            VSIZE => &mut self.ids.vsize,
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
                let (series, sampler) = (Downsampler::new(WHOLE_BUCKETS / 4), sample.sampler);
                let vsize = self.vsize.get_or_insert(Vsize { series, sampler });
                if vsize.sampler == sampler {
                    vsize.series.push(t, point.value);
                }
            }
        }
        let heard = self.heard == Some(sample.sampler);
        if let (true, Some(judged)) = (heard, self.standing.judged) {
            let whole = self.whole.get_or_insert_with(|| Downsampler::new(WHOLE_BUCKETS));
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
            Some(whole) => (Some(self.scheduled(whole.clone().finish())), false),
            None => (self.parts.sum(), true),
        }
    }

    /// With the interval that the judged metric's sampler was asked for.
    fn scheduled(&self, whole: Series) -> Series {
        let interval = self.heard.and_then(|sampler| self.intervals.get(sampler.0 as usize));
        match interval {
            Some(interval) => whole.with_scheduled_interval(*interval),
            None => whole,
        }
    }

    /// The verdict; none where there is no such metric, or no value of it in looks enough. A watch that
    /// ended before its first look is too short, as any other.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        let unit = self.catalog.metric(self.ids.judged?)?.unit;
        let settings = settings_of(unit);
        let (whole, summed) = self.whole();
        if whole.is_none() && self.all_looks() >= settings.least_samples {
            return None;
        }
        let whole = whole.unwrap_or_default();
        let parts = self.parts.named(&self.catalog, &self.looks, self.end);
        let by_part: Vec<PartSeries<Part>> =
            parts.iter().map(|(part, series)| PartSeries::current(part.clone(), series)).collect();
        let judged = judge_with_parts(&whole, &by_part, &settings);
        let mut judgement = judged.judgement;
        let hidden = judged.masked.zip(judgement.overruled.as_deref()).and_then(|(id, by)| {
            let Override::MaskedGrowth { whole, part } = by else { return None };
            let alone = whole.classification;
            Some(Hidden { name: id.name, rate: part.rate, span: part.span, alone })
        });
        let attribution = attribution(&judgement, hidden.as_ref(), &whole, &parts);
        let natures = attribution.as_ref().map(|told| {
            let cycle = judgement.cycle;
            let gain = |series: &Series| gain_of(series, &whole, judgement.span, cycle);
            natures(&told.shares, &self.parts.natures(&self.catalog, self.end, gain))
        });
        // What a part gains, others lose: that reaches no limit.
        let grows = hidden.is_none().then_some(&judgement);
        let limit = self.limit(grows, &whole);
        judgement.peak = judgement.peak.max(self.kernel_peak);
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
            sum_of: (summed && self.parts.len() > 0).then(|| self.parts.len()),
        })
    }

    fn target_name(&self) -> String {
        let target = self.target.and_then(|id| self.catalog.subject(id));
        target.map_or_else(|| "the target".to_owned(), |target| target.name.to_string())
    }

    /// The limit that is reached first; a judgement is given where it is the whole that grows.
    fn limit(&self, judgement: Option<&Judgement>, whole: &Series) -> Option<Nearest> {
        let resident = self.is_resident();
        let beside = self.vsize.as_ref().filter(|_| resident).map(|vsize| {
            let looks = self.looks.get(&vsize.sampler).copied().unwrap_or(0);
            let series = vsize.series.clone().finish().with_samples(looks).with_end(self.end);
            Space::Beside(series)
        });
        let space = if self.metric == VSIZE { Some(Space::Judged) } else { beside };
        let target = self.catalog.subject(self.target?)?;
        Seen { target, judgement, whole, resident, space }.nearest()
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
    let grows = judgement.classification != Classification::Steady && rises;
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
fn gain_of(series: &Series, whole: &Series, span: Option<Span>, cycle: Option<u64>) -> f64 {
    let gain = |span| {
        let attribution = attribute(whole, [((), series.clone())], span, cycle);
        attribution.shares.first().map_or(0.0, |share| share.gain)
    };
    span.map_or(0.0, gain)
}
