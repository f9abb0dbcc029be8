//! Seeded random draws, and the split between what is tuned on and what is reported.

use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp1, Poisson, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Which shapes: those that may be looked at while tuning, or those of the reported figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// For tuning.
    Tuning,
    /// The reported split of the first round. What missed its target there has been looked at, so its
    /// figures no longer count; it may be tuned on.
    Spent,
    /// For the reported figure, never tuned on: the second round, with seeds and parameters that no
    /// earlier round had.
    Reported,
}

/// The reported split reaches past the ranges of the first round by this part of their (logarithmic)
/// width, at both ends.
const WIDER: f64 = 0.03;

/// A source of chance for one draw. It is the same on every machine.
pub struct DrawRng {
    random: Xoshiro256PlusPlus,
    split: Split,
}

impl DrawRng {
    /// The generator of one draw: the split, the shape's name, the length and the draw's number.
    pub fn new(split: Split, shape: &str, length: f64, draw: u64) -> Self {
        let first: u64 = match split {
            Split::Tuning => 0x7EA5_0000_0000_0001,
            Split::Spent => 0x5EE9_0000_0000_0002,
            Split::Reported => 0x0D1C_E000_0000_0003,
        };
        // FNV-1a over everything that names the draw.
        let named = shape.bytes().chain(length.to_le_bytes()).chain(draw.to_le_bytes());
        let seed = named.fold(first ^ 0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        Self { random: Xoshiro256PlusPlus::seed_from_u64(seed), split }
    }

    /// A parameter: evenly from the first range when tuning, from the second when reporting.
    pub fn between(&mut self, tuning: (f64, f64), reported: (f64, f64)) -> f64 {
        let (low, high) = match self.split {
            Split::Tuning => tuning,
            Split::Spent | Split::Reported => reported,
        };
        low + (high - low) * self.place()
    }

    /// The same on a logarithmic scale. The reported split reaches a little further: a factor may,
    /// where a part or a share may not.
    pub fn scale(&mut self, tuning: (f64, f64), reported: (f64, f64)) -> f64 {
        let ln = |r: (f64, f64)| (r.0.ln(), r.1.ln());
        let (low, high) = ln(reported);
        let further = if self.split == Split::Reported { WIDER * (high - low) } else { 0.0 };
        self.between(ln(tuning), (low - further, high + further)).exp()
    }

    /// Where in its range a parameter lies. In the reported split the ends are met more often than
    /// the middle (an arcsine distribution): they are where no tuning was done.
    fn place(&mut self) -> f64 {
        let even = self.even();
        match self.split {
            Split::Tuning | Split::Spent => even,
            Split::Reported => (even * std::f64::consts::FRAC_PI_2).sin().powi(2),
        }
    }

    /// Evenly from [0, 1).
    pub fn even(&mut self) -> f64 {
        self.random.random()
    }

    /// Whether something of this chance happens.
    pub fn chance(&mut self, chance: f64) -> bool {
        self.even() < chance
    }

    /// A standard normal.
    pub fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.random)
    }

    /// A waiting time of mean 1.
    pub fn wait(&mut self) -> f64 {
        Exp1.sample(&mut self.random)
    }

    /// A Poisson count.
    pub fn count(&mut self, mean: f64) -> f64 {
        if mean <= 0.0 {
            return 0.0;
        }
        Poisson::new(mean).map_or(0.0, |p| p.sample(&mut self.random))
    }
}
