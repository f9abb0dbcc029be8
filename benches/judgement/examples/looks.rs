use seepmeter_judgement_bench::{Spacing, Split, shapes, sequence};
fn main() {
    let draws: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let length: f64 = std::env::args().nth(2).unwrap().parse().unwrap();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let all = shapes();
    std::thread::scope(|s| for _ in 0..2 { s.spawn(|| {
        while let Some(shape) = all.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            for draw in 0..draws {
                let drawn = shape.drawn(Split::Tuning, length, draw, Spacing::Auto);
                let out: Vec<String> = sequence::looks(&drawn).into_iter().map(|(t, j)| {
                    let r = j.rate.map_or((0.,0.,0.), |r| (r.estimate, r.low, r.high));
                    let p = j.evidence.tests.as_ref().map_or(1.0, |t| t.trend.p_value);
                    format!("{:.0}:{}:{:.6}:{:.6}:{:.6}:{:.2e}", t, &j.classification.to_string()[..1], r.0, r.1, r.2, p)}).collect();
                println!("{}|{:?}|{}|{:.0}|{}", shape.name, shape.health, draw, drawn.whole.span() as f64/1e9, out.join(" "));
            }
        }
    }); });
}
