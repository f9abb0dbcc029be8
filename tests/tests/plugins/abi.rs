//! The plugin ABI as version 1.0 was: plugins compiled against its header load in today's seepmeter.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use seepmeter_record::{Record, jsonl::Ending};
use seepmeter_tests::plugin::{abi, cc, cdylib, repository};
use seepmeter_tests::{FinishedRun, Recording, recorded, seepmeter, test_target, words};

/// A plugin of `tests/abi/v1.0/`, compiled.
fn compiled(folder: &Path, source: &str, flags: &[&str]) -> PathBuf {
    cc(&abi(source), &folder.join("p.so"), flags)
}

/// `seepmeter plugins` of the table that these flags make.
fn table(flags: &[&str]) -> FinishedRun {
    let folder = tempfile::tempdir().unwrap();
    let _ = compiled(folder.path(), "table.c", flags);
    seepmeter(words!["plugins", "./p.so"]).in_folder(folder.path()).done()
}

#[test]
fn every_field_of_the_header_is_where_version_1_0_had_it_without_padding() {
    let folder = tempfile::tempdir().unwrap();
    let _ = compiled(folder.path(), "layout.c", &["-Wpadded"]);
    let today = repository("include/seepmeter-plugin.h");
    let today = today.to_str().unwrap();
    let _ = compiled(folder.path(), "layout.c", &["-DLATER", "-include", today]);
}

#[test]
fn the_header_of_version_1_0_is_todays_until_there_is_another() {
    let [released, today] = [abi("seepmeter-plugin.h"), repository("include/seepmeter-plugin.h")]
        .map(|path| std::fs::read_to_string(path).unwrap());
    assert!(released.contains("#define SEEPMETER_MINOR 0\n"));
    if today.contains("#define SEEPMETER_MINOR 0\n") {
        assert!(
            released == today,
            "tests/abi/v1.0/seepmeter-plugin.h is not include/seepmeter-plugin.h; before the release copy it, after it raise MINOR in crates/seepmeter-abi"
        );
    }
}

#[test]
fn the_header_is_good_c99_and_good_c_plus_plus() {
    let folder = tempfile::tempdir().unwrap();
    for (compiler, standard, language) in [("cc", "-std=c99", "c"), ("g++", "-std=c++11", "c++")] {
        let header = repository("include/seepmeter-plugin.h");
        let done = std::process::Command::new(compiler)
            .args([standard, "-x", language, "-Wall", "-Wextra", "-Werror", "-pedantic"])
            .args(["-fsyntax-only", "-include"])
            .arg(header)
            .arg("/dev/null")
            .current_dir(&folder)
            .output();
        match done {
            Ok(done) => {
                assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            }
            Err(error) => seepmeter_tests::not_run("the header in C++", &error.to_string()),
        }
    }
}

#[test]
fn trap_26_calls_in_the_header_have_their_parameters_and_all_stands_inside_the_guard() {
    let header = std::fs::read_to_string(repository("include/seepmeter-plugin.h")).unwrap();
    assert!(header.contains(
        "int32_t (*create)(const struct seepmeter_instance_host *host, void **instance);"
    ));
    assert!(
        !header.contains("Option_"),
        "an alias inside Option comes out as an incomplete struct"
    );
    assert!(header.trim_end().ends_with("#endif  /* SEEPMETER_PLUGIN_H */"));
    assert_eq!(header.matches("#endif").count(), 2, "the guard and SEEPMETER_EXPORT");
}

#[test]
fn a_plugin_of_version_1_0_loads_and_describes_itself() {
    let done = table(&["-DOPTIONS=2"]).expect(0);
    for part in [
        "sink table 0.9: does nothing",
        "one=<text> [default: a]",
        "two=<number> (must be given)",
        "The second.",
        "plugin ABI: version 1.0, entry seepmeter_plugin_v1",
        "calls: create, write, destroy",
    ] {
        assert!(done.out().contains(part), "{part}\n{}", done.output());
    }
}

#[test]
fn a_larger_table_of_a_newer_minor_version_works() {
    let folder = tempfile::tempdir().unwrap();
    let _ = compiled(folder.path(), "table.c", &["-DMINOR=7"]);
    let shown = seepmeter(words!["plugins", "./p.so"]).in_folder(folder.path()).done().expect(0);
    assert!(shown.out().contains("version 1.7"), "{}", shown.output());
    assert!(shown.out().contains("a table of 224 bytes"), "{}", shown.output());
    let words = words!["run", "-q", "--no-summary", "-o", "./p.so", "--", "true"];
    let done = seepmeter(words).in_folder(folder.path()).done().expect(0);
    assert_eq!(done.err(), "");
}

