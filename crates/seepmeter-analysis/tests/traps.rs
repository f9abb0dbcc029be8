//! Facts about judging growth that were found by trying, each held down.

use seepmeter_analysis::trend::mann_kendall;
use seepmeter_analysis::{
    Classification, Floor, Judgement, PartView, Reason, Series, Settings, judge, judge_with_parts,
};

const S: u64 = 1_000_000_000;
const MB: f64 = 1e6;

/// A sample a second; ±100 kB of noise that is the same in every run.
fn watch(seconds: u64, value: impl Fn(f64) -> f64) -> Series {
    let mut state = 7u64;
    Series::from_pairs((0..seconds).map(|t| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let noise = (state >> 33) as f64 / (1u64 << 31) as f64 - 0.5;
        (t * S, (value(t as f64) + noise * 0.2 * MB) as i64 / 4096 * 4096)
    }))
}

fn judged(series: &Series) -> Judgement {
    judge(series, &Settings::default())
}

fn floors_of(series: &Series) -> Vec<Floor> {
    let floor = |&(t, v): &(u64, i64)| Floor { time: t as f64, value: v as f64 };
    series.points().iter().step_by(4).map(floor).collect()
}

/// Everything healthy that the rules in common use call a leak.
fn healthy() -> Vec<(&'static str, Series)> {
    let day = std::f64::consts::TAU / 400.0;
    vec![
        ("warm-up", watch(900, |t| 50.0 * MB + 90.0 * MB * (1.0 - libm::exp(-t / 60.0)))),
        ("logarithm", watch(900, |t| 50.0 * MB + 8.0 * MB * libm::log(1.0 + t / 9.0))),
        ("root", watch(900, |t| 50.0 * MB + MB * t.sqrt())),
        ("cache", watch(900, |t| 50.0 * MB + 0.4 * MB * t.min(300.0))),
        ("step", watch(900, |t| if t < 500.0 { 50.0 * MB } else { 70.0 * MB })),
        ("three steps", watch(900, |t| 50.0 * MB + 9.0 * MB * (t / 230.0).floor())),
        ("swing", watch(900, |t| 80.0 * MB - 30.0 * MB * (t * day).cos())),
        ("ended ramp", watch(900, |t| 50.0 * MB + 0.1 * MB * (t.clamp(100.0, 600.0)))),
    ]
}

#[test]
fn trap_28_what_mann_kendall_alone_calls_growth_in_healthy_series_is_not_called_growing() {
    let mut alone = 0;
    for (name, series) in healthy() {
        let raw = mann_kendall(&floors_of(&series), 1.0);
        alone += u32::from(raw.s > 0 && raw.p_value < 0.01);
        let j = judged(&series);
        assert_ne!(j.classification, Classification::Growing, "{name}: {:#?}", j.evidence.tests);
    }
    assert!(alone >= 6, "the series must be tempting: {alone}");
}

#[test]
fn trap_29_a_leak_under_a_saw_is_found_whatever_the_length_of_its_cycle() {
    for cycle in [7.0, 23.0, 40.0, 55.0] {
        let saw = |t: f64| 40.0 * MB * (t % cycle) / cycle;
        let leak = judged(&watch(1_200, |t| 60.0 * MB + saw(t) + 0.02 * MB * t));
        assert_eq!(
            leak.classification,
            Classification::Growing,
            "{cycle}: {:#?}",
            leak.evidence.tests
        );
        let rate = leak.rate.unwrap();
        assert!((rate.estimate / 20_000.0 - 1.0).abs() < 0.1, "{cycle}: {rate:?}");
        let saw = judged(&watch(1_200, |t| 60.0 * MB + saw(t)));
        assert_ne!(
            saw.classification,
            Classification::Growing,
            "{cycle}: {:#?}",
            saw.evidence.tests
        );
    }
}

#[test]
fn trap_29_the_length_of_the_cycle_is_told() {
    let j = judged(&watch(1_000, |t| 60.0 * MB + 40.0 * MB * (t % 37.0) / 37.0));
    assert!(j.cycle.unwrap().abs_diff(37 * S) <= 2 * S, "{:?}", j.cycle);
}

