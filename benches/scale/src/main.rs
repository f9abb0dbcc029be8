//! Runs `seepmeter scale` on programs whose bytes per unit are known, and prints how often it is right.
//!
//! ```console
//! $ cargo build --release && cargo run -p seepmeter-scale-bench -- target/release/seepmeter 5
//! ```
//!
//! The words are the command to test and how often each program is judged.

#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::io::{self, Error};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

/// Where the programs are.
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/programs");

/// What is true of a program.
#[derive(Clone, Copy)]
enum Truth {
    /// It leaves so many bytes behind for each unit.
    Leaks(f64),
    /// It leaves bytes behind for each unit, but nobody knows exactly how many.
    LeaksSome,
    /// It grows faster than the amount.
    GrowsFaster,
    /// It leaves nothing behind.
    Constant,
}

use Truth::{Constant, GrowsFaster, Leaks, LeaksSome};

/// The programs. What they leave behind counts as malloc keeps it; the sources say why.
const ALL: [(&str, Truth); 17] = [
    ("leak_16.c", Leaks(65_536.0 / 4_095.0)),
    ("leak_small.c", Leaks(32.0)),
    ("leak_large.c", Leaks(10_240.0)),
    ("quadratic.c", GrowsFaster),
    ("freed.c", Constant),
    ("freed_small.c", Constant),
    ("leak.cpp", Leaks(176.0)),
    ("cache.cpp", Constant),
    ("threads.cpp", Constant),
    ("leak.rs", Leaks(512.0)),
    ("churn.rs", Constant),
    ("leak.py", Leaks(1_016.0)),
    ("lru.py", Constant),
    ("leak.js", LeaksSome),
    ("warm.js", Constant),
    ("cycle.pl", Leaks(1_458.7)),
    ("words.pl", Constant),
];

/// What was found in one judgement.
struct Judged {
    answer: String,
    right: bool,
    /// Of a leak in proportion: whether the true rate is in the interval.
    inside: Option<bool>,
    estimate: Option<f64>,
    seconds: f64,
}

fn main() -> io::Result<()> {
    let mut words = std::env::args().skip(1);
    let seepmeter = words.next().unwrap_or_else(|| "target/release/seepmeter".to_owned());
    let times: usize = words.next().and_then(|times| times.parse().ok()).unwrap_or(3);
    let only: Vec<String> = words.collect();
    let folder = tempfile::tempdir()?;
    let mut all = Vec::new();
    println!("| program | truth | answers | median estimate | inside | median time |");
    println!("|---|---|---|---|---|---|");
    for (name, truth) in ALL {
        if !only.is_empty() && !only.iter().any(|only| only == name) {
            continue;
        }
        let Some(command) = command(name, folder.path())? else {
            println!("| {name} | NOT RUN: what it needs is not here | | | | |");
            continue;
        };
        let judged: io::Result<Vec<Judged>> =
            (0..times).map(|_| judge(&seepmeter, &command, truth)).collect();
        let judged = judged?;
        println!("{}", row(name, truth, &judged));
        all.extend(judged);
    }
    let right = all.iter().filter(|judged| judged.right).count();
    let inside: Vec<bool> = all.iter().filter_map(|judged| judged.inside).collect();
    println!(
        "\nright: {right} of {}; true rate inside the interval: {} of {}; median time: {:.1} s",
        all.len(),
        inside.iter().filter(|inside| **inside).count(),
        inside.len(),
        median(all.iter().map(|judged| judged.seconds)),
    );
    Ok(())
}

/// The command that runs a program, compiled if need be. None if there is no compiler or interpreter.
fn command(name: &str, folder: &Path) -> io::Result<Option<Vec<PathBuf>>> {
    let source = Path::new(PROGRAMS).join(name);
    let built = folder.join(name.replace('.', "-"));
    let (tool, flags): (&str, &[&str]) = match source.extension().and_then(|end| end.to_str()) {
        Some("c") => ("cc", &["-O1"]),
        Some("cpp") => ("c++", &["-O1", "-pthread"]),
        Some("rs") => ("rustc", &["-O"]),
        Some("py") => return Ok(python().map(|python| vec![python, source])),
        Some("js") => return Ok(on_path("node").map(|node| vec![node, source])),
        _ => return Ok(on_path("perl").map(|perl| vec![perl, source])),
    };
    if on_path(tool).is_none() {
        return Ok(None);
    }
    let done = Command::new(tool).args(flags).arg("-o").args([&built, &source]).status()?;
    if !done.success() {
        return Err(Error::other(format!("{tool} cannot compile {name}")));
    }
    Ok(Some(vec![built]))
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut files = std::env::split_paths(&path).map(|folder| folder.join(program));
    files.find(|file| file.is_file())
}

/// The interpreter itself: `python3` may be a script that looks for it.
fn python() -> Option<PathBuf> {
    let ask = ["-c", "import sys; print(sys.executable)"];
    let said = Command::new(on_path("python3")?).args(ask).output().ok()?;
    Some(PathBuf::from(String::from_utf8(said.stdout).ok()?.trim()))
}

fn judge(seepmeter: &str, command: &[PathBuf], truth: Truth) -> io::Result<Judged> {
    let begin = Instant::now();
    let words = ["scale", "--json", "--"];
    let done = Command::new(seepmeter).args(words).args(command).arg("{n}").output()?;
    let seconds = begin.elapsed().as_secs_f64();
    let report: Value = serde_json::from_slice(&done.stdout)
        .map_err(|error| Error::other(format!("{command:?}: {error}: {done:?}")))?;
    let word = |key: &str| report[key].as_str().unwrap_or_default().to_owned();
    let (answer, reason) = (word("answer"), word("reason"));
    let rate = |key: &str| report["per_unit"][key].as_f64();
    let right = match truth {
        Leaks(_) | LeaksSome => answer == "leaks" && reason == "linear",
        GrowsFaster => answer == "leaks" && reason == "faster-than-linear",
        Constant => answer == "constant",
    };
    let inside = match truth {
        Leaks(bytes) => {
            Some(rate("low") <= Some(bytes) && rate("high").is_some_and(|high| bytes <= high))
        }
        LeaksSome | GrowsFaster | Constant => None,
    };
    Ok(Judged { answer, right, inside, estimate: rate("estimate"), seconds })
}

fn row(name: &str, truth: Truth, judged: &[Judged]) -> String {
    let truth = match truth {
        Leaks(bytes) => format!("leaks {bytes:.1} B"),
        LeaksSome => "leaks some".to_owned(),
        GrowsFaster => "grows faster than n".to_owned(),
        Constant => "constant".to_owned(),
    };
    let mut answers: Vec<String> = Vec::new();
    for answer in ["leaks", "constant", "inconclusive"] {
        let count = judged.iter().filter(|judged| judged.answer == answer).count();
        if count > 0 {
            answers.push(format!("{answer} {count}"));
        }
    }
    let inside: Vec<bool> = judged.iter().filter_map(|judged| judged.inside).collect();
    let inside = match inside.len() {
        0 => String::new(),
        all => format!("{} of {all}", inside.iter().filter(|inside| **inside).count()),
    };
    let estimate = median(judged.iter().filter_map(|judged| judged.estimate));
    let seconds = median(judged.iter().map(|judged| judged.seconds));
    let answers = answers.join(", ");
    format!("| {name} | {truth} | {answers} | {estimate:.2} B | {inside} | {seconds:.1} s |")
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
