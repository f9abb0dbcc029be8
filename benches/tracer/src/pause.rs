//! How long a stop with registers takes, beside the bare loop.

use std::error::Error;
use std::time::{Duration, Instant};

use seepmeter_tracer::{Tracee, TraceeOptions};

use crate::program::Programs;
use crate::table::{Row, median};

/// What the bare loop may be exceeded by.
const FACTOR: f64 = 1.3;
/// Between two stops, so that the threads are asleep again.
const BETWEEN: Duration = Duration::from_millis(2);

pub(crate) fn measure(
    programs: &Programs,
    threads: u32,
    pairs: usize,
) -> Result<Row, Box<dyn Error>> {
    let mut target = programs.start("target", &["idle", &threads.to_string()])?;
    target.line()?;
    let mut bare = programs.start("bare", &[&target.pid().to_string()])?;
    let mut tracee = Tracee::new(target.pid(), TraceeOptions::default())?;
    let (mut theirs, mut ours, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..pairs {
        std::thread::sleep(BETWEEN);
        theirs.push(bare.ask()?.parse::<f64>()? / 1e3);
        std::thread::sleep(BETWEEN);
        let timing = tracee.stop(Instant::now() + Duration::from_secs(1))?.detach();
        ours.push(timing.pause().as_secs_f64() * 1e6);
        parts.push(timing.stop.as_secs_f64() * 1e6);
    }
    let middle = |values: &[f64]| median(values).ok_or("nothing was measured");
    let (theirs, ours, stop) = (middle(&theirs)?, middle(&ours)?, middle(&parts)?);
    Ok(Row {
        what: format!("pause, registers only, {threads} idle threads"),
        asked: format!("≤ {FACTOR} × the bare loop"),
        measured: format!(
            "{ours:.0} µs (stop {stop:.0}) against {theirs:.0} µs: {:.2} ×",
            ours / theirs
        ),
        reached: Some(ours <= FACTOR * theirs),
    })
}

/// 64 threads that spin, on every processor there is.
pub(crate) fn busy(programs: &Programs, stops: usize) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = Vec::new();
    for urgent in [true, false] {
        let mut target = programs.start("target", &["work", "64"])?;
        target.line()?;
        let options = TraceeOptions { urgent, ..TraceeOptions::default() };
        let mut tracee = Tracee::new(target.pid(), options)?;
        let mut pauses = Vec::new();
        for _ in 0..stops {
            std::thread::sleep(Duration::from_millis(20));
            let timing = tracee.stop(Instant::now() + Duration::from_secs(1))?.detach();
            pauses.push(timing.pause().as_secs_f64() * 1e3);
        }
        let worst = pauses.iter().copied().fold(0.0, f64::max);
        let middle = median(&pauses).ok_or("nothing was measured")?;
        rows.push(Row {
            what: format!(
                "pause, 64 spinning threads, {}",
                if urgent { "urgent" } else { "not urgent" }
            ),
            asked: String::new(),
            measured: format!("{middle:.2} ms, at worst {worst:.2} ms"),
            reached: None,
        });
    }
    Ok(rows)
}
