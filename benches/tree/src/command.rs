//! What `seepmeter run` itself costs: the build of a C project, and its own memory.

use std::error::Error;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use seepmeter_process::proc::ProcRoot;

use super::{median, not_run, row};

/// So many files has the project.
const FILES: u32 = 300;

/// The release build of seepmeter beside this program; none if it was not built.
fn seepmeter() -> Result<Option<PathBuf>, Box<dyn Error>> {
    let path = std::env::current_exe()?.with_file_name("seepmeter");
    Ok(path.exists().then_some(path))
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A project of so many small files, each of which is compiled by itself.
fn project() -> Result<Folder, Box<dyn Error>> {
    let name = format!("seepmeter-tree-bench-{}", std::process::id());
    let folder = Folder(std::env::temp_dir().join(name));
    std::fs::create_dir(&folder.0)?;
    let mut objects = String::new();
    for n in 0..FILES {
        let text = format!(
            "#include <stdio.h>\nint f{n}(int x) {{ return printf(\"%d\\n\", x + {n}); }}\n"
        );
        std::fs::write(folder.0.join(format!("f{n}.c")), text)?;
        objects += &format!(" f{n}.o");
    }
    let makefile = format!("all:{objects}\n%.o: %.c\n\tcc -O2 -c -o $@ $<\n");
    std::fs::write(folder.0.join("Makefile"), makefile)?;
    Ok(folder)
}

/// What a build took, in seconds.
#[derive(Clone, Copy)]
struct Build {
    wall: f64,
    /// That of who watches it too.
    cpu: f64,
}

/// The CPU time of all children that have ended, in seconds.
fn cpu_of_children() -> Result<f64, Box<dyn Error>> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(micros as f64 / 1e6)
}

/// Builds by a command that `make` is put behind.
fn build(folder: &Path, watcher: &[&OsStr]) -> Result<Build, Box<dyn Error>> {
    for n in 0..FILES {
        let object = folder.join(format!("f{n}.o"));
        let _ = std::fs::remove_file(object);
    }
    let make = ["make", "-s", "-j2"].map(OsStr::new);
    let words: Vec<&OsStr> = watcher.iter().copied().chain(make).collect();
    let (before, begin) = (cpu_of_children()?, Instant::now());
    let status = Command::new(words[0]).args(&words[1..]).current_dir(folder).status()?;
    let wall = begin.elapsed().as_secs_f64();
    let cpu = cpu_of_children()? - before;
    if status.success() { Ok(Build { wall, cpu }) } else { Err("the build failed".into()) }
}

/// The build in turns with and without seepmeter.
pub(crate) fn builds(pairs: u32) -> Result<bool, Box<dyn Error>> {
    let what = format!("make -j2 of {FILES} C files under seepmeter run");
    let Some(seepmeter) = seepmeter()? else { return Ok(not_built(&what)) };
    let folder = project()?;
    let recording = folder.0.join("r.jsonl");
    let sink = format!("jsonl,path={}", recording.display());
    let flags = ["run", "-q", "--no-summary", "-o", &sink, "--"].map(OsStr::new);
    let watched: Vec<&OsStr> = [seepmeter.as_os_str()].into_iter().chain(flags).collect();
    build(&folder.0, &[])?;
    let (mut ratios, mut cpu_ratios) = (Vec::new(), Vec::new());
    for pair in 0..pairs {
        // Who comes first changes.
        let mut ways = [&[][..], &watched[..]];
        ways.rotate_left(usize::try_from(pair % 2)?);
        let times = [build(&folder.0, ways[0])?, build(&folder.0, ways[1])?];
        let [plain, followed] = if pair % 2 == 0 { times } else { [times[1], times[0]] };
        ratios.push(followed.wall / plain.wall);
        cpu_ratios.push(followed.cpu / plain.cpu);
    }
    let middle = median(&mut ratios);
    let (least, most) = (ratios[0], ratios[ratios.len() - 1]);
    let cpu = median(&mut cpu_ratios);
    let measured = format!(
        "{middle:.3} × ({least:.3}–{most:.3}, {pairs} pairs); {cpu:.3} × the CPU time, with Seepmeter's own"
    );
    Ok(row(&what, "≤ 1.01 × the wall time", &measured, middle <= 1.01))
}

fn not_built(what: &str) -> bool {
    let _ = not_run(&format!("{what}: cargo build --release -p seepmeter comes first"));
    true
}

/// A target that holds many children and forks more, under seepmeter.
struct Crowd {
    seepmeter: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Crowd {
    fn start(seepmeter: &Path, children: u32) -> Result<Self, Box<dyn Error>> {
        let own = std::env::current_exe()?;
        let mut seepmeter = Command::new(seepmeter)
            .args(["run", "-q", "--no-summary", "-o", "jsonl,path=/dev/null", "--"])
            .arg(own)
            .args(["hold", &children.to_string()])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = seepmeter.stdout.take().ok_or("no output")?;
        let mut crowd = Self { seepmeter, lines: BufReader::new(output).lines() };
        crowd.wait_for("ready")?;
        Ok(crowd)
    }

    fn wait_for(&mut self, expected: &str) -> Result<(), Box<dyn Error>> {
        let line = self.lines.next().ok_or("the target has ended")??;
        if line == expected { Ok(()) } else { Err(format!("{line} is not {expected}").into()) }
    }

    /// Forks so many that end at once.
    fn fork(&mut self, count: u32) -> Result<(), Box<dyn Error>> {
        let input = self.seepmeter.stdin.as_mut().ok_or("no input")?;
        writeln!(input, "{count}")?;
        self.wait_for("done")
    }

    /// The peak and the present size of seepmeter's resident set, in MiB.
    fn own_rss(&self) -> Result<(f64, f64), Box<dyn Error>> {
        let status = ProcRoot::default().process(self.seepmeter.id().cast_signed()).status()?;
        let (Some(peak), Some(rss)) = (status.peak_rss, status.rss) else {
            return Err("no size".into());
        };
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        Ok((mib(peak), mib(rss)))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.seepmeter.id().cast_signed());
        // The target and its children are in its process group.
        let _ = nix::sys::signal::killpg(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.seepmeter.wait();
    }
}

/// Seepmeter's own memory with 1,000 processes, while many more come and go.
pub(crate) fn own_memory(ended: u32) -> Result<bool, Box<dyn Error>> {
    let what = format!("own memory of seepmeter run with 1,000 processes and {ended} ended ones");
    let Some(seepmeter) = seepmeter()? else { return Ok(not_built(&what)) };
    let mut crowd = Crowd::start(&seepmeter, 999)?;
    std::thread::sleep(Duration::from_secs(5));
    let (_, first) = crowd.own_rss()?;
    for _ in 0..10 {
        crowd.fork(ended / 10)?;
    }
    let (peak, last) = crowd.own_rss()?;
    let measured = format!("{first:.1} MiB, at the end {last:.1}; peak {peak:.1}");
    Ok(row(&what, "≤ 20 MB, flat", &measured, peak <= 19.0 && last <= first * 1.1))
}
