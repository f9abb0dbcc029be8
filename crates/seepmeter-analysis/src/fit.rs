//! Small least-squares fits that several stages share: never the judge, only a measure of shape.

use crate::floor::Floor;

/// Residuals and their sum of squares after fitting the columns to `y`.
pub(crate) struct Fit {
    pub(crate) coefficients: Vec<f64>,
    pub(crate) residuals: Vec<f64>,
    pub(crate) sse: f64,
}

/// Ordinary least squares by the normal equations; the columns are few and scaled to [0, 1].
pub(crate) fn least_squares(columns: &[&[f64]], y: &[f64]) -> Fit {
    let k = columns.len();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let mut rows: Vec<Vec<f64>> = (0..k)
        .map(|i| {
            let left = (0..k).map(|j| dot(columns[i], columns[j]));
            left.chain([dot(columns[i], y)]).collect()
        })
        .collect();
    let coefficients = solve(&mut rows);
    let fitted = |i: usize| (0..k).map(|j| coefficients[j] * columns[j][i]).sum::<f64>();
    let residuals: Vec<f64> = y.iter().enumerate().map(|(i, y)| y - fitted(i)).collect();
    let sse = dot(&residuals, &residuals);
    Fit { coefficients, residuals, sse }
}

/// Gaussian elimination with pivoting; a column that adds nothing gets the coefficient 0.
fn solve(rows: &mut [Vec<f64>]) -> Vec<f64> {
    let k = rows.len();
    for c in 0..k {
        let pivot = (c..k).max_by(|&a, &b| rows[a][c].abs().total_cmp(&rows[b][c].abs()));
        rows.swap(c, pivot.unwrap_or(c));
        if rows[c][c].abs() < 1e-12 {
            continue;
        }
        for r in 0..k {
            if r == c {
                continue;
            }
            let factor = rows[r][c] / rows[c][c];
            let pivot_row = rows[c].clone();
            rows[r].iter_mut().zip(pivot_row).for_each(|(x, p)| *x -= factor * p);
        }
    }
    (0..k).map(|c| if rows[c][c].abs() < 1e-12 { 0.0 } else { rows[c][k] / rows[c][c] }).collect()
}

/// Times scaled to [0, 1] and values with their first taken off, for well-behaved sums.
pub(crate) fn scaled(floors: &[Floor]) -> (Vec<f64>, Vec<f64>) {
    let (Some(first), Some(last)) = (floors.first(), floors.last()) else {
        return (vec![], vec![]);
    };
    let span = (last.time - first.time).max(f64::MIN_POSITIVE);
    let times = floors.iter().map(|f| (f.time - first.time) / span).collect();
    let values = floors.iter().map(|f| f.value - first.value).collect();
    (times, values)
}

/// The residuals of a parabola through the floors: what is left is noise, even if growth bends.
pub(crate) fn noise_of(floors: &[Floor]) -> Vec<f64> {
    let (t, y) = scaled(floors);
    let ones = vec![1.0; t.len()];
    let squares: Vec<f64> = t.iter().map(|t| t * t).collect();
    least_squares(&[&ones, &t, &squares], &y).residuals
}

/// The mean.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The variance of what the values are a sample of.
pub(crate) fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)
}

/// The median; 0 of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parabola_is_fitted_exactly() {
        let t: Vec<f64> = (0..20).map(|i| i as f64 / 19.0).collect();
        let y: Vec<f64> = t.iter().map(|t| 3.0 - 2.0 * t + 5.0 * t * t).collect();
        let squares: Vec<f64> = t.iter().map(|t| t * t).collect();
        let fit = least_squares(&[&[1.0; 20], &t, &squares], &y);
        let want = [3.0, -2.0, 5.0];
        assert!(fit.coefficients.iter().zip(want).all(|(c, w)| (c - w).abs() < 1e-9));
        assert!(fit.sse < 1e-16);
    }
}
