//! Whose growth it is, for people.

use seepmeter_analysis::Span;
use seepmeter_record::{MappingClass, human};

use crate::part::Part;
use crate::text::short;
use crate::verdict::{PartGrowth, Verdict};

/// No more shares than this have a line of their own, and none under this part of the growth.
const MOST_SHARES: usize = 4;
const LEAST_SHARE: f64 = 0.01;

/// A part that has a share.
struct Item<'a> {
    growth: &'a PartGrowth,
    share: f64,
}

impl Item<'_> {
    fn is_thread_stacks(&self) -> bool {
        self.growth.part.class == Some(MappingClass::ThreadStack)
    }

    /// Of several parts, the name says how many there are or which of them it mostly is.
    fn name(&self, new_threads: Option<u64>) -> String {
        let PartGrowth { part, mostly, .. } = self.growth;
        if self.is_thread_stacks() {
            return match new_threads {
                Some(0) | None => Part::THREAD_STACKS.to_owned(),
                Some(1) => "the stack of 1 new thread".to_owned(),
                Some(more) => format!("stacks of {more} new threads"),
            };
        }
        match mostly {
            // `anonymous mappings, mostly of 64 KiB–1 MiB`.
            Some(one) => {
                let one = one.strip_prefix(&part.family).unwrap_or(one).trim_start();
                format!("{}, mostly {}", part.short_name(), short(one))
            }
            None => part.short_name(),
        }
    }
}

impl Verdict {
    /// Whose growth it is, the largest share first.
    pub(crate) fn share_lines(&self) -> Vec<String> {
        let shares = self.shares.iter().flatten();
        let items: Vec<Item<'_>> =
            shares.filter_map(|growth| Some(Item { growth, share: growth.share? })).collect();
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
            true => format!(", {}", human::rate(item.growth.gain / seconds, self.unit)),
            false => String::new(),
        };
        // More threads have more stacks: that is no cause that explains it.
        let cause = item.growth.cause.filter(|_| !item.is_thread_stacks());
        let why = cause.map_or(String::new(), |cause| format!("; {}", cause.in_words()));
        let name = item.name(self.new_threads);
        format!("  {} of it in {name}{rate}{why}", human::percent(item.share))
    }
}
