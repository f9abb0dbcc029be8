//! A tracer in a process of its own: `PID STOPS [PAUSE]` stops the process that often, waiting PAUSE
//! microseconds between two stops. The tests kill it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use seepmeter_tracer::{Options, TraceError, Tracee};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<u32>().ok());
    let (Some(pid), Some(stops)) = (words.next().flatten(), words.next().flatten()) else {
        return ExitCode::from(2);
    };
    let pause = Duration::from_micros(words.next().flatten().unwrap_or(1000).into());
    match run(pid.cast_signed(), stops, pause) {
        Ok(()) | Err(TraceError::Gone { .. }) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(pid: i32, stops: u32, pause: Duration) -> Result<(), TraceError> {
    let mut tracee = Tracee::new(pid, Options::default())?;
    for _ in 0..stops {
        tracee.stop(Instant::now() + Duration::from_millis(10))?.detach();
        tracee.settle(Instant::now() + pause);
        std::thread::sleep(pause);
    }
    Ok(())
}
