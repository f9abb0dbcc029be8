//! Programs as found on any machine: Perl, Python, and the case that the project grew from, Rakudo.

use std::path::Path;

use seepmeter_tests::{Recording, eventually, not_run, recorded, seepmeter, words};

const MIB: i64 = 1 << 20;

/// Leaks 32 MiB in steps, and says so.
const PERL: &str = r#"
    $| = 1;
    my @kept;
    for (1 .. 32) { push @kept, "x" x (1 << 20); select undef, undef, undef, 0.01 }
    print "kept ", scalar @kept, "\n";
    print STDERR "perl on stderr\n";
    print while <STDIN>;
    exit 7;
"#;

const PYTHON: &str = r#"
import sys, time
kept = []
for _ in range(32):
    kept.append(b"x" * (1 << 20))
    time.sleep(0.01)
print("kept", len(kept), flush=True)
print("python on stderr", file=sys.stderr)
sys.stdout.write(sys.stdin.read())
sys.exit(7)
"#;

/// Runs a program of 32 MiB and the exit status 7, and checks what was sampled of it.
fn watch(interpreter: &Path, flag: &str, program: &str, name: &str) {
    let (_folder, path, sink) = recorded();
    let words = words!["run", "-q", "-i", "5ms", "-o", sink, "--", interpreter, flag, program];
    let done = seepmeter(words).with_input(b"hello\n").expect(7);
    assert_eq!(done.out(), "kept 32\nhello\n");
    assert!(done.err().starts_with(&format!("{name} on stderr\n")), "{}", done.output());
    assert!(done.err().contains("exited with status 7"), "{}", done.output());
    let recording = Recording::read(&path);
    let rss = recording.series("rss");
    // What is freed on the way out is of no concern here.
    let grown = recording.largest("rss") - rss[0].1;
    assert!(grown > 25 * MIB, "32 MiB were kept, {grown} bytes were seen");
    assert!(recording.largest("peak") > 32 * MIB);
}

/// Where PATH has it.
fn found(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

#[test]
fn a_perl_program_is_watched_and_keeps_its_streams_and_its_status() {
    match found("perl") {
        Some(perl) => watch(&perl, "-e", PERL, "perl"),
        None => not_run("perl", "it is not installed"),
    }
}

#[test]
fn a_python_program_is_watched_and_keeps_its_streams_and_its_status() {
    match found("python3") {
        Some(python) => watch(&python, "-c", PYTHON, "python"),
        None => not_run("python3", "it is not installed"),
    }
}

/// The story that the project grew from: every EVAL leaves something behind (Rakudo 2022.12).
#[test]
fn a_rakudo_program_that_leaks_by_eval_is_seen_to_grow() {
    let Some(raku) = found("raku").or_else(|| found("rakudo")) else {
        return not_run("rakudo", "it is not installed: apt-get install rakudo");
    };
    let (_folder, path, sink) = recorded();
    let program = "use MONKEY-SEE-NO-EVAL; EVAL q[1]; say 'ready'; $*OUT.flush; get; \
                   for ^50 { EVAL q[1] }; say 'leaked'; $*OUT.flush; get";
    let words = words!["run", "-q", "-i", "20ms", "-o", sink, "--", raku, "-e", program];
    let mut running = seepmeter(words).start();
    // The value after two more samples, the first of which may have begun before.
    let rss_now = || {
        let before = Recording::try_read(&path).map_or(0, |so_far| so_far.samples().count());
        eventually("samples", || {
            // Before its first lines are on disk there is no header either.
            let rss = Recording::try_read(&path).ok()?.series("rss");
            (rss.len() > before + 1).then(|| rss[rss.len() - 1].1)
        })
    };
    let _ = running.line("ready");
    let before = rss_now();
    running.say("leak");
    let _ = running.line("leaked");
    let after = rss_now();
    let _ = running.finish().expect(0);
    assert!(after - before > 4 * MIB, "it does not grow: {before} to {after} bytes");
}
