//! Pure functions from series of memory to judgement.
//!
//! A [`Series`] is what a sampler saw: a step function of time. [`judge`] takes one and answers
//! [`Word::Growing`], [`Word::Steady`] or [`Word::Inconclusive`], with its evidence: a rate and its
//! confidence interval, the span it judged, where warm-up ended, and every stage in words.
//! A false alarm is worse than "not yet", so every doubt ends in `inconclusive`.
//!
//! Nothing here prints, reads a file, or knows another part of Seepmeter.
//!
//! # The stages, in order
//!
//! 1. [`cells`]: the series laid on a grid of at most 1,024 cells; gaps stay empty.
//! 2. [`cycle`]: is there a saw or a swing, and how long is its cycle? Found, never fixed.
//! 3. [`floors`]: one floor for each cycle, or one for each short stretch where there is none.
//! 4. [`warmup`]: where warm-up ended, or where growth set in.
//! 5. [`steps`]: are a few one-off steps all there is?
//! 6. [`trend`]: Mann–Kendall on the floors, with their autocorrelation taken into account.
//! 7. [`slope`]: Theil–Sen, with its confidence interval.
//! 8. [`drift`]: the same question when the noise is itself a walk, as with bursts that stay.
//! 9. [`plateau`], [`curve`] and [`standstill`]: is the growth slowing down, can it be told that it is
//!    not, and has it just ended?
//! 10. [`gain`]: what was gained on the whole, and whether that matters.
//! 11. [`decide`]: the answer, the reason, and how much longer a watch it would take.
//!
//! # Example
//!
//! ```
//! use seepmeter_analysis::{Series, Settings, Word, judge};
//!
//! // Ten minutes, a look a second, 20 kB more at every look.
//! let second = 1_000_000_000;
//! let leak = Series::from_pairs((0..600).map(|i| (i * second, 50_000_000 + 20_000 * i as i64)));
//! let judgement = judge(&leak, &Settings::default());
//! assert_eq!(judgement.word, Word::Growing);
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
pub mod decide;
pub mod drift;
mod fit;
pub mod floors;
pub mod gain;
mod judge;
mod judgement;
mod parts;
pub mod plateau;
mod series;
mod settings;
pub mod slope;
pub mod standstill;
pub mod steps;
mod thinner;
pub mod trend;
pub mod warmup;
pub mod words;

pub use attribution::{Attribution, Share, attribute};
pub use compare::{Change, Comparison, Figures, compare, compare_parts};
pub use judge::judge;
pub use judgement::{Interval, Judgement, Reason, TimeToLimit, Word, time_to_limit};
pub use parts::{PartsJudgement, judge_with_parts};
pub use series::Series;
pub use settings::{Settings, Unit};
pub use thinner::Thinner;
