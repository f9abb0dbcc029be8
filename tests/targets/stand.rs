//! A program whose threads stand where their functions' names say: `test-target stand [THREADS]`. It says
//! `ready`, and ends when its standard input does.

use std::hint::black_box;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier};
use std::thread;

use seepmeter_tests::target::{argument, read_to_end, say};

pub(crate) fn run() {
    let workers: u32 = argument(1).unwrap_or(0);
    let all_are_there = Arc::new(Barrier::new(workers as usize + 1));
    let mut stops = Vec::new();
    let mut threads = Vec::new();
    for number in 0..workers {
        let (stop, until) = channel::<()>();
        let is_there = Arc::clone(&all_are_there);
        let work = move || works(&is_there, &until);
        let named = thread::Builder::new().name(format!("worker-{number}"));
        threads.push(named.spawn(work).expect("a thread"));
        stops.push(stop);
    }
    all_are_there.wait();
    outer();
    drop(stops);
    threads.into_iter().for_each(|thread| thread.join().expect("a worker"));
}

#[inline(never)]
fn outer() {
    inner();
    // What comes behind the call keeps it from being a jump.
    black_box(());
}

#[inline(never)]
fn inner() {
    say("ready");
    read_to_end();
    black_box(());
}

#[inline(never)]
fn works(is_there: &Barrier, until: &Receiver<()>) {
    // Here already, so that none is stopped on its way when `ready` has been said.
    is_there.wait();
    let _ = until.recv();
    black_box(());
}
