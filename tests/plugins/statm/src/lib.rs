//! The built-in sampler `statm` behind the C face.

seepmeter_plugin::export_sampler!(seepmeter::samplers::Statm);
