//! What a program of 8 threads gets done while it is stopped once a second, and while it is not.

use std::error::Error;
use std::time::{Duration, Instant};

use seepmeter_tracer::{Tracee, TraceeOptions};

use crate::program::{Activity, Programs};
use crate::table::{Row, median};

const PHASE: Duration = Duration::from_secs(2);
const INTERVAL: Duration = Duration::from_secs(1);

/// Work done, and CPU time in s.
fn done(target: &mut Activity) -> Result<(f64, f64), Box<dyn Error>> {
    let line = target.ask()?;
    let (work, cpu) = line.split_once(' ').ok_or("not what the target says")?;
    Ok((work.parse()?, cpu.parse::<f64>()? / 1e9))
}

/// Work by s of wall time and by s of CPU time in one phase.
fn phase(target: &mut Activity, tracee: Option<&mut Tracee>) -> Result<(f64, f64), Box<dyn Error>> {
    let (work, cpu) = done(target)?;
    let began = Instant::now();
    match tracee {
        None => std::thread::sleep(PHASE),
        Some(tracee) => {
            let mut next = began;
            while next < began + PHASE {
                tracee.stop(Instant::now() + Duration::from_millis(10))?.detach();
                tracee.settle(Instant::now() + Duration::from_millis(10));
                next += INTERVAL;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        }
    }
    let (after, cpu_after) = done(target)?;
    let wall = began.elapsed().as_secs_f64();
    Ok(((after - work) / wall, (after - work) / (cpu_after - cpu)))
}

pub(crate) fn measure(programs: &Programs, pairs: usize) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut target = programs.start("target", &["work", "8"])?;
    target.line()?;
    let mut tracee = Tracee::new(target.pid(), TraceeOptions::default())?;
    let (mut by_wall, mut by_cpu) = (Vec::new(), Vec::new());
    let mut before = phase(&mut target, None)?;
    for _ in 0..pairs {
        let with = phase(&mut target, Some(&mut tracee))?;
        let after = phase(&mut target, None)?;
        by_wall.push(2.0 * with.0 / (before.0 + after.0));
        by_cpu.push(2.0 * with.1 / (before.1 + after.1));
        before = after;
    }
    let row = |what: &str, ratios: &[f64]| -> Result<Row, Box<dyn Error>> {
        let ratio = median(ratios).ok_or("nothing was measured")?;
        Ok(Row {
            what: format!("throughput of 8 threads at 1 stop a second, by {what}"),
            asked: "≥ 0.99".to_owned(),
            measured: format!("{ratio:.4}"),
            reached: Some(ratio >= 0.99),
        })
    };
    Ok(vec![row("wall time", &by_wall)?, row("CPU time", &by_cpu)?])
}
