//! Pure functions from series of memory to judgement.
//!
//! A [`Series`] is what a sampler saw: a step function of time. [`judge`] takes one and answers
//! [`Classification::Growing`], [`Classification::Steady`] or [`Classification::Inconclusive`], with its evidence: a rate and its
//! confidence interval, the span it judged, where warm-up ended, and what every stage found.
//! A false alarm is worse than "not yet", so every doubt ends in `inconclusive`.
//!
//! Nothing here prints, reads a file, or knows another part of Seepmeter.
//!
//! # The stages, in order
//!
//! 1. [`cells`]: the series laid on a grid of at most 1,024 cells; gaps stay empty.
//! 2. [`cycle`]: is there a saw or a wave, and how long is its cycle? Found, never fixed.
//! 3. [`floors`]: one floor for each cycle, or one for each short stretch where there is none.
//! 4. [`warm_up`]: where warm-up ended, or where growth set in.
//! 5. [`steps`]: are a few one-off steps all there is?
//! 6. [`trend`]: Mann–Kendall on the floors, with their autocorrelation taken into account.
//! 7. [`slope`]: Theil–Sen, with its confidence interval.
//! 8. [`drift`]: the same question when the noise is itself a walk, as with bursts that stay.
//! 9. [`plateau`], [`curve`] and [`plateau_onset`]: is the growth slowing down, can it be told that it is
//!    not, and has it just ended?
//! 10. [`gain`]: what was gained on the whole, and whether that matters.
//! 11. The decision: the answer, the reason, and how much longer a watch it would take.
//!
//! What they find is [`Evidence`]; every number that they compare with stands in [`thresholds`]. A stage
//! uses only stages before it. All of it can be written to JSON and comes back as it went ([`exact`]); what is
//! said of it to people is the business of others.
//!
//! # Example
//!
//! ```
//! use seepmeter_analysis::{Classification, Series, Settings, judge};
//!
//! // Ten minutes, a sample a second, 20 kB more in every sample.
//! let second = 1_000_000_000;
//! let leak = Series::from_pairs((0..600).map(|i| (i * second, 50_000_000 + 20_000 * i as i64)));
//! let judgement = judge(&leak, &Settings::default());
//! assert_eq!(judgement.classification, Classification::Growing);
//! assert!((judgement.rate.unwrap().estimate - 20_000.0).abs() < 200.0);
//! ```
#![doc(test(attr(deny(warnings))))]
#![forbid(unsafe_code)]

pub mod attribution;
pub mod autocorrelation;
pub mod cells;
pub mod compare;
pub mod curve;
pub mod cycle;
mod decide;
mod downsampler;
pub mod drift;
pub mod evidence;
pub mod exact;
mod examine;
mod fit;
mod floor;
pub mod floors;
pub mod gain;
mod interval;
mod judge;
mod judgement;
mod parts;
pub mod plateau;
pub mod plateau_onset;
pub mod scaling;
mod series;
mod settings;
pub mod slope;
pub mod steps;
pub mod thresholds;
mod trade;
pub mod trend;
pub mod warm_up;
pub mod work;

pub use attribution::{Attribution, Share, attribute};
pub use compare::{Change, Comparison, Figures, Runs};
pub use downsampler::Downsampler;
pub use evidence::Evidence;
pub use floor::Floor;
pub use interval::{Interval, Span};
pub use judge::judge;
pub use judgement::{
    Carrier, Classification, Decision, Judgement, Override, Reason, TimeToLimit, time_to_limit,
};
pub use parts::{PartView, PartsJudgement, judge_with_parts};
pub use scaling::{Scaling, ScalingAnswer, ScalingReason, ScalingRuns};
pub use series::Series;
pub use settings::Settings;
pub use work::{IdleGrowth, TooLittleWork, WorkClock};
