//! C++, Rust, Python and JavaScript, and the vdso.

use std::process::Command;

use seepmeter_symbols::{ImageKind, Images, ProcessCode};

use crate::support::{COPY, Stack, Target, ThreadSample, build, program, source};

/// Builds a program with these flags and samples it when it sleeps.
fn built(compiler: &str, name: &str, flags: &[&str]) -> Option<Stack> {
    let folder = tempfile::tempdir().unwrap();
    let program = build(compiler, &source(name), &folder.path().join("program"), flags)?;
    Some(Target::path(&program).sample_asleep().stack())
}

/// True if functions whose names are right for these questions follow in this order.
fn in_order(stack: &Stack, chain: &[&dyn Fn(&str) -> bool]) -> bool {
    let functions = stack.functions();
    let mut rest = functions.iter();
    chain.iter().all(|right| rest.any(|name| right(name)))
}

/// The destructor runs while an exception is in flight. gcc marks copies of functions by a suffix, which
/// is a part of the name.
#[test]
fn cpp_is_demangled_and_followed_through_an_exception() {
    for flags in [&["-O2"][..], &["-O2", "-fno-omit-frame-pointer"], &["-O0"]] {
        let Some(stack) = built("g++", "shapes.cpp", flags) else { return };
        let right = in_order(
            &stack,
            &[
                &|name| name == "shape::rest()",
                &|name| name.starts_with("shape::Circle<double>::area(double)"),
                &|name| name == "shape::Guard::~Guard()",
                &|name| name.starts_with("thrower(int)"),
                &|name| name == "main",
            ],
        );
        assert!(right, "{stack}");
        stack.must_be_whole();
    }
}

#[test]
fn functions_that_were_inlined_are_named_from_debug_information() {
    for format in ["-gdwarf-4", "-gdwarf-5"] {
        let Some(stack) = built("g++", "shapes.cpp", &["-O2", format]) else { return };
        let frame = stack.frames.iter().find(|frame| frame.functions.len() > 1).unwrap();
        let (inner, outer) = (&frame.functions[0], frame.functions.last().unwrap());
        assert!(inner.name.contains("inlined") && !inner.name.starts_with("_Z"), "{stack}");
        assert!(outer.name.contains("area"), "{stack}");
        let [inner, outer] = [inner, outer].map(|function| function.source.as_ref().unwrap());
        assert!(inner.line > outer.line.map(|line| line - 10), "{stack}");
        assert!(inner.file.ends_with("shapes.cpp"), "{stack}");
    }
}

/// With both of its manglings, with and without frame pointers, and from DWARF.
#[test]
fn rust_is_demangled_and_followed_to_the_root() {
    let ways: [&[&str]; 4] = [
        &["-O"],
        &["-O", "-Cforce-frame-pointers=yes"],
        &["-O", "-Csymbol-mangling-version=v0"],
        &["-g"],
    ];
    for flags in ways {
        let flags = [&["--edition=2024", "--crate-name=chain"], flags].concat();
        let Some(stack) = built("rustc", "chain.rs", &flags) else { return };
        let second = |name: &str| {
            name.contains("chain::Holder<")
                && name.contains("::second")
                && !name.contains("closure")
        };
        let right = in_order(
            &stack,
            &[
                &|name| name == "chain::park_here",
                &|name| name == "chain::call",
                &second,
                &|name| name == "chain::first",
                &|name| name == "chain::main",
                &|name| name == "main",
            ],
        );
        assert!(right, "{stack}");
        stack.must_be_whole();
    }
}

#[test]
fn python_is_followed_through_its_interpreter() {
    let Some(python) = program("python3") else { return };
    let target = Target::start(Command::new(python).arg(source("sleeper.py")));
    let stack = target.sample_asleep().stack();
    let functions = stack.functions();
    assert!(functions.iter().any(|name| name == "_PyEval_EvalFrameDefault"), "{stack}");
    assert!(functions.iter().any(|name| name == "main" || name == "Py_BytesMain"), "{stack}");
    stack.must_be_whole();
}

/// Samples a node program until a stack is as it should be: now and then it is in the garbage
/// collector, or in the compiler.
fn until(target: &Target, right: impl Fn(&Stack) -> bool) {
    let mut images = Images::new();
    let mut process = ProcessCode::new(target.pid(), &mut images);
    let mut seen = String::new();
    for _ in 0..1000 {
        let sample = ThreadSample::of(target.pid(), target.pid(), COPY);
        let space = process.space(&sample.maps, &mut images).unwrap();
        let stack = sample.named(&space, &mut images);
        if right(&stack) {
            // What node is written in, below its JavaScript.
            assert!(stack.functions().iter().any(|name| name.starts_with("node::")), "{stack}");
            stack.must_be_whole();
            return;
        }
        seen = stack.to_string();
    }
    panic!("{seen}");
}

#[test]
fn javascript_is_named_by_its_perf_map() {
    let Some(node) = program("node") else { return };
    // It writes a log where it runs.
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(node);
    command.current_dir(&folder);
    let options = ["--perf-basic-prof", "--interpreted-frames-native-stack", "--no-turbo-inlining"];
    let target = Target::start(command.args(options).arg(source("busy.js")));
    let _map = PerfMap(format!("/tmp/perf-{}.map", target.pid()));
    let js = |name: &str, part| name.starts_with("JS:") && name.contains(part);
    until(&target, |stack| {
        in_order(
            stack,
            &[&|name| js(name, "innerSum"), &|name| js(name, "middleStep"), &|name| {
                js(name, "outerLoop")
            }],
        )
    });
}

/// Node leaves its map behind.
struct PerfMap(String);

impl Drop for PerfMap {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Code that was generated and is in no map is shown by its address.
#[test]
fn generated_code_without_a_map_is_shown_by_its_address() {
    let Some(node) = program("node") else { return };
    let target = Target::start(Command::new(node).arg(source("busy.js")));
    until(&target, |stack| {
        let jit = stack.frame_in(ImageKind::Generated);
        jit.is_some_and(|frame| frame.to_string() == format!("[jit]+{:#x}", frame.raw.address))
    });
}

#[test]
fn the_vdso_is_followed_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("vdso");
    let Some(program) = build("cc", &source("vdso.c"), &program, &["-O2"]) else { return };
    let target = Target::path(&program);
    let stacks = (0..1000).map(|_| ThreadSample::of(target.pid(), target.pid(), COPY).stack());
    let inside = |stack: &Stack| stack.frame_in(ImageKind::Vdso).is_some();
    let mut inside = stacks.filter(inside);
    for _ in 0..5 {
        let Some(stack) = inside.next() else {
            // If the clock can't be read without the kernel, as in some virtual machines, the vdso is
            // left at once.
            eprintln!("NOT RUN: no sample found the target in the vdso");
            return;
        };
        assert!(stack.functions()[0].contains("clock_gettime"), "{stack}");
        assert!(stack.has(&["ask", "main"]), "{stack}");
        stack.must_be_whole();
    }
}
