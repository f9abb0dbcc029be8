//! Snapshots of processes that run, and that must not notice.

#![allow(clippy::print_stderr, reason = "a test that can't run says so")]

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use seepmeter_snapshot::{MemoryImage, Refusal, Snapshot, SnapshotError, SnapshotOptions};

type Outcome = Result<(), Box<dyn Error>>;

/// The variable with the pid for a process of its own that takes snapshots, see the last test.
const SNAPSHOTS_OF: &str = "SEEPMETER_TEST_SNAPSHOTS_OF";
const OWN_PROCESS: &str = "snapshots_are_taken_from_a_process_of_its_own";

/// `worker.c`, compiled once.
fn program() -> &'static tempfile::TempDir {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/worker.c");
        let program = folder.path().join("worker");
        let cc = Command::new("cc").args(["-O1", "-pthread", source, "-o"]).arg(program).status();
        assert!(cc.expect("cc").success(), "cc has not compiled {source}");
        folder
    })
}

struct Worker {
    child: Child,
    output: BufReader<ChildStdout>,
    known: u64,
    left_out: u64,
    wiped: u64,
}

impl Worker {
    fn start(mebibytes: u32, children: bool) -> Result<Self, Box<dyn Error>> {
        Self::of(Command::new(program().path().join("worker")), mebibytes, children)
    }

