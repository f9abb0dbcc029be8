//! What a memory call costs under the filter, with a copy of its stack.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use seepmeter_tracer::{FollowStatus, Follower, TraceEvent};

use crate::program::Programs;
use crate::table::{Row, median};

/// What is copied of a stack.
const STACK: usize = 8192;

/// How long one call takes in ns, as the target measures it.
fn run(programs: &Programs, rounds: &str, followed: bool) -> Result<f64, Box<dyn Error>> {
    // It is held in a read before its exec.
    let mut child = Command::new("sh")
        .args(["-c", "read line; exec \"$0\" map \"$1\""])
        .arg(programs.path("target"))
        .arg(rounds)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    std::thread::sleep(Duration::from_millis(50));
    let mut follower = match followed {
        true => Some(Follower::begin(child.id().cast_signed())?),
        false => None,
    };
    child.stdin.take().ok_or("no input")?.write_all(b"go\n")?;
    if let Some(follower) = &mut follower {
        let mut stack = vec![0; STACK];
        let mut copied = 0;
        let limit = Instant::now() + Duration::from_secs(600);
        let mut emit = |event: TraceEvent<'_>| {
            if let TraceEvent::MemoryCall(call) = event {
                let top = call.registers.stack_pointer();
                copied += call.memory.read(top, &mut stack).unwrap_or(0);
            }
        };
        while follower.handle_events(limit, None, &mut emit)? == FollowStatus::Running {}
        if copied == 0 {
            return Err("no stack was copied".into());
        }
    }
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    child.wait()?;
    Ok(line.trim_end().parse()?)
}

pub(crate) fn measure(programs: &Programs, pairs: usize) -> Result<Row, Box<dyn Error>> {
    let (mut plain, mut followed) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        plain.push(run(programs, "20000", false)? / 1e3);
        followed.push(run(programs, "2000", true)? / 1e3);
    }
    let middle = |values: &[f64]| median(values).ok_or("nothing was measured");
    let (plain, followed) = (middle(&plain)?, middle(&followed)?);
    Ok(Row {
        what: "a memory call under the filter, with 8 KB of its stack".to_owned(),
        asked: "≤ 60 µs".to_owned(),
        measured: format!("{followed:.1} µs against {plain:.1} µs plain"),
        reached: Some(followed <= 60.0),
    })
}
