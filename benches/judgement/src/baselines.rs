//! The rules that people use: each says growing or not, and nothing else.

use seepmeter_analysis::Floor;
use seepmeter_analysis::Series;
use seepmeter_analysis::trend::mann_kendall;

/// Whether a series is growing, by somebody's rule.
pub type Rule = fn(&Series) -> bool;

/// A rule's name and the rule.
pub const BASELINES: [(&str, Rule); 3] = [
    ("least squares, R² ≥ 0.8", least_squares),
    ("Mann–Kendall, p < .01", raw_mann_kendall),
    ("last tenth > first by 5 %", tenths),
];

/// A rising least-squares line that explains at least 80 % of the variance.
pub fn least_squares(series: &Series) -> bool {
    let n = series.points().len() as f64;
    let (t0, v0) = series.points().first().map_or((0, 0), |&p| p);
    let (mut t, mut v, mut tt, mut vv, mut tv) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for &(time, value) in series.points() {
        let (a, b) = ((time - t0) as f64 / 1e9, (value - v0) as f64);
        t += a;
        v += b;
        tt += a * a;
        vv += b * b;
        tv += a * b;
    }
    let covariance = tv - t * v / n;
    let spread = (tt - t * t / n) * (vv - v * v / n);
    covariance > 0.0 && spread > 0.0 && covariance * covariance / spread >= 0.8
}

/// Mann–Kendall on the samples as they are; of more than 400 every second, third and so on.
pub fn raw_mann_kendall(series: &Series) -> bool {
    let every = series.points().len().div_ceil(400).max(1);
    let samples: Vec<Floor> = series
        .points()
        .iter()
        .step_by(every)
        .map(|&(time, value)| Floor { time: time as f64 / 1e9, value: value as f64 })
        .collect();
    let trend = mann_kendall(&samples, 1.0);
    trend.s > 0 && trend.p_value < 0.01
}

/// The mean of the last tenth of the samples is over that of the first tenth by 5 %.
pub fn tenths(series: &Series) -> bool {
    let points = series.points();
    let tenth = (points.len() / 10).max(1);
    let mean = |p: &[(u64, i64)]| p.iter().map(|p| p.1 as f64).sum::<f64>() / p.len() as f64;
    points.len() >= 2 && mean(&points[points.len() - tenth..]) > 1.05 * mean(&points[..tenth])
}
