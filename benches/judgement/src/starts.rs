//! How false alarms depend on the least length: recordings of programs that start, cut off ever later.

use std::path::Path;

use seepmeter_analysis::{Classification, Series, Settings, judge};
use seepmeter_record::conventions::metric;
use seepmeter_verdict::{JudgeOptions, RunFile, TableOptions};

/// Where the recordings are cut off, in seconds; none is judged before that.
pub const LENGTHS: [u64; 9] = [10, 20, 30, 45, 60, 90, 120, 180, 240];

/// One recording: what it is judged at each length.
pub struct Start {
    /// The file's name without its endings.
    pub name: String,
    /// The answer at each of the [`LENGTHS`].
    pub answers: [Classification; LENGTHS.len()],
}

/// Judges each recording of a folder at each length, in the order of their names.
///
/// # Errors
/// A sentence that names what can't be read.
pub fn judge_all(folder: &Path) -> Result<Vec<Start>, String> {
    let entries =
        std::fs::read_dir(folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(|path| start(path)).collect()
}

fn start(path: &Path) -> Result<Start, String> {
    let file = path.display().to_string();
    let options = JudgeOptions::default();
    let run = RunFile::read(path, &file, options, &TableOptions::default())
        .map_err(|why| format!("{file}: {why}"))?;
    let series = run.series(metric::RSS.name).map_err(|why| format!("{file}: {why}"))?.whole;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.split('.').next().unwrap_or_default().to_owned();
    Ok(Start { name, answers: LENGTHS.map(|seconds| answer(&series, seconds * 1_000_000_000)) })
}

fn answer(series: &Series, length: u64) -> Classification {
    let begin = series.start();
    let points = series.points().iter().copied();
    let cut = Series::from_pairs(points.take_while(|(t, _)| t - begin <= length));
    let settings = Settings { least_span: length * 95 / 100, ..Settings::default() };
    judge(&cut, &settings).classification
}
