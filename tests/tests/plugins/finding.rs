//! Where plugins are found, and how they are described.

use std::fs;
use std::path::Path;

use seepmeter_tests::plugin::{abi, cc};
use seepmeter_tests::{Run, copy_seepmeter, run, seepmeter, words};

/// Puts a sink into a folder, as `seepmeter-found-sink.so`; its options tell it from others.
fn put(folder: &Path, name: &str) {
    fs::create_dir_all(folder).unwrap();
    let flag = format!("-DNAME=\"{name}\"");
    let _ = cc(&abi("table.c"), &folder.join("seepmeter-found-sink.so"), &[&flag]);
}

/// The name that the sink `found` says it has, or what is said instead.
fn found(run: Run) -> String {
    let done = run.done();
    let printed = done.out() + &done.err();
    printed.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn folders_are_searched_in_their_order_and_never_the_current_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // A copy of the command, for the folder beside it.
    fs::create_dir(path("bin")).unwrap();
    let copy = path("bin/seepmeter");
    copy_seepmeter(&copy);
    put(&path("here"), "here");
    put(&path("bin"), "executable");
    put(&path("lib/seepmeter/plugins"), "installed");
    put(&path("me/.local/lib/seepmeter/plugins"), "home");
    put(&path("env-2"), "env-2");
    put(&path("env-1"), "env-1");
    put(&path("flag-2"), "flag-2");
    put(&path("flag-1"), "flag-1");
    let mut nowhere = path("env-1").into_os_string();
    nowhere.push(":.:");
    nowhere.push(path("env-2"));
    let ask = |flags: &[&str]| {
        let words = ["plugins"].iter().chain(flags).chain(&["found"]).map(|w| (*w).into());
        found(
            run(&copy, words.collect::<Vec<_>>())
                .in_folder(&path("here"))
                .env("HOME", path("me"))
                .env("SEEPMETER_PLUGIN_PATH", &nowhere),
        )
    };
    let flags = ["--plugin-dir", "../flag-1", "--plugin-dir", "../flag-2"];
    assert!(ask(&flags).starts_with("sink flag-1 "));
    for (gone, next) in [
        ("flag-1", "flag-2"),
        ("flag-2", "env-1"),
        ("env-1", "env-2"),
        ("env-2", "home"),
        ("me/.local/lib/seepmeter/plugins", "executable"),
    ] {
        fs::remove_dir_all(path(gone)).unwrap();
        // A folder that a flag names must be there.
        fs::create_dir_all(path(gone)).unwrap();
        let printed = ask(&flags);
        assert!(printed.starts_with(&format!("sink {next} ")), "without {gone}: {printed}");
    }
    fs::remove_file(path("bin/seepmeter-found-sink.so")).unwrap();
    assert!(ask(&flags).starts_with("sink installed "), "unpacked or installed together");
    fs::remove_dir_all(path("lib")).unwrap();
    let printed = ask(&flags);
    assert!(printed.starts_with("seepmeter: there is no plugin `found`"), "{printed}");
    assert!(ask(&["--plugin-dir", "."]).starts_with("sink here "), "where the user names it");
}

#[test]
fn an_argument_with_a_slash_is_a_file_and_a_bare_name_is_none() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "file");
    let words = |name: &str| words!["plugins", name];
    let here = |words| seepmeter(words).in_folder(folder.path()).env("HOME", "/nonexistent");
    assert!(found(here(words("./seepmeter-found-sink.so"))).starts_with("sink file "));
    let _ = here(words("seepmeter-found-sink.so"))
        .done()
        .expect_complaint(125, &["there is no plugin", "contains a `/`"]);
    let _ = here(words("./none.so")).done().expect_complaint(125, &["cannot load ./none.so"]);
    let _ = here(words("./seepmeter-found-sink.so"));
    let as_sampler = words!["run", "-s", "./seepmeter-found-sink.so", "--", "true"];
    let _ = here(as_sampler).done().expect_complaint(125, &["is a sink, not a sampler", "--sink"]);
}

#[test]
fn a_slip_of_the_finger_is_met_with_the_nearest_name() {
    let words = words!["run", "-o", "jsnol", "--", "true"];
    let _ = seepmeter(words).done().expect_complaint(125, &["no sink `jsnol`", "`jsonl`?"]);
}

#[test]
fn the_list_names_every_plugin_where_it_is_from_and_what_is_wrong_with_the_others() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "found");
    fs::write(folder.path().join("seepmeter-broken-sampler.so"), "no library").unwrap();
    fs::write(folder.path().join("other.so"), "not loaded").unwrap();
    let words = words!["plugins", "--plugin-dir", folder.path()];
    let done = seepmeter(words).done();
    for part in ["statm", "jsonl", "(built in)", "found", "does nothing", "0.9", "--plugin-dir)"] {
        assert!(done.out().contains(part), "{part}\n{}", done.output());
    }
    let _ = done.expect_complaint(125, &["seepmeter-broken-sampler.so"]);
}

#[test]
fn a_plugins_page_is_the_same_by_name_by_help_and_in_json() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seepmeter-table-sink.so");
    let _ = cc(&abi("table.c"), &file, &["-DOPTIONS=2"]);
    let ask = |words: Vec<std::ffi::OsString>| {
        seepmeter(words.into_iter().chain(words!["--plugin-dir", folder.path()]))
            .done()
            .expect(0)
            .out()
    };
    let page = ask(words!["plugins", "table"]);
    assert_eq!(page, ask(words!["run", "--sink", "table,help"]));
    assert_eq!(page, ask(words!["replay", "--sink", "table,help"]));
    let json = ask(words!["plugins", "--json", "table"]);
    for part in [
        "\"kind\": \"sink\"",
        "\"name\": \"table\"",
        "\"version\": \"0.9\"",
        "\"about\": \"does nothing\"",
        "\"default\": \"a\"",
        "\"required\": true",
        "\"table_size\": 224",
        "\"host_table_size\": 208",
        "\"symbol\": \"seepmeter_plugin_v1\"",
        "\"flush\": false",
        "\"write\": true",
    ] {
        assert!(json.contains(part), "{part}\n{json}");
    }
    let statm = ask(words!["attach", "--sampler", "statm,help"]);
    assert!(statm.contains("peak=<run|interval|off> [default: run]"), "{statm}");
}