#[test]
fn a_table_that_can_not_be_is_refused_by_name_before_anything_is_called() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["-DSIZE=100"], &["a table of 100 bytes", "at least 208", "seepmeter-plugin.h"]),
        (&["-DSIZE=0"], &["a table of 0 bytes"]),
        (&["-DREFUSE"], &["refuses to work with seepmeter"]),
        (&["-DKIND=9"], &["kind 9", "neither sampler nor sink"]),
        (&["-DNO_WRITE"], &["lacks the call `write`"]),
        (&["-DNO_DESTROY"], &["lacks the call `destroy`"]),
        (&["-DKIND=SEEPMETER_KIND_SAMPLER"], &["lacks the call `start`"]),
        (&["-DNAME=\"a\\x1b[31mb\""], &["its name is `a\\u{1b}[31mb`"]),
        (&["-DNAME=\"\""], &["its name is ``"]),
        (&["-DNAME=\"\\xff\""], &["its name is text that is not UTF-8: \"\\xff\""]),
        (&["-DOPTIONS=UINT64_MAX"], &["its options are an array", "at an invalid address"]),
        (&["-DENTRY=seepmeter_plugin_v2"], &["version 2", "this seepmeter has version 1"]),
        (&["-DENTRY=seepmeter_p_plugin_v3"], &["version 3"]),
        (&["-DENTRY=init"], &["no plugin of seepmeter", "seepmeter_plugin_v1"]),
    ];
    for (flags, parts) in cases {
        let done = table(flags).expect_complaint(125, parts);
        assert!(done.err().contains("./p.so"), "{}", done.output());
    }
}

#[test]
fn a_table_at_an_odd_address_is_read_all_the_same() {
    let done = table(&["-DUNALIGNED", "-DOPTIONS=2"]).expect(0);
    assert!(done.out().contains("sink table 0.9"), "{}", done.output());
}

#[test]
fn trap_24_a_library_that_lacks_a_symbol_is_refused_at_once_and_not_in_the_middle_of_a_run() {
    // Loaded lazily it would be fine, for that symbol is never used.
    let _ = table(&["-DUNDEFINED"]).expect_complaint(125, &["./p.so", "nobody_defines_this"]);
}

#[test]
fn trap_24_libraries_do_not_see_each_others_symbols() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        let path = folder.path().join(format!("seepmeter-{name}-sink.so"));
        let words = [format!("-DNAME=\"{name}\""), format!("-DABOUT=\"the words of {name}\"")];
        let _ = cc(&abi("table.c"), &path, &[&words[0], &words[1]]);
    }
    let done = seepmeter(words!["plugins", "--plugin-dir", folder.path()]).done().expect(0);
    for name in ["a", "b"] {
        assert!(done.out().contains(&format!("the words of {name}  (")), "{}", done.output());
    }
}

#[test]
fn trap_24_a_library_stays_where_it_is_when_its_last_instance_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let _ = cc(&abi("sink.c"), &folder.path().join("sink.so"), &[]);
    // Its code is run by a thread of its own from then on.
    let words = words![
        "run",
        "-q",
        "--no-summary",
        "-i",
        "10ms",
        "-o",
        "./sink.so,in=destroy,do=linger",
        "-o",
        "./sink.so,in=flush,do=pipe",
        "--",
        "sleep",
        "0.1"
    ];
    let done = seepmeter(words).in_folder(folder.path()).done().expect(0);
    assert_eq!(done.err(), "");
}

#[test]
fn trap_23_no_profile_of_the_workspace_aborts_on_panic_and_the_macros_refuse_one_that_does() {
    let manifest = std::fs::read_to_string(repository("Cargo.toml")).unwrap();
    let says = manifest.lines().filter(|line| !line.trim_start().starts_with('#'));
    assert!(!says.collect::<String>().contains("panic"), "a profile speaks of panics");
    let macros = repository("crates/seepmeter-plugin/src/export.rs");
    let refusals = std::fs::read_to_string(macros).unwrap().matches("panic = \"abort\")]").count();
    assert_eq!(refusals, 1, "in what both macros have in common");
}

#[test]
fn trap_25_nothing_of_rusts_own_layout_is_handed_over() {
    let abi = std::fs::read_to_string(repository("crates/seepmeter-abi/src/lib.rs")).unwrap();
    let structs = abi.matches("\npub struct ").count();
    assert_eq!(abi.matches("\n#[repr(C)]").count(), structs);
    for word in ["String", "Vec<", "Box<", "&'", "bool", "usize,", " enum ", "dyn "] {
        let code = abi.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code: Vec<&str> = code.take_while(|line| !line.contains("mod layout")).collect();
        assert!(code.iter().all(|line| !line.contains(word)), "{word}");
    }
    let manifest = std::fs::read_to_string(repository("crates/seepmeter-abi/Cargo.toml")).unwrap();
    assert!(!manifest.contains("\n[dependencies]"));
}