#[test]
fn trap_30_warm_up_is_found_be_it_half_a_minute_or_eight_hours() {
    for (interval, ends) in [(1, 30.0), (1, 200.0), (90, 8.0 * 3600.0)] {
        let ends = ends / interval as f64;
        let leak = |t: f64| 50.0 * MB + MB * t.min(ends) + 0.05 * MB * t;
        let slow = watch(1_000, leak).points().to_vec();
        let series = Series::from_pairs(slow.into_iter().map(|(t, v)| (t * interval, v)));
        let j = judged(&series);
        assert_eq!(j.classification, Classification::Growing, "{ends}: {:#?}", j.evidence.tests);
        let found = j.warm_up_end.unwrap() as f64 / S as f64 / interval as f64;
        assert!((found - ends).abs() < 25.0, "{ends}: {found}");
    }
}

#[test]
fn trap_31_arenas_huge_pages_and_caches_that_reach_their_bound_are_no_leak() {
    let trimmed = watch(900, |t| if t < 450.0 { 80.0 * MB + MB * t.min(200.0) } else { 90.0 * MB });
    let huge_pages = watch(900, |t| 80.0 * MB + 2.1 * MB * (t / 40.0).floor().min(8.0));
    let lazily_freed = watch(900, |t| 80.0 * MB + 0.6 * MB * (t % 150.0));
    for series in [trimmed, huge_pages, lazily_freed] {
        let j = judged(&series);
        assert_ne!(j.classification, Classification::Growing, "{:#?}", j.evidence.tests);
    }
}

#[test]
fn trap_31_swap_hides_growth_from_the_resident_set_and_not_from_the_sum() {
    let all = |t: f64| 100.0 * MB + 0.1 * MB * t;
    let rss = watch(900, |t| all(t).min(120.0 * MB));
    let swap = watch(900, |t| (all(t) - 120.0 * MB).max(0.0));
    assert_ne!(judged(&rss).classification, Classification::Growing);
    assert_eq!(judged(&Series::sum(&[&rss, &swap])).classification, Classification::Growing);
}

#[test]
fn trap_31_a_shrinking_cache_does_not_hide_a_leak() {
    let heap = watch(900, |t| 100.0 * MB + 0.05 * MB * t);
    let cache = watch(900, |t| 100.0 * MB - 0.05 * MB * t);
    let whole = Series::sum(&[&heap, &cache]);
    let parts = [PartView::current("heap", &heap), PartView::current("cache", &cache)];
    let with = judge_with_parts(&whole, &parts, &Settings::default());
    assert_eq!(with.judgement.classification, Classification::Growing);
    assert_eq!(with.masked, Some("heap"));
}

#[test]
fn noise_that_lasts_a_few_samples_does_not_hide_a_leak_after_a_quiet_beginning() {
    let (mut state, mut noise) = (5u64, 0.0);
    let leak = Series::from_pairs((0..1_000i32).map(|t| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        noise = 0.93 * noise + ((state >> 33) as f64 / (1u64 << 31) as f64 - 0.5) * MB;
        let leaked = 0.1 * MB * f64::from((t - 400).max(0));
        (t as u64 * S, (80.0 * MB + leaked + noise) as i64)
    }));
    let j = judged(&leak);
    assert_eq!(j.classification, Classification::Growing, "{:#?}", j.evidence.tests);
}

#[test]
fn a_short_watch_is_inconclusive_and_says_how_much_longer() {
    let j = judged(&watch(60, |t| 50.0 * MB + MB * t));
    assert_eq!(
        (j.classification, j.reason),
        (Classification::Inconclusive, Some(Reason::TooShort))
    );
    let longer = j.needs_more.unwrap() / S;
    assert!((238..=245).contains(&longer), "{longer}");
    let ten = judged(&watch(10, |_| 50.0 * MB));
    assert_eq!(ten.reason, Some(Reason::TooShort));
}

