//! Stage 1: the series on a grid.
//!
//! Uneven samples become comparable when a step function is averaged over cells of equal length. This
//! also bounds the work of every later stage: a million samples make no more than 1,024 cells.
//! Averaging a piecewise constant function over regular cells is "piecewise aggregate
//! approximation" (Keogh, Chakrabarti, Pazzani & Mehrotra, KAIS 3, 2001), here with the least and
//! the greatest value of each cell kept beside its mean.

use crate::series::Series;
use crate::thresholds::cells::MOST_CELLS;
use serde::{Deserialize, Serialize};

/// One cell of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The lowest value in the cell, base units.
    #[serde(with = "crate::exact")]
    pub min: f64,
    /// The time-weighted mean in the cell, base units.
    #[serde(with = "crate::exact")]
    pub mean: f64,
    /// The highest value in the cell, base units.
    #[serde(with = "crate::exact")]
    pub max: f64,
}

/// The grid. A cell in a gap is `None`: nothing is known there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cells {
    /// When the first cell begins, ns.
    #[serde(with = "crate::exact")]
    pub start: u64,
    /// How long a cell is, ns.
    #[serde(with = "crate::exact")]
    pub width: u64,
    /// The cells, in order of time.
    pub cells: Vec<Option<Cell>>,
}

/// A cell while values are added to it.
#[derive(Clone, Copy)]
struct CellBuilder {
    min: f64,
    max: f64,
    /// Value times ns, exactly: the same step function has the same mean however it is cut.
    area: i128,
    weight: u64,
}

const EMPTY: CellBuilder =
    CellBuilder { min: f64::INFINITY, max: f64::NEG_INFINITY, area: 0, weight: 0 };

impl Cells {
    /// Lays a series on a grid of one cell a sample, 1,024 at most.
    pub fn of(series: &Series) -> Self {
        let count = (series.samples().max(1) as usize).min(MOST_CELLS);
        Self::between(series, series.start(), series.end(), count)
    }

    /// Lays the part of a series between two times (ns) on a grid of `count` cells.
    pub fn between(series: &Series, start: u64, end: u64, count: usize) -> Self {
        let span = end.saturating_sub(start).max(1);
        let width = span.div_ceil(count.max(1) as u64).max(1);
        let count = span.div_ceil(width) as usize;
        let mut building = vec![EMPTY; count];
        for (from, to, value) in known_stretches(series) {
            let (from, to) = (from.max(start), to.min(end));
            if from <= to {
                spread(&mut building, from - start, to - start, width, value);
            }
        }
        Self { start, width, cells: building.into_iter().map(CellBuilder::finish).collect() }
    }

    /// The middle of cell `i`, in ns.
    pub fn middle(&self, i: usize) -> u64 {
        let begin = (i as u64).saturating_mul(self.width);
        self.start.saturating_add(begin).saturating_add(self.width / 2)
    }

    /// The means of the cells that are known, with the cells' numbers.
    pub fn known_means(&self) -> Vec<(usize, f64)> {
        let known = self.cells.iter().enumerate();
        known.filter_map(|(i, cell)| cell.map(|c| (i, c.mean))).collect()
    }
}

impl CellBuilder {
    fn finish(self) -> Option<Cell> {
        if self.min > self.max {
            return None;
        }
        // A point at the very end has no duration, but it has been seen.
        let mean = if self.weight > 0 { self.area as f64 / self.weight as f64 } else { self.min };
        Some(Cell { min: self.min, mean, max: self.max })
    }
}

/// Stretches (from, to, value) of the step function, cut where nothing was sampled.
fn known_stretches(series: &Series) -> impl Iterator<Item = (u64, u64, i64)> + '_ {
    let points = series.points();
    let mut gaps = series.gaps().iter().peekable();
    points.iter().enumerate().map(move |(i, &(from, value))| {
        let to = points.get(i + 1).map_or(series.end(), |p| p.0);
        while gaps.peek().is_some_and(|g| g.to <= from) {
            gaps.next();
        }
        match gaps.peek() {
            Some(gap) if gap.from < to => (from, gap.from.max(from), value),
            _ => (from, to, value),
        }
    })
}

fn spread(cells: &mut [CellBuilder], from: u64, to: u64, width: u64, value: i64) {
    let last = cells.len() - 1;
    let first = ((from / width) as usize).min(last);
    // A stretch that ends where a cell begins does not reach into it.
    let until = if to > from { ((to - 1) / width) as usize } else { first };
    for (i, cell) in cells.iter_mut().enumerate().take(until.min(last) + 1).skip(first) {
        // The last cell may end behind all the time that there is.
        let begin = (i as u64).saturating_mul(width).max(from);
        let end = (i as u64 + 1).saturating_mul(width).min(to);
        let weight = end.saturating_sub(begin);
        cell.area += i128::from(weight) * i128::from(value);
        cell.weight += weight;
        cell.min = cell.min.min(value as f64);
        cell.max = cell.max.max(value as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_holds_the_least_value_the_time_weighted_mean_and_the_greatest() {
        let s = Series::from_pairs([(0, 10), (30, 20), (50, 0)]).with_end(100);
        let c = Cells::between(&s, 0, 100, 2);
        assert_eq!(c.cells[0], Some(Cell { min: 10.0, mean: 14.0, max: 20.0 }));
        assert_eq!(c.cells[1], Some(Cell { min: 0.0, mean: 0.0, max: 0.0 }));
    }

    #[test]
    fn a_gap_leaves_its_cells_empty() {
        let s = Series::from_pairs((0..10).chain(90..100).map(|t| (t * 10, 7)));
        let c = Cells::between(&s, 0, 1000, 10);
        assert!(c.cells[0].is_some() && c.cells[9].is_some());
        assert!(c.cells[2..8].iter().all(Option::is_none));
    }

    #[test]
    fn two_series_that_are_the_same_step_function_have_the_same_cells() {
        let few = Series::from_pairs([(0, 1), (40, 9)]).with_end(80).with_samples(81);
        let many = Series::from_pairs((0..=80).map(|t| (t, if t < 40 { 1 } else { 9 })));
        assert_eq!(Cells::of(&few).cells, Cells::of(&many).cells);
    }
}
