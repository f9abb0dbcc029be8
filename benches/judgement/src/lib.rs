//! The benchmark of judgements: how often is a verdict wrong?
//!
//! Seeded synthetic series of healthy and of leaky shapes, each watched for a tenth, for all and for
//! ten times the length one would like, are judged by `seepmeter-analysis` and by three rules in
//! common use, on the same draws. A shape for tuning and the same shape for the reported figure have
//! different seeds and different parameters: see [`Split`].
//!
//! *The length one would like* is where the truth shows: a warm-up has ended, a day's load has come
//! round three times, a leak stands out of its noise. At a tenth of it a cache that fills and a leak
//! are the same line, and a quiet program and one whose leak begins later are the same flat; there
//! the right answer is "not yet", and both errors are counted.

pub mod baselines;
pub mod healthy;
pub mod leaky;
pub mod noise;
pub mod rng;
pub mod run;
pub mod sequence;
pub mod shape;
pub mod starts;
pub mod table;

pub use rng::{DrawRng, Split};
pub use shape::{Health, Schedule, Shape, Spacing, shapes};
