//! Servers with a master and workers, as Debian has them.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use nix::unistd::{Uid, User};
use seepmeter_record::EventKind;
use seepmeter_tests::{
    FinishedRun, Recording, RunningProgram, eventually, long_or_not_run, not_run, words,
};
use serde_json::Value;

use crate::watched::{MIB, Seen, Watched, found, share_of, sum_of, terminate};

/// What an HTTP server answers on a socket; none while it does not.
fn get(socket: &Path) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\nHost: test\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.contains(" 200 ").then(|| body.to_owned())
}

/// The status with which a server ends by TERM, without seepmeter.
fn alone(watched: &Watched, is_ready: impl Fn(&RunningProgram) -> bool) -> FinishedRun {
    let running = watched.alone().start();
    eventually("the server without seepmeter", || is_ready(&running).then_some(()));
    terminate(running)
}

/// Waits until a watched run has so many samples more.
fn wait_for_samples(watched: &Watched, more: usize) {
    let count = || Some(Recording::try_read(&watched.path("r.jsonl")).ok()?.samples().count());
    let before = count().unwrap_or(0);
    eventually("samples", || (count()? >= before + more).then_some(()));
}

/// Each worker answers with its pid and the MiB that it has kept. What is kept depends on LEAK.
const APP: &str = r#"
import os, threading, time

kept = []

def keep(mib):
    kept.append(bytearray(b"x") * int(mib * (1 << 20)))

def leak():
    while True:
        keep(float(os.environ["MIB"]))
        time.sleep(0.05)

if os.environ["LEAK"] == "first" and os.environ["WORKER"] == "1":
    threading.Thread(target=leak, daemon=True).start()

def app(environ, start_response):
    if os.environ["LEAK"] == "each":
        keep(float(os.environ["MIB"]))
    body = b"%d %d" % (os.getpid(), sum(map(len, kept)) >> 20)
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"#;

/// Each worker knows which it is.
const CONFIGURATION: &str = "
import os

def post_fork(server, worker):
    os.environ['WORKER'] = str(worker.age)
";

/// gunicorn with this program; none, loudly, if it is not installed.
fn gunicorn(test: &str, leak: &str, step: f64, flags: &[&str]) -> Option<Watched> {
    let Some(program) = found("gunicorn") else {
        not_run(test, "gunicorn is not installed");
        return None;
    };
    let words = words![
        "env",
        format!("LEAK={leak}"),
        format!("MIB={step}"),
        program,
        "--log-level",
        "critical"
    ];
    let words = words.into_iter().chain(words!["-c", "conf.py", "-b", "unix:socket", "app:app"]);
    let words = words.chain(flags.iter().map(Into::into)).collect();
    Some(Watched::new(words).file("app.py", APP).file("conf.py", CONFIGURATION))
}

/// The pid of a worker and what it has kept, in MiB.
fn answer(watched: &Watched) -> Option<(i32, i64)> {
    let body = get(&watched.path("socket"))?;
    let (pid, mib) = body.split_once(' ')?;
    Some((pid.parse().ok()?, mib.parse().ok()?))
}

/// Three workers, of which one keeps so many MiB twenty times a second, until it has kept `until`. The verdicts
/// are those on a run that many times slower.
fn one_of_three_leaks(test: &str, step: f64, until: i64, times: u64) -> Option<Vec<Value>> {
    let watched = gunicorn(test, "first", step, &["-w", "3"])?;
    let alone = alone(&watched, |_| answer(&watched).is_some());
    let running = watched.watch().start();
    // Which worker answers is a matter of chance.
    let (pid, mib) = eventually("enough is kept", || {
        let (pid, mib) = answer(&watched)?;
        (mib >= until).then_some((pid, mib))
    });
    let done = terminate(running);
    let seen = watched.same(done, &alone);
    let workers: Vec<_> = seen.processes().into_iter().filter(|it| it.parent.is_some()).collect();
    assert_eq!(workers.len(), 3, "{workers:#?}");
    let leaking = workers.iter().find(|it| it.pid == pid).expect("the worker");
    let largest = workers.iter().filter_map(|it| it.peak).max();
    assert_eq!(leaking.peak, largest, "{workers:#?}");
    let (first, peak) = (first_rss(&seen, leaking.subject), leaking.peak.unwrap());
    assert!(peak - first >= (mib - 5) * MIB, "{} MiB of {mib}", (peak - first) / MIB);
    seen.assert_all_ended();
    let verdicts = seen.judged_slower(times);
    let sum = sum_of(&verdicts);
    // The start is a large part of a short run, and part of what is shared out.
    let least = if times == 1 { 0.9 } else { 0.8 };
    assert!(share_of(sum, "python3 gunicorn (child)") >= least, "{sum:#}");
    let of_pid = |it: &&Value| it["pid"] == pid;
    for growing in [sum, verdicts.iter().find(of_pid).unwrap()] {
        let rate = growing["rate"]["estimate"].as_f64().unwrap() * times as f64 / MIB as f64;
        let truth = 20.0 * step;
        // A busy machine lets it sleep longer.
        assert!(
            (0.5 * truth..=1.2 * truth).contains(&rate),
            "{rate} of {truth} MiB/s: {growing:#}"
        );
    }
    Some(verdicts)
}

