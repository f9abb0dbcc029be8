//! Forgets a box of 500 bytes for each unit, which take 512.

fn main() {
    let n: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    for i in 0..n {
        std::mem::forget(std::hint::black_box(Box::new([i as u8 | 1; 500])));
    }
}
