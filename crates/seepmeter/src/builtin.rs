//! The plugins that are part of the command: its own, and with the feature `bundled` the official ones.

use std::sync::Arc;

use seepmeter_plugin::{SamplerFactory, SinkFactory};

use crate::samplers::Statm;
use crate::sinks::{Csv, Exec, Jsonl, Stacks, Summary, Text, VerdictSink};

/// The built-in samplers.
#[must_use]
pub fn samplers() -> Vec<Arc<SamplerFactory>> {
    vec![
        SamplerFactory::of::<Statm>().into(),
        #[cfg(feature = "bundled")]
        SamplerFactory::of::<seepmeter_sampler_smaps::Smaps>().into(),
        #[cfg(feature = "bundled")]
        SamplerFactory::of::<seepmeter_sampler_ptrace::Ptrace>().into(),
    ]
}

/// The built-in sinks.
#[must_use]
pub fn sinks() -> Vec<Arc<SinkFactory>> {
    vec![
        SinkFactory::of::<Text>().into(),
        SinkFactory::of::<Csv>().into(),
        SinkFactory::of::<Jsonl>().into(),
        SinkFactory::of::<Exec>().into(),
        SinkFactory::of::<Stacks>().into(),
        SinkFactory::of::<Summary>().into(),
        SinkFactory::of::<VerdictSink>().into(),
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
        /// Something for each option that must be given.
        fn given(info: &Info) -> Vec<(String, String)> {
            let required = info.options.iter().filter(|option| option.required);
            required.map(|option| (option.key.clone(), "true".to_owned())).collect()
        }
        for sampler in samplers() {
            check(sampler.info());
            assert!(sampler.make(&given(sampler.info())).is_ok(), "{}", sampler.info().name);
        }
        for sink in sinks() {
            check(sink.info());
            assert!(sink.make(&given(sink.info())).is_ok(), "{}", sink.info().name);
        }
    }
}
