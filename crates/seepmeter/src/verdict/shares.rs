//! Whose growth it is, in words.

use std::collections::BTreeMap;

use seepmeter_analysis::words::{NumberFormat, rate_interval};
use seepmeter_analysis::{Interval, Series, Share, Span};

use super::{Part, STACKS, Verdict, format_of, short};

/// No more shares than this are told one by one, and none under this part of the growth.
const MOST_SHARES: usize = 4;
const LEAST_SHARE: f64 = 0.01;

/// What most of a part's growth is made of, where that is usually no leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nature {
    /// Transparent huge pages.
    HugePages,
    /// Pages given back by MADV_FREE of madvise(2).
    LazyFree,
}

impl Nature {
    /// The metric that tells it, and the word for it in JSON.
    #[must_use]
    pub fn metric(self) -> &'static str {
        match self {
            Self::HugePages => "thp",
            Self::LazyFree => "lazyfree",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::HugePages => "mostly transparent huge pages, which take more than was asked for",
            Self::LazyFree => {
                "mostly given back by MADV_FREE: the kernel takes it when it needs it"
            }
        }
    }
}

/// One line of the shares: a part, or several that are one thing to whoever reads of them.
struct Item<'a> {
    name: String,
    share: f64,
    gain: f64,
    class: Option<&'a str>,
    nature: Option<Nature>,
    /// True where it is the stacks of all threads.
    is_stacks: bool,
}

impl Verdict {
    /// Whose growth it is, the largest share first.
    pub(super) fn tell_shares(&self) -> Vec<String> {
        let items = self.items();
        let many = items.iter().filter(|item| item.share >= LEAST_SHARE).count();
        let many = many.min(MOST_SHARES);
        let (told, others) = items.split_at(many);
        let mut lines: Vec<String> = told.iter().map(|item| self.tell(item, many > 1)).collect();
        let others: Vec<f64> =
            others.iter().map(|item| item.share).filter(|share| *share > 0.0).collect();
        let rest: f64 = others.iter().sum();
        if rest >= LEAST_SHARE {
            let things = if others.len() == 1 { "other" } else { "others" };
            lines.push(format!("  {:.0} % of it in {} {things}", 100.0 * rest, others.len()));
        }
        let stacks_told = told.iter().any(|item| item.is_stacks);
        if let (Some(last), Some(threads), false) =
            (lines.last_mut(), self.new_threads(), stacks_told)
        {
            last.push_str(&match threads {
                1 => "; 1 new thread".to_owned(),
                threads => format!("; {threads} new threads"),
            });
        }
        lines
    }

    /// What has a share, the largest first: all threads' stacks are one thing before anything is left
    /// out, since each of four hundred is nothing.
    fn items(&self) -> Vec<Item<'_>> {
        let shares = self.attribution.iter().flat_map(|attribution| &attribution.shares);
        let (stacks, single): (Vec<_>, Vec<_>) =
            shares.filter(|share| share.share.is_some()).partition(|s| s.id.family() == STACKS);
        let one = |share: &&'_ Share<Part>| share.share.unwrap_or(0.0);
        let mut items: Vec<Item> = single
            .iter()
            .map(|share| Item {
                name: short(&share.id.name),
                share: one(share),
                gain: share.gain,
                class: share.id.class.as_deref(),
                nature: self.natures.get(&share.id).copied(),
                is_stacks: false,
            })
            .collect();
        if !stacks.is_empty() {
            let name = match self.new_threads() {
                Some(more) if more > 1 => format!("stacks of {more} threads more"),
                Some(1) => "the stack of 1 thread more".to_owned(),
                _ => format!("stacks of {} threads", stacks.len()),
            };
            items.push(Item {
                name,
                share: stacks.iter().map(one).sum(),
                gain: stacks.iter().map(|share| share.gain).sum(),
                class: None,
                nature: None,
                is_stacks: true,
            });
        }
        items.sort_by(|a, b| b.share.total_cmp(&a.share));
        items
    }

    fn tell(&self, item: &Item, several: bool) -> String {
        let Item { name, share, gain, class, nature, is_stacks: _ } = item;
        let seconds = self.judgement.span.map_or(0.0, Span::seconds);
        // The rate of the only one is in the line above.
        let rate = match several && seconds > 0.0 {
            true => format!(", {}", rate(gain / seconds, format_of(self.unit))),
            false => String::new(),
        };
        let why = nature.map(Nature::in_words).or_else(|| class.and_then(usually_no_leak));
        let why = why.map_or(String::new(), |why| format!("; {why}"));
        format!("  {:.0} % of it in {name}{rate}{why}", 100.0 * share)
    }

    /// How many threads more there were at the end of the judged span than at its begin, by their
    /// stacks; none where no stacks were sampled. Stacks may be looked at for the first time a moment
    /// after the begin: those that are there then are not new.
    fn new_threads(&self) -> Option<i64> {
        let Span { from, to } = self.judgement.span?;
        let is_stack = |part: &Part| part.class.as_deref() == Some("stack");
        self.parts.iter().find(|(part, _)| is_stack(part))?;
        let first_look = self.parts.iter().map(|(_, series)| series.start()).min()?;
        let alive = |t: u64| {
            let is = |series: &Series| series.at(t).is_some_and(|bytes| bytes > 0);
            let stacks = self.parts.iter().filter(|(part, _)| part.family() == STACKS);
            i64::try_from(stacks.filter(|(_, series)| is(series)).count()).unwrap_or(i64::MAX)
        };
        Some((alive(to) - alive(from.max(first_look))).max(0))
    }
}

/// Which parts grew mostly by something that is usually no leak: at least half of what a part gained.
pub(super) fn natures(
    shares: &[Share<Part>],
    gains: &BTreeMap<(Part, Nature), f64>,
) -> BTreeMap<Part, Nature> {
    let mut natures = BTreeMap::new();
    for share in shares {
        for nature in [Nature::HugePages, Nature::LazyFree] {
            let gain = gains.get(&(share.id.clone(), nature)).copied().unwrap_or(0.0);
            if share.gain > 0.0 && gain >= share.gain / 2.0 {
                natures.insert(share.id.clone(), nature);
            }
        }
    }
    natures
}

/// A rate without an interval: `+43.2 KiB/s`. In base units a second.
pub(crate) fn rate(value: f64, format: NumberFormat) -> String {
    let exactly = Interval { estimate: value, low: value, high: value };
    let told = rate_interval(exactly, format);
    told.split(" (").next().unwrap_or_default().to_owned()
}

/// Growth that is usually no leak, by the class that the sampler gives a mapping.
fn usually_no_leak(class: &str) -> Option<&'static str> {
    Some(match class {
        "file" => "pages of a file, which the kernel can take back",
        "shm" | "memfd" => "shared memory: another process may be the one that grows it",
        "stack" => "a stack that was deep once stays resident",
        "jit" => "code that a JIT compiler makes: it usually stops when all is compiled",
        "arena" => "arenas of malloc, which keep what was freed",
        _ => return None,
    })
}
