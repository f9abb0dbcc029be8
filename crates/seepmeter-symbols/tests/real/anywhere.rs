//! Stopped anywhere: at every instruction of a function, and at any moment of busy programs.

use std::collections::BTreeMap;

use seepmeter_symbols::{Images, ProcessCode};

use crate::support::{COPY, Target, ThreadSample, build, source};

/// Steps through prologues and epilogues one instruction at a time: the callers are always there.
#[test]
fn the_callers_are_right_at_every_single_instruction() {
    for flags in [&["-O2"][..], &["-O0"], &["-O2", "-fno-omit-frame-pointer"]] {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("steps");
        let Some(program) = build("cc", &source("steps.c"), &program, flags) else { return };
        let target = Target::path(&program);
        let mut images = Images::new();
        let mut process = ProcessCode::new(target.pid(), &mut images);
        let samples = ThreadSample::at_steps(target.pid(), 2000);
        let mut leaves: BTreeMap<String, usize> = BTreeMap::new();
        for sample in &samples {
            let space = process.space(&sample.maps, &mut images).unwrap();
            let stack = sample.named(&space, &mut images);
            let functions = stack.functions();
            // The rest is what the program does before it comes to the loop.
            let Some(main) = functions.iter().position(|name| name == "main") else { continue };
            stack.must_be_whole();
            for (function, caller) in functions[..main].iter().zip(&functions[1..]) {
                assert!(calls(caller, function), "{caller} does not call {function}: {stack}");
            }
            *leaves.entry(functions[0].clone()).or_default() += 1;
        }
        for function in ["leaf", "saves", "early", "dynamic", "turn", "main"] {
            assert!(leaves.get(function).is_some_and(|&seen| seen > 10), "{leaves:?}");
        }
    }
}

/// Who calls whom in steps.c.
fn calls(caller: &str, function: &str) -> bool {
    match function {
        "leaf" => caller == "saves",
        "saves" => ["early", "dynamic"].contains(&caller),
        "early" | "dynamic" => caller == "turn",
        "turn" => caller == "main",
        // What puts calls, before the loop.
        _ => true,
    }
}

#[test]
fn busy_c_is_whole_at_any_moment() {
    whole("cc", "busy.c", &["-O2", "-pthread"], ["main", "start"]);
}

#[test]
fn busy_cpp_is_whole_at_any_moment() {
    whole("g++", "busy.cpp", &["-O2", "-pthread"], ["main", "busy::work(unsigned int)"]);
}

#[test]
fn busy_rust_is_whole_at_any_moment() {
    whole("rustc", "busy.rs", &["-O", "--edition=2024"], ["busy::main", "busy::work"]);
}

/// At least 99 of 100 stops of either thread are followed to its start: 200 stops, or 1,000 where
/// `SEEPMETER_LONG` is set.
fn whole(compiler: &str, name: &str, flags: &[&str], bottom: [&str; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("busy");
    let Some(program) = build(compiler, &source(name), &program, flags) else { return };
    let target = Target::path(&program);
    let stops = if std::env::var_os("SEEPMETER_LONG").is_some() { 1000 } else { 200 };
    let mut images = Images::new();
    let mut process = ProcessCode::new(target.pid(), &mut images);
    let mut leaves = BTreeMap::new();
    let mut bad = Vec::new();
    for stop in 0..stops {
        let threads = target.threads();
        let which = stop % 2;
        let Some(&tid) = threads.get(which) else { continue };
        let sample = ThreadSample::of(target.pid(), tid, COPY);
        let space = process.space(&sample.maps, &mut images).unwrap();
        let stack = sample.named(&space, &mut images);
        let functions = stack.functions();
        *leaves.entry(functions[0].clone()).or_insert(0) += 1;
        if !(stack.end.is_whole() && functions.iter().any(|name| name == bottom[which])) {
            bad.push(stack.to_string());
        }
        // At varied instants: the target does other things in another time.
        std::thread::sleep(std::time::Duration::from_micros(stop as u64 * 37 % 1900));
    }
    eprintln!("{name}: {} of {stops} not whole; stopped in {leaves:?}", bad.len());
    assert!(bad.len() * 100 <= stops, "{} of {stops}:\n{}", bad.len(), bad.join("\n\n"));
    assert!(leaves.len() > 5, "the stops were in too few places: {leaves:?}");
}
