//! Traps 3, 4, 5 and 6: the numbers are the target's own, and right.

use std::ffi::OsString;

use seepmeter_record::End;
use seepmeter_tests::{Recording, eventually, recorded, run_target, seepmeter, test_target, words};

const MIB: i64 = 1 << 20;

/// A run of the test target that has this sampler and this sink.
fn run_words(interval: &str, sampler: &str, sink: &str, target: &[&str]) -> Vec<OsString> {
    let words = words!["run", "-i", interval, "-s", sampler, "-o", sink, "--", test_target()];
    words.into_iter().chain(target.iter().map(OsString::from)).collect()
}

#[test]
fn trap_3_a_zombie_leader_whose_thread_lives_on_has_not_ended_and_its_memory_is_seen() {
    for sampler in ["statm", "statm,peak=interval"] {
        let (_folder, path, sink) = recorded();
        let words = run_words("5ms", sampler, &sink, &["zombie-leader", "32", "5"]);
        let mut running = seepmeter(words).start();
        let pid = running.number("ready", 1);
        let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
        assert!(statm.starts_with("0 0 0"), "the trap is not there: {statm}");
        let before =
            eventually("a recording", || Recording::try_read(&path).ok()).samples().count();
        let _ = Recording::await_samples(&path, before + 40);
        assert!(running.runs());
        let done = running.finish().expect(5);
        assert_eq!(done.complaints(), [""; 0], "{}", done.output());
        let recording = Recording::read(&path);
        assert_eq!(recording.end(), End::Exited(5));
        assert_eq!(recording.events("sampler-failed").len(), 0);
        let (_, last) = recording.series("rss")[before + 30];
        assert!(last > 32 * MIB, "the memory of a living thread was not seen: {last}");
        assert!(recording.largest("peak") > 32 * MIB);
    }
}

#[test]
fn trap_3_the_peak_of_an_interval_comes_down_again_after_a_zombie_leader_too() {
    let (_folder, path, sink) = recorded();
    let words = run_words("5ms", "statm,peak=interval", &sink, &["zombie-leader"]);
    let mut running = seepmeter(words).start();
    let _ = running.line("ready");
    running.say("drop");
    let _ = running.line("dropped");
    let recording = || eventually("a recording", || Recording::try_read(&path).ok());
    let before = recording().samples().count();
    // After a sample that was under way, and what had waited to be written.
    let _ = Recording::await_samples(&path, before + 200);
    let _ = running.finish().expect(0);
    let recording = recording();
    let (_, last) = recording.series("interval_peak")[before + 190];
    assert!(last < 16 * MIB, "{last}");
    assert!(recording.largest("peak") > 16 * MIB);
}

#[test]
fn trap_3_a_zombie_leader_can_be_attached_to() {
    let (_folder, path, sink) = recorded();
    let target = run_target("zombie-leader", words!["32"]).start();
    let pid = target.number("ready", 1);
    let running = seepmeter(words!["attach", "-i", "5ms", "-o", sink, pid.to_string()]).start();
    let _ = Recording::await_samples(&path, 10);
    let early = Recording::read(&path).series("rss");
    assert!(early.iter().all(|(_, rss)| *rss > 32 * MIB), "{early:?}");
    let _ = target.finish().expect(0);
    let _ = running.finish().expect(0);
    assert_eq!(Recording::read(&path).end(), End::Gone);
}

#[test]
fn trap_4_the_resident_set_is_that_of_statm_to_the_page_and_not_the_one_of_stat() {
    let (_folder, path, sink) = recorded();
    for peak in ["run", "interval", "off"] {
        let sampler = format!("statm,peak={peak}");
        let words = run_words("10ms", &sampler, &sink, &["hold", "10", "4"]);
        let running = seepmeter(words).start();
        let pid = running.number("ready", 1);
        // The target is at rest, so all who ask see the same, unless the kernel takes pages away.
        let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).unwrap().unwrap();
        eventually("agreement with statm", || {
            let statm = numbers(&format!("/proc/{pid}/statm"));
            let seen = Recording::try_read(&path).ok()?.target_values().pop()?.1;
            let wanted: Vec<i64> = [0, 1, 2, 3, 5].iter().map(|n| statm[*n] * page).collect();
            let keys = ["vsize", "rss", "shared", "text", "data"];
            let got: Vec<i64> = keys.iter().filter_map(|key| seen.get(*key).copied()).collect();
            (got == wanted).then_some(())
        });
        let _ = running.finish().expect(0);
    }
}

