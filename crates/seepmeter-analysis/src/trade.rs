//! Parts that trade memory with each other are one sum.
//!
//! The kernel merges neighbouring mappings, and a mapping that grows changes its size class: memory goes from
//! one part to another, in large steps, while the program has done nothing but grow. Judged one by one such
//! parts make steps up and down; their sum is what the program holds. So the moves of parts over a common
//! grid are compared, and parts whose moves are clearly opposite are added up.

use std::borrow::Cow;

use crate::cells::Cells;
use crate::interval::Span;
use crate::series::Series;
use crate::thresholds::parts::{MOST_TRADERS, MOVES, TRADE};

/// The parts with those that trade with each other added up.
pub(crate) fn sums<'a>(parts: &[&'a Series], span: Span) -> Vec<Cow<'a, Series>> {
    let mut groups = Groups::new(parts.len());
    let movers = movers(parts, span);
    for (i, a) in movers.iter().enumerate() {
        for b in &movers[i + 1..] {
            if a.correlation(b) < TRADE {
                groups.join(a.number, b.number);
            }
        }
    }
    let sum = |members: Vec<&'a Series>| match members[..] {
        [one] => Cow::Borrowed(one),
        _ => Cow::Owned(Series::sum(&members)),
    };
    groups.members(parts).into_iter().map(sum).collect()
}

/// A part's moves from cell to cell, less their mean.
struct Mover {
    number: usize,
    moves: Vec<f64>,
    squares: f64,
}

impl Mover {
    fn of(number: usize, series: &Series, span: Span) -> Self {
        let means = means(series, span);
        let mut moves: Vec<f64> = means.windows(2).map(|w| w[1] - w[0]).collect();
        let mean = moves.iter().sum::<f64>() / moves.len().max(1) as f64;
        moves.iter_mut().for_each(|m| *m -= mean);
        let squares = moves.iter().map(|m| m * m).sum();
        Self { number, moves, squares }
    }

    fn correlation(&self, other: &Self) -> f64 {
        let product: f64 = self.moves.iter().zip(&other.moves).map(|(a, b)| a * b).sum();
        product / (self.squares * other.squares).sqrt()
    }
}

/// The parts that moved most.
fn movers(parts: &[&Series], span: Span) -> Vec<Mover> {
    let parts = parts.iter().enumerate();
    let mut movers: Vec<Mover> = parts
        .map(|(number, series)| Mover::of(number, series, span))
        .filter(|mover| mover.squares > 0.0)
        .collect();
    movers.sort_by(|a, b| b.squares.total_cmp(&a.squares));
    movers.truncate(MOST_TRADERS);
    movers
}

/// The mean in each cell: 0 outside the part's life, and in a gap what it was before.
fn means(series: &Series, span: Span) -> Vec<f64> {
    let cells = Cells::between(series, span.from, span.to, MOVES);
    let mut before = 0.0;
    let mean = |(i, cell): (usize, &Option<crate::cells::Cell>)| {
        before = match cell {
            Some(cell) => cell.mean,
            None if series.at(cells.middle(i)).is_some() => before,
            None => 0.0,
        };
        before
    };
    cells.cells.iter().enumerate().map(mean).collect()
}

/// Which parts belong together: each points to another of its group, the first to itself.
struct Groups(Vec<usize>);

impl Groups {
    fn new(parts: usize) -> Self {
        Self((0..parts).collect())
    }

    fn first_of(&self, mut part: usize) -> usize {
        while self.0[part] != part {
            part = self.0[part];
        }
        part
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.first_of(a), self.first_of(b));
        self.0[a.max(b)] = a.min(b);
    }

    /// The members of each group.
    fn members<'a>(&self, parts: &[&'a Series]) -> Vec<Vec<&'a Series>> {
        let mut groups: Vec<Vec<&'a Series>> = vec![vec![]; parts.len()];
        for (number, series) in parts.iter().enumerate() {
            groups[self.first_of(number)].push(series);
        }
        groups.retain(|group| !group.is_empty());
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn series(value: impl Fn(i64) -> i64) -> Series {
        Series::from_pairs((0..800).map(|i| (i * S, value(i as i64))))
    }

    fn groups(parts: &[Series]) -> usize {
        sums(&parts.iter().collect::<Vec<_>>(), Span { from: 0, to: 799 * S }).len()
    }

    #[test]
    fn two_that_trade_and_three_that_trade_in_turn_are_one_sum() {
        let flip = |i: i64| if i / 160 % 2 == 0 { 30_000_000 } else { 10_000_000 };
        assert_eq!(groups(&[series(flip), series(move |i| 40_000_000 + 9_000 * i - flip(i))]), 1);
        let turn = |k: i64| series(move |i| if i / 90 % 3 == k { 30_000_000 } else { 4_000_000 });
        assert_eq!(groups(&[turn(0), turn(1), turn(2)]), 1);
    }

    #[test]
    fn parts_that_step_at_different_times_or_move_by_chance_are_not_added_up() {
        let step = |at| series(move |i| if i > at { 12_000_000 } else { 0 });
        assert_eq!(groups(&[step(100), step(250), step(400), series(|_| 5)]), 4);
        let noise = |k: i64| series(move |i| (i * 7_919 + k * 104_729) % 997 * 3_000);
        assert!(groups(&[noise(1), noise(2), noise(3), noise(4)]) >= 3);
    }
}
