//! What parsing a whole smaps costs on top of reading it, in CPU time.

use std::fs::File;
use std::io::{Error, Read};

use seepmeter_maps::smaps::Parser;

use crate::phases::{median, thread_time};
use crate::target::Target;

const ROUNDS: usize = 15;

/// Reads one target's smaps raw, by our parser and by procfs in turn, and makes the lines of the table.
pub(crate) fn measure(target: &Target) -> Result<String, Error> {
    let pid = target.pid();
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        let ways: [fn(i32) -> Result<usize, Error>; 3] = [raw, ours, theirs];
        for (way, times) in ways.iter().zip(&mut times) {
            let begin = thread_time();
            std::hint::black_box(way(pid)?);
            times.push((thread_time() - begin).as_secs_f64() * 1e3);
        }
    }
    let [raw, ours, theirs] = times.map(|times| median(times.into_iter()));
    Ok(format!(
        "whole smaps: raw read {raw:.1} ms; our parser {ours:.1} ms, {:.2} of it; procfs {theirs:.1} ms, {:.2} of it",
        ours / raw,
        theirs / raw
    ))
}

fn pieces(pid: i32, mut each: impl FnMut(&[u8])) -> Result<usize, Error> {
    let mut file = File::open(format!("/proc/{pid}/smaps"))?;
    let mut piece = vec![0; 64 << 10];
    let mut total = 0;
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(total),
            length => each(&piece[..length]),
        }
        total += 1;
    }
}

fn raw(pid: i32) -> Result<usize, Error> {
    pieces(pid, |_| ())
}

fn ours(pid: i32) -> Result<usize, Error> {
    let (mut parser, mut rss) = (Parser::default(), 0);
    pieces(pid, |piece| parser.push(piece, |entry| rss += entry.figures.rss))?;
    parser.finish(|entry| rss += entry.figures.rss);
    Ok(usize::try_from(rss).unwrap_or(0))
}

fn theirs(pid: i32) -> Result<usize, Error> {
    let process = procfs::process::Process::new(pid).map_err(Error::other)?;
    process.smaps().map(|maps| maps.0.len()).map_err(Error::other)
}
