//! C programs, built in all the ways that change how a stack is unwound and named.

use crate::support::{COPY, Stack, Target, ThreadSample, build, source};

/// Builds a program with these flags and samples it.
fn built(compiler: &str, name: &str, flags: &[&str]) -> Option<Stack> {
    let folder = tempfile::tempdir().unwrap();
    let program = build(compiler, &source(name), &folder.path().join("program"), flags)?;
    Some(Target::path(&program).sample_asleep().stack())
}

#[track_caller]
fn chain(compiler: &str, flags: &[&str]) {
    let Some(stack) = built(compiler, "chain.c", flags) else { return };
    stack.must_have(&["c", "b", "a", "main"]);
    stack.must_be_whole();
}

#[test]
fn the_chain_is_whole_with_tables_and_without_frame_pointers() {
    chain("cc", &["-O2", "-fomit-frame-pointer"]);
}

#[test]
fn the_chain_is_whole_with_frame_pointers_and_without_optimisation() {
    chain("cc", &["-O0", "-fno-omit-frame-pointer"]);
    chain("cc", &["-O2", "-fno-omit-frame-pointer"]);
}

#[test]
fn the_chain_is_whole_at_a_fixed_address_and_in_static_programs() {
    chain("cc", &["-O2", "-no-pie"]);
    chain("cc", &["-O2", "-static"]);
    chain("cc", &["-O2", "-static-pie"]);
}

/// Without a table of its own the program is followed by frame pointers; libc has a table.
#[test]
fn frame_pointers_are_followed_where_there_is_no_table() {
    let none = ["-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-fno-omit-frame-pointer"];
    chain("cc", &[&["-O2"], &none[..]].concat());
}

