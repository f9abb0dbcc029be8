//! The flame graph: stacks as a tree of functions, and what each weighs over time.

use std::collections::{BTreeMap, HashMap};

use seepmeter_record::{Bytes, ProfiledStack, StackProfile, StackWeight};
use serde::{Serialize, Serializer};

use crate::compared::OtherRun;
use crate::content::{Number, ReportContent};
use crate::escape;

/// No more bytes of stacks are in a page.
const MOST_BYTES: usize = 250_000;

/// No more characters of a function's name are in a page. Those of templates and of generics are long.
const LONGEST_FUNCTION: usize = 320;

/// What the scripts draw.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FlameData {
    /// The width of a bin of time, in seconds; the first one begins at 0.
    width: Number,
    bins: usize,
    /// The names of threads and functions.
    names: Vec<String>,
    /// The tree: the place of a node's parent, which stands before it, and the place of its name. Node 0 is all.
    nodes: Vec<(usize, usize)>,
    graphs: Vec<FlameGraph>,
}

/// What the same tree weighs in one unit.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FlameGraph {
    weight: &'static str,
    stacks: Vec<Leaf>,
    /// Stacks that weigh less are one node.
    left_out: usize,
    /// The runs of the base, if they have such stacks, and their samples in all.
    base: Option<Base>,
}

#[derive(Serialize)]
struct Base {
    runs: usize,
    total: u64,
}

/// A stack. In JSON it is an array: the node of its innermost function; bins and values by turns, the bins with
/// samples or those in which the bytes have changed; and what it weighs in the base, bytes at the end or a share of
/// the samples.
struct Leaf {
    node: usize,
    changes: Vec<u64>,
    base: f64,
}

impl Serialize for Leaf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { node, changes, base } = self;
        match base {
            0.0 => (node, changes).serialize(serializer),
            base => (node, changes, Number(*base)).serialize(serializer),
        }
    }
}

/// A stack by its names, in this run and in the base.
struct WeighedStack {
    names: Vec<String>,
    bins: Vec<u64>,
    base: f64,
}

/// The stacks of the run; none if no sampler has them.
pub(crate) fn of(content: &ReportContent<'_>) -> Option<FlameData> {
    let profile = &content.facts.stacks;
    let weights = [(StackWeight::Mapped, "mapped"), (StackWeight::Samples, "samples")];
    let known: Vec<_> = weights
        .into_iter()
        .map(|(weight, name)| (weight, name, profile.stacks(weight)))
        .filter(|(.., stacks)| !stacks.is_empty())
        .collect();
    let bins = known.first()?.2.first()?.bins.len();
    let others = content.compared.map_or(&[][..], |compared| &compared.others);
    let mut tree = Tree::default();
    let budget = MOST_BYTES / known.len();
    let graphs = known.into_iter().map(|(weight, name, stacks)| {
        let (base, stacks) = with_base(weight, stacks, others, bins);
        let (stacks, left_out) = tree.bounded(weight, stacks, budget);
        FlameGraph { weight: name, stacks, left_out, base }
    });
    let graphs = graphs.collect();
    let width = Number(profile.bin_width() as f64 / 1e9);
    let Tree { names, nodes, .. } = tree;
    Some(FlameData { width, bins, names, nodes, graphs })
}

/// The stacks by their names, beside the mean of the base's runs.
fn with_base(
    weight: StackWeight,
    stacks: Vec<ProfiledStack>,
    others: &[OtherRun],
    bins: usize,
) -> (Option<Base>, Vec<WeighedStack>) {
    let mut all: BTreeMap<Vec<String>, WeighedStack> = BTreeMap::new();
    for stack in stacks {
        let names = names_of(&stack);
        let known = all.entry(names.clone()).or_insert_with(|| WeighedStack {
            names,
            bins: vec![0; bins],
            base: 0.0,
        });
        known.bins.iter_mut().zip(&stack.bins).for_each(|(sum, more)| *sum += more);
    }
    let has_stacks = |run: &&OtherRun| run.is_base && run.stacks.has(weight);
    let base: Vec<&StackProfile> =
        others.iter().filter(has_stacks).map(|run| &run.stacks).collect();
    let mut total = 0;
    for profile in &base {
        let stacks = profile.stacks(weight);
        let sum: u64 = stacks.iter().map(|stack| stack.total).sum();
        total += sum;
        let scale = match weight {
            StackWeight::Mapped => base.len() as f64,
            StackWeight::Samples => base.len() as f64 * sum.max(1) as f64,
        };
        for stack in &stacks {
            let names = names_of(stack);
            let known = all.entry(names.clone()).or_insert_with(|| WeighedStack {
                names,
                bins: vec![0; bins],
                base: 0.0,
            });
            let held = match weight {
                StackWeight::Mapped => stack.bins.last().copied().unwrap_or(0),
                StackWeight::Samples => stack.total,
            };
            known.base += held as f64 / scale;
        }
    }
    let runs = base.len();
    ((runs > 0).then_some(Base { runs, total }), all.into_values().collect())
}