#[test]
fn the_growth_is_in_the_role_of_the_one_of_three_workers_that_leaks() {
    let Some(verdicts) = one_of_three_leaks("gunicorn with a leak", 0.25, 48, 30) else { return };
    // For the same reason it may not be sure yet that it grows.
    assert_ne!(sum_of(&verdicts)["classification"], "steady");
}

#[test]
fn the_one_of_three_workers_that_leaks_is_found_in_some_minutes() {
    let test = "gunicorn with a leak for some minutes";
    if !long_or_not_run(test) {
        return;
    }
    let Some(verdicts) = one_of_three_leaks(test, 0.02, 64, 1) else { return };
    let growing = verdicts.iter().filter(|it| it["classification"] == "growing");
    let scopes: Vec<_> = growing.map(|it| it["scope"].as_str().unwrap()).collect();
    assert_eq!(scopes, ["descendant", "role", "all-targets"]);
}

fn first_rss(seen: &Seen, subject: seepmeter_record::SubjectId) -> i64 {
    let points = seen.recording.points("rss");
    points.into_iter().find(|(_, of, _)| *of == subject).map_or(0, |(_, _, rss)| rss)
}

#[test]
fn workers_that_are_recycled_are_one_role_and_do_not_grow() {
    // A worker of one thread ends behind four requests, of which each keeps 2 MiB.
    let flags = ["-w", "2", "--max-requests", "4"];
    let Some(watched) = gunicorn("gunicorn that recycles", "each", 2.0, &flags) else { return };
    let alone = alone(&watched, |_| answer(&watched).is_some());
    let running = watched.watch().start();
    let mut pids = HashSet::new();
    eventually("twelve workers", || {
        if let Some((pid, _)) = answer(&watched) {
            pids.insert(pid);
        }
        (pids.len() >= 12).then_some(())
    });
    let done = terminate(running);
    let seen = watched.same(done, &alone);
    let known: HashSet<i32> = seen.processes().iter().map(|it| it.pid).collect();
    assert!(pids.is_subset(&known), "{pids:?} {known:?}");
    // Two workers, a third that begins while one ends, and 8 MiB each.
    assert!(seen.peak().rss < 5 * (8 + 40) * MIB, "{:?}", seen.peak());
    let verdicts = seen.judged_slower(40);
    let roles: Vec<_> = verdicts.iter().filter(|it| it["scope"] == "role").collect();
    assert_eq!(roles.len(), 1, "{roles:#?}");
    assert_ne!(sum_of(&verdicts)["classification"], "growing", "{:#}", sum_of(&verdicts));
    seen.assert_all_ended();
}

const NGINX: &str = "daemon off; worker_processes 2; pid nginx.pid; error_log error.log;
events { worker_connections 64; }
http {
    access_log off; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3;
    uwsgi_temp_path t4; scgi_temp_path t5;
    server { listen unix:socket; location / { return 200 hello; } }
}
";

#[test]
fn a_master_of_nginx_is_watched_with_its_workers() {
    let Some(program) = found("nginx") else {
        return not_run("nginx", "it is not installed");
    };
    let command = words![program, "-e", "error.log", "-p", ".", "-c", "nginx.conf"];
    let watched = Watched::new(command).file("nginx.conf", NGINX);
    let socket = watched.path("socket");
    let alone = alone(&watched, |_| get(&socket).as_deref() == Some("hello"));
    let running = watched.watch().start();
    eventually("nginx answers", || (get(&socket).as_deref() == Some("hello")).then_some(()));
    let members = eventually("a master and two workers", || {
        let members = watched.folder.processes();
        (members.len() == 4).then_some(members)
    });
    wait_for_samples(&watched, 10);
    let of_members = members.iter().filter(|pid| **pid != running.pid());
    let truth: i64 = of_members.map(|pid| resident(*pid)).sum();
    let done = terminate(running);
    let seen = watched.same(done, &alone);
    let processes = seen.processes();
    assert_eq!(processes.len(), 3, "{processes:#?}");
    for worker in &processes[1..] {
        assert_eq!(worker.name, "nginx (child)");
        assert_eq!(worker.parent, Some(processes[0].subject));
    }
    let close = |sum: i64| (sum - truth).abs() <= truth / 20;
    let sums = seen.sums();
    assert!(sums.iter().any(|sum| sum.processes == 3 && close(sum.rss)), "{truth}: {sums:?}");
    assert!(seen.summary().contains("nginx (child) (2 processes)"), "{}", seen.summary());
    seen.assert_all_ended();
}

