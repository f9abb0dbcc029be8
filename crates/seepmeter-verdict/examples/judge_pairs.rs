//! Judges a series from standard input: a line a sample, time in ns and value in bytes.
#![allow(clippy::print_stdout)]

use seepmeter_analysis::{Downsampler, Series, Settings, judge};
use seepmeter_record::Unit;
use seepmeter_verdict::explanation;
use std::io::BufRead;
use std::time::Instant;

fn main() {
    let mut downsampler = Downsampler::default();
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let mut words = line.split_whitespace();
        let time = words.next().and_then(|w| w.parse().ok());
        let value = words.next().and_then(|w| w.parse().ok());
        if let (Some(time), Some(value)) = (time, value) {
            downsampler.push(time, value);
        }
    }
    let series: Series = downsampler.finish();
    let began = Instant::now();
    let judgement = judge(&series, &Settings::default());
    explanation(&judgement, Unit::Bytes).iter().for_each(|line| println!("{line}"));
    println!("judged in {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
}
