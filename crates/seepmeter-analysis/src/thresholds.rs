//! Every number that the judge compares something with, and the reason for each.
//!
//! They stand in groups, one for each stage. [`Threshold`] gives a group's names and values to whoever
//! draws or stores the evidence; the names are those of the constants here, so that each is found by a
//! search. What is no threshold stands where it is used: the shapes of the fitted curves, the bounds on memory
//! and on lines of output.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A threshold: which stage compares with it, what it is called, and its value.
///
/// The value is in the unit that the constant's description names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The stage, as the module in this file is called.
    pub stage: Cow<'static, str>,
    /// The constant's name, or that of the field of [`Settings`](crate::Settings).
    pub name: Cow<'static, str>,
    /// Its value.
    #[serde(with = "crate::exact")]
    pub value: f64,
}

/// The thresholds of the stages that every judgement goes through.
#[must_use]
pub fn of_floors() -> Vec<Threshold> {
    [series::ALL, so_far::ALL, cells::ALL, cycle::ALL, floors::ALL].concat()
}

/// The thresholds of the stages that test the floors, and of the decision.
#[must_use]
pub fn of_tests() -> Vec<Threshold> {
    let before = [steps::ALL, warm_up::ALL, noise::ALL, slope::ALL, drift::ALL];
    let after = [plateau::ALL, curve::ALL, plateau_onset::ALL, gain::ALL, decision::ALL];
    [before.concat(), after.concat()].concat()
}

