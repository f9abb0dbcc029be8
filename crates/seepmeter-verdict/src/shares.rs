//! Whose growth it is, for people.

use seepmeter_record::human;

use crate::growth_cause::GrowthCause;
use crate::part::PartClass;
use crate::text::short;
use crate::verdict::{PartGrowth, Verdict};

/// No more shares than this have a line of their own, and none under this part of the growth.
const MOST_SHARES: usize = 4;
const LEAST_SHARE: f64 = 0.01;

/// What has a line: a part, or the stacks of all threads.
struct Item {
    name: String,
    share: f64,
    gain: f64,
    cause: Option<GrowthCause>,
    is_thread_stacks: bool,
}

impl Verdict {
    /// Whose growth it is, the largest share first.
    pub(crate) fn share_lines(&self) -> Vec<String> {
        let items = self.share_items();
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
        let has_stacks = shown.iter().any(|item| item.is_thread_stacks);
        if let (Some(last), Some(threads), false) = (lines.last_mut(), self.new_threads, has_stacks)
        {
            last.push_str(&format!("; {}", human::count(threads, "new thread")));
        }
        lines
    }

    /// What has a share, the largest first. The stacks of all threads are one item before anything is left
    /// out, since each of four hundred is nothing.
    fn share_items(&self) -> Vec<Item> {
        let shares = self.shares.iter().flatten();
        let (stacks, single): (Vec<&PartGrowth>, Vec<_>) = shares
            .filter(|growth| growth.share.is_some())
            .partition(|growth| growth.part.class == Some(PartClass::ThreadStack));
        let share = |growth: &PartGrowth| growth.share.unwrap_or(0.0);
        let mut items: Vec<Item> = single
            .iter()
            .map(|growth| Item {
                name: short(&growth.part.name),
                share: share(growth),
                gain: growth.gain,
                cause: growth.cause,
                is_thread_stacks: false,
            })
            .collect();
        if !stacks.is_empty() {
            let name = match self.new_threads {
                Some(0) | None => {
                    format!("stacks of {}", human::count(stacks.len() as u64, "thread"))
                }
                Some(1) => "the stack of 1 new thread".to_owned(),
                Some(more) => format!("stacks of {more} new threads"),
            };
            items.push(Item {
                name,
                share: stacks.iter().map(|growth| share(growth)).sum(),
                gain: stacks.iter().map(|growth| growth.gain).sum(),
                cause: None,
                is_thread_stacks: true,
            });
        }
        items.sort_by(|a, b| b.share.total_cmp(&a.share));
        items
    }

    fn share_line(&self, item: &Item, several: bool) -> String {
        let Item { name, share, gain, cause, is_thread_stacks: _ } = item;
        let seconds = self.judgement.span.map_or(0.0, |(from, to)| (to - from) as f64 / 1e9);
        // The rate of the only one is in the line above.
        let rate = match several && seconds > 0.0 {
            true => format!(", {}", human::rate(gain / seconds, self.unit)),
            false => String::new(),
        };
        let why = cause.map_or(String::new(), |cause| format!("; {}", cause.in_words()));
        format!("  {} of it in {name}{rate}{why}", human::percent(*share))
    }
}
