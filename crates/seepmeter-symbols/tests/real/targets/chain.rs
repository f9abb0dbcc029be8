//! first calls second, a method of a generic type, which parks in a closure.
use std::io::Write;

struct Holder<T> {
    kept: T,
}

impl<T: std::fmt::Debug> Holder<T> {
    #[inline(never)]
    fn second(&self) {
        let park = || park_here(&self.kept);
        call(&park);
    }
}

#[inline(never)]
fn call(what: &dyn Fn()) {
    what();
    std::hint::black_box(());
}

#[inline(never)]
fn park_here(kept: &dyn std::fmt::Debug) {
    std::hint::black_box(kept);
    println!("ready");
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}

#[inline(never)]
fn first(n: u32) {
    Holder { kept: vec![n] }.second();
    std::hint::black_box(n);
}

fn main() {
    first(7);
}
