//! Properties that hold for any series.

use proptest::prelude::*;
use seepmeter_analysis::slope::theil_sen;
use seepmeter_analysis::trend::mann_kendall;
use seepmeter_analysis::{
    Classification, Downsampler, Floor, Judgement, Series, Settings, Span, attribute, judge,
};

const S: u64 = 1_000_000_000;

fn floors() -> impl Strategy<Value = Vec<Floor>> {
    let floor = |(i, value): (usize, i32)| Floor { time: i as f64, value: f64::from(value) };
    prop::collection::vec(-1_000_000i32..1_000_000, 4..60)
        .prop_map(move |values| values.into_iter().enumerate().map(floor).collect())
}

fn with(floors: &[Floor], change: impl Fn(&Floor) -> Floor) -> Vec<Floor> {
    floors.iter().map(change).collect()
}

/// A saw, a slope and noise: something like a program.
fn program() -> impl Strategy<Value = Vec<i64>> {
    let numbers =
        (250usize..700, 5u64..60, 0i64..50_000, -300i64..3_000, 0i64..20_000, any::<u64>());
    numbers.prop_map(|(n, cycle, height, slope, noise, seed)| {
        let mut state = seed | 1;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as i64 % 1_000
        };
        let saw = |i: u64| height * (i % cycle) as i64;
        (0..n as u64)
            .map(|i| 100_000_000 + saw(i) + slope * i as i64 + noise * random() / 10)
            .collect()
    })
}

fn every_second(values: &[i64]) -> Series {
    Series::from_pairs(values.iter().enumerate().map(|(i, &v)| (i as u64 * S, v)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn shifting_floors_changes_neither_trend_nor_slope(f in floors(), by in -1_000_000i32..1_000_000) {
        let shifted = with(&f, |x| Floor { value: x.value + f64::from(by), ..*x });
        prop_assert_eq!(mann_kendall(&f, 1.0), mann_kendall(&shifted, 1.0));
        prop_assert_eq!(theil_sen(&f, 1.0).unwrap().rate, theil_sen(&shifted, 1.0).unwrap().rate);
    }

    #[test]
    fn scaling_floors_scales_the_slope_and_leaves_the_trend(f in floors(), power in -8i32..8) {
        let k = 2f64.powi(power);
        let scaled = with(&f, |x| Floor { value: x.value * k, ..*x });
        prop_assert_eq!(mann_kendall(&f, 1.0), mann_kendall(&scaled, 1.0));
        let (a, b) = (theil_sen(&f, 1.0).unwrap(), theil_sen(&scaled, 1.0).unwrap());
        prop_assert_eq!(a.rate.estimate * k, b.rate.estimate);
        prop_assert_eq!(a.rate.high * k, b.rate.high);
    }

    #[test]
    fn time_run_backwards_flips_the_sign(f in floors()) {
        let mut back = with(&f, |x| Floor { time: -x.time, ..*x });
        back.reverse();
        prop_assert_eq!(mann_kendall(&f, 1.0).s, -mann_kendall(&back, 1.0).s);
        let (a, b) = (theil_sen(&f, 1.0).unwrap(), theil_sen(&back, 1.0).unwrap());
        prop_assert_eq!(a.rate.estimate, -b.rate.estimate);
    }

    #[test]
    fn the_interval_holds_the_slope(f in floors(), inflation in 1.0f64..30.0) {
        let s = theil_sen(&f, inflation).unwrap();
        prop_assert!(s.rate.low <= s.rate.estimate && s.rate.estimate <= s.rate.high);
    }

    #[test]
    fn a_program_of_twice_the_size_has_the_same_verdict_and_twice_the_rate(v in program()) {
        let one = judge(&every_second(&v), &Settings::default());
        let twice: Vec<i64> = v.iter().map(|x| 2 * x).collect();
        let two = judge(&every_second(&twice), &Settings::default());
        prop_assert_eq!((one.classification, one.reason, one.span), (two.classification, two.reason, two.span));
        prop_assert_eq!(one.rate.map(|r| 2.0 * r.estimate), two.rate.map(|r| r.estimate));
    }

    #[test]
    fn a_step_function_is_judged_alike_however_it_is_written(v in program()) {
        let held: Vec<i64> = (0..v.len()).map(|i| v[i - i % 3]).collect();
        let dense = every_second(&held);
        let mut changes: Vec<(u64, i64)> = dense.points().to_vec();
        changes.dedup_by_key(|p| p.1);
        let sparse = Series::from_pairs(changes).with_end(dense.end()).with_samples(dense.samples());
        let (a, b) = (judge(&dense, &Settings::default()), judge(&sparse, &Settings::default()));
        prop_assert_eq!((a.classification, a.reason, a.floors_used), (b.classification, b.reason, b.floors_used));
        prop_assert_eq!(a.rate, b.rate);
    }

    #[test]
    fn no_series_makes_it_panic_and_only_a_rising_one_grows_and_json_holds_it(
        mut pairs in prop::collection::vec((0u64..1 << 50, any::<i64>()), 0..400),
        end in 0u64..1 << 52,
    ) {
        let j = judge(&Series::from_pairs(pairs.clone()).with_end(end), &Settings::default());
        let json = serde_json::to_string(&j).unwrap();
        let back: Judgement = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(serde_json::to_string(&back).unwrap(), json);
        if j.classification == Classification::Growing {
            prop_assert!(j.rate.unwrap().estimate > 0.0);
        }
        prop_assert_eq!(j.classification == Classification::Inconclusive, j.reason.is_some());
        pairs.truncate(9);
        let short = judge(&Series::from_pairs(pairs), &Settings::default());
        prop_assert_eq!(short.classification, Classification::Inconclusive);
    }

    #[test]
    fn downsampling_keeps_the_peak_the_floor_and_the_ends(
        values in prop::collection::vec(any::<i32>(), 1..3_000),
        spacings in prop::collection::vec(1u64..10_000, 3_000),
    ) {
        let mut downsampler = Downsampler::new(32);
        let mut time = 0;
        let mut all = vec![];
        for (&value, spacing) in values.iter().zip(spacings) {
            time += spacing;
            downsampler.push(time, value.into());
            all.push((time, i64::from(value)));
        }
        let thin = downsampler.finish();
        let low = |p: &[(u64, i64)]| p.iter().map(|p| p.1).min();
        prop_assert!(thin.points().len() <= 4 * 32);
        prop_assert_eq!(thin.peak(), all.iter().map(|p| p.1).max());
        prop_assert_eq!(low(thin.points()), low(&all));
        prop_assert_eq!(thin.points().first(), all.first());
        prop_assert_eq!(thin.points().last(), all.last());
        prop_assert!(thin.points().iter().all(|p| all.binary_search(p).is_ok()));
    }

    #[test]
    fn shares_of_all_subjects_add_up(slopes in prop::collection::vec(1i64..5_000, 1..6)) {
        let subjects: Vec<(usize, Series)> = slopes
            .iter()
            .enumerate()
            .map(|(k, s)| (k, every_second(&(0..300).map(|i| 1_000_000 + s * i).collect::<Vec<_>>())))
            .collect();
        let whole = Series::sum(&subjects.iter().map(|s| &s.1).collect::<Vec<_>>());
        let a = attribute(&whole, subjects, Span { from: 0, to: whole.end() }, None);
        prop_assert!(a.unexplained.unwrap().abs() < 1e-6);
        prop_assert!(a.shares.is_sorted_by(|x, y| x.gain >= y.gain));
    }
}