#[test]
fn a_clean_leak_tells_its_rate_its_span_and_the_way_to_the_limit() {
    let j = judged(&watch(600, |t| 50.0 * MB + 0.1 * MB * t));
    assert_eq!(j.classification, Classification::Growing);
    let rate = j.rate.unwrap();
    assert!(rate.low < 100_000.0 && 100_000.0 < rate.high, "{rate:?}");
    assert!((j.level.unwrap() / (104.0 * MB) - 1.0).abs() < 0.1, "{:?}", j.level);
    let limit = j.time_to_limit(j.level.unwrap() + 360.0 * MB, 0.0).unwrap();
    assert!((limit.likely / S).abs_diff(3_600) < 60, "{limit:?}");
    assert!(limit.soonest <= limit.likely && limit.likely <= limit.latest.unwrap());
}

#[test]
fn a_gap_in_the_watch_neither_makes_nor_hides_a_leak() {
    let torn = |s: Series| {
        let kept = s.points().iter().filter(|p| !(300 * S..420 * S).contains(&p.0));
        judged(&Series::from_pairs(kept.copied())).classification
    };
    assert_eq!(torn(watch(900, |t| 50.0 * MB + 0.1 * MB * t)), Classification::Growing);
    assert_eq!(torn(watch(900, |_| 50.0 * MB)), Classification::Steady);
}

#[test]
fn a_flat_program_is_steady() {
    let j = judged(&watch(600, |_| 50.0 * MB));
    assert_eq!(j.classification, Classification::Steady, "{:#?}", j.evidence.tests);
}

#[test]
fn growth_that_ended_just_before_the_watch_does_is_not_called_growing() {
    let ramp = |end: f64| watch(900, move |t| 50.0 * MB + 0.1 * MB * t.min(end));
    assert_eq!(judged(&ramp(900.0)).classification, Classification::Growing);
    for end in [700.0, 760.0, 800.0, 830.0] {
        let j = judged(&ramp(end));
        assert_eq!(
            j.classification,
            Classification::Inconclusive,
            "{end}: {:#?}",
            j.evidence.tests
        );
    }
    let told = judged(&ramp(830.0));
    assert_eq!(told.reason, Some(Reason::Slowing));
    let onset = told.evidence.tests.unwrap().plateau_onset.unwrap();
    assert!((onset.time - 830.0).abs() < 20.0 && !onset.falls, "{onset:?}");
}

/// Samples every 50 ms, `value` rounded down to whole pages.
fn quick_watch(seconds: u64, mut value: impl FnMut(f64) -> f64) -> Series {
    let interval = 50_000_000;
    Series::from_pairs((0..=seconds * S / interval).map(|i| {
        let pages = value(i as f64 * 0.05) as i64 / 4096 * 4096;
        (i * interval, pages)
    }))
}

#[test]
fn a_few_pages_gained_in_a_short_watch_are_not_called_growing_before_it_is_twice_as_long() {
    let mut state = 7u64;
    let mut creep = |seconds, level: f64, rate: f64| {
        judged(&quick_watch(seconds, |t| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let noise = (state >> 33) as f64 / (1u64 << 31) as f64;
            level + rate * t + noise * 16_384.0
        }))
    };
    let short = creep(110, 10.6 * MB, 800.0);
    let told = (short.classification, short.reason, short.needs_more.map(|ns| ns / S));
    assert_eq!(
        told,
        (Classification::Inconclusive, Some(Reason::TooShort), Some(70)),
        "{short:#?}"
    );
    assert_eq!(creep(190, 10.6 * MB, 800.0).classification, Classification::Growing);
    // What gains more than a hundredth of the level is reported at once.
    assert_eq!(creep(95, 10.6 * MB, 4_000.0).classification, Classification::Growing);
}

/// A leak of 12 kB/s in 110 MB for 130 s, under noise that wanders by half of what it gains.
fn slow_leak_in_a_large_program(seed: u64) -> Judgement {
    let (mut state, mut noise) = (seed, 0.0);
    judged(&quick_watch(130, |t| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        noise = 0.998 * noise + ((state >> 33) as f64 / (1u64 << 31) as f64 - 0.5) * 40_000.0;
        110.0 * MB + 12_000.0 * t + noise
    }))
}