/// The resident set of a process, by /proc/PID/statm.
fn resident(pid: i32) -> i64 {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    statm.split(' ').nth(1).unwrap().parse::<i64>().unwrap() * 4096
}

/// Debian keeps the programs of PostgreSQL beside PATH.
fn of_postgres(name: &str) -> Option<std::path::PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut paths: Vec<_> =
        versions.filter_map(|it| Some(it.ok()?.path().join("bin").join(name))).collect();
    paths.sort();
    paths.into_iter().rfind(|path| path.is_file())
}

/// A session of psql, which keeps its backend.
struct Session {
    psql: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Session {
    fn open(psql: &Path, folder: &Path, user: &str) -> Self {
        let flags = ["-X", "-q", "-A", "-t", "-d", "postgres", "-U", user, "-h"];
        let mut command = Command::new(psql);
        command.args(flags).arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut psql = command.spawn().unwrap();
        let (input, output) = (psql.stdin.take().unwrap(), psql.stdout.take().unwrap());
        Self { psql, input, output: BufReader::new(output) }
    }

    /// The answer to a query that has one of one line.
    fn ask(&mut self, query: &str) -> String {
        writeln!(self.input, "{query};").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn close(self) {
        let Self { mut psql, input, .. } = self;
        drop(input);
        psql.wait().unwrap();
    }
}

/// PostgreSQL with a new cluster of databases, as a user that it agrees to run as; none, loudly, if that can't be.
fn postgres() -> Option<(Watched, std::path::PathBuf, String)> {
    let not_run = |why: &str| {
        not_run("postgres", why);
        None
    };
    let (Some(initdb), Some(postgres), Some(psql)) =
        (of_postgres("initdb"), of_postgres("postgres"), of_postgres("psql"))
    else {
        return not_run("postgresql is not installed");
    };
    let is_root = Uid::effective().is_root();
    let user = if is_root { "nobody" } else { "" };
    let mut command = words![];
    if is_root {
        command = words!["setpriv", "--reuid", user, "--clear-groups"];
    }
    let settings = [
        "shared_buffers=128MB",
        "autovacuum=off",
        "fsync=off",
        "jit=off",
        "max_parallel_workers_per_gather=0",
        "log_min_messages=panic",
    ];
    let settings = settings.iter().flat_map(|it| words!["-c", it]);
    let server = words![postgres, "-D", "data", "-c", "listen_addresses="];
    let words = command.iter().cloned().chain(server).chain(settings);
    // The folder of its sockets: by default its folder of data.
    let watched = Watched::new(words.chain(words!["-c", "unix_socket_directories=."]).collect());
    if is_root {
        let uid = User::from_name(user).unwrap().expect("nobody").uid;
        nix::unistd::chown(watched.folder.path(), Some(uid), None).unwrap();
    }
    command.extend(words![initdb, "-D", "data", "-N", "-A", "trust", "-U", "test"]);
    let mut words = command.into_iter();
    let program = words.next().unwrap();
    let made = seepmeter_tests::run(program, words).in_folder(watched.folder.path()).done();
    assert!(made.status.success(), "{}", made.output());
    Some((watched, psql, "test".to_owned()))
}

#[test]
fn trap_10_backends_that_touch_what_is_shared_do_not_grow_though_their_resident_sets_do() {
    const BACKENDS: usize = 12;
    let Some((watched, psql, user)) = postgres() else { return };
    let folder = watched.path("data");
    let ready = |_: &RunningProgram| {
        let mut command = Command::new(&psql);
        command.args(["-X", "-q", "-d", "postgres", "-U", &user, "-c", "", "-h"]).arg(&folder);
        command.stderr(Stdio::null()).status().unwrap().success()
    };
    let alone = alone(&watched, ready);
    let running = watched.watch().start();
    eventually("the server", || ready(&running).then_some(()));
    let mut sessions: Vec<_> =
        (0..BACKENDS).map(|_| Session::open(&psql, &folder, &user)).collect();
    // 24 MB: less than a quarter of the buffers, or they would be read in a ring of their own.
    let rows = "create table t as select g, repeat('x', 1000) x from generate_series(1, 21000) g; \
                create table small as select * from t limit 10; select 1";
    assert_eq!(sessions[0].ask(rows), "1");
    // Each has done all that it will do, but for the pages.
    for session in &mut sessions {
        assert_eq!(session.ask("select count(x) from small"), "10");
    }
    wait_for_samples(&watched, 100);
    let begin = Recording::read(&watched.path("r.jsonl")).samples().last().unwrap().t;
    for session in &mut sessions {
        assert_eq!(session.ask("select count(x) from t"), "21000");
        wait_for_samples(&watched, 30);
    }
    // At TERM, PostgreSQL waits for its clients.
    sessions.into_iter().for_each(Session::close);
    let done = terminate(running);
    let seen = watched.same(done, &alone);
    let of_time = |sums: &[crate::watched::Sum]| {
        let all: Vec<_> = sums.iter().filter(|sum| sum.t >= begin).copied().collect();
        let most = all.iter().max_by_key(|sum| sum.rss).copied().unwrap();
        (all[0], most)
    };
    let (first, most) = of_time(&seen.sums());
    // The resident sets grow by the table for each backend: the truth is next to nothing.
    let grown = most.rss - first.rss;
    assert!(grown > 10 * 20 * MIB, "{} MiB", grown / MIB);
    assert!(most.private - first.private < grown / 10, "{first:?} {most:?}");
    let verdicts = seen.judged_slower(40);
    let sum = sum_of(&verdicts);
    assert_ne!(sum["classification"], "growing", "{sum:#}");
    assert_eq!(sum["shared_once"], true, "{sum:#}");
    seen.assert_all_ended();
}

/// A server of Redis in the folder, with these words.
fn redis(test: &str, flags: &[&str]) -> Option<Watched> {
    let Some(program) = found("redis-server") else {
        not_run(test, "redis-server is not installed");
        return None;
    };
    let words = words![program, "--port", "0", "--unixsocket", "socket", "--save", ""];
    let quiet =
        words!["--logfile", "log", "--rdbcompression", "no", "--rdb-key-save-delay", "5000"];
    Some(Watched::new(words.into_iter().chain(quiet).chain(flags.iter().map(Into::into)).collect()))
}

/// What Redis answers to a command, on one line; none while it does not.
fn ask_redis(watched: &Watched, command: &str) -> Option<String> {
    let mut stream = UnixStream::connect(watched.path("socket")).ok()?;
    writeln!(stream, "{command}\r").ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    Some(line.trim_end().to_owned())
}

fn is_up(watched: &Watched) -> bool {
    ask_redis(watched, "PING").as_deref() == Some("+PONG")
}

/// Fills it with 64 MiB, in values of 256 KiB.
fn fill(watched: &Watched) {
    let script =
        "EVAL \"for i=1,256 do redis.call('set', i, string.rep('x', 262144)) end return 1\" 0";
    assert_eq!(ask_redis(watched, script).as_deref(), Some(":1"));
}

#[test]
fn a_background_save_of_redis_is_no_growth() {
    let Some(watched) = redis("redis with a background save", &[]) else { return };
    let alone = alone(&watched, |_| is_up(&watched));
    let running = watched.watch().start();
    eventually("redis answers", || is_up(&watched).then_some(()));
    fill(&watched);
    wait_for_samples(&watched, 100);
    for _ in 0..2 {
        assert_eq!(ask_redis(&watched, "BGSAVE").as_deref(), Some("+Background saving started"));
        eventually("the save is done", || {
            (watched.folder.processes().len() == 2 && watched.path("dump.rdb").exists())
                .then_some(())
        });
        std::fs::remove_file(watched.path("dump.rdb")).unwrap();
        wait_for_samples(&watched, 50);
    }
    let done = terminate(running);
    let seen = watched.same(done, &alone);
    let savers = seen.named("redis-server (child)");
    assert_eq!(savers.len(), 2, "{:#?}", seen.processes());
    assert!(savers.iter().all(|it| matches!(it.end, Some(EventKind::Exited { status: 0 }))));
    // Of what a fork has in common, each has all in its resident set.
    seen.assert_held(64 * MIB, 80 * MIB);
    assert_eq!(seen.peak().processes, 2);
    let verdicts = seen.judged_slower(40);
    assert_ne!(sum_of(&verdicts)["classification"], "growing", "{:#}", sum_of(&verdicts));
    seen.assert_all_ended();
}

#[test]
fn a_redis_that_daemonises_is_watched_to_its_end() {
    let Some(watched) = redis("redis as a daemon", &["--daemonize", "yes"]) else { return };
    let watched = watched.with(&["--wait-tree"]);
    let alone = watched.alone().start();
    eventually("redis without seepmeter", || is_up(&watched).then_some(()));
    let _ = ask_redis(&watched, "SHUTDOWN NOSAVE");
    let alone = alone.finish();
    let mut running = watched.watch().start();
    eventually("redis answers", || is_up(&watched).then_some(()));
    fill(&watched);
    wait_for_samples(&watched, 20);
    assert!(running.runs());
    let _ = ask_redis(&watched, "SHUTDOWN NOSAVE");
    let done = running.finish();
    let seen = watched.same(done, &alone);
    seen.assert_held(64 * MIB, 10 * MIB);
    seen.assert_held_after_target(64 * MIB);
    seen.assert_all_ended();
}
