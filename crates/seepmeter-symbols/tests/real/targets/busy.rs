//! Two threads in what Rust programs do: maps, strings, sorting, panics that are caught.
use std::collections::{BTreeMap, HashMap};
use std::io::Write;

#[inline(never)]
fn maps(seed: &mut u64) {
    let mut hashed = HashMap::new();
    let mut sorted = BTreeMap::new();
    for _ in 0..300 {
        let number = next(seed) % 1000;
        *hashed.entry(number).or_insert(0) += 1;
        sorted.insert(format!("key {number}"), number);
    }
}

#[inline(never)]
fn sorts(seed: &mut u64) {
    let mut numbers: Vec<u64> = (0..500).map(|_| next(seed)).collect();
    numbers.sort_by(|one, other| other.cmp(one));
    numbers.sort_unstable_by_key(|number| number % 97);
}

#[inline(never)]
fn prints(sink: &mut impl Write) {
    for number in 0..100 {
        writeln!(sink, "{number} {:?} {}", Some(number), number as f64 / 3.0).unwrap();
    }
}

fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    *seed >> 33
}

#[inline(never)]
fn work(mut seed: u64) {
    let mut sink = std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
    loop {
        maps(&mut seed);
        sorts(&mut seed);
        prints(&mut sink);
    }
}

fn main() {
    std::thread::spawn(|| work(2));
    println!("ready");
    std::io::stdout().flush().unwrap();
    work(1);
}