#[test]
fn a_slow_leak_in_a_large_program_is_hardly_ever_called_steady_beside_a_rate_surely_above_nothing()
{
    let contradicts = |seed: &u64| {
        let j = slow_leak_in_a_large_program(*seed);
        j.classification == Classification::Steady
            && j.rate.is_some_and(|r| r.low * 86_400.0 > 110.0 * MB)
    };
    let wrong: Vec<u64> = (0..40).filter(contradicts).collect();
    // It was six of forty when what is little was measured against the level alone. Of the one that is
    // left an exponential makes at least as much as a line does.
    assert!(wrong.len() <= 1, "{wrong:?}");
}

#[test]
fn a_plateau_that_creeps_ever_more_slowly_stays_steady() {
    let j = judged(&watch(900, |t| 50.0 * MB + 0.3 * MB * libm::log(1.0 + t / 20.0)));
    assert_eq!(j.classification, Classification::Steady, "{:#?}", j.evidence.tests);
}

#[test]
fn samples_on_both_sides_of_a_long_gap_are_told_how_much_longer_a_watch_takes() {
    let gap = 10_000_000 * S;
    let samples = (0..500).map(|i| i * S).chain((0..500).map(|i| gap + i * S));
    let j = judged(&Series::from_pairs(samples.map(|t| (t, 50_000_000))));
    assert_eq!(
        (j.classification, j.reason),
        (Classification::Inconclusive, Some(Reason::TooShort))
    );
    assert!(j.needs_more.is_some_and(|ns| ns > S), "{:?}", j.needs_more);
}

#[test]
fn the_second_sample_of_a_watch_tells_how_much_longer_it_takes_by_the_schedule() {
    // The first sample was late.
    let two = Series::from_pairs([(340_000_000, 50_000_000), (S, 50_000_000)]);
    let more = judged(&two.with_scheduled_interval(S)).needs_more;
    assert_eq!(more, Some(298 * S));
    // From a few samples on their own spacings count: it is sampled more slowly than was asked for.
    let slow = Series::from_pairs((0..9).map(|i| (i * 2 * S, 50_000_000)));
    assert_eq!(judged(&slow.with_scheduled_interval(S)).needs_more, Some(291 * 2 * S));
    // A gap in the watch does not make its interval longer.
    let torn = (0..20).chain(500..520).map(|i| (i * S, 50_000_000));
    assert_eq!(judged(&Series::from_pairs(torn)).needs_more, Some(260 * S));
}

#[test]
fn evidence_has_all_that_a_chart_needs() {
    let j = judged(&watch(900, |t| 50.0 * MB + 0.1 * MB * (t - 300.0).max(0.0)));
    let evidence = &j.evidence;
    assert!(evidence.cells.cells.iter().flatten().all(|c| c.min <= c.mean && c.mean <= c.max));
    assert_eq!(evidence.sampling.interval, Some(S));
    let end = evidence.warm_up_end().unwrap() as f64 / S as f64;
    assert!((end - 300.0).abs() < 30.0, "{end}");
    let tests = evidence.tests.as_ref().unwrap();
    let end = tests.line.at(899.0);
    assert!((end.estimate / (110.0 * MB) - 1.0).abs() < 0.02, "{end:?}");
    assert!(end.low <= end.estimate && end.estimate <= end.high);
    assert_eq!(Some(tests.line.rate), j.rate);
    let named = |stage, name| {
        let mut all = evidence.thresholds.iter();
        all.find(|t| (&*t.stage, &*t.name) == (stage, name)).map(|t| t.value)
    };
    assert_eq!(named("settings", "least_samples"), Some(300.0));
    assert_eq!(named("plateau", "SLOWING"), Some(0.65));
    let short = judged(&watch(5, |_| 50.0 * MB)).evidence;
    assert!(short.tests.is_none() && short.thresholds.iter().all(|t| t.stage != "plateau"));
}
