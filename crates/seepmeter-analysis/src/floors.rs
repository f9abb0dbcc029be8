//! Stage 3: the floors.
//!
//! Where there are cycles, the floor of a cycle is what the program holds on to once it has let go
//! of all it will let go of; a leak must lift it. One bucket is as long as one and a quarter of the
//! long cycles, so that each holds at least one whole floor. Where there are no cycles the lower
//! quartile of a short bucket stands for it: bursts do not move it, and it wastes less of noisy
//! samples than their minimum would.

use crate::autocorrelation;
use crate::cells::Cells;
use crate::cycle::Cycles;
use crate::floor::Floor;
use crate::thresholds::floors::{
    CLEARLY, CYCLES_IN_A_BUCKET, LEAST_CELLS, LEAST_LOWEST, MOST_FLOORS,
};
use serde::{Deserialize, Serialize};

/// How floors are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buckets {
    /// How many cells make a bucket.
    pub cells: usize,
    /// Whether a floor is the lowest value of a bucket, or else the lower quartile of its means.
    pub lowest: bool,
}

impl Buckets {
    /// Short ones, for a series without cycles.
    pub fn short(cells: &Cells) -> Self {
        let cells = cells.cells.len().div_ceil(MOST_FLOORS).max(LEAST_CELLS);
        Self { cells, lowest: false }
    }

    /// Long enough that each holds a whole floor of a cycle.
    pub fn of_cycles(cells: &Cells, cycles: &Cycles) -> Self {
        let whole = (CYCLES_IN_A_BUCKET * cycles.long).ceil() as usize;
        Self { cells: whole.max(Self::short(cells).cells), lowest: true }
    }
}

/// The floors with the least error of a slope.
///
/// A wander that reverses now and then is counted as cycles too, but its lowest values are no better
/// held than its quartiles, and far fewer; a saw too quick to be seen on the grid has lowest values
/// that are held very well. So the lowest values are taken where they are clearly better, and enough
/// (`least` of them); lower quartiles otherwise.
pub fn choose(cells: &Cells, cycles: Option<&Cycles>, least: usize) -> (Vec<Floor>, Buckets) {
    let short = Buckets::short(cells);
    let doubled = [1, 2, 4].map(|times| Buckets { cells: short.cells * times, lowest: true });
    let cycles = cycles.map(|c| Buckets::of_cycles(cells, c));
    let mut best = (of(cells, short), short);
    if best.0.len() < least {
        return best;
    }
    let mut least_error = CLEARLY * autocorrelation::slope_error(&best.0);
    for buckets in doubled.into_iter().chain(cycles) {
        let floors = of(cells, buckets);
        if floors.len() < least.max(LEAST_LOWEST) {
            continue;
        }
        let error = autocorrelation::slope_error(&floors);
        if error < least_error {
            least_error = error;
            best = (floors, buckets);
        }
    }
    best
}

/// The floors of a series, in order of time.
pub fn of(cells: &Cells, buckets: Buckets) -> Vec<Floor> {
    let size = buckets.cells;
    // Buckets are counted from the end: the latest floor is the one that must be whole.
    let skip = cells.cells.len() % size;
    let mut floors = vec![];
    if skip * 2 >= size {
        floors.extend(floor_of(cells, 0, skip, buckets.lowest));
    }
    for at in (skip..cells.cells.len()).step_by(size) {
        floors.extend(floor_of(cells, at, at + size, buckets.lowest));
    }
    floors
}

/// The floor of the cells `from..to`, unless fewer than half of them are known.
fn floor_of(cells: &Cells, from: usize, to: usize, lowest: bool) -> Option<Floor> {
    let mut known: Vec<(usize, f64)> = (from..to)
        .filter_map(|i| cells.cells[i].map(|c| (i, if lowest { c.min } else { c.mean })))
        .collect();
    if known.len() * 2 < to - from {
        return None;
    }
    let seconds = |ns: u64| ns as f64 / 1e9;
    if lowest {
        let (i, value) = known.into_iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
        return Some(Floor { time: seconds(cells.middle(i)), value });
    }
    let quarter = (known.len() - 1) / 4;
    // Of times that are near the end of 64 bits the sum is not.
    let sum = u128::from(cells.middle(from)) + u128::from(cells.middle(to - 1));
    let middle = sum as f64 / 1e9 / 2.0;
    known.sort_by(|a, b| a.1.total_cmp(&b.1));
    Some(Floor { time: middle, value: known[quarter].1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cycle;
    use crate::series::Series;

    #[test]
    fn the_floors_of_a_saw_are_its_troughs() {
        let saw = Series::from_pairs((0..600).map(|t| (t, 1_000 + (t % 30) as i64 * 50)));
        let cells = Cells::of(&saw);
        let cycles = cycle::find(&cells);
        assert!(cycles.is_some());
        let (floors, buckets) = choose(&cells, cycles.as_ref(), 10);
        assert!(buckets.lowest && floors.len() >= 10);
        assert!(floors.iter().all(|f| f.value == 1_000.0), "{floors:?}");
    }

    #[test]
    fn a_burst_does_not_lift_a_floor() {
        let burst = |t| if t % 100 < 20 { 9_000 } else { 1_000 };
        let s = Series::from_pairs((0..1000).map(|t| (t, burst(t))));
        let cells = Cells::of(&s);
        let floors = choose(&cells, cycle::find(&cells).as_ref(), 10).0;
        assert!(floors.iter().all(|f| f.value == 1_000.0), "{floors:?}");
    }

    #[test]
    fn times_near_the_end_of_64_bits_do_no_harm() {
        let each = u64::MAX / 700;
        let s = Series::from_pairs((0..700).map(|t| (t * each, 1_000 + t as i64)));
        let cells = Cells::of(&s);
        let (floors, _) = choose(&cells, None, 10);
        assert!(floors.is_sorted_by(|a, b| a.time < b.time), "{floors:?}");
        assert!(floors.last().unwrap().time > 0.9 * u64::MAX as f64 / 1e9);
    }

    #[test]
    fn a_gap_has_no_floor() {
        let s = Series::from_pairs((0..500).chain(5_000..5_500).map(|t| (t, 3)));
        let cells = Cells::of(&s);
        let floors = of(&cells, Buckets::short(&cells));
        assert!(floors.iter().all(|f| f.time < 600e-9 || f.time > 4_900e-9));
    }
}
