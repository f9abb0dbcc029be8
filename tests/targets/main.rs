//! The programs that tests watch, in one binary: `test-target NAME [ARGUMENT…]`. Each is a module of its
//! own, which says what it does; its name has `-` where the module's has `_`.

/// Declares the programs, and finds one by its name.
macro_rules! programs {
    ($($module:ident)*) => {
        $(mod $module;)*

        fn program(name: &str) -> Option<fn()> {
            let programs: &[(&str, fn())] = &[$((stringify!($module), $module::run)),*];
            let name = name.replace('-', "_");
            programs.iter().find(|(module, _)| *module == name).map(|(_, run)| *run)
        }
    };
}

programs! {
    catch_signals
    churn
    echo_stdio
    exec_chain
    exit_code
    fork_and_exit
    grow
    hold
    holder
    hostile
    ignore_signals
    kill_self
    leak
    leak_fds
    map
    mark
    merging
    named
    nest
    obey
    peak
    process_events
    saw
    serve
    shm
    spike
    stand
    thread_storm
    zombie_leader
}

fn main() {
    let name: String = seepmeter_tests::target::argument(0).expect("test-target NAME");
    program(&name).unwrap_or_else(|| panic!("there is no test target {name}"))();
}
