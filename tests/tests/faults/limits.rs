//! Rights that are more than the user's, and memory that there is not.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, setgid, setgroups, setuid};
use seepmeter_tests::plugin::{abi, cc};
use seepmeter_tests::{
    FinishedRun, copy_seepmeter, eventually, long, not_run, run, run_target, seepmeter,
    test_target, words,
};

const NOBODY: u32 = 65534;

fn become_nobody() -> io::Result<()> {
    setgroups(&[])?;
    setgid(Gid::from_raw(NOBODY))?;
    setuid(Uid::from_raw(NOBODY))?;
    Ok(())
}

/// True if this is root; says so if a test does not run because it is not.
fn is_root(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        not_run(test, "it takes root");
    }
    root
}

/// A folder that everybody may enter.
fn open_folder() -> tempfile::TempDir {
    tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap()
}

/// Gives a file the capability SYS_PTRACE, as setcap(8) with `cap_sys_ptrace+ep` does: `vfs_cap_data` of
/// linux/capability.h.
fn set_capability(file: &Path) {
    let words: [u32; 5] = [0x0200_0001, 1 << 19, 0, 0, 0];
    let value: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let path = std::ffi::CString::new(file.to_str().unwrap()).unwrap();
    let name = c"security.capability".as_ptr();
    // SAFETY: both strings end with NUL, and the value is as long as is said.
    let set = unsafe { libc::setxattr(path.as_ptr(), name, value.as_ptr().cast(), value.len(), 0) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

#[test]
fn with_more_rights_than_its_user_seepmeter_does_nothing() {
    const TEST: &str = "with_more_rights_than_its_user_seepmeter_does_nothing";
    if !is_root(TEST) {
        return;
    }
    let folder = open_folder();
    if nix::sys::statvfs::statvfs(folder.path())
        .unwrap()
        .flags()
        .contains(nix::sys::statvfs::FsFlags::ST_NOSUID)
    {
        return not_run(TEST, "the folder for temporary files is mounted nosuid");
    }
    let copy = folder.path().join("seepmeter");
    copy_seepmeter(&copy);
    let outside = tempfile::tempdir().unwrap();
    let sink = format!("csv,path={}/table", outside.path().display());
    let begun = outside.path().join("begun");
    let as_nobody = |arguments| run(&copy, arguments).before_exec(become_nobody).done();
    let refused = |what: &str| {
        for arguments in [
            words!["run", "-q", "--no-summary", "-o", sink, "--", "touch", begun],
            words!["plugins", "--plugin-dir", "/tmp"],
            words!["--help"],
        ] {
            let parts = ["more rights than you have", "setcap -r", "SECURITY.md"];
            let done = as_nobody(arguments).expect_complaint(125, &parts);
            assert_eq!(done.out(), "", "{what}");
        }
    };
    let _ = as_nobody(words!["run", "-q", "--", "true"]).expect(0);
    for mode in [0o4755, 0o2755] {
        fs::set_permissions(&copy, Permissions::from_mode(mode)).unwrap();
        refused(&format!("{mode:o}"));
    }
    fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
    set_capability(&copy);
    refused("capability");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn the_advice_for_another_users_process_says_what_a_capability_would_give() {
    if !is_root("the_advice_for_another_users_process_says_what_a_capability_would_give") {
        return;
    }
    let copy = open_folder();
    copy_seepmeter(&copy.path().join("seepmeter"));
    let target = run_target("hold", words!["1"]).start();
    let pid = target.number("ready", 1).to_string();
    let parts =
        ["as that user or as root", "control of all processes of all users", "not by setcap"];
    let _ = run(copy.path().join("seepmeter"), words!["attach", "-s", "smaps", pid])
        .before_exec(become_nobody)
        .done()
        .expect_complaint(125, &parts);
    let _ = target.finish().expect(0);
}

#[test]
fn root_loads_no_plugin_that_somebody_else_could_have_written() {
    if !is_root("root_loads_no_plugin_that_somebody_else_could_have_written") {
        return;
    }
    let home = open_folder();
    let inner = home.path().join("plugins");
    fs::create_dir(&inner).unwrap();
    let plugin = inner.join("seepmeter-x-sink.so");
    let _ = cc(&abi("sink.c"), &plugin, &[]);
    let describe = |name: &Path| seepmeter(words!["plugins", name]).done();
    let refused = |what: &Path, parts: &[&str]| {
        let what = what.to_str().unwrap();
        let parts: Vec<&str> = parts.iter().copied().chain([what, "root loads only"]).collect();
        let _ = describe(&plugin).expect_complaint(125, &parts);
        let by_name = words!["run", "--plugin-dir", inner, "-o", "x", "--", "true"];
        let _ = seepmeter(by_name).done().expect_complaint(125, &parts);
        let all = seepmeter(words!["plugins"]).env("SEEPMETER_PLUGIN_PATH", &inner).done();
        let _ = all.expect_complaint(125, &parts);
    };
    let _ = describe(&plugin).expect(0);
    for path in [&plugin, &inner, &home.path().to_owned()] {
        let mode = fs::metadata(path).unwrap().permissions();
        chown(path, Some(NOBODY), None).unwrap();
        refused(path, &["belongs to user 65534", "chown root"]);
        chown(path, Some(0), None).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
        refused(path, &["others may write", "chmod go-w"]);
        fs::set_permissions(path, mode).unwrap();
    }
    let _ = describe(&plugin).expect(0);
    // Somebody else's link could lead elsewhere at the next moment.
    let foreign = open_folder();
    let link = foreign.path().join("link.so");
    symlink(&plugin, &link).unwrap();
    chown(foreign.path(), Some(NOBODY), None).unwrap();
    let _ = describe(&link).expect_complaint(125, &["belongs to user 65534"]);
}

/// A run with a library by which one thread of Seepmeter finds no memory from some moment on. The target
/// waits until it was so, sends Seepmeter a signal that is to be passed on, and exits with a status.
fn without_memory(library: &Path, thread: &str, status: i32) -> FinishedRun {
    let files = tempfile::tempdir().unwrap();
    let [when, done] = ["when", "done"].map(|name| files.path().join(name));
    let sampler = thread.strip_prefix("sampler ").unwrap_or("smaps");
    let script = format!(
        "trap 'rm {when}; exit {status}' USR1
         touch {when}
         if [ '{thread}' = seepmeter ]; then kill -USR1 $PPID; fi
         while ! [ -e {done} ]; do sleep 0.02; done
         if [ '{thread}' != seepmeter ]; then kill -USR1 $PPID; else kill -USR1 $$; fi
         while :; do sleep 0.02; done",
        when = when.display(),
        done = done.display()
    );
    let words = words![
        "run",
        "-i",
        "5ms",
        "-s",
        sampler,
        "-o",
        "csv,path=/dev/null",
        "--",
        "sh",
        "-c",
        script
    ];
    seepmeter(words)
        .env("LD_PRELOAD", library)
        .env("NO_MEMORY_THREAD", thread)
        .env("NO_MEMORY_WHEN", when)
        .env("NO_MEMORY_DONE", done)
        .done()
}

fn no_memory(files: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/no_memory.c");
    cc(&source, &files.join("no_memory.so"), &[])
}

#[test]
fn a_thread_that_finds_no_memory_ends_alone_and_the_targets_status_comes_through() {
    let files = tempfile::tempdir().unwrap();
    let library = no_memory(files.path());
    let mut cases = vec![("seepmeter", 7), ("seepmeter", 0), ("sampler smaps", 7)];
    if long() {
        cases.extend([("sampler ptrace", 7), ("sampler smaps", 0), ("router", 7), ("sink csv", 7)]);
    }
    for (thread, status) in cases {
        // That seepmeter has failed counts only if the target has not.
        let wanted = if status == 0 { 125 } else { status };
        let done = without_memory(&library, thread, status).expect(wanted);
        let complaint = &done.complaints()[0];
        for part in ["out of memory", thread, "exit status will be passed on", "ulimit -v"] {
            assert!(complaint.contains(part), "{thread}: {complaint}");
        }
    }
}

#[test]
fn a_command_without_a_target_that_finds_no_memory_says_so_and_fails() {
    let files = tempfile::tempdir().unwrap();
    let library = no_memory(files.path());
    let _ = seepmeter(words!["plugins"])
        .env("LD_PRELOAD", &library)
        .env("NO_MEMORY_THREAD", "seepmeter")
        .env("NO_MEMORY_WHEN", "/")
        .env("NO_MEMORY_DONE", files.path().join("done"))
        .done()
        .expect_complaint(125, &["out of memory", "seepmeter ends"]);
}

#[test]
fn a_limit_on_the_address_space_ends_the_sampling_and_not_the_target() {
    let words = words![
        "run",
        "-q",
        "--no-summary",
        "-i",
        "5ms",
        "-s",
        "smaps",
        "-o",
        "jsonl,path=/dev/null",
        "--"
    ];
    // Else each thread has address space in reserve.
    let run = seepmeter(words.into_iter().chain(words![test_target(), "obey"]));
    let mut running = run.env("MALLOC_ARENA_MAX", "1").start();
    running.say("shared 4096");
    let _ = running.nth_line("", 1);
    let target = children(running.pid());
    limit_to_what_it_has(running.pid());
    // Each is a mapping of its own, of which Seepmeter reads and keeps some hundred bytes.
    running.say("shared-each 50000 4096");
    let _ = running.error_line("out of memory");
    kill(Pid::from_raw(target), Signal::SIGKILL).unwrap();
    let _ = running.finish().expect(128 + 9);
}

#[test]
fn an_allocation_that_fails_once_makes_seepmeter_deaf_to_no_signal() {
    let files = tempfile::tempdir().unwrap();
    let [when, done] = ["when", "done"].map(|name| files.path().join(name));
    let script = format!(
        "touch {}; while ! [ -e {} ]; do sleep 0.02; done; exit 6",
        when.display(),
        done.display()
    );
    let words = words!["run", "-q", "--no-summary", "-i", "5ms", "-s", "smaps"];
    let target = words!["-o", "csv,path=/dev/null", "--", "sh", "-c", script];
    let mut running = seepmeter(words.into_iter().chain(target))
        .env("LD_PRELOAD", no_memory(files.path()))
        .env("NO_MEMORY_THREAD", "sampler smaps")
        .env("NO_MEMORY_WHEN", when)
        .env("NO_MEMORY_DONE", done)
        .start();
    let _ = running.error_line("out of memory");
    // The sampler that has ended is waited for.
    eventually("the target's end", || {
        let path = format!("/proc/{0}/task/{0}/children", running.pid());
        fs::read_to_string(path).ok()?.trim().is_empty().then_some(())
    });
    running.signal(Signal::SIGINT);
    let _ = running.error_line("SIGINT: ");
    running.signal(Signal::SIGTERM);
    let begin = Instant::now();
    let done = running.wait().expect(6);
    // It would be five seconds, and as many as the sink takes.
    assert!(begin.elapsed() < Duration::from_secs(2), "{}", done.output());
}

/// The only child of a process.
fn children(pid: i32) -> i32 {
    eventually("its child", || {
        fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?.trim().parse().ok()
    })
}

/// From now on the process gets no more address space, as if it had been started with `ulimit -v`.
fn limit_to_what_it_has(pid: i32) {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
    let limit = libc::rlimit { rlim_cur: pages * 4096, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the limit is valid, and no old one is asked for.
    let set =
        unsafe { libc::prlimit(pid, libc::RLIMIT_AS, &raw const limit, std::ptr::null_mut()) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}
