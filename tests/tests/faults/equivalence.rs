//! A command does the same, and finds the same, whether it is watched or not.

use std::os::unix::process::ExitStatusExt;

use seepmeter_tests::{FinishedRun, long, run, seepmeter_path, words};

/// The samplers with which every command is watched; the first is what there is if none is named.
const SAMPLERS: [&str; 6] = [
    "",
    "-s statm,peak=interval",
    "-s smaps",
    "-s ptrace",
    "-s ptrace,calls=memory,unsafe=yes",
    "-s fds",
];

/// How a process was started: this is run before by the shell that then executes the command or Seepmeter.
/// And a command for `sh -c`, which prints what it finds, or ends in some way.
const COMMANDS: &[(&str, &str)] = &[
    // Exit statuses.
    ("", "true"),
    ("", "false"),
    ("", "exit 7"),
    ("", "exit 255"),
    ("", "kill -KILL $$"),
    ("", "kill -SEGV $$"),
    ("", "kill -ABRT $$"),
    ("", "kill -PIPE $$; echo alive"),
    ("", "kill -USR1 $$"),
    ("exec 2>/dev/null", "sleep 5 & kill $!; wait $!"),
    ("", "exec perl -e 'kill 63, $$; sleep 5'"),
    ("", "ls /no/such/file"),
    // Streams.
    ("", "cat"),
    ("", "cat >&2"),
    ("", "wc -c < /proc/self/exe >/dev/null; head -c 300000 /dev/zero | wc -c"),
    ("", "seq 20000"),
    ("", "seq 20000 >&2; exit 3"),
    ("", "yes | head -n 3"),
    ("", "echo x > /dev/full"),
    ("exec >&-", "echo x"),
    ("exec 2>&-", "ls /no/such/file"),
    ("exec <&-", "cat"),
    ("exec <&-", "ls /proc/self/fd"),
    ("exec >&-", "ls /proc/self/fd >&2"),
    ("exec 2>&-", "ls /proc/self/fd"),
    ("exec <&- 2>&-", "ls /proc/self/fd"),
    ("exec <&- >&- 2>&-", "echo x || exit 9"),
    ("exec >&- 2>&-", "perl -e 'open F, \"</etc/passwd\"; exit fileno F'"),
    ("exec 2>&1", "echo out; echo err >&2"),
    ("exec 3</etc/passwd 9>/dev/null", "ls /proc/self/fd; readlink /proc/self/fd/3"),
    ("exec </etc/passwd; read first", "cat /proc/self/fdinfo/0 | head -n 2; head -n 1"),
    ("", "for fd in 0 1 2; do grep flags /proc/self/fdinfo/$fd; done"),
    ("", "ls /proc/self/fd"),
    // Signals.
    ("", "grep Sig[BIC] /proc/self/status"),
    ("trap '' PIPE", "grep SigIgn /proc/self/status; yes | head -n 1"),
    ("trap '' INT QUIT HUP", "grep SigIgn /proc/self/status"),
    ("trap '' TERM USR1 USR2 CONT", "grep SigIgn /proc/self/status; kill $$; echo alive"),
    ("trap '' CHLD XFSZ", "grep SigIgn /proc/self/status"),
    ("trap '' SEGV BUS ABRT", "grep SigIgn /proc/self/status"),
    ("exec env --block-signal=USR1,TERM,CHLD,CONT \"$@\"", "grep SigBlk /proc/self/status"),
    // Limits.
    ("", "cat /proc/self/limits"),
    ("ulimit -n 64; ulimit -c 0; ulimit -s 1024", "cat /proc/self/limits"),
    ("ulimit -v 4000000", "grep address /proc/self/limits"),
    ("ulimit -f 1; trap '' XFSZ", "head -c 5000 /dev/zero > $(mktemp -u); echo $?"),
    // What else a process inherits.
    ("", "pwd; readlink /proc/self/cwd /proc/self/root"),
    ("cd /usr/lib", "pwd"),
    ("d=$(mktemp -d); cd $d; rmdir $d", "ls; readlink /proc/self/cwd | grep -c deleted"),
    ("umask 027", "umask; grep Umask /proc/self/status"),
    ("exec nice -n 5 \"$@\"", "nice"),
    ("echo 300 > /proc/self/oom_score_adj", "cat /proc/self/oom_score_adj"),
    ("", "cat /proc/self/oom_score_adj /proc/self/timerslack_ns /proc/self/coredump_filter"),
    ("", "cut -d ' ' -f 5-9,18,19,40,41 /proc/self/stat"),
    ("exec setsid -w \"$@\"", "cut -d ' ' -f 7,8 /proc/self/stat"),
    ("exec setarch -R \"$@\"", "cat /proc/self/personality"),
    ("", "cat /proc/self/personality; cat /proc/self/loginuid /proc/self/sessionid 2>&1"),
    ("", "grep -E '^(Uid|Gid|Groups|Cap|NoNew|Seccomp:|Cpus_|Mems_|Thread)' /proc/self/status"),
    ("", "readlink /proc/self/ns/*; cat /proc/self/cgroup"),
    ("exec taskset -c 0 \"$@\"", "grep Cpus_allowed: /proc/self/status"),
    ("exec env -i A=b \"$@\"", "/usr/bin/env | /usr/bin/sort"),
    ("", "env | grep -v SEEPMETER | sort"),
    ("", "tr '\\0' '|' < /proc/self/cmdline; cat /proc/self/comm"),
    // Programs.
    ("", "perl -e 'print join \",\", map { $_ * $_ } 1..1000'"),
    ("", "printf 'c\\nb\\na\\n' | sort | sha256sum"),
    ("", "tar -C /etc -cf - passwd | tar -tf -"),
    ("", "find /usr/share/doc -maxdepth 1 -name 'a*' | sort | xargs -n 4 echo"),
    ("", "awk 'BEGIN { for (i = 0; i < 100000; i++) s += i; print s }'"),
    ("", "dd if=/dev/zero bs=1M count=8 status=none | md5sum"),
];