/// The tables of debug information are sample where the program has no others.
#[test]
fn debug_frame_is_followed_where_there_is_no_eh_frame() {
    let flags = ["-g", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"];
    chain("cc", &[&["-O2", "-fomit-frame-pointer"], &flags[..]].concat());
    chain("cc", &[&["-O2", "-fomit-frame-pointer", "-gz=zlib"], &flags[..]].concat());
    chain("cc", &[&["-O2", "-fomit-frame-pointer", "-static"], &flags[..]].concat());
}

/// A binary search table is what the linker makes; without it the section is read through.
#[test]
fn eh_frame_is_followed_without_its_header() {
    chain("cc", &["-O2", "-Wl,--no-eh-frame-hdr"]);
}

#[test]
fn lines_and_files_are_known_if_there_is_debug_information() {
    for compressed in ["-gz=none", "-gz=zlib"] {
        let Some(stack) = built("cc", "chain.c", &["-O2", "-g", compressed]) else { return };
        let place = stack.function("a").source.as_ref().unwrap();
        assert!(place.file.ends_with("chain.c"), "{stack}");
        let text = std::fs::read_to_string(source("chain.c")).unwrap();
        let call = text.lines().position(|line| line.trim() == "b(n + 1);").unwrap() as u32 + 1;
        assert_eq!(place.line, Some(call), "{stack}");
        let main = text.lines().position(|line| line.trim() == "a(argc);").unwrap() as u32 + 1;
        assert_eq!(stack.function("main").source.as_ref().unwrap().line, Some(main), "{stack}");
    }
}

/// Compilers split off what is seldom executed. The function lies in two pieces then.
#[test]
fn a_function_in_two_pieces_is_named_with_its_offset() {
    for flags in [&["-O2", "-g"][..], &["-O2"]] {
        let Some(stack) = built("cc", "split.c", flags) else { return };
        stack.must_have(&["rest", "split", "main"]);
        let split = stack.function("split");
        assert!(split.offset > 0 && split.offset < 0x400, "{stack}");
        let line = split.source.as_ref().and_then(|source| source.line);
        assert_eq!(line.is_some(), flags.contains(&"-g"), "{stack}");
    }
}

/// A stripped program has the frames of the one with symbols, shown by their addresses.
#[test]
fn a_stripped_program_is_shown_by_its_addresses() {
    let Some(with) = built("cc", "chain.c", &["-O2"]) else { return };
    let Some(without) = built("cc", "chain.c", &["-O2", "-s"]) else { return };
    without.must_be_whole();
    assert_eq!(with.frames.len(), without.frames.len(), "{with}\n{without}");
    let first = with.functions().iter().position(|name| name == "c").unwrap();
    for n in first..first + 4 {
        let bare = &without.frames[n];
        assert!(bare.functions.is_empty(), "{without}");
        // Stripping moves no code.
        let address = bare.raw.address;
        assert_eq!(address, with.frames[n].raw.address, "{with}\n{without}");
        assert_eq!(bare.to_string(), format!("program+{address:#x}"));
    }
}

/// musl's own functions have neither tables nor frame pointers. A program's own are followed to main;
/// what called main, in musl, is where it ends.
#[test]
fn a_musl_program_is_followed_through_its_own_functions() {
    let folder = tempfile::tempdir().unwrap();
    for flags in [&["-O2", "-static"][..], &["-O2"], &["-O2", "-static", "-fno-omit-frame-pointer"]]
    {
        let program = folder.path().join("program");
        let built = build("musl-gcc", &source("steps.c"), &program, flags);
        let Some(program) = built else { return };
        let target = Target::path(&program);
        // It says where it is before it goes on: such a sample is skipped.
        let own = ["leaf", "saves", "early", "dynamic"];
        let stack = loop {
            let stack = ThreadSample::of(target.pid(), target.pid(), COPY).stack();
            if own.contains(&&*stack.functions()[0]) {
                break stack;
            }
        };
        stack.must_have(&["turn", "main"]);
    }
}

/// What is needed to leave an aligned frame is in memory: its table holds an expression.
#[test]
fn a_frame_with_an_alignment_of_its_own_is_left_rightly() {
    for flags in [&["-O2"][..], &["-O0"], &["-O2", "-fomit-frame-pointer"]] {
        let Some(stack) = built("cc", "aligned.c", flags) else { return };
        let functions = stack.functions();
        let at = functions.iter().position(|name| name == "inner").unwrap();
        // gcc makes a copy of it for the one call that there is.
        assert!(functions[at + 1].starts_with("middle"), "{stack}");
        assert_eq!(functions[at + 2..at + 4], ["outer", "main"], "{stack}");
        stack.must_be_whole();
    }
}

#[test]
fn a_thread_is_followed_to_its_start() {
    for flags in [&["-O2", "-pthread"][..], &["-O2", "-pthread", "-static"]] {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("thread");
        let Some(program) = build("cc", &source("thread.c"), &program, flags) else { return };
        let target = Target::path(&program);
        let tid = target.threads()[1];
        target.asleep(tid);
        let stack = ThreadSample::of(target.pid(), tid, COPY).stack();
        stack.must_have(&["inner", "start"]);
        assert_eq!(stack.end, seepmeter_symbols::StackEnd::Root, "{stack}");
    }
}

#[test]
fn what_a_signal_interrupted_is_followed_too() {
    for flags in [&["-O2"][..], &["-O0"], &["-O2", "-static"]] {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("signal");
        let Some(program) = build("cc", &source("signal.c"), &program, flags) else { return };
        let stack = Target::path(&program).sample_asleep().stack();
        let functions = stack.functions();
        let handler = functions.iter().position(|name| name == "handler").unwrap();
        assert!(functions[handler + 1].contains("restore_rt"), "{stack}");
        assert_eq!(functions[handler + 2..handler + 5], ["spin", "below", "main"], "{stack}");
        stack.must_be_whole();

        let mut command = std::process::Command::new(&program);
        let stack = Target::start(command.arg("sleeping")).sample_asleep().stack();
        stack.must_have(&["wait_for_it", "below", "main"]);
        stack.must_be_whole();
    }
}