fn numbers(path: &str) -> Vec<i64> {
    let text = std::fs::read_to_string(path).unwrap();
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

#[test]
fn trap_5_a_peak_is_never_under_the_resident_set_of_the_same_sample() {
    for sampler in ["statm", "statm,peak=interval"] {
        let (_folder, path, sink) = recorded();
        let words = run_words("1ms", sampler, &sink, &["saw", "32", "10", "3"]);
        let _ = seepmeter(words).done().expect(0);
        let recording = Recording::read(&path);
        let mut before = 0;
        for (t, values) in recording.target_values() {
            let (rss, peak) = (values["rss"], values["peak"]);
            assert!(peak >= rss, "{sampler}: at {t} ns peak {peak} is under rss {rss}");
            assert!(peak >= before, "{sampler}: at {t} ns the peak of the run went down");
            if let Some(interval) = values.get("interval_peak") {
                assert!(*interval >= rss, "{sampler}: at {t} ns {interval} is under rss {rss}");
                assert!(peak >= *interval);
            }
            before = peak;
        }
        assert!(before > 32 * MIB, "{before}");
    }
}

#[test]
fn trap_5_a_spike_of_50_ms_is_caught_at_1_hz_by_the_peak_of_the_run_and_of_its_interval() {
    for sampler in ["statm", "statm,peak=interval"] {
        let (_folder, path, sink) = recorded();
        let words = run_words("1s", sampler, &sink, &["spike", "64", "50"]);
        let mut running = seepmeter(words).start();
        let _ = running.line("ready");
        let _ = Recording::await_samples(&path, 1);
        // A sample of the spike itself would prove nothing: the next is most of a second away.
        let before = Recording::read(&path).samples().count();
        running.say("now");
        let _ = running.line("spiked");
        let _ = Recording::await_samples(&path, before + 3);
        let _ = running.finish().expect(0);
        let recording = Recording::read(&path);
        assert!(recording.largest("peak") > 64 * MIB, "{sampler}: the spike was missed");
        if sampler.contains("interval") {
            let intervals = recording.series("interval_peak");
            let high: Vec<_> = intervals.iter().filter(|(_, peak)| *peak > 64 * MIB).collect();
            assert_eq!(high.len(), 1, "one interval has the spike, and no other: {intervals:?}");
        }
        let summary_peak = seepmeter(words!["replay", path]).done().expect(0).err();
        assert!(!summary_peak.is_empty());
    }
}

#[test]
fn peak_off_reads_no_peak() {
    let (_folder, path, sink) = recorded();
    let words = run_words("5ms", "statm,peak=off", &sink, &["saw", "4", "2", "5"]);
    let _ = seepmeter(words).done().expect(0);
    let recording = Recording::read(&path);
    assert!(recording.series("peak").is_empty() && !recording.series("rss").is_empty());
}

/// What a child's `ru_maxrss` begins with is the size of whoever forked it. Here seepmeter itself is made
/// large by a library that is loaded into it.
#[test]
fn trap_6_a_large_seepmeters_size_is_never_reported_as_its_small_targets_peak() {
    let (folder, path, sink) = recorded();
    let source = folder.path().join("large.c");
    let library = folder.path().join("large.so");
    std::fs::write(
        &source,
        r#"
        #define _GNU_SOURCE
        #include <errno.h>
        #include <string.h>
        #include <sys/mman.h>
        __attribute__((constructor)) static void grow(void) {
            if (strcmp(program_invocation_short_name, "seepmeter") != 0) return;
            size_t size = 200 << 20;
            void *block = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (block != MAP_FAILED) memset(block, 1, size);
        }
        "#,
    )
    .unwrap();
    let cc = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status();
    if !cc.is_ok_and(|status| status.success()) {
        return seepmeter_tests::not_run("trap 6", "there is no C compiler");
    }
    let words = words![
        "run",
        "-i",
        "1ms",
        "-o",
        sink,
        "-o",
        "text",
        "--",
        test_target(),
        "saw",
        "4",
        "3",
        "5"
    ];
    let done = seepmeter(words).env("LD_PRELOAD", &library).done().expect(0);
    let recording = Recording::read(&path);
    assert!(recording.footer().cost.peak_rss > Some(200 << 20), "the trap is not there");
    for metric in ["rss", "peak"] {
        let largest = recording.largest(metric);
        assert!(largest < 64 * MIB, "{metric} of the target is {largest}");
    }
    let printed = done.err();
    let line = printed.lines().find(|line| line.starts_with("rss ")).expect("a summary");
    assert!(!line.contains("20") || !line.contains("GiB"), "{line}");
}

#[test]
fn trap_6_a_large_parents_size_is_never_reported_as_seepmeters_own_peak() {
    let held = seepmeter_tests::target::Block::of_mib(300);
    let (_folder, path, sink) = recorded();
    let forked = || Ok(());
    let _ = seepmeter(words!["run", "-o", sink, "--", "true"]).before_exec(forked).done().expect(0);
    let own = Recording::read(&path).footer().cost.peak_rss.expect("its own peak");
    assert!((1 << 20..100 << 20).contains(&own), "{own}");
    drop(held);
}

#[test]
fn a_target_that_grows_is_seen_to_grow_and_a_saw_to_come_back() {
    let (_folder, path, sink) = recorded();
    let run = |target: &str, arguments: &[&str]| {
        let words = words!["run", "-i", "5ms", "-o", sink, "--", test_target(), target];
        let words = words.into_iter().chain(arguments.iter().map(Into::into));
        let _ = seepmeter(words).done().expect(0);
        Recording::read(&path).series("rss").into_iter().map(|(_, rss)| rss).collect::<Vec<_>>()
    };
    let grown = run("grow", &["20", "1"]);
    // The last sample may be of its way out already.
    assert!(grown.iter().max().unwrap() - grown[0] > 10 * MIB, "{grown:?}");
    let saw = run("saw", &["20", "4", "10"]);
    let largest = saw.iter().max().unwrap();
    let last_low = saw.iter().skip(saw.len() / 2).min().unwrap();
    assert!(largest - last_low > 10 * MIB, "{saw:?}");
}

#[test]
fn an_interval_of_a_millisecond_works() {
    let (_folder, path, sink) = recorded();
    let words = words!["run", "-i", "1ms", "-o", sink, "--", test_target(), "saw", "4", "5", "10"];
    let _ = seepmeter(words).done().expect(0);
    let recording = Recording::read(&path);
    let footer = recording.footer();
    assert_eq!(recording.header().samplers[0].interval, 1_000_000);
    // On a busy machine ticks may be missed, but then they are counted: every tick is one or the other.
    let ticks = footer.samples + footer.missed;
    let watched = footer.t / 1_000_000;
    assert!(ticks > watched / 2 && ticks <= watched + 2, "{ticks} ticks in {watched} ms");
    let times: Vec<u64> = recording.samples().map(|sample| sample.t).collect();
    assert!(times.is_sorted());
}