    fn of(mut command: Command, mebibytes: u32, children: bool) -> Result<Self, Box<dyn Error>> {
        command.arg(mebibytes.to_string()).arg(if children { "1" } else { "0" });
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let address = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16);
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[known, left_out, wiped] = words.as_slice() else { return Err("no addresses".into()) };
        let (known, left_out, wiped) = (address(known)?, address(left_out)?, address(wiped)?);
        Ok(Self { child, output, known, left_out, wiped })
    }

    fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// The children that it has now, with the letters of their states. Its own ones are there for a moment.
    fn children(&self) -> Vec<(i32, char)> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).into_iter().flatten();
        let lists = tasks.flatten().map(|task| fs::read_to_string(task.path().join("children")));
        let text: String = lists.map(|list| list.unwrap_or_default() + " ").collect();
        let state = |pid: i32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, stat.rsplit(") ").next()?.chars().next()?))
        };
        text.split_whitespace().filter_map(|pid| state(pid.parse().ok()?)).collect()
    }

    /// Ends it; returns what it has noticed.
    fn rest(&mut self) -> Result<String, Box<dyn Error>> {
        self.child.stdin.take().ok_or("ended already")?.write_all(b"x")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let status = self.child.wait()?;
        assert_eq!(status.code(), Some(7), "{status} after {line:?}");
        Ok(line)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn take(worker: &Worker) -> Result<Snapshot, SnapshotError> {
    Snapshot::take(worker.pid(), SnapshotOptions::default())
}

fn expect_known_memory(image: &MemoryImage<'_>, worker: &Worker) {
    for index in 0..8192u64 {
        let word = image.word(worker.known + 8 * index);
        assert_eq!(word, Some(index.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    }
    // A fork has none of these, and a piece may reach over their ends.
    let byte = |address, want: u8| assert_eq!(image.bytes(address), Some([want; 16]));
    for (start, byte_of) in [(worker.left_out, 5), (worker.wiped, 6)] {
        byte(start, byte_of);
        byte(start + 8192 - 16, byte_of);
        let mut across = vec![0; 4096 + 8192];
        let read = image.read(start - 4096, &mut across);
        assert!(read == 0 || across[..read].iter().skip(4096).all(|&byte| byte == byte_of));
    }
}

#[test]
fn a_working_program_is_unharmed_by_many_snapshots_and_no_child_is_left() -> Outcome {
    let mut worker = Worker::start(8, true)?;
    let (mut sent, mut sum) = (0, 0);
    for round in 0..30 {
        let snapshot = take(&worker)?;
        let copy = snapshot.copy_pid();
        expect_known_memory(&snapshot.image(), &worker);
        assert_eq!(snapshot.image().threads().len(), 5);
        for value in [round, 1000] {
            // SAFETY: the call takes numbers alone; the child was not reaped.
            let queued = unsafe {
                let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(value) };
                libc::sigqueue(worker.pid(), libc::SIGRTMIN(), value)
            };
            assert_eq!(queued, 0);
            (sent, sum) = (sent + 1, sum + value);
        }
        assert!(worker.children().iter().any(|&(pid, _)| pid == copy));
        snapshot.end()?;
        assert!(worker.children().iter().all(|&(pid, _)| pid != copy), "the copy was not reaped");
        assert!(!fs::exists(format!("/proc/{copy}"))?);
    }
    let noticed = worker.rest()?;
    assert_eq!(noticed, format!("signals {sent} sum {sum} strange 0 wrong 0 interrupted 0\n"));
    Ok(())
}

#[test]
fn the_image_does_not_change_while_the_process_runs_on() -> Outcome {
    let mut worker = Worker::start(1, false)?;
    let snapshot = take(&worker)?;
    let image = snapshot.image();
    let threads = image.threads().to_vec();
    let stack = |at: usize| image.bytes::<512>(threads[at].stack_pointer);
    let before: Vec<_> = (0..threads.len()).map(stack).collect();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!((0..threads.len()).map(stack).collect::<Vec<_>>(), before);
    assert!(snapshot.status().rss.is_some_and(|rss| rss > 1 << 20));
    image.check()?;
    drop(image);
    drop(snapshot);
    assert!(worker.children().is_empty(), "dropping it ends it too");
    assert_eq!(worker.rest()?, "signals 0 sum 0 strange 0 wrong 0 interrupted 0\n");
    Ok(())
}

#[test]
fn the_resident_pages_are_those_of_the_process_and_not_those_that_were_read() -> Outcome {
    let worker = Worker::start(8, false)?;
    let snapshot = take(&worker)?;
    let image = snapshot.image();
    let anonymous = snapshot.status().rss_anonymous.ok_or("no RssAnon")?;
    // What was never touched is mapped to zeros when it is read.
    let mut buffer = vec![0; 1 << 20];
    for region in image.regions().iter().filter(|it| it.perms.read && it.size() < 64 << 20) {
        image.read_range(region.range(), &mut buffer, |_, _| {});
    }
    let pages = snapshot.resident_pages()?;
    if !pages.without_zeros() {
        eprintln!("NOT RUN: pages of zeros can't be told apart before Linux 6.7");
        return Ok(());
    }
    let all = pages.bytes_in(&(0..u64::MAX)) + snapshot.left_out();
    assert_eq!(all, anonymous);
    assert_eq!(snapshot.left_out(), 16384);
    let known = image.region_at(worker.known).ok_or("no heap")?;
    assert!(pages.bytes_in(&known.range()) >= 65536);
    assert_eq!(pages.bytes_in(&(worker.known..worker.known + 100)), 100);
    Ok(())
}

#[test]
fn the_words_that_epoll_and_timers_keep_are_known() -> Outcome {
    let worker = Worker::start(1, false)?;
    let snapshot = take(&worker)?;
    let image = snapshot.image();
    let words = image.kernel_words().ok_or("they are known of a snapshot")?;
    assert_eq!(words.unknown, None);
    assert!(words.words.contains(&0x1122_3344_5566), "{words:?}");
    Ok(())
}

#[test]
fn a_process_in_a_group_stop_is_copied_and_stays_in_it() -> Outcome {
    let mut worker = Worker::start(1, false)?;
    let send = |signal| {
        // SAFETY: kill(2) touches no memory; the child is not reaped yet.
        assert_eq!(unsafe { libc::kill(worker.pid(), signal) }, 0);
    };
    let state = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", worker.pid())).unwrap_or_default();
        stat.rsplit(") ").next().and_then(|rest| rest.chars().next())
    };
    // A thread that is let go wakes for a moment, to stop again before it executes anything.
    let expect_stopped = || {
        let deadline = Instant::now() + Duration::from_secs(20);
        while state() != Some('T') {
            assert!(Instant::now() < deadline, "it runs: {:?}", state());
            std::thread::yield_now();
        }
    };
    send(libc::SIGSTOP);
    expect_stopped();
    for _ in 0..5 {
        let snapshot = take(&worker)?;
        expect_known_memory(&snapshot.image(), &worker);
        expect_stopped();
        snapshot.end()?;
        expect_stopped();
    }
    send(libc::SIGCONT);
    assert!(worker.rest()?.contains("strange 0 wrong 0"));
    Ok(())
}

#[test]
fn a_fork_beyond_a_limit_of_processes_is_refused_and_harms_nobody() -> Outcome {
    // Root may have any number of processes; nobody may have this one, with its four threads.
    if !is_root() {
        eprintln!("NOT RUN: a limit of processes needs root, to run a program as another user");
        return Ok(());
    }
    let program = program().path().join("worker");
    fs::set_permissions(program.parent().ok_or("no folder")?, world_readable())?;
    let mut command = Command::new(program);
    // SAFETY: between fork and exec it makes a system call alone.
    unsafe {
        command.pre_exec(|| {
            let limit = libc::rlimit { rlim_cur: 4, rlim_max: 4 };
            match libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        })
    };
    command.uid(54_321).gid(54_321);
    let mut worker = Worker::of(command, 1, false)?;
    for _ in 0..3 {
        let error = take(&worker).expect_err("it has as many threads as it may have");
        assert!(error.to_string().contains("RLIMIT_NPROC"), "{error}");
    }
    assert_eq!(worker.rest()?, "signals 0 sum 0 strange 0 wrong 0 interrupted 0\n");
    Ok(())
}

fn is_root() -> bool {
    // SAFETY: the call takes nothing.
    unsafe { libc::geteuid() == 0 }
}

fn world_readable() -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o755)
}

