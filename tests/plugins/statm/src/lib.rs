//! The built-in sampler `statm` behind the plugin ABI.

seepmeter_plugin::export_sampler!(seepmeter::samplers::Statm);