/// One group: a module of constants, and a list of them.
macro_rules! group {
    ($(#[doc = $about:literal])+ $stage:ident {
        $($(#[doc = $reason:literal])+ $name:ident: $type:ty = $value:expr;)+
    }) => {
        $(#[doc = $about])+
        pub mod $stage {
            $($(#[doc = $reason])+ pub const $name: $type = $value;)+

            /// All of the group, in order.
            pub const ALL: &[super::Threshold] = &[$(super::Threshold {
                stage: std::borrow::Cow::Borrowed(stringify!($stage)),
                name: std::borrow::Cow::Borrowed(stringify!($name)),
                value: $name as f64,
            }),+];
        }
    };
}

group! {
    /// What every judgement asks for unless the caller says otherwise ([`Settings`](crate::Settings)).
    defaults {
        /// Samples. At a fixed second that is five minutes: the interval that a user chooses says at what pace
        /// they expect the program to live.
        LEAST_SAMPLES: u64 = 300;
        /// ns. Of 37 healthy programs that were recorded from their start, one was called growing after a
        /// minute (a JVM whose heap filled for the first time), and none after a minute and a half.
        LEAST_SPAN: u64 = 90_000_000_000;
        /// Floors after warm-up. Fewer have no trend that chance could not draw.
        LEAST_FLOORS: usize = 10;
        /// The chance of an alarm by noise alone, two-sided: one in a thousand watches.
        ALPHA: f64 = 1e-3;
        /// Bytes: sixteen pages of 4 KiB, the steps in which a small program's memory changes.
        LEAST_BYTES: f64 = 65_536.0;
    }
}

group! {
    /// Series and their gaps.
    series {
        /// A spacing this many times the median one is a gap: nothing was sampled there.
        GAP_SPACINGS: u64 = 20;
        /// Fewer spacings than this have no usual one, and so no gap.
        LEAST_SPACINGS: usize = 4;
        /// Gaps beyond this many are not listed one by one; a watch so torn has other problems.
        MOST_GAPS: usize = 4_096;
        /// A spacing is compared with the usual one from this many samples on.
        SETTLED_SAMPLES: u64 = 8;
        /// The usual spacing follows the last samples, this many of them.
        USUAL_SAMPLES: u64 = 256;
    }
}

group! {
    /// The rate so far, which no test stands behind.
    so_far {
        /// The median slope of fewer cells is that of their noise.
        LEAST_CELLS: usize = 10;
        /// ns. In its first seconds a program loads its libraries.
        LEAST_TIME: u64 = 3_000_000_000;
        /// Of more cells some are left out: a slope is taken of every pair.
        MOST_CELLS: usize = 64;
    }
}

group! {
    /// The grid.
    cells {
        /// No grid has more cells than this: enough for a cycle of a hundredth of the watch.
        MOST_CELLS: usize = 1_024;
    }
}

group! {
    /// Cycles.
    cycle {
        /// The local range is the median over this many windows: a trend or one step moves it little.
        WINDOWS: usize = 12;
        /// A window of fewer cells has no range.
        LEAST_WINDOW: usize = 4;
        /// A reversal counts from this part of the local range on.
        REVERSAL: f64 = 0.5;
        /// Von Neumann's ratio: white noise has 1, a sine nearly 0, a saw of eight cells 0.75.
        SMOOTH_RATIO: f64 = 0.6;
        /// Long cycles to usual ones. Log-normal cycles with a spread of two fifths are still regular.
        REGULAR: f64 = 1.7;
        /// Fewer troughs than this do not make a cycle.
        LEAST_TROUGHS: usize = 3;
        /// Each of these takes at least so many cells: down, its lowest, up, its highest.
        CELLS_FOR_A_TROUGH: usize = 4;
        /// Cells. Shorter cycles vanish in the floors anyway.
        LEAST_LENGTH: f64 = 5.0;
    }
}

group! {
    /// Floors.
    floors {
        /// No more floors than this: Theil–Sen takes every pair.
        MOST_FLOORS: usize = 96;
        /// Cells in a bucket at least: a quartile of fewer is a minimum.
        LEAST_CELLS: usize = 4;
        /// Fewer lowest values than this do not compare with short buckets.
        LEAST_LOWEST: usize = 12;
        /// Lowest values must have an error smaller by this factor, or chance would choose.
        CLEARLY: f64 = 0.8;
        /// A bucket is this many long cycles, so that each holds at least one whole floor.
        CYCLES_IN_A_BUCKET: f64 = 1.25;
        /// Fewer floors than this can't be tested at all.
        LEAST_TESTED: usize = 4;
        /// Where cycles are known, a floor that is missing takes about this many of them.
        CYCLES_FOR_A_FLOOR: f64 = 1.5;
    }
}

group! {
    /// One-off steps.
    steps {
        /// A flight of more steps than this is no longer a few one-off steps.
        MOST_STEPS: usize = 5;
        /// Fewer floors than this have no steps.
        LEAST_FLOORS: usize = 8;
        /// A flight climbs at least this part of its height at its steps. The best flight through a line
        /// climbs a fifth there, and somewhat more where noise wanders about the line.
        AT_ONCE: f64 = 0.6;
        /// BIC. A difference of ten is "very strong" (Kass & Raftery, JASA 90, 1995).
        VERY_STRONG: f64 = 10.0;
        /// Of the range. A perfect fit is not infinitely better than one that is off by this.
        RESOLUTION: f64 = 1e-3;
        /// The floors beside a step are at least this many times its height apart, or it mends a bend.
        LEAST_JUMP: f64 = 0.6;
        /// And less than this many times.
        MOST_JUMP: f64 = 1.7;
        /// The floors beside a step are so many on each side: one outlier of three moves their median little.
        BESIDE: usize = 3;
        /// A step in the first part of the floors, one in so many, is for warm-up to find.
        WARM_UP: usize = 10;
        /// A step this many times as high as any other move between two floors is no part of a walk.
        DWARFS: f64 = 2.0;
        /// A fall gives back at most this part of all that was gained, or it is a collection and what
        /// follows the next tooth of a saw.
        MOST_GIVEN_BACK: f64 = 1.0 / 6.0;
        /// A fall is looked for outside the first and the last part, each one in so many.
        MARGIN: usize = 5;
    }
}

group! {
    /// Warm-up and the onset of growth.
    warm_up {
        /// A cut leaves at least this many floors.
        LEAST_TAIL: usize = 10;
        /// Cuts are tried in steps of one in so many of the floors, which is also as far as a cut is moved
        /// back to where the line of the rest is met.
        PARTS: usize = 20;
        /// So many cuts are tried: what settles for longer than that is called unsettled.
        CUTS: usize = 14;
        /// The line of the rest leaves out the first floors, one in so many, however early the cut.
        LINE_FROM: usize = 5;
        /// Growth does not set in within the first floors, one in so many: that is warm-up.
        EARLIEST_ONSET: usize = 10;
        /// A floor this many robust deviations off the line belongs to warm-up.
        OFF_LINE: f64 = 4.0;
        /// Or this part of what the line climbs, where there is hardly any noise.
        OFF_CLIMB: f64 = 0.01;
        /// Growth must have set in before this part of the floors, or its line is too short.
        LATEST_ONSET: f64 = 0.7;
        /// A line that is flat first must leave less than this part of the squares that a line leaves.
        ONSET_SQUARES: f64 = 0.6;
    }
}

group! {
    /// The noise of the floors.
    noise {
        /// Autocorrelation is taken for no more than this: the inflation would have no bound.
        MOST_RHO: f64 = 0.97;
        /// Noise with more autocorrelation than this wanders instead of scattering about a line.
        WALK_RHO: f64 = 0.5;
        /// Fewer floors than this have no autocorrelation that could be measured: the correction for the
        /// parabola divides by what is left of them.
        LEAST_FLOORS: f64 = 7.0;
        /// The same bound for increments, which lean on each other less.
        MOST_RHO_OF_INCREMENTS: f64 = 0.9;
        /// Of the mean square. A perfect line would exclude anything, and rounding would decide.
        LEAST_VARIANCE: f64 = 1e-8;
    }
}

group! {
    /// The slope.
    slope {
        /// Two-sided 95 %.
        Z95: f64 = 1.959_964;
    }
}

group! {
    /// Drift.
    drift {
        /// Fewer increments than this are not tested.
        LEAST_INCREMENTS: f64 = 4.0;
        /// Fewer increments than this do not make a sign test.
        LEAST_SIGNS: f64 = 20.0;
        /// Standard errors. Signs count from this mean increment on: a saw mostly rises too.
        LEAST_T: f64 = 2.5;
        /// Standard errors, two-sided 95 %, of the rate of a walk.
        Z95: f64 = 1.96;
        /// The second half must gain at least this part of the first half's gain: a logarithm from near
        /// the start of a watch has a quarter, a root 0.41.
        KEEPS: f64 = 0.42;
        /// By so many standard errors.
        KEEPS_Z: f64 = 0.5;
        /// The last fifth must gain this part of its fair share: what has just ended has gained nothing.
        STILL: f64 = 0.3;
        /// And the last eighth this part of its own: a heap that came to its size by stairs in the first
        /// half of the last fifth creeps on by a twentieth.
        ENDED: f64 = 0.1;
    }
}

group! {
    /// The plateau tests on the halves.
    plateau {
        /// Fewer floors than this can't be halved.
        LEAST_FLOORS: usize = 8;
        /// What slows down has at most about this ratio of late to early slope.
        SLOWING: f64 = 0.65;
        /// The last fifth must have this part of the slope of all: growth that has just ended has 0.
        STILL: f64 = 0.3;
        /// Where that fifth has fewer floors than this, the last so many are taken: fewer have no slope.
        LEAST_LAST: usize = 4;
        /// One-sided 5 %.
        Z_KEEPS: f64 = 1.645;
        /// One-sided 0.6 %: as many cuts are tried, a looser test would find warm-up in straight lines.
        Z_SETTLES: f64 = 2.5;
        /// And the second half has less than this part of the slope of the first.
        SETTLES_RATIO: f64 = 0.8;
    }
}

group! {
    /// Slowing curves against a line.
    curve {
        /// Fewer floors than this are met by anything.
        LEAST_FLOORS: usize = 8;
        /// Noise variances. A curve worse by this much is excluded.
        ///
        /// Were a curve at a distance of d noise deviations from the line the truth, the increase would
        /// be normal about -d² with deviation 2d, so that chance gets over a bound b once in so many
        /// times as a normal gets over √b at the worst distance, and more seldom at any other: for 2
        /// once in thirteen. That is the chance of this test alone, for the one worst curve and with its
        /// constant known; the best of 48 fits is held against the line, and the trend, both halves and
        /// the last fifth must agree.
        EXCLUDED: f64 = 2.0;
        /// The same where the noise is a walk, whose variance is a guess from few independent floors: a
        /// normal gets over √6 once in a hundred and forty times.
        EXCLUDED_IN_A_WALK: f64 = 6.0;
        /// Excluded so clearly that not even a walk of which a part was cut off with warm-up looks so.
        EXCLUDED_BY_FAR: f64 = 20.0;
    }
}

group! {
    /// The onset of a plateau at the end.
    plateau_onset {
        /// It lies within the last part of this size, one in so many; the halves show what was earlier.
        LATE: usize = 4;
        /// Fewer floors than this after the corner may be a pause.
        LEAST_STILL: usize = 4;
        /// Fewer floors than this have no corner.
        LEAST_FLOORS: usize = 12;
        /// BIC. A difference of ten is "very strong" (Kass & Raftery, JASA 90, 1995).
        VERY_STRONG: f64 = 10.0;
        /// The corner costs its place and the slope behind it.
        MORE_PARAMETERS: f64 = 2.0;
        /// Noise that repeats itself more than this is taken for this.
        MOST_RHO: f64 = 0.95;
        /// Behind the corner the slope is less than this part of the slope before it.
        STILL: f64 = 0.3;
    }
}

group! {
    /// What was gained.
    gain {
        /// One-sided 5 %.
        Z95: f64 = 1.645;
        /// Where the floors repeat each other so much that ranks prove nothing: what this part of all
        /// pairs stays under bounds what was gained, whatever the noise is.
        NEARLY_ALL: f64 = 0.9;
        /// A third of fewer floors has no pairs worth the name.
        LEAST_THIRD: usize = 3;
    }
}

group! {
    /// The decision.
    decision {
        /// Growth after a warm-up longer than this part of the watch is not called yet: a logarithm's
        /// last part looks straight.
        LONGEST_WARM_UP: f64 = 0.42;
        /// A warm-up of this part of the watch hides no curve.
        SHORT_WARM_UP: f64 = 0.06;
        /// Standard errors. A drift of so many dwarfs the wandering: thirty-six equal jumps have it, and
        /// a rate that wavers by half of itself and forgets within a twenty-fifth of the watch.
        DWARFS: f64 = 6.0;
        /// And then the second half has at least this part of the first half's gain. The rest of a
        /// logarithm has at most 0.65 of it once two fifths of the watch are cut off.
        EVEN: f64 = 0.7;
        /// Chance. A trend that is surer than this rises, for the question whether it is little.
        RISES: f64 = 0.01;
        /// Of the level: floors that all lie within this hardly move.
        HARDLY: f64 = 0.01;
        /// Steady needs this part of the watch.
        LEAST_STEADY_PART: f64 = 0.3;
        /// Growth under this part of the level within the judged span does not matter.
        SMALL_OF_LEVEL: f64 = 0.03;
        /// Nor does a gain under this part of the level.
        SMALL_GAIN: f64 = 0.04;
        /// What is weighed since the last step alone takes this part of the watch.
        LEAST_SINCE_STEP: f64 = 0.5;
        /// But a watch so many times as long as the least is asked for, to call what was gained little
        /// as well as to call it growth: a leak that gains little in half of the watch that would show it
        /// gains twice as much in the whole.
        LONGER: u64 = 2;
        /// A shorter watch does not call growth what gained less than this part of the level: a heap that
        /// finds its size still takes a page now and then after a minute, as regularly as a leak.
        LEAST_OF_LEVEL: f64 = 0.01;
        /// Seconds. What surely doubles the level within a day is not steady, however little it is so far.
        DOUBLES_WITHIN: f64 = 86_400.0;
        /// Nor is what doubles it within so many watches: who samples once a minute thinks in more than
        /// days.
        DOUBLES_WITHIN_WATCHES: f64 = 100.0;
        /// Growth under this part of the usual amplitude does not show: samples that beat with a quick
        /// saw shift its floors by a little.
        LEAST_OF_AMPLITUDE: f64 = 0.02;
        /// Growth under this part of the usual amplitude does not matter.
        SMALL_OF_AMPLITUDE: f64 = 0.25;
        /// Of the watch: a warm-up or steps that left too few floors take at least this much more.
        MORE_AFTER_FEW_FLOORS: f64 = 0.25;
        /// Standard errors that it takes to show that a line is no slowing curve.
        SHOWS_A_CURVE: f64 = 30.0;
        /// Standard errors that it takes to show that growth is no noise.
        SHOWS_GROWTH: f64 = 5.0;
        /// Standard errors: a slope of fewer is taken for this, or the time it takes would have no bound.
        LEAST_Z: f64 = 0.1;
        /// Of the judged span: no less is asked for, since an estimate from errors is a rough one.
        LEAST_MORE: f64 = 0.25;
        /// Of the judged span: no more is asked for, since a program changes in so long a time.
        MOST_TIMES_MORE: f64 = 10.0;
        /// Of the judged span: after a last step so much more without one shows that it was the last.
        MORE_AFTER_STEPS: f64 = 2.0;
        /// Of the watch: what settled lately takes at least so much more.
        MORE_AFTER_WARM_UP: f64 = 0.5;
        /// Watches: noise is not asked to be watched for longer than this.
        MOST_MORE: f64 = 3.0;
    }
}

group! {
    /// A whole and its parts.
    parts {
        /// So many parts, those that gained most, are judged behind a whole that does not grow.
        MOST_JUDGED: usize = 3;
        /// Samples of a part that may take growth of the whole back: a minute at one a second.
        LEAST_PART_SAMPLES: u64 = 60;
        /// A part's growth over its span counts from this part of the whole's level.
        LEAST_OF_LEVEL: f64 = 0.01;
        /// Parts that carry so much of what all parts gained answer for it.
        CARRIED: f64 = 0.8;
        /// Of that at least so much must come from parts that made steps or settled.
        ENDED: f64 = 0.5;
        /// And it must be at least so much of what the whole gained, or they do not explain it.
        EXPLAINED: f64 = 0.5;
        /// No more parts than these are judged for that.
        MOST_CARRIERS: usize = 12;
        /// Cells over which the moves of two parts are compared.
        MOVES: usize = 64;
        /// Parts whose moves correlate less than this trade with each other, and are one sum. Two that
        /// trade all they move have -1, three in turn -1/2; of moves by chance one pair in a thousand has
        /// so little.
        TRADE: f64 = -0.4;
        /// No more parts than these, those that moved most, are compared.
        MOST_TRADERS: usize = 32;
        /// A part that was not sampled for so much of the whole's span up to its end is stale.
        STALE_SPAN: f64 = 0.05;
        /// And for so many times its usual interval: some samplers are slow.
        STALE_INTERVALS: u64 = 3;
    }
}

group! {
    /// Whose growth it is.
    attribution {
        /// So many buckets for each subject: ten thousand mappings must stay cheap.
        BUCKETS: usize = 32;
        /// No fewer than these have a slope.
        LEAST_BUCKETS: usize = 4;
        /// A bucket holds at least so many cycles.
        CYCLES_IN_A_BUCKET: f64 = 1.5;
    }
}

group! {
    /// Comparison of runs.
    comparison {
        /// A difference under this part of the base's level does not matter and is never "worse".
        LEAST_CHANGE: f64 = 0.01;
        /// An interval within this part of the base's level is "alike".
        ALIKE: f64 = 0.05;
        /// The chance of an error, two-sided, after Holm's correction.
        ALPHA: f64 = 0.05;
        /// The part of a distribution under the upper end of a 95 % interval.
        UPPER_END: f64 = 0.975;
        /// Bytes: the least page size. Of larger pages runs differ more, and that shows in their spread.
        PAGE: f64 = 4_096.0;
        /// A part that never holds this share of the whole, in no run, is not compared: each comparison more
        /// makes the others less sure.
        LEAST_PART: f64 = 1e-3;
    }
}

group! {
    /// Work as the axis.
    work {
        /// A counter that rises less often than this hardly moves.
        LEAST_MARKS: usize = 30;
        /// The time is divided into so many cells.
        IDLE_CELLS: usize = 64;
        /// A cell with less than this share of the usual rate of work is one without work.
        IDLE_RATE: f64 = 0.1;
        /// If this share of the growth came without work, the rest says little.
        IDLE_PART: f64 = 0.25;
    }
}

group! {
    /// Memory for each unit of work.
    scaling {
        /// Fewer amounts do not show whether growth slows down.
        LEAST_AMOUNTS: usize = 3;
        /// Fewer rounds do not show how much they differ.
        LEAST_ROUNDS: usize = 3;
        /// What memory comes in, bytes.
        PAGE: f64 = 4_096.0;
        /// Growth from the least amount to the largest that is less than this is nothing, bytes.
        LEAST_GAIN: f64 = 32_768.0;
        /// How improbable by chance the growth must be: an answer is looked for after every round.
        ALPHA: f64 = 0.0005;
        /// How improbable by chance the growth of the late amounts alone must be.
        LATE_ALPHA: f64 = 0.005;
        /// A late slope under this share of the one before is slower.
        SLOWER: f64 = 0.93;
        /// A late slope over this multiple of the one before is faster.
        FASTER: f64 = 1.25;
        /// Degrees of freedom: with more than this, Student's distribution is the normal one.
        MOST_FREEDOM: f64 = 1e6;
        /// A leak is clear when the interval reaches no further than this part of the rate to each side: more
        /// runs change no more than the last digit.
        NARROW: f64 = 0.05;
        /// A class of mappings that takes less of the growth than this is not named: runs differ by as much.
        LEAST_SHARE: f64 = 0.05;
    }
}

group! {
    /// A verdict that forms while a run goes on, and may end it.
    settled {
        /// A run that goes on is judged again when it is longer by this factor: then as many judgements fall
        /// on a minute of a short run as on an hour of a long one, and all of them together cost little.
        INTERIM_GROWTH: f64 = 1.05;
        /// Judging again and again gives chance many chances, and what fills, slowly and evenly, is a straight
        /// line until it is full. How long that takes and how large it becomes no series says; both are as
        /// likely to be ten times as much as a tenth. So an answer must outlast what came before it many times
        /// over: it must stand in every judgement until the run is longer by this factor. The benchmark of
        /// judgements measures what that comes to (`--until-verdict`).
        LONGER: f64 = 40.0;
        /// Or the growth itself must do so: a program that has become this many times as large as when it began
        /// to grow has outgrown what it may have had in mind.
        LARGER: f64 = 8.0;
        /// Then the answer must stand only until the run is longer by this factor.
        LONGER_IF_LARGER: f64 = 1.25;
        /// Growth whose rate falls below this part of what it was is slowing down, and has to stand anew.
        KEEPS_ON: f64 = 0.9;
    }
}

group! {
    /// Whose growth it is, and what it comes from.
    shares {
        /// A share under this part of the growth is not named.
        LEAST_SHARE: f64 = 0.01;
        /// More parts of one class than this are named together, unless one of them has most of their gain.
        MOST_ALIKE: usize = 3;
        /// One part is named of several if it gained at least this part of what all of them did.
        MOSTLY: f64 = 0.5;
        /// A harmless cause explains growth if it measures at least this part of it: less leaves more to a leak.
        CAUSE: f64 = 0.5;
    }
}

group! {
    /// Forecasts of when a limit is reached.
    limits {
        /// There is none if more than this part of the growth is pages of files and shared memory: whoever had
        /// them first has them already, so that no memory may be taken at all.
        SHARED: f64 = 0.5;
        /// Nor if more than this part of the peak was swapped out at some time: what is judged says little of
        /// what is resident then, which is what the limit counts.
        SWAPPED: f64 = 0.01;
    }
}

group! {
    /// The words in which `--explain` puts what a stage found. They change no verdict.
    explanation {
        /// Autocorrelation under this is called independence: ten floors count as eight.
        INDEPENDENT: f64 = 0.1;
        /// Chance. A trend or a drift that is surer than this is stated.
        SURE: f64 = 1e-3;
        /// Chance. A trend that is surer than this is stated as possible.
        POSSIBLE: f64 = 0.05;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_threshold_has_a_name_of_its_own_and_a_finite_value() {
        let all = [of_floors(), of_tests()].concat();
        let names: BTreeSet<_> = all.iter().map(|t| (&*t.stage, &*t.name)).collect();
        assert_eq!(names.len(), all.len());
        assert!(all.iter().all(|t| t.value.is_finite()));
        let found = Threshold { stage: "cycle".into(), name: "REGULAR".into(), value: 1.7 };
        assert!(all.contains(&found), "{all:?}");
    }
}
