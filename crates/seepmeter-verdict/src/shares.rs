//! Whose growth it is, for people.

use std::collections::BTreeMap;

use seepmeter_analysis::Span;
use seepmeter_analysis::thresholds::shares::{LEAST_SHARE, MOST_ALIKE, MOSTLY};
use seepmeter_record::{MappingClass, human};

use crate::part::Part;
use crate::text::short;
use crate::verdict::{PartGrowth, Verdict};

/// No more shares than this have a line of their own.
const MOST_SHARES: usize = 4;

/// What has a share: a part, or several of one class.
struct Item<'a> {
    growth: &'a PartGrowth,
    /// How many parts of the class of the first it is, if it is more than that one.
    several: Option<usize>,
    share: f64,
    gain: f64,
}

impl<'a> Item<'a> {
    fn of(growth: &'a PartGrowth) -> Option<Self> {
        Some(Self { growth, several: None, share: growth.share?, gain: growth.gain })
    }

    fn is_thread_stacks(&self) -> bool {
        self.growth.part.class == Some(MappingClass::ThreadStack)
    }

    /// Of several parts, the name says how many there are or which of them it mostly is.
    fn name(&self, new_threads: Option<u64>) -> String {
        let PartGrowth { part, mostly, .. } = self.growth;
        if self.is_thread_stacks() {
            return match new_threads {
                None => Part::THREAD_STACKS.to_owned(),
                Some(0) => format!(
                    "{}, though there are no more threads: they go deeper, or have ended and nobody joins them",
                    Part::THREAD_STACKS
                ),
                Some(1) => "the stack of 1 new thread".to_owned(),
                Some(more) => format!("stacks of {more} new threads"),
            };
        }
        if let Some(several) = self.several {
            let many = part.class.as_ref().and_then(title_of_many).unwrap_or("parts");
            return format!("{several} {many}");
        }
        match mostly {
            // `anonymous mappings, mostly of 64 KiB–1 MiB`.
            Some(one) => {
                format!("{}, mostly {}", part.short_name(), short(part.detail_of(one)))
            }
            None => part.short_name(),
        }
    }
}

/// Many parts of a class, for people; none of a class whose parts are few, or have a family.
fn title_of_many(class: &MappingClass) -> Option<&'static str> {
    match class {
        MappingClass::File => Some("mappings of files"),
        MappingClass::DeletedFile => Some("deleted files"),
        MappingClass::SharedMemory => Some("pieces of shared memory"),
        MappingClass::Memfd => Some("memfds"),
        MappingClass::Named => Some("named mappings"),
        _ => None,
    }
}

/// Many small parts of one class as one; the largest share first.
fn items(shares: &[PartGrowth]) -> Vec<Item<'_>> {
    let mut by_class: BTreeMap<Option<&MappingClass>, Vec<Item<'_>>> = BTreeMap::new();
    for item in shares.iter().filter_map(Item::of) {
        by_class.entry(item.growth.part.class.as_ref()).or_default().push(item);
    }
    let mut items = Vec::new();
    let is_summed =
        |class: Option<&MappingClass>| class.is_some_and(|it| title_of_many(it).is_some());
    for (class, members) in by_class {
        let gains = || members.iter().filter(|item| item.gain > 0.0);
        let (count, gain): (usize, f64) = (gains().count(), gains().map(|item| item.gain).sum());
        let share: f64 = gains().map(|item| item.share).sum();
        let largest = gains().map(|item| item.gain).fold(0.0, f64::max);
        match gains().next() {
            Some(first) if count > MOST_ALIKE && largest < MOSTLY * gain && is_summed(class) => {
                items.push(Item { growth: first.growth, several: Some(count), share, gain });
            }
            _ => items.extend(members),
        }
    }
    items.sort_by(|a, b| b.share.total_cmp(&a.share));
    items
}

impl Verdict {
    /// Whose growth it is, the largest share first.
    pub(crate) fn share_lines(&self) -> Vec<String> {
        let items = items(self.shares.as_deref().unwrap_or_default());
        let many = items.iter().filter(|item| item.share >= LEAST_SHARE).count();
        let (shown, others) = items.split_at(many.min(MOST_SHARES));
        let mut lines: Vec<String> =
            shown.iter().map(|item| self.share_line(item, shown.len() > 1)).collect();
        let others: Vec<f64> =
            others.iter().map(|item| item.share).filter(|share| *share > 0.0).collect();
        let rest: f64 = others.iter().sum();
        if rest >= LEAST_SHARE {
            let others = human::count(others.len() as u64, "other");
            lines.push(format!("  {} of it in {others}", human::percent(rest)));
        }
        let has_stacks = shown.iter().any(Item::is_thread_stacks);
        if let (Some(last), Some(threads), false) = (lines.last_mut(), self.new_threads, has_stacks)
        {
            last.push_str(&format!("; {}", human::count(threads, "new thread")));
        }
        lines
    }

    fn share_line(&self, item: &Item<'_>, several: bool) -> String {
        let seconds = self.judgement.span.map_or(0.0, Span::seconds);
        // The rate of the only one is in the line above.
        let rate = match several && seconds > 0.0 {
            true => format!(", {}", human::rate(item.gain / seconds, self.unit)),
            false => String::new(),
        };
        // More threads have more stacks: that is no cause that explains it.
        let cause = item.growth.cause.filter(|_| !item.is_thread_stacks());
        let why = cause.map_or(String::new(), |cause| format!("; {}", cause.in_words()));
        let name = item.name(self.new_threads);
        format!("  {} of it in {name}{rate}{why}", human::percent(item.share))
    }
}