fn names_of(stack: &ProfiledStack) -> Vec<String> {
    let name = |name: &Bytes| escape::within(&name.to_string(), LONGEST_FUNCTION);
    stack.thread.iter().chain(&stack.frames).map(name).collect()
}

/// The tree of all functions, the outermost first.
struct Tree {
    names: Vec<String>,
    name_places: HashMap<String, usize>,
    nodes: Vec<(usize, usize)>,
    node_places: HashMap<(usize, usize), usize>,
}

impl Default for Tree {
    fn default() -> Self {
        let names = vec!["all".to_owned()];
        let (name_places, node_places) = (HashMap::new(), HashMap::new());
        Self { names, name_places, nodes: vec![(0, 0)], node_places }
    }
}

impl Tree {
    /// Takes in what weighs most, up to so many bytes, and all others as one.
    fn bounded(
        &mut self,
        weight: StackWeight,
        mut stacks: Vec<WeighedStack>,
        budget: usize,
    ) -> (Vec<Leaf>, usize) {
        // Of each its highest share of what there was at that time, so that what was large for a short time is
        // there for those who look at that time.
        let bins = stacks.first().map_or(0, |stack| stack.bins.len());
        let sums: Vec<u64> =
            (0..bins).map(|bin| stacks.iter().map(|it| it.bins[bin]).sum()).collect();
        let score = |stack: &WeighedStack| {
            let shares =
                stack.bins.iter().zip(&sums).map(|(own, sum)| *own as f64 / (*sum).max(1) as f64);
            let gained = stack.bins.last().copied().unwrap_or(0).abs_diff(stack.base as u64);
            (shares.fold(0.0, f64::max), gained)
        };
        stacks.sort_by(|a, b| {
            let ((a, a_gained), (b, b_gained)) = (score(a), score(b));
            b.total_cmp(&a).then(b_gained.cmp(&a_gained))
        });
        let (mut leaves, mut bytes) = (Vec::new(), 0);
        let mut left_out = 0;
        let mut rest = WeighedStack { names: Vec::new(), bins: vec![0; bins], base: 0.0 };
        for stack in stacks {
            let changes = changes(weight, &stack.bins);
            let size = self.size(&stack.names, &changes);
            if left_out > 0 || bytes + size > budget {
                left_out += 1;
                rest.bins.iter_mut().zip(&stack.bins).for_each(|(sum, more)| *sum += more);
                rest.base += stack.base;
                continue;
            }
            bytes += size;
            let node = self.node(&stack.names);
            leaves.push(Leaf { node, changes, base: shown(weight, stack.base) });
        }
        if left_out > 0 {
            let node = self.node(&[format!("[{left_out} smaller stacks]")]);
            let changes = changes(weight, &rest.bins);
            leaves.push(Leaf { node, changes, base: shown(weight, rest.base) });
        }
        (leaves, left_out)
    }

    /// About how many bytes of the page a stack takes: its changes, and what of the tree is new.
    fn size(&self, names: &[String], changes: &[u64]) -> usize {
        const NODE: usize = 14;
        let (mut size, mut at) = (2 * NODE + escape::json(&changes).len(), Some(0));
        for name in names {
            let place = self.name_places.get(name);
            size += if place.is_none() { escape::json(name).len() + 1 } else { 0 };
            at = at
                .and_then(|at| place.and_then(|place| self.node_places.get(&(at, *place))))
                .copied();
            size += if at.is_none() { NODE } else { 0 };
        }
        size
    }