#[test]
fn trap_27_the_tests_build_the_libraries_that_they_load() {
    for package in [
        "seepmeter-example-sampler",
        "seepmeter-example-sink",
        "seepmeter-test-floors",
        "seepmeter-test-panicky",
        "seepmeter-test-statm",
    ] {
        assert!(cdylib(package).is_file(), "{package}");
    }
}

#[test]
fn trap_27a_a_library_with_symbols_that_carry_names_is_loaded_by_its_files_name() {
    let folder = tempfile::tempdir().unwrap();
    for (file, says) in [
        ("panicky.so", "sampler panicky"),
        ("libseepmeter_sampler_panicky.so", "sampler panicky"),
        ("seepmeter-alarmist-sink.so", "sink alarmist"),
    ] {
        let path = folder.path().join(file);
        let _ = std::fs::copy(cdylib("seepmeter-test-panicky"), &path).unwrap();
        let done = seepmeter(words!["plugins", path]).done().expect(0);
        assert!(done.out().starts_with(says), "{}", done.output());
    }
    let other = folder.path().join("other.so");
    let _ = std::fs::copy(cdylib("seepmeter-test-panicky"), &other).unwrap();
    let _ = seepmeter(words!["plugins", other])
        .done()
        .expect_complaint(125, &["other.so", "no symbol seepmeter_plugin_v1"]);
}

/// The calls that a plugin has noted, without their threads, and how many threads there were.
fn life(log: &Path) -> (Vec<String>, usize) {
    let text = std::fs::read_to_string(log).unwrap();
    let notes: Vec<(&str, &str)> = text.lines().map(|line| line.split_once(' ').unwrap()).collect();
    let mut threads: Vec<&str> = notes.iter().map(|(_, thread)| *thread).collect();
    threads.sort_unstable();
    threads.dedup();
    let mut calls: Vec<String> = notes.iter().map(|(call, _)| (*call).to_owned()).collect();
    calls.dedup();
    (calls, threads.len())
}

#[test]
fn an_instances_calls_come_in_the_documented_order_and_from_one_thread() {
    let folder = tempfile::tempdir().unwrap();
    let _ = cc(&abi("sink.c"), &folder.path().join("sink.so"), &[]);
    let _ = cc(&abi("sampler.c"), &folder.path().join("sampler.so"), &[]);
    let words = words![
        "run",
        "-q",
        "--no-summary",
        "-i",
        "10ms",
        "-s",
        "./sampler.so,log=sampler,in=none",
        "-o",
        "./sink.so,log=sink,in=none",
        "--",
        "sleep",
        "0.1"
    ];
    let done = seepmeter(words).in_folder(folder.path()).done().expect(0);
    assert_eq!(done.complaints(), [""; 0], "options that it does not tell of are its own to check");
    let (calls, threads) = life(&folder.path().join("sampler"));
    let (first, last) = calls.split_at(5);
    assert_eq!(first, ["configure", "ready", "start", "add_target", "sample"]);
    assert_eq!(last, ["remove_target", "stop", "destroy"]);
    assert_eq!(threads, 1);
    let (calls, threads) = life(&folder.path().join("sink"));
    assert_eq!(threads, 1);
    let (first, rest) = calls.split_at(2);
    assert_eq!(first, ["configure", "ready"]);
    let (middle, last) = rest.split_at(rest.len() - 4);
    assert_eq!(last, ["conclude", "flush", "stop", "destroy"]);
    assert!(middle.iter().all(|call| call == "write" || call == "flush"), "{calls:?}");
    assert!(middle.iter().any(|call| call == "write"), "{calls:?}");
}

#[test]
fn a_sink_is_destroyed_and_not_stopped_after_a_failure_and_a_sampler_is_stopped_first() {
    let folder = tempfile::tempdir().unwrap();
    let _ = cc(&abi("sink.c"), &folder.path().join("sink.so"), &[]);
    let _ = cc(&abi("sampler.c"), &folder.path().join("sampler.so"), &[]);
    let words = words![
        "run",
        "-q",
        "--no-summary",
        "-i",
        "10ms",
        "-s",
        "./sampler.so,log=sampler,in=sample,do=fail",
        "-o",
        "./sink.so,log=sink,in=write,do=fail",
        "--",
        "sleep",
        "0.1"
    ];
    let _ = seepmeter(words).in_folder(folder.path()).done().expect(125);
    let (calls, _) = life(&folder.path().join("sampler"));
    assert_eq!(calls[calls.len() - 3..], ["sample", "stop", "destroy"]);
    let (calls, _) = life(&folder.path().join("sink"));
    assert_eq!(calls[calls.len() - 2..], ["write", "destroy"]);
}

