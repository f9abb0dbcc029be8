//! Sorts and counts words, and keeps nothing of them.

use std::collections::BTreeMap;

fn main() {
    let n: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut all = 0;
    for i in 0..n {
        let text = format!("{} {} {}", i % 7, i % 11, i % 13);
        let mut words: BTreeMap<&str, usize> = BTreeMap::new();
        for word in text.split(' ') {
            *words.entry(word).or_default() += 1;
        }
        all += words.len();
    }
    std::hint::black_box(all);
}
