use super::*;

const NEGLIGIBLE: f64 = 16.0;

/// Seeded noise: xorshift64* (Vigna, 2016).
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal, with a deviation of one.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

const AMOUNTS: [f64; 4] = [1e4, 2e4, 4e4, 8e4];

/// Five rounds, in whole pages as the kernel counts them.
fn runs(mut bytes: impl FnMut(f64) -> f64) -> ScalingRuns {
    let mut value = |amount: &f64| (bytes(*amount) / PAGE).ceil() * PAGE;
    let mut round = || AMOUNTS.iter().map(&mut value).collect();
    ScalingRuns { amounts: AMOUNTS.to_vec(), rounds: (0..5).map(|_| round()).collect() }
}

fn judged(bytes: impl FnMut(f64) -> f64) -> Scaling {
    runs(bytes).judge(NEGLIGIBLE)
}

#[test]
fn a_leak_is_in_proportion_and_its_rate_is_in_the_interval() {
    let leak = judged(|n| 2e6 + 41.3 * n);
    assert_eq!((leak.answer, leak.reason), (ScalingAnswer::Leaks, ScalingReason::Linear));
    let rate = leak.per_unit.unwrap();
    assert!(rate.low < 41.3 && 41.3 < rate.high && rate.high - rate.low < 1.0, "{rate:?}");
}

#[test]
fn what_does_not_depend_on_the_amount_is_constant_and_the_bound_is_small() {
    let flat = judged(|_| 12e6);
    assert_eq!((flat.answer, flat.reason), (ScalingAnswer::Constant, ScalingReason::Flat));
    assert!(flat.per_unit.unwrap().high < 0.1, "{flat:?}");
    assert!((flat.level - 12e6).abs() < PAGE);
    let falling = judged(|n| 50e6 - 100.0 * n);
    assert_eq!(falling.answer, ScalingAnswer::Constant);
}

#[test]
fn a_cache_that_fills_up_saturates_and_is_constant_once_it_is_full() {
    let filling = judged(|n| 2e6 + 1_000.0 * n.min(6e4));
    assert_eq!(filling.reason, ScalingReason::Saturating, "{filling:?}");
    assert_eq!(filling.answer, ScalingAnswer::Inconclusive);
    let full = judged(|n| 2e6 + 1_000.0 * n.min(3e4));
    assert_eq!(full.answer, ScalingAnswer::Constant, "{full:?}");
    let root = judged(|n| 2e6 + 30_000.0 * n.sqrt());
    assert_eq!(root.reason, ScalingReason::Saturating);
}

#[test]
fn quadratic_growth_is_faster_than_the_amount_and_shows_its_latest_rate() {
    let faster = judged(|n| 2e6 + 0.01 * n * n);
    assert_eq!(faster.answer, ScalingAnswer::Leaks);
    assert_eq!(faster.reason, ScalingReason::FasterThanLinear);
    // From 40,000 to 80,000 units: 0.01 · (80,000 + 40,000).
    assert!((faster.per_unit.unwrap().estimate - 1_200.0).abs() < 5.0, "{faster:?}");
    assert!((faster.per_unit_before.unwrap().estimate - 600.0).abs() < 5.0);
}

#[test]
fn noise_that_hides_the_rate_is_inconclusive_and_so_are_too_few_runs() {
    let mut noise = Noise(5);
    let noisy = judged(|_| 30e6 + 4e6 * noise.normal());
    assert_eq!((noisy.answer, noisy.reason), (ScalingAnswer::Inconclusive, ScalingReason::Noise));
    let mut few = runs(|n| 40.0 * n);
    few.rounds.truncate(2);
    assert_eq!(few.judge(NEGLIGIBLE).reason, ScalingReason::TooFewRuns);
    let two = ScalingRuns { amounts: vec![1.0, 2.0], rounds: vec![vec![1e6, 2e6]; 5] };
    assert_eq!(two.judge(NEGLIGIBLE).reason, ScalingReason::TooFewRuns);
    let none = ScalingRuns { amounts: Vec::new(), rounds: Vec::new() };
    assert_eq!(none.judge(NEGLIGIBLE).reason, ScalingReason::TooFewRuns);
}

/// Kinds of noise: none but pages, normal, in proportion to what is held, and an arena more now and then.
fn noises(noise: &mut Noise, kind: u64, held: f64) -> f64 {
    match kind % 4 {
        0 => 0.0,
        1 => 60_000.0 * noise.normal(),
        2 => 0.01 * held * noise.normal(),
        _ => f64::from(noise.uniform() < 0.2) * 400_000.0,
    }
}

#[test]
fn the_true_rate_is_in_the_interval_in_95_of_100_draws() {
    let mut noise = Noise(11);
    let (mut inside, mut leaks) = (0, 0);
    for draw in 0..1_000 {
        let rate = 16.0 * libm::pow(10_240.0 / 16.0, noise.uniform());
        let start = 2e6 + 1e6 * noise.uniform();
        let found = judged(|n| {
            let held = start + rate * n;
            held + noises(&mut noise, draw, held)
        });
        let interval = found.per_unit.unwrap();
        inside += u32::from(interval.low <= rate && rate <= interval.high);
        leaks += u32::from(found.answer == ScalingAnswer::Leaks);
        assert!(found.answer != ScalingAnswer::Constant || interval.high >= rate, "{rate}");
    }
    assert!(inside >= 950, "{inside} of 1,000 inside");
    assert!(leaks >= 900, "{leaks} of 1,000 found");
}

#[test]
fn of_1_000_healthy_draws_no_more_than_5_are_called_leaks() {
    let mut noise = Noise(7);
    let mut alarms = 0;
    for draw in 0..1_000 {
        let level = 2e6 + 60e6 * noise.uniform();
        // Half of them warm up, and are done before the last quarter begins.
        let warm = 2e4 * noise.uniform() * (draw / 4 % 2) as f64;
        let found = judged(|n| {
            let held = level + 300.0 * n.min(warm);
            held + noises(&mut noise, draw, held)
        });
        alarms += u32::from(found.answer == ScalingAnswer::Leaks);
    }
    assert!(alarms <= 5, "{alarms} of 1,000");
}