/// The same on a terminal.
const ON_A_TERMINAL: &[(&str, &str)] = &[
    ("", "tty -s; echo $?; stty -a"),
    ("", "test -t 0 && test -t 1 && test -t 2 && echo all"),
    ("stty -echo", "stty -a"),
    (
        "",
        "set -- $(cut -d ' ' -f 5-8 /proc/self/stat); [ $1 = $2 ] && [ $1 = $4 ] && [ $3 != 0 ] && echo own",
    ),
];

/// Flags that are a part of what `calls=memory` does: the filter of the target and what it needs.
fn hides(sampler: &str, line: &str) -> bool {
    sampler.contains("calls=memory")
        && (line.starts_with("Seccomp") || line.starts_with("NoNewPrivs"))
}

/// The ignored signals without 32 and 33, which are glibc's own: its posix_spawn, by which tests start
/// programs, ignores them, and the first thread of a program takes 33 back.
fn without_glibcs_own(line: &str) -> String {
    let mask = line.strip_prefix("SigIgn:\t").and_then(|mask| u64::from_str_radix(mask, 16).ok());
    mask.map_or(line.to_owned(), |mask| format!("SigIgn:\t{:016x}", mask & !(0b11 << 31)))
}

#[derive(Debug, PartialEq, Eq)]
struct Result {
    out: String,
    err: String,
    status: i32,
}

impl Result {
    fn of(done: &FinishedRun, sampler: &str) -> Self {
        let lines = |text: String| {
            let lines = text.lines().filter(|line| !hides(sampler, line));
            lines.map(|line| without_glibcs_own(line) + "\n").collect()
        };
        let status = done.status.code();
        Self {
            out: lines(done.out()),
            err: lines(done.err()),
            status: status.unwrap_or_else(|| 128 + done.status.signal().unwrap()),
        }
    }
}

/// The result of a command, watched with these flags or, without any, not at all.
fn result(
    (before, command): (&str, &str),
    watched: Option<&str>,
    compared: &str,
    terminal: bool,
) -> Result {
    let script = format!("{before}\nexec \"$@\"");
    let mut all = words!["-c", script, "sh"];
    if let Some(sampler) = watched {
        all.extend(words![seepmeter_path(), "run", "-q", "--no-summary", "-i", "1ms"]);
        all.extend(sampler.split_whitespace().map(Into::into));
        all.extend(words!["--"]);
    }
    all.extend(words!["/bin/sh", "-c", command]);
    let run = run("/bin/sh", all);
    let done = match terminal {
        true => run.on_terminal().done(),
        false => run.with_input(b"one\ntwo\n"),
    };
    Result::of(&done, compared)
}

#[test]
fn a_command_prints_ends_and_finds_the_same_whether_it_is_watched_or_not() {
    let all = COMMANDS.iter().map(|command| (command, false));
    let all = all.chain(ON_A_TERMINAL.iter().map(|command| (command, true)));
    let mut differences = Vec::new();
    for (n, (command, terminal)) in all.enumerate() {
        for (m, sampler) in SAMPLERS.into_iter().enumerate() {
            // Every day each command is watched with one of them, in the long suite with all.
            if !long() && n % SAMPLERS.len() != m {
                continue;
            }
            let plain = result(*command, None, sampler, terminal);
            let watched = result(*command, Some(sampler), sampler, terminal);
            if plain != watched {
                differences.push(format!("{command:?} {sampler}\n{plain:#?}\n{watched:#?}"));
            }
        }
    }
    assert!(COMMANDS.len() + ON_A_TERMINAL.len() >= 55);
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}