#[test]
fn a_process_whose_calls_are_filtered_is_refused_before_it_is_stopped() -> Outcome {
    let mut command = Command::new(program().path().join("worker"));
    // SAFETY: between fork and exec it makes system calls alone.
    unsafe {
        command.pre_exec(|| {
            // A filter that allows everything: BPF_RET, SECCOMP_RET_ALLOW.
            let filter = [0x7fff_0000_0000_0006u64];
            let program = [1u64, filter.as_ptr().expose_provenance() as u64];
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            match libc::prctl(libc::PR_SET_SECCOMP, 2, program.as_ptr(), 0, 0) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        })
    };
    let mut worker = Worker::of(command, 1, false)?;
    let error = take(&worker).expect_err("it has a filter");
    assert!(matches!(error, SnapshotError::Refused { why: Refusal::Seccomp, .. }), "{error}");
    assert_eq!(worker.rest()?, "signals 0 sum 0 strange 0 wrong 0 interrupted 0\n");
    Ok(())
}

#[test]
fn a_process_that_is_killed_meanwhile_is_an_error_or_a_whole_image() -> Outcome {
    for round in 0..20 {
        let worker = Worker::start(16, false)?;
        let pid = worker.pid();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(500 * round));
            // SAFETY: kill(2) touches no memory; the child is not reaped before this thread is joined.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        });
        if let Ok(snapshot) = take(&worker) {
            expect_known_memory(&snapshot.image(), &worker);
            let copy = snapshot.copy_pid();
            snapshot.end()?;
            // Whoever has it now reaps it as it would any other.
            let gone = |stat: std::io::Result<String>| !stat.is_ok_and(|it| !it.contains(") Z "));
            assert!(gone(fs::read_to_string(format!("/proc/{copy}/stat"))));
        }
        killer.join().map_err(|_| "the killer")?;
    }
    Ok(())
}

/// Kills while a thread makes calls that are not its own: it must get its registers back without anybody.
#[test]
fn whoever_takes_snapshots_may_be_killed_at_any_moment() -> Outcome {
    let kills = if std::env::var_os("SEEPMETER_LONG").is_some() { 500 } else { 60 };
    kill_tracers_of(Worker::start(32, false)?, kills)
}

#[test]
fn nor_does_a_static_program_notice_which_has_no_signal_handlers() -> Outcome {
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("plain");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/worker.c");
    let mut cc = Command::new("musl-gcc");
    let cc = cc.args(["-O1", "-static", "-DPLAIN", "-w", source, "-o"]).arg(&program).status();
    let Ok(status) = cc else {
        eprintln!("NOT RUN: snapshots of static programs need musl-gcc");
        return Ok(());
    };
    assert!(status.success(), "musl-gcc has not compiled {source}");
    kill_tracers_of(Worker::of(Command::new(program), 32, false)?, 30)
}

fn kill_tracers_of(mut worker: Worker, kills: u32) -> Outcome {
    let mut while_copied = 0;
    for round in 0..kills {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--exact", OWN_PROCESS, "--nocapture", "--test-threads=1"]);
        command.env(SNAPSHOTS_OF, worker.pid().to_string()).stdout(Stdio::piped());
        let mut tracer = command.spawn()?;
        // It takes one after the other from its first line on.
        let mut output = BufReader::new(tracer.stdout.take().ok_or("no output")?);
        let mut line = String::new();
        while !line.contains("begins") {
            line.clear();
            assert!(output.read_line(&mut line)? > 0, "it has ended");
        }
        std::thread::sleep(Duration::from_micros(u64::from(round) * 977 % 40_000));
        tracer.kill()?;
        tracer.wait()?;
        let deadline = Instant::now() + Duration::from_secs(20);
        // A zombie has nothing; anything else is on its way.
        while worker.children().iter().any(|&(_, state)| state != 'Z') {
            assert!(Instant::now() < deadline, "a copy is left: {:?}", worker.children());
            std::thread::yield_now();
        }
        while_copied += u32::from(!worker.children().is_empty());
        assert!(worker.child.try_wait()?.is_none(), "the target has ended in round {round}");
    }
    assert!(while_copied > 0, "no tracer was killed while there was a copy");
    let noticed = worker.rest()?;
    // A call that is interrupted at just that moment may give EINTR.
    assert!(noticed.starts_with("signals 0 sum 0 strange 0 wrong 0 "), "{noticed}");
    Ok(())
}

#[test]
fn snapshots_are_taken_from_a_process_of_its_own() -> Outcome {
    let Ok(pid) = std::env::var(SNAPSHOTS_OF) else { return Ok(()) };
    std::io::stdout().write_all(b"\nbegins\n")?;
    loop {
        Snapshot::take(pid.parse()?, SnapshotOptions::default())?.end()?;
    }
}
