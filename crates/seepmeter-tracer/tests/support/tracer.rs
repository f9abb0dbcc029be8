//! A tracer in a process of its own, for the tests that kill it, change its user, or are themselves the
//! target's parent. It is the test program that executes itself: the test below is the tracer if it gets
//! its instructions in the environment.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use seepmeter_tracer::{TraceError, Tracee, TraceeOptions};

use crate::support::Target;

/// The name of the test below.
const TEST: &str = "tracer::a_tracer_stops_a_process_from_a_process_of_its_own";
/// The variable with its instructions: the pid, how many stops, and the µs between two of them.
const INSTRUCTIONS: &str = "SEEPMETER_TEST_TRACER";

/// What another process is to do as a tracer.
pub struct Instructions {
    pub pid: i32,
    pub stops: u32,
    pub pause: Duration,
}

impl Instructions {
    /// The command that carries them out, by `program`, a copy of the test program.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.args(["--exact", TEST, "--nocapture", "--test-threads=1"]);
        let words = format!("{} {} {}", self.pid, self.stops, self.pause.as_micros());
        command.env(INSTRUCTIONS, words).stdout(Stdio::null());
        command
    }

    fn parse(words: &str) -> Option<Self> {
        let mut words = words.split(' ');
        Some(Self {
            pid: words.next()?.parse().ok()?,
            stops: words.next()?.parse().ok()?,
            pause: Duration::from_micros(words.next()?.parse().ok()?),
        })
    }

    fn carry_out(&self) -> Result<(), TraceError> {
        let mut tracee = Tracee::new(self.pid, TraceeOptions::default())?;
        for _ in 0..self.stops {
            tracee.stop(Instant::now() + Duration::from_millis(10))?.detach();
            tracee.settle(Instant::now() + self.pause);
            std::thread::sleep(self.pause);
        }
        Ok(())
    }
}

/// The test program.
pub fn own_program() -> PathBuf {
    std::env::current_exe().unwrap()
}

#[test]
fn a_tracer_stops_a_process_from_a_process_of_its_own() {
    if let Ok(words) = std::env::var(INSTRUCTIONS) {
        let result = Instructions::parse(&words).expect("instructions").carry_out();
        std::process::exit(match result {
            Ok(()) | Err(TraceError::Gone { .. }) => 0,
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "{error}");
                1
            }
        });
    }
    let target = Target::start("idle 2");
    let pause = Duration::from_millis(1);
    let instructions = Instructions { pid: target.pid(), stops: 3, pause };
    assert!(instructions.command(&own_program()).status().unwrap().success());
    assert_eq!(target.rest().0, "done\n");
}
