//! What users type: flags, names with options, gates, sizes, durations, and the options of plugins.
#![no_main]

use clap::Parser;
use libfuzzer_sys::fuzz_target;
use seepmeter::flags::Flags;
use seepmeter_plugin::{Options, Size, options, parse_duration, parse_size};
use seepmeter_verdict::Gate;

options! {
    /// One of each type.
    struct AnyOptions {
        /// A size.
        size: Size = "1MiB",
        /// A duration.
        duration: std::time::Duration = "1s",
        /// Text.
        text: Option<String>,
        /// A number.
        number: u64 = "7",
        /// Yes or no.
        flag: bool = "no",
        /// A path.
        path: Option<std::path::PathBuf>,
    }
}

fuzz_target!(|text: &str| {
    let _ = text.parse::<Gate>().map_err(|error| error.to_string());
    let _ = (parse_duration(text), parse_size(text));
    let words = std::iter::once("seepmeter").chain(text.split(['\n', '\0']));
    let _ = Flags::try_parse_from(words).map_err(|error| error.to_string());
    let pairs: Vec<(String, String)> = text
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let _ = AnyOptions::from_pairs(&pairs).map_err(|error| error.to_string());
    // To make a sampler reads its options and touches nothing.
    for sampler in seepmeter::builtin::samplers() {
        let _ = sampler.make(&pairs);
    }
});