#[test]
fn two_instances_of_one_plugin_coexist_in_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let _ = cc(
        &repository("plugins/examples/sink-in-c/sink.c"),
        &folder.path().join("count.so"),
        &["-I", repository("include").to_str().unwrap(), "-std=gnu11"],
    );
    let words = words![
        "run",
        "-q",
        "--no-summary",
        "-i",
        "10ms",
        "-o",
        "./count.so,label=apples",
        "-o",
        "./count.so,label=pears",
        "-o",
        "jsonl,path=r.jsonl",
        "--",
        "sleep",
        "0.1"
    ];
    let done = seepmeter(words).in_folder(folder.path()).done().expect(0);
    let samples = Recording::read(&folder.path().join("r.jsonl")).samples().count();
    let out = done.out();
    let mut counted: Vec<&str> = out.lines().filter_map(|line| line.split(',').next()).collect();
    counted.sort_unstable();
    assert_eq!(counted, [format!("{samples} apples"), format!("{samples} pears")]);
}

/// What a sampler has emitted, by names: each metric of each subject that has not ended, with the value
/// that stands if it is of a kind that no other process changes.
fn emitted(recording: &Recording, sampler: u16) -> BTreeMap<String, Option<i64>> {
    let (mut metrics, mut subjects) = (HashMap::new(), HashMap::new());
    let mut values = HashMap::new();
    for record in &recording.records {
        match record {
            Record::Metric(metric) => drop(metrics.insert(metric.id, metric)),
            Record::Subject(subject) => drop(subjects.insert(subject.id, subject)),
            Record::Sample(sample) if sample.sampler.0 == sampler => {
                let points = sample.points.iter();
                values.extend(points.map(|point| ((point.subject, point.metric), point.value)));
            }
            // What was there for a moment only, one may observe and the other not.
            Record::Event(event) if event.kind.ends_subject() => {
                values.retain(|(subject, _), _| Some(*subject) != event.subject);
            }
            _ => {}
        }
    }
    let by_name = |((subject, metric), value)| {
        let (subject, metric) = (subjects[&subject], metrics[&metric]);
        let own = matches!(&*metric.name, "rss" | "vsize" | "data" | "text");
        let key = format!("{} {}, {} {}", subject.kind, subject.name, metric.name, metric.unit);
        (key, Some(value).filter(|_| own))
    };
    values.into_iter().map(by_name).collect()
}

#[test]
fn a_sampler_gives_the_same_records_built_in_and_loaded() {
    // A line here for each sampler that can be had both ways.
    for (name, package, options) in [
        ("statm", "seepmeter-test-statm", ""),
        ("smaps", "seepmeter-sampler-smaps", ",mode=full"),
        ("fds", "seepmeter-sampler-fds", ""),
        ("cgroup", "seepmeter-sampler-cgroup", ""),
    ] {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        if name == "cgroup" && !mounts.contains(" - cgroup") {
            seepmeter_tests::not_run("the sampler cgroup, loaded", "no cgroups are mounted here");
            continue;
        }
        let (folder, path, sink) = recorded();
        let loaded = format!("{}{options}", cdylib(package).display());
        let words = words![
            "run",
            "-q",
            "--no-summary",
            "-i",
            "10ms",
            "-s",
            format!("{name}{options}"),
            "-s",
            loaded,
            "-o",
            sink,
            "--",
            test_target(),
            "hold",
            "8"
        ];
        let running = seepmeter(words).start();
        let _ = running.line("ready");
        // The target is quiet now; some samples of each have to see it so.
        let samples = |sampler: u32| {
            let recorded = std::fs::read_to_string(&path).unwrap();
            recorded.matches(&format!("\"sampler\":{sampler},\"duration\"")).count()
        };
        let before = [samples(0), samples(1)];
        seepmeter_tests::eventually("samples", || {
            (samples(0) > before[0] + 5 && samples(1) > before[1] + 5).then_some(())
        });
        // What it gives back on its way out one of them may see, and the other not.
        let quiet = folder.path().join("quiet.jsonl");
        std::fs::copy(&path, &quiet).unwrap();
        let done = running.finish().expect(0);
        assert_eq!(done.complaints(), [""; 0]);
        assert_eq!(Recording::read(&path).ending, Ending::Whole);
        let recording = Recording::read(&quiet);
        let samplers = &recording.header().samplers;
        assert_eq!(samplers[0].name, samplers[1].name);
        assert_eq!(samplers[0].options, samplers[1].options);
        let built_in = emitted(&recording, 0);
        assert!(!built_in.is_empty());
        assert_eq!(built_in, emitted(&recording, 1), "{name}");
    }
}
