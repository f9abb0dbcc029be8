//! What is kept in memory, and what text from a file may do, whatever a file or a target says.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use seepmeter_record::is_printable;
use seepmeter_tests::plugin::{cc, repository};
use seepmeter_tests::synthetic::Synthetic;
use seepmeter_tests::{
    FinishedRun, RunningProgram, long, long_or_not_run, run_target, seepmeter, seepmeter_path,
    test_target, words,
};

/// No input whatever makes seepmeter take more memory than this.
const MOST_MEMORY: u64 = 200 << 20;

const HEADER: &str = r#"{"header":{"format":1,"seepmeter":"0.1.0","start":"2026-11-23T12:00:00+00:00","host":"h","kernel":"6.18","page_size":4096,"targets":[{"subject":0,"pid":7}],"samplers":[{"name":"statm","interval":1000000000,"options":{}}]}}"#;
const METRIC: &str = r#"{"metric":{"id":0,"name":"rss","unit":"bytes","kind":"gauge","subject_kind":"process","sampler":0,"help":""}}"#;
const PART_METRIC: &str = r#"{"metric":{"id":1,"name":"rss","unit":"bytes","kind":"gauge","subject_kind":"mapping","sampler":0,"help":""}}"#;
const TARGET: &str =
    r#"{"subject":{"id":0,"kind":"process","name":"work","attributes":{"pid":7,"start_time":1}}}"#;

/// A file made of a begin, a piece again and again up to a size, and an end.
fn endless(
    folder: &Path,
    name: &str,
    begin: &str,
    bytes: usize,
    piece: impl Fn(u64) -> String,
) -> PathBuf {
    let path = folder.join(name);
    let mut out = BufWriter::new(File::create(&path).unwrap());
    out.write_all(begin.as_bytes()).unwrap();
    let mut written = begin.len();
    for i in 1.. {
        if written >= bytes {
            break;
        }
        let piece = piece(i);
        written += piece.len();
        out.write_all(piece.as_bytes()).unwrap();
    }
    out.flush().unwrap();
    path
}

/// Runs seepmeter, and asserts that its memory stays within bounds. Its standard output has a line more.
#[track_caller]
pub(super) fn within_bounds(arguments: Vec<std::ffi::OsString>) -> FinishedRun {
    let shown = format!("{arguments:?}");
    let all = words![seepmeter_path()].into_iter().chain(arguments);
    let done = run_target("peak", all).done();
    let out = done.out();
    let peak = out.lines().last().and_then(|line| line.strip_prefix("peak "));
    let peak: u64 =
        peak.and_then(|peak| peak.parse().ok()).unwrap_or_else(|| panic!("{}", done.output()));
    assert!(peak <= MOST_MEMORY, "{shown} took {} MiB\n{}", peak >> 20, done.output());
    done
}

/// Judges a file, and asserts that it is refused in words that name the limit.
#[track_caller]
fn refused(path: &Path, flags: &[&str], words: &[&str]) {
    let flags = flags.iter().map(std::ffi::OsString::from);
    let arguments = words!["judge"].into_iter().chain(flags).chain(words![path]);
    let done = within_bounds(arguments.collect()).expect_complaint(125, words);
    assert!(done.err().len() < 5000, "{}", done.err().len());
}

#[test]
fn a_line_without_end_is_refused_by_its_number_and_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    refused(Path::new("/dev/zero"), &[], &["/dev/zero", "not the header of a recording"]);
    let size = 40 << 20;
    let begin = r#"{"header":{"seepmeter":""#;
    let line = endless(folder.path(), "line", begin, size, |_| "x".repeat(1 << 16));
    refused(&line, &[], &["line 1 is longer than 16 MiB", "limit"]);
    let later =
        endless(folder.path(), "later", &format!("{HEADER}\n{{"), size, |_| " ".repeat(1 << 16));
    refused(&later, &[], &["line 2 is longer than 16 MiB", "limit"]);
    // The same in a few kilobytes.
    let bomb = folder.path().join("bomb.jsonl.zst");
    let mut encoder = zstd::Encoder::new(File::create(&bomb).unwrap(), 3).unwrap();
    encoder.write_all(format!("{HEADER}\n{{").as_bytes()).unwrap();
    (0..256).for_each(|_| encoder.write_all(&[b' '; 1 << 20]).unwrap());
    encoder.finish().unwrap().sync_all().unwrap();
    refused(&bomb, &[], &["line 2 is longer than 16 MiB"]);
    for command in ["replay", "compare"] {
        let base = Synthetic::flat(400, 1).write(folder.path(), "base.jsonl");
        let arguments = match command {
            "replay" => words!["replay", "-o", "text,path=/dev/null", bomb],
            _ => words!["compare", base, "--", bomb],
        };
        let done = within_bounds(arguments).expect(125);
        assert!(done.err().contains("line 2 is longer than 16 MiB"), "{}", done.output());
    }
}

