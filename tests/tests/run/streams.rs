//! Standard input, output and error belong to the target, byte for byte.

use seepmeter_tests::{recorded, run, seepmeter, seepmeter_path, test_target, words};

/// Every byte there is, and more of them than a pipe holds.
fn bytes() -> Vec<u8> {
    (0..300_000_u32).map(|n| (n ^ (n >> 8)) as u8).collect()
}

#[test]
fn the_targets_streams_are_untouched_byte_for_byte() {
    let input = bytes();
    let done = seepmeter(words![
        "run",
        "-q",
        "--no-summary",
        "-i",
        "1ms",
        "--",
        test_target(),
        "echo-stdio"
    ])
    .with_input(&input)
    .expect(0);
    let turned: Vec<u8> = input.iter().map(|byte| !byte).collect();
    assert!(done.stdout == input, "standard output is not what went in");
    assert!(done.stderr == turned, "standard error is not the target's alone");
}

#[test]
fn seepmeter_itself_writes_nothing_to_standard_output_unless_it_is_asked_to() {
    let done =
        seepmeter(words!["run", "-i", "1ms", "--", "sh", "-c", "printf hello"]).done().expect(0);
    assert_eq!(done.out(), "hello");
    assert!(done.err().contains("rss"), "{}", done.output());
}

#[test]
fn trap_41_closed_streams_stay_closed_and_nothing_of_seepmeters_takes_their_place() {
    // With 0, 1 and 2 closed, the next descriptors that are opened get their numbers.
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list");
    let csv = folder.path().join("out.csv");
    let script = format!(
        "exec {} run -q --no-summary -o csv,path={} -- sh -c 'ls -l /proc/$$/fd > {} 2>/dev/null; echo to-stdout; exit 5' 0<&- 1>&- 2>&-",
        seepmeter_path().display(),
        csv.display(),
        list.display()
    );
    let done = run("/bin/sh", words!["-c", script]).done().expect(5);
    assert_eq!(done.out() + &done.err(), "");
    let table = std::fs::read_to_string(&csv).unwrap();
    assert!(!table.contains("to-stdout"), "the target has written into the table:\n{table}");
}

#[test]
fn the_target_gets_no_descriptor_of_seepmeters() {
    let list = words!["-c", "ls /proc/self/fd | wc -l"];
    let plain = run("/bin/sh", list.clone()).done().expect(0).out();
    let words = words!["run", "-q", "-o", "csv,path=/dev/null", "--", "sh"];
    let done = seepmeter(words.into_iter().chain(list)).done().expect(0);
    assert_eq!(done.out(), plain);
}

#[test]
fn the_target_finds_its_signals_as_seepmeter_found_them() {
    let arguments = words!["-E", "Sig(Blk|Ign)", "/proc/self/status"];
    let plain = run("/bin/grep", arguments.clone()).done().expect(0).out();
    let watched = words!["run", "-q", "--", "grep"].into_iter().chain(arguments);
    let watched = seepmeter(watched).done().expect(0).out();
    assert_eq!(masks(&watched), masks(&plain));
}

/// The masks, without the signals 32 and 33: they are glibc's own, and its posix_spawn ignores them.
fn masks(status: &str) -> Vec<u64> {
    let masks = status.lines().filter_map(|line| line.split_whitespace().nth(1));
    masks.map(|mask| u64::from_str_radix(mask, 16).unwrap() & !(0b11 << 31)).collect()
}

#[test]
fn a_reader_that_goes_away_is_no_failure_and_the_target_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let script = format!("while read x; do :; done; touch {}", mark.display());
    let mut running =
        seepmeter(words!["run", "-i", "1ms", "-o", "csv", "--", "sh", "-c", script]).start();
    let _ = running.line("elapsed_s");
    running.stop_listening();
    let done = running.finish().expect(0);
    assert_eq!(done.complaints(), [""; 0], "{}", done.output());
    assert!(mark.exists());
}

#[test]
fn head_may_end_a_replay_too() {
    let (_folder, path, sink) = recorded();
    let _ = seepmeter(words![
        "run",
        "-q",
        "-i",
        "1ms",
        "-o",
        sink,
        "--",
        test_target(),
        "saw",
        "1",
        "4",
        "5"
    ])
    .done()
    .expect(0);
    let script = format!(
        "{{ {} replay --no-summary -o csv,layout=long {}; echo \"status $?\" >&2; }} | head -n 1",
        seepmeter_path().display(),
        path.display()
    );
    let done = run("/bin/sh", words!["-c", script]).done().expect(0);
    assert_eq!(done.out().lines().count(), 1);
    assert_eq!(done.err(), "status 0\n");
}

#[test]
fn a_target_that_writes_into_a_closed_pipe_dies_of_sigpipe_as_ever() {
    // Rust's runtime ignores SIGPIPE, and an ignored signal would be handed on.
    let script = format!("{} run -q -- sh -c 'kill -PIPE $$; exit 3'", seepmeter_path().display());
    let _ = run("/bin/sh", words!["-c", script]).done().expect(128 + 13);
}
