//! The plugins that are part of the command: its own, and with the feature `bundled` the official ones.

use std::sync::Arc;

use seepmeter_plugin::{SamplerFactory, SinkFactory};

use crate::output_files::OutputRoom;
use crate::samplers::Statm;
use crate::sinks::{
    Csv, Exec, HtmlSink, Jsonl, Png, Stacks, Summary, Svg, Text, VerdictSink, factory,
};

/// The built-in samplers.
#[must_use]
pub fn samplers() -> Vec<Arc<SamplerFactory>> {
    vec![
        SamplerFactory::of::<Statm>().into(),
        #[cfg(feature = "bundled")]
        SamplerFactory::of::<seepmeter_sampler_smaps::Smaps>().into(),
        #[cfg(feature = "bundled")]
        SamplerFactory::of::<seepmeter_sampler_ptrace::Ptrace>().into(),
        #[cfg(feature = "bundled")]
        SamplerFactory::of::<seepmeter_sampler_fds::Fds>().into(),
        #[cfg(feature = "bundled")]
        SamplerFactory::of::<seepmeter_sampler_cgroup::CgroupSampler>().into(),
    ]
}

/// The built-in sinks; what they write is in this room.
#[must_use]
pub fn sinks(room: &OutputRoom) -> Vec<Arc<SinkFactory>> {
    vec![
        factory::<Text>(room),
        factory::<Csv>(room),
        factory::<Jsonl>(room),
        SinkFactory::of::<Exec>().into(),
        factory::<Stacks>(room),
        factory::<Svg>(room),
        factory::<Png>(room),
        factory::<HtmlSink>(room),
        factory::<Summary>(room),
        factory::<VerdictSink>(room),
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
            let value = |key: &str| if key == "path" { "/dev/null" } else { "true" };
            required.map(|option| (option.key.clone(), value(&option.key).to_owned())).collect()
        }
        for sampler in samplers() {
            check(sampler.info());
            assert!(sampler.make(&given(sampler.info())).is_ok(), "{}", sampler.info().name);
        }
        for number in 0..sinks(&OutputRoom::new()).len() {
            // A room of its own for each: several of them write to standard output by default.
            let sink = sinks(&OutputRoom::new()).remove(number);
            check(sink.info());
            assert!(sink.make(&given(sink.info())).is_ok(), "{}", sink.info().name);
        }
    }
}
