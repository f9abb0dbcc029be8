//! The plugins that every seepmeter has.

use std::sync::Arc;

use seepmeter_plugin::{SamplerFactory, SinkFactory};

use crate::samplers::Statm;
use crate::sinks::{Csv, Jsonl, Summary, Text};

/// The built-in samplers.
#[must_use]
pub fn samplers() -> Vec<Arc<SamplerFactory>> {
    vec![SamplerFactory::of::<Statm>().into()]
}

/// The built-in sinks.
#[must_use]
pub fn sinks() -> Vec<Arc<SinkFactory>> {
    vec![
        SinkFactory::of::<Text>().into(),
        SinkFactory::of::<Csv>().into(),
        SinkFactory::of::<Jsonl>().into(),
        SinkFactory::of::<Summary>().into(),
    ]
}

#[cfg(test)]
mod tests {
    use seepmeter_plugin::Info;

    use super::*;

    #[test]
    fn every_built_in_plugin_has_help_for_each_option_and_sound_defaults() {
        fn check(info: &Info) {
            assert!(!info.about.is_empty() && !info.about.ends_with('.'), "{}", info.name);
            for option in &info.options {
                assert!(option.help.ends_with('.'), "{},{}", info.name, option.key);
            }
        }
        for sampler in samplers() {
            check(sampler.info());
            sampler.make(&[]).map(drop).unwrap();
        }
        for sink in sinks() {
            check(sink.info());
            sink.make(&[]).map(drop).unwrap();
        }
    }
}