#[test]
fn other_tools_lines_without_end_and_tables_with_a_million_columns_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let size = 40 << 20;
    let x = |_| "1 ".repeat(1 << 15);
    let mprof = endless(folder.path(), "a.dat", "MEM 1.5 17.5\nMEM ", size, x);
    refused(&mprof, &[], &["line 2", "longer than 1024 KiB", "limit"]);
    let psrecord = endless(
        folder.path(),
        "a.log",
        "# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)\n",
        size,
        x,
    );
    refused(&psrecord, &[], &["line 2", "longer than 1024 KiB", "limit"]);
    let table = ["--time", "t", "--value", "rss"];
    let columns = endless(folder.path(), "a.csv", "t,rss", size, |i| format!(",c{i}"));
    refused(&columns, &table, &["line 1", "longer than 64 KiB", "limit"]);
    let row = endless(folder.path(), "b.csv", "t,rss\n1,2\n", size, |i| format!("{i},"));
    refused(&row, &table, &["line 3", "longer than 1024 KiB", "limit"]);
    let quoted = endless(folder.path(), "c.csv", "t,rss\n1,\"", size, |_| "2\n".repeat(1 << 15));
    refused(&quoted, &table, &["line 2", "longer than 1024 KiB", "limit"]);
    // A message is not as long as what it quotes.
    let word = endless(folder.path(), "b.dat", "MEM ", 10 << 20, |_| "y".repeat(1 << 16));
    refused(&word, &[], &["line 1"]);
}

/// A recording whose last line is a list without end: `begin`, `piece` again and again, `end`.
fn list(folder: &Path, name: &str, begin: &str, piece: &str, end: &str) -> PathBuf {
    let path = endless(folder, name, begin, 15 << 20, |_| piece.repeat(1000));
    let mut file = File::options().append(true).open(&path).unwrap();
    file.write_all(end.as_bytes()).unwrap();
    path
}

