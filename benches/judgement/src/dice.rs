//! Seeded chance, and the split between what is tuned on and what is reported.

use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp1, Poisson, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Which shapes: those that may be looked at while tuning, or those of the reported figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// For tuning.
    Tuning,
    /// For the reported figure, never tuned on.
    Reported,
}

/// A source of chance for one draw. It is the same on every machine.
pub struct Dice {
    random: Xoshiro256PlusPlus,
    split: Split,
}

impl Dice {
    /// The dice of one draw: the split, the shape's name, the length and the draw's number.
    pub fn new(split: Split, shape: &str, length: f64, draw: u64) -> Self {
        let first: u64 = match split {
            Split::Tuning => 0x7EA5_0000_0000_0001,
            Split::Reported => 0x5EE9_0000_0000_0002,
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
            Split::Reported => reported,
        };
        low + (high - low) * self.even()
    }

    /// The same, evenly on a logarithmic scale.
    pub fn scale(&mut self, tuning: (f64, f64), reported: (f64, f64)) -> f64 {
        let ln = |r: (f64, f64)| (r.0.ln(), r.1.ln());
        self.between(ln(tuning), ln(reported)).exp()
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