    fn node(&mut self, names: &[String]) -> usize {
        let mut at = 0;
        for name in names {
            let next = self.names.len();
            let place = *self.name_places.entry(name.clone()).or_insert(next);
            if place == next {
                self.names.push(name.clone());
            }
            let next = self.nodes.len();
            let node = *self.node_places.entry((at, place)).or_insert(next);
            if node == next {
                self.nodes.push((at, place));
            }
            at = node;
        }
        at
    }
}

/// Bins and values by turns: the bins that have any samples, or those whose bytes are not those of the one before.
fn changes(weight: StackWeight, bins: &[u64]) -> Vec<u64> {
    let mut before = 0;
    let mut changes = Vec::new();
    for (bin, value) in (0..).zip(bins) {
        if *value != before {
            changes.extend([bin, *value]);
        }
        before = if weight == StackWeight::Mapped { *value } else { 0 };
    }
    changes
}

/// Bytes are whole; of a share six figures are more than anybody sees.
fn shown(weight: StackWeight, base: f64) -> f64 {
    match weight {
        StackWeight::Mapped => base.round(),
        StackWeight::Samples => format!("{base:.5e}").parse().unwrap_or(base),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(names: &[&str], bins: &[u64]) -> WeighedStack {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        WeighedStack { names, bins: bins.to_vec(), base: 0.0 }
    }

    #[test]
    fn stacks_share_the_nodes_of_the_functions_that_they_share() {
        let mut tree = Tree::default();
        let stacks = vec![stack(&["main", "a"], &[0, 5, 5]), stack(&["main", "b"], &[9, 9, 0])];
        let (leaves, left_out) = tree.bounded(StackWeight::Mapped, stacks, 1 << 20);
        assert_eq!((tree.nodes.len(), left_out), (4, 0));
        assert_eq!(tree.nodes[leaves[0].node].0, tree.nodes[leaves[1].node].0);
        let changes: Vec<&[u64]> = leaves.iter().map(|leaf| &leaf.changes[..]).collect();
        assert!(
            changes.contains(&&[1, 5][..]) && changes.contains(&&[0, 9, 2, 0][..]),
            "{changes:?}"
        );
        assert_eq!(super::changes(StackWeight::Samples, &[0, 5, 5]), [1, 5, 2, 5]);
    }

    #[test]
    fn what_there_is_no_room_for_is_one_node_with_its_weight() {
        let mut tree = Tree::default();
        let names: Vec<String> = (0..2_000).map(|i| format!("<{i}>{}", "x".repeat(300))).collect();
        let stacks: Vec<WeighedStack> =
            names.iter().zip(1..).map(|(name, i)| stack(&["main", name], &[i, 2 * i])).collect();
        let (leaves, left_out) = tree.bounded(StackWeight::Samples, stacks, 100_000);
        assert_eq!(leaves.len() + left_out, 2_001);
        let size = escape::json(&leaves).len()
            + escape::json(&tree.names).len()
            + escape::json(&tree.nodes).len();
        assert!((50_000..=100_500).contains(&size), "{size} bytes");
        let sum = |leaf: &Leaf| leaf.changes.chunks(2).map(|pair| pair[1]).sum::<u64>();
        assert_eq!(leaves.iter().map(sum).sum::<u64>(), 3 * 2_000 * 2_001 / 2);
        let rest = leaves.last().unwrap();
        assert_eq!(tree.names[tree.nodes[rest.node].1], format!("[{left_out} smaller stacks]"));
    }

    #[test]
    fn what_was_large_for_a_short_time_is_there() {
        let mut tree = Tree::default();
        let mut stacks: Vec<WeighedStack> =
            (0..500).map(|i| stack(&[&format!("steady-{i}")], &[1_000, 0, 1_000])).collect();
        stacks.push(stack(&["brief"], &[0, 1, 0]));
        let (leaves, left_out) = tree.bounded(StackWeight::Samples, stacks, 1_000);
        assert!(left_out > 400);
        assert_eq!(tree.names[tree.nodes[leaves[0].node].1], "brief");
    }
}