#[test]
fn lists_without_end_are_refused_by_their_limit() {
    let folder = tempfile::tempdir().unwrap();
    let list = |name: &str, begin: &str, piece: &str, end: &str| {
        list(folder.path(), name, begin, piece, end)
    };
    let line = |begin: &str| format!("{HEADER}\n{begin}");
    let sample = r#"{"sample":{"t":1,"sampler":0,"duration":1,"points":[[0,0,1]"#;
    let sample = line(&format!("{METRIC}\n{TARGET}\n{sample}"));
    let points = list("points", &sample, ",[0,0,1]", "]}}\n");
    refused(&points, &[], &["line 4", "1048576 points", "limit"]);
    let frames = list("frames", &line(r#"{"stack":{"id":0,"frames":[0"#), ",0", "]}}\n");
    refused(&frames, &[], &["line 2", "65536 frames", "limit"]);
    let subject = line(r#"{"subject":{"id":1,"kind":"process","name":"","attributes":{"a":1"#);
    let attributes = list("attributes", &subject, ",\"a\":1", "}}}\n");
    refused(&attributes, &[], &["line 2", "1024", "limit"]);
    let event = line(r#"{"event":{"t":1,"kind":"x","#);
    let fields = list("fields", &event, "\"a\":1,", "\"b\":1}}\n");
    refused(&fields, &[], &["line 2", "1024 fields", "limit"]);
    let nested = line(r#"{"event":{"t":1,"kind":"x","a":"#);
    refused(&list("nested", &nested, "[", "\n{}\n"), &[], &["line 2"]);

    let target = r#"{"subject":0,"pid":7}"#;
    let (before, after) = HEADER.split_once(target).unwrap();
    let begin = format!("{before}{target}");
    let targets = list("targets", &begin, &format!(",{target}"), &format!("{after}\n"));
    refused(&targets, &[], &["line 1", "4096 targets", "limit"]);
    let (before, after) = HEADER.split_once(r#""pid":7"#).unwrap();
    let begin = format!(r#"{before}"command":["a""#);
    let words = list("words", &begin, ",\"a\"", &format!("]{after}\n"));
    refused(&words, &[], &["line 1", "words of a command line", "limit"]);
}

#[test]
fn definitions_without_end_are_refused_by_their_limit() {
    let folder = tempfile::tempdir().unwrap();
    let size = if long() { 100 << 20 } else { 30 << 20 };
    let body = format!("{HEADER}\n{METRIC}\n{TARGET}\n");
    let metrics = endless(folder.path(), "metrics", &body, size, |i| {
        format!("{}\n", METRIC.replace("\"id\":0", &format!("\"id\":{}", i + 1)))
    });
    refused(&metrics, &[], &["4096 metrics", "limit", "line 4"]);
    let living = endless(folder.path(), "living", &body, size, |i| {
        format!("{{\"subject\":{{\"id\":{i},\"parent\":0,\"kind\":\"mapping\",\"name\":\"\"}}}}\n")
    });
    refused(&living, &[], &["64 MiB", "the subjects that live", "limit"]);
    let frames = endless(folder.path(), "frames-defined", &body, size, |i| {
        format!("{{\"frame\":{{\"id\":{i},\"address\":{i}}}}}\n")
    });
    refused(&frames, &[], &["64 MiB", "its stacks", "limit"]);
    let sinks = words!["-o", "stacks,path=/dev/null", "-o", "summary", frames];
    let done = within_bounds(words!["replay", "-q"].into_iter().chain(sinks).collect());
    assert!(done.expect(125).err().contains("64 MiB"));
}

/// A recording of a target with parts that come and go, or stay, a sample after each hundred.
fn parts(folder: &Path, count: u64, stay: bool) -> PathBuf {
    let path = folder.join(format!("parts-{count}-{stay}.jsonl"));
    let mut out = BufWriter::new(File::create(&path).unwrap());
    writeln!(out, "{HEADER}\n{METRIC}\n{PART_METRIC}\n{TARGET}").unwrap();
    for i in 1..=count {
        let (t, rss) = (i * 10_000_000, 50_000_000 + if stay { i * 4096 } else { 0 });
        writeln!(out, "{{\"subject\":{{\"id\":{i},\"parent\":0,\"kind\":\"mapping\",\"name\":\"mapping {i}\"}}}}").unwrap();
        writeln!(out, "{{\"sample\":{{\"t\":{t},\"sampler\":0,\"duration\":1,\"points\":[[0,0,{rss}],[{i},1,4096]]}}}}").unwrap();
        if !stay {
            writeln!(out, "{{\"event\":{{\"t\":{t},\"kind\":\"gone\",\"subject\":{i}}}}}").unwrap();
        }
    }
    out.flush().unwrap();
    path
}

#[test]
fn parts_that_come_and_go_by_the_thousand_are_judged_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    // Judging many that stay takes long.
    for (count, stay) in [(30_000, false), (if long() { 30_000 } else { 1_500 }, true)] {
        let path = parts(folder.path(), count, stay);
        let done = within_bounds(words!["judge", path]).expect(0);
        let word = if stay { "growing  rss" } else { "steady  rss" };
        assert!(done.out().starts_with(word) || count < 10_000, "{}", done.output());
    }
}

#[test]
fn a_recording_of_a_million_subjects_is_judged_in_bounded_memory() {
    if !long_or_not_run("a recording of a million subjects") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = parts(folder.path(), 1_000_000, false);
    let done = within_bounds(words!["judge", path]).expect(0);
    assert!(done.out().starts_with("steady  rss"), "{}", done.output());
    let done =
        within_bounds(words!["replay", "-q", "-o", "summary", "-o", "csv,path=/dev/null", path]);
    let _ = done.expect(0);
}

/// The resident set of seepmeter itself, in bytes.
fn resident(running: &RunningProgram) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Watches a target that makes a thread for everything with all samplers and sinks, and asserts that seepmeter
/// takes no more memory after `last` thousand threads than after `first` thousand.
fn churn(first: u64, last: u64) {
    let folder = tempfile::tempdir().unwrap();
    let recording = folder.path().join("storm.jsonl.zst");
    let path =
        |sink: &str, name: &str| format!("{sink},path={}", folder.path().join(name).display());
    let mut running = seepmeter(words![
        "run",
        "-i",
        "2ms",
        "--budget",
        "100",
        "-s",
        "statm",
        "-s",
        "smaps",
        "-s",
        "ptrace",
        "-o",
        path("text", "text"),
        "-o",
        path("csv", "csv") + ",layout=long",
        "-o",
        path("stacks", "stacks"),
        "-o",
        path("jsonl", "storm.jsonl.zst"),
        "-o",
        path("verdict", "verdict"),
        "-o",
        "exec,command=cat >/dev/null",
        "-o",
        path("summary", "summary"),
        "--",
        test_target(),
        "thread-storm",
        "32"
    ])
    .start();
    let resident_after = |thousands: u64| {
        let _ = running.line(&format!("threads {thousands}000"));
        resident(&running)
    };
    let (before, after) = (resident_after(first), resident_after(last));
    running.end_input();
    let _ = running.finish().expect(0);
    let seen = seepmeter_tests::Recording::read(&recording);
    let threads = seen.subjects(&seepmeter_record::SubjectKind::Thread).len() as u64;
    assert!(threads > last * 100, "only {threads} threads were seen");
    let groups = seen.subjects(&seepmeter_record::SubjectKind::MappingGroup);
    let of_stacks = groups.iter().filter(|group| group.name.to_string().contains("stack"));
    assert!(of_stacks.count() < 20, "a group for each stack");
    let grown = after.saturating_sub(before);
    // What is kept of parts that have ended is bounded, and the bound is not quite reached at the beginning.
    assert!(grown < 8 << 20, "from {} to {} KiB, {threads} threads", before >> 10, after >> 10);
}

#[test]
fn a_target_that_makes_a_thread_for_everything_does_not_make_seepmeter_grow() {
    churn(40, 120);
}

#[test]
fn minutes_of_threads_that_come_and_go_do_not_make_seepmeter_grow() {
    if long_or_not_run("minutes of threads that come and go") {
        churn(50, 400);
    }
}

/// Compiles the example of a sampler in C, changed in one place.
fn changed_example(folder: &Path, from: &str, to: &str) -> PathBuf {
    let example = std::fs::read_to_string(repository("plugins/examples/sampler-in-c/sampler.c"));
    let example = example.unwrap();
    assert!(example.contains(from), "{from}");
    let source = folder.join("sampler.c");
    std::fs::write(&source, example.replace(from, to)).unwrap();
    let include = format!("-I{}", repository("include").display());
    cc(&source, &folder.join("sampler.so"), &[&include])
}

#[test]
fn a_blocked_sink_for_which_too_much_waits_is_closed_and_the_limit_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let flood = "    static char text[4096];
    memset(text, 'x', sizeof text);
    for (int i = 0; i < 20; i++) {
        struct seepmeter_event event = {
            .struct_size = sizeof event,
            .record_kind = SEEPMETER_RECORD_EVENT,
            .kind = SEEPMETER_TEXT(\"flood\"),
            .text = { (const uint8_t *)text, sizeof text },
        };
        self->host->event(self->host->context, &event);
    }
    return alive ? 0 : SEEPMETER_GONE;";
    let plugin = changed_example(folder.path(), "    return alive ? 0 : SEEPMETER_GONE;", flood);
    let gate = folder.path().join("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let blocked = format!("exec,command=cat '{}' - >/dev/null", gate.display());
    let kept = folder.path().join("kept.jsonl");
    let mut running = seepmeter(words![
        "run",
        "-q",
        "--no-summary",
        "-i",
        "5ms",
        "--budget",
        "100",
        "-s",
        plugin,
        "-o",
        blocked,
        "-o",
        format!("jsonl,path={}", kept.display()),
        "--",
        test_target(),
        "hold",
        "1"
    ])
    .start();
    let line = running.error_line("too slow");
    for part in ["sink exec", "32 MiB of definitions and events", "limit", "closed"] {
        assert!(line.contains(part), "{line}");
    }
    assert!(resident(&running) < MOST_MEMORY, "{}", resident(&running));
    // What it was waiting for: it takes what it has got, and ends.
    drop(File::options().write(true).open(&gate).unwrap());
    running.end_input();
    let done = running.finish().expect(125);
    assert_eq!(done.complaints().len(), 1, "{}", done.output());
    let recording = seepmeter_tests::Recording::read(&kept);
    assert_eq!(recording.ending, seepmeter_record::jsonl::Ending::Whole);
    assert_eq!(recording.events("sink-failed").len(), 1);
}

/// What acts on a terminal if it reaches one.
const ACTS: &str = "\u{1b}[31m\u{9b}2J\u{202e}";
const IN_JSON: &str = r"\u001b[31m\u009b2J\u202e";

/// Asserts that nothing of that is in what a run has said.
#[track_caller]
fn assert_harmless(done: &FinishedRun) {
    for text in [done.out(), done.err()] {
        let odd = text.chars().find(|c| *c != '\n' && !is_printable(*c));
        assert_eq!(odd, None, "{text:?}");
    }
}

/// A recording in which every string holds what acts on a terminal; `rss` stays what it is, or nothing would be
/// shown of it.
fn hostile_recording(folder: &Path) -> PathBuf {
    let x = IN_JSON;
    let raw = ["\u{9b}2J", "\u{202e}"].concat();
    let samples = (0..400_u64).map(|i| {
        let (t, rss) = (i * 1_000_000_000, 50_000_000 + i * 20_000);
        format!(r#"{{"sample":{{"t":{t},"sampler":0,"duration":1,"points":[[0,0,{rss}],[0,2,{i}],[1,1,{rss}],[2,3,0]]}}}}"#)
    });
    let event = |fields: &str| format!(r#"{{"event":{{"t":5,"subject":0,"sampler":0,{fields}}}}}"#);
    let lines = [
        format!(r#"{{"header":{{"format":1,"seepmeter":"{x}","start":"{x}","host":"{x}","kernel":"{x}","boot_id":"{x}","page_size":4096,"targets":[{{"subject":0,"command":["{x}","{raw}"]}},{{"subject":4,"cgroup":"{x}"}}],"samplers":[{{"name":"{x}","interval":1000000000,"options":{{"{x}":"{x}"}}}},{{"name":"b{x}","interval":1000000000,"options":{{}}}}]}}}}"#),
        METRIC.replace(r#""help":"""#, &format!(r#""help":"{x}""#)),
        PART_METRIC.replace("\"mapping\"", &format!("\"{x}\"")),
        format!(r#"{{"metric":{{"id":2,"name":"m{x}{raw}","unit":"count","kind":"gauge","subject_kind":"process","sampler":0,"help":""}}}}"#),
        r#"{"metric":{"id":3,"name":"stack","unit":"stack","kind":"gauge","subject_kind":"thread","sampler":0,"help":""}}"#.to_owned(),
        format!(r#"{{"subject":{{"id":0,"kind":"process","name":"work{x}{raw}","attributes":{{"pid":7,"start_time":1,"{x}":"{x}"}}}}}}"#),
        format!(r#"{{"subject":{{"id":1,"parent":0,"kind":"{x}","name":"part{x}{raw}","attributes":{{"class":"{x}"}}}}}}"#),
        format!(r#"{{"image":{{"id":0,"path":"/{x}{raw}","build_id":"{x}"}}}}"#),
        format!(r#"{{"frame":{{"id":0,"image":0,"address":1,"function":"f{x}{raw}","file":"{x}","line":1,"inlined":[{{"function":"{x}"}}]}}}}"#),
        r#"{"frame":{"id":1,"image":0,"address":1}}"#.to_owned(),
        format!(r#"{{"stack":{{"id":0,"frames":[0,1],"truncated":"why{x}{raw}"}}}}"#),
        format!(r#"{{"subject":{{"id":2,"parent":0,"kind":"thread","name":"thread{x}{raw}"}}}}"#),
        event(&format!(r#""kind":"odd{x}{raw}","text":"{x}{raw}""#)),
        event(&format!(r#""kind":"dropped","samples":1,"sink":"{x}{raw}""#)),
        event(&format!(r#""kind":"marker","text":"{x}{raw}""#)),
        event(&format!(r#""kind":"incomplete","text":"{x}{raw}""#)),
        event(&format!(r#""kind":"fallback","text":"{x}{raw}""#)),
        event(&format!(r#""kind":"skipped","samples":1,"reason":"{x}{raw}""#)),
        event(&format!(r#""kind":"keep-alive","reason":"{x}{raw}""#)),
        event(&format!(r#""kind":"sink-failed","reason":"{x}{raw}""#)),
        event(r#""kind":"backed-off","interval":2000000000"#),
        format!(r#"{{"event":{{"t":5,"sampler":1,"kind":"sampler-failed","reason":"{x}{raw}"}}}}"#),
    ];
    let end = format!(
        r#"{{"footer":{{"t":400000000000,"ends":[{{"subject":0,"end":{{"exited":0}}}},{{"subject":4,"end":"left"}}],"samples":1,"late":0,"missed":0,"dropped":[{{"sink":"{x}{raw}","samples":3}}],"cost":{{}}}}}}"#
    );
    let path = folder.join(format!("hostile{}.jsonl", "\u{9b}2J\u{202e}\u{1b}[31m"));
    let all: Vec<String> = lines.into_iter().chain(samples).chain([end]).collect();
    std::fs::write(&path, all.join("\n") + "\n").unwrap();
    path
}

#[test]
fn nothing_that_a_recording_says_acts_on_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = hostile_recording(folder.path());
    let metric = format!("m{}", "\u{1b}[31m\u{9b}2J\u{202e}\u{9b}2J\u{202e}");
    let replayed = |sink: &str| words!["replay", "-q", "-o", sink, path];
    let base = Synthetic::flat(400, 1).write(folder.path(), "base.jsonl");
    for (arguments, status, shown) in [
        (replayed("text,path=-"), 0, "\\u{9b}"),
        (replayed("summary,path=-"), 0, "\\u{9b}"),
        (replayed("verdict,path=-,explain=yes"), 0, "growing"),
        (replayed("verdict,path=-,json=yes"), 0, "\\u009b"),
        (replayed("csv,path=-"), 0, "\\u{9b}"),
        (replayed("csv,path=-,layout=long"), 0, "\\u{9b}"),
        (replayed("stacks,path=-"), 0, "\\u{9b}"),
        (words!["replay", "--metric", metric, "-o", "verdict,path=-", path], 0, "\\u{9b}"),
        (words!["replay", "--fail-on", "subject(x).rate>0", path], 0, "\\u{9b}"),
        (words!["replay", "--metric", ACTS, "-o", "verdict,path=-", path], 125, "\\u{9b}"),
        (words!["judge", "--explain", path, path], 0, "\\u{9b}"),
        (words!["judge", "--json", path], 0, "\\u009b"),
        (words!["judge", "--metric", ACTS, path], 125, "\\u{9b}"),
        (words!["compare", base, "--", path], 0, "inconclusive"),
        (words!["compare", "--json", base, "--", path], 0, "seepmeter.comparison"),
    ] {
        let done = seepmeter(arguments.clone()).done();
        assert_harmless(&done);
        assert_eq!(done.status.code(), Some(status), "{arguments:?}\n{}", done.output());
        assert!(done.output().contains(shown), "{arguments:?}\n{}", done.output());
    }
}

/// Files that can't be read, with what acts on a terminal in them: the end of their names, their text, and the
/// flags to read them with.
fn broken_files() -> Vec<(&'static str, String, &'static [&'static str])> {
    const TABLE: &[&str] = &["--time", "t", "--value", "rss"];
    let x = ACTS;
    vec![
        ("a.dat", format!("MEM {x} 1\n"), &[]),
        ("b.dat", format!("MEM {x}\n"), &[]),
        ("a.log", format!("# Elapsed time\n{x} 1 {x}\n"), &[]),
        ("a.csv", format!("t,rss\n{x},1\n"), TABLE),
        ("b.csv", format!("t{x},rss{x}\n1,1\n"), TABLE),
        ("c.csv", "t\u{202e},rss\u{202e}\n1,1\n".to_owned(), &[]),
        ("d.csv", format!("t,rss\n1,1\n{x}\n"), TABLE),
        ("a.jsonl", format!("{x}\n"), &[]),
    ]
}

/// The same of recordings.
fn broken_recordings() -> Vec<(&'static str, String)> {
    let x = format!("{IN_JSON}\u{9b}\u{202e}");
    let other = HEADER.replace(
        "\"format\":1,\"seepmeter\":\"0.1.0\"",
        &format!("\"format\":7,\"seepmeter\":\"{x}\""),
    );
    let of_body = |line: &str| format!("{HEADER}\n{METRIC}\n{TARGET}\n{line}\n");
    vec![
        ("b.jsonl", other + "\n"),
        ("c.jsonl", of_body(&format!(r#"{{"sample":{{"t":"{x}"}}}}"#))),
        ("d.jsonl", of_body(&format!(r#"{{"metric":{{"id":1,"name":"","unit":"{x}"}}}}"#))),
        ("e.jsonl", of_body(&format!(r#"{{"event":{{"t":1,"kind":"exited","status":"{x}"}}}}"#))),
        (
            "f.jsonl",
            of_body(&format!(r#"{{"subject":{{"id":1,"kind":"","name":{{"hex":"{x}"}}}}}}"#)),
        ),
        (
            "g.jsonl",
            of_body(&format!(r#"{{"footer":{{"{x}":1,"ends":[{{"subject":0,"end":"{x}"}}]}}}}"#)),
        ),
    ]
}

#[test]
fn nothing_that_a_broken_file_or_its_name_says_acts_on_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let recordings = broken_recordings().into_iter().map(|(name, text)| (name, text, &[][..]));
    for (name, text, flags) in broken_files().into_iter().chain(recordings) {
        let path = folder.path().join(format!("{ACTS}{name}"));
        std::fs::write(&path, text).unwrap();
        let flags = flags.iter().map(std::ffi::OsString::from);
        let done = seepmeter(words!["judge"].into_iter().chain(flags).chain(words![path])).done();
        assert_harmless(&done);
        let done = done.expect(125);
        assert_eq!(done.complaints().len(), 1, "{}", done.output());
        assert_harmless(&seepmeter(words!["replay", path]).done().expect(125));
        assert_harmless(&seepmeter(words!["compare", path, "--", "/dev/null"]).done());
    }
}

#[test]
fn nothing_that_a_run_of_scale_prints_acts_on_a_terminal() {
    let script = format!("printf '{ACTS}'; exit 3");
    let words = words!["scale", "-n", "1,2,3", "--", "sh", "-c", script];
    let done = seepmeter(words).done().expect(3);
    assert_harmless(&done);
    assert!(
        done.err().starts_with("\\u{1b}[31m\\u{9b}2J\\u{202e}\nseepmeter: "),
        "{}",
        done.output()
    );
}

#[test]
fn no_name_of_a_plugin_or_a_target_or_a_flag_acts_on_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let x = ACTS;
    let missing = folder.path().join(format!("{x}.so"));
    let not_elf = folder.path().join(format!("libseepmeter_{x}.so"));
    std::fs::write(&not_elf, "no library").unwrap();
    let c = "\\033[31m\\302\\2332J\\342\\200\\256";
    let about = "SEEPMETER_TEXT(\"counts open file descriptors\")";
    let plugin = changed_example(folder.path(), about, &format!("SEEPMETER_TEXT(\"{c}\")"));
    let program = folder.path().join(format!("{x}program"));
    std::os::unix::fs::symlink(test_target(), &program).unwrap();
    for arguments in [
        words!["plugins", x],
        words!["plugins", missing],
        words!["plugins", not_elf],
        words!["plugins", "--plugin-dir", folder.path()],
        words!["plugins", "--plugin-dir", missing],
        words!["plugins", plugin],
        words!["plugins", "--json", plugin],
        words!["run", "-s", plugin, "-o", "summary", "--", "true"],
        words!["run", "-s", x, "--", "true"],
        words!["run", "-o", format!("text,{x}=1"), "--", "true"],
        words!["run", "-o", format!("text,style={x}"), "--", "true"],
        words!["run", "-o", format!("text,path=/{x}/{x}"), "--", "true"],
        words!["run", "-i", x, "--", "true"],
        words!["run", "--fail-on", x, "--", "true"],
        words!["run", "--metric", x, "--", "true"],
        words!["run", format!("--{x}")],
        words!["run", "--", missing],
        words!["run", "-o", "text", "-o", "summary", "-i", "1ms", "--", program, "exit-code", "0"],
        words!["replay", missing],
        words!["judge", missing],
        words!["attach", x],
    ] {
        let done = seepmeter(arguments.clone()).done();
        assert_harmless(&done);
        assert!(!done.output().is_empty(), "{arguments:?}");
    }
}
