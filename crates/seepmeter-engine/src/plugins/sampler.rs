//! A sampler behind the plugin ABI.

use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Instant;

use seepmeter_plugin::c_abi::{abi, bytes_to_c, no_bytes, struct_size};
use seepmeter_plugin::{
    ConfiguredSampler, Error, Factory, Info, RunningSampler, SampleBuilder, Stream, Target, Until,
    Waited,
};
use seepmeter_record::SubjectId;

use super::Table;
use super::instance::Instance;
use crate::Notices;
use crate::clock::nanos;

/// Makes samplers of a loaded library.
pub(super) struct LoadedSamplers {
    info: Info,
    table: Arc<Table>,
    notices: Notices,
}

impl LoadedSamplers {
    pub(super) fn new(info: Info, table: Arc<Table>, notices: Notices) -> Self {
        Self { info, table, notices }
    }
}

impl Factory<dyn ConfiguredSampler> for LoadedSamplers {
    fn info(&self) -> &Info {
        &self.info
    }

    fn make(&self, options: &[(String, String)]) -> Result<Box<dyn ConfiguredSampler>, Error> {
        let instance = Instance::make(&self.info, &self.table, &self.notices, options)?;
        Ok(Box::new(LoadedSampler { instance }))
    }
}

/// An instance of a sampler, before its start and after it: the plugin keeps the difference itself.
struct LoadedSampler {
    instance: Instance,
}

impl ConfiguredSampler for LoadedSampler {
    fn start(self: Box<Self>, stream: &mut dyn Stream) -> Result<Box<dyn RunningSampler>, Error> {
        let Instance { context, table, handle } = &self.instance;
        if let Some(start) = table.calls.start {
            // SAFETY: the plugin's own call with its own instance.
            context.call_with_stream(stream, None, "start", || unsafe { start(*handle) })?;
        }
        Ok(self)
    }
}

impl RunningSampler for LoadedSampler {
    fn add_target(&mut self, target: &Target, stream: &mut dyn Stream) -> Result<(), Error> {
        let Instance { context, table, handle } = &self.instance;
        let Some(add_target) = table.calls.add_target else { return Ok(()) };
        let subject = target.subject;
        context.update_known(|known| known.add_target(subject));
        let executable = target.executable.as_ref();
        let target = abi::Target {
            struct_size: struct_size::<abi::Target>(),
            pid: target.pid,
            start_time: target.start_time,
            subject: subject.0,
            spawned: target.spawned.into(),
            proc_root: bytes_to_c(target.proc_root.as_os_str().as_bytes()),
            executable: executable
                .map_or(no_bytes(), |path| bytes_to_c(path.as_os_str().as_bytes())),
        };
        // SAFETY: the plugin's own call with its own instance; the target lives through it.
        let call = || unsafe { add_target(*handle, &raw const target) };
        let outcome = context.call_with_stream(stream, None, "add_target", call);
        if outcome.is_err() {
            context.update_known(|known| {
                known.end_subject(subject);
                known.forget_ended();
            });
        }
        outcome.map(drop)
    }

    fn remove_target(&mut self, subject: SubjectId, stream: &mut dyn Stream) -> Result<(), Error> {
        let Instance { context, table, handle } = &self.instance;
        let Some(remove_target) = table.calls.remove_target else { return Ok(()) };
        // Known until the call is over.
        context.update_known(|known| known.end_subject(subject));
        // SAFETY: the plugin's own call with its own instance.
        let call = || unsafe { remove_target(*handle, subject.0) };
        context.call_with_stream(stream, None, "remove_target", call).map(drop)
    }

    fn sample(&mut self, sample: &mut SampleBuilder<'_>) -> Result<(), Error> {
        let Instance { context, table, handle } = &self.instance;
        let Some(call) = table.calls.sample else { return Ok(()) };
        let (points, stream, facts) = sample.parts();
        // SAFETY: the plugin's own call with its own instance.
        let outcome =
            context.call_with_stream(stream, Some(points), "sample", || unsafe { call(*handle) });
        *facts = context.take_facts();
        outcome.map(drop)
    }

    fn wait(&mut self, until: Until<'_>, stream: &mut dyn Stream) -> Result<Waited, Error> {
        let Instance { context, table, handle } = &self.instance;
        let Some(wait) = table.calls.wait else { return Ok(Waited::PleaseSleep) };
        let timeout = nanos(until.deadline.saturating_duration_since(Instant::now()));
        let wake = until.wake.as_raw_fd();
        // SAFETY: the plugin's own call with its own instance; the descriptor stays open through it.
        let call = || unsafe { wait(*handle, timeout, wake) };
        let code = context.call_with_stream(stream, None, "wait", call)?;
        Ok(if code == abi::PLEASE_SLEEP { Waited::PleaseSleep } else { Waited::Done })
    }

    fn stop(&mut self, stream: &mut dyn Stream) -> Result<(), Error> {
        let Instance { context, table, handle } = &self.instance;
        let Some(stop) = table.calls.stop else { return Ok(()) };
        // SAFETY: the plugin's own call with its own instance.
        context.call_with_stream(stream, None, "stop", || unsafe { stop(*handle) }).map(drop)
    }
}
