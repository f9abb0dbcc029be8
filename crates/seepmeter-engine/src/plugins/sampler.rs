//! A sampler behind the C face.

use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use seepmeter_plugin::face::{abi, to_c};
use seepmeter_plugin::{Error, Factory, Info, Look, Sampler, Stream, Target, Until, Waited};

use super::Table;
use super::instance::Instance;
use crate::Notices;
use crate::clock::nanos;

/// Makes samplers of a loaded library.
pub(super) struct Loaded {
    info: Info,
    table: Arc<Table>,
    notices: Notices,
}

impl Loaded {
    pub(super) fn new(info: Info, table: Arc<Table>, notices: Notices) -> Self {
        Self { info, table, notices }
    }
}

impl Factory<dyn Sampler> for Loaded {
    fn info(&self) -> &Info {
        &self.info
    }

    fn make(&self, options: &[(String, String)]) -> Result<Box<dyn Sampler>, Error> {
        let instance = Instance::make(&self.info, &self.table, &self.notices, options)?;
        Ok(Box::new(LoadedSampler { instance }))
    }
}

struct LoadedSampler {
    instance: Instance,
}

impl Sampler for LoadedSampler {
    fn start(&mut self, target: &Target, stream: &mut dyn Stream) -> Result<(), Error> {
        let Instance { context, table, handle } = &self.instance;
        context.knows(target.subject);
        let executable = target.executable.as_deref().unwrap_or(Path::new(""));
        let target = abi::Target {
            struct_size: u32::try_from(size_of::<abi::Target>()).unwrap_or(u32::MAX),
            pid: target.pid,
            start_time: target.start_time,
            subject: target.subject.0,
            spawned: target.spawned.into(),
            proc_root: to_c(target.proc_root.as_os_str().as_bytes()),
            executable: to_c(executable.as_os_str().as_bytes()),
        };
        let Some(start) = table.calls.start else { return Ok(()) };
        // SAFETY: the plugin's own call with its own instance; the target lives through it.
        context
            .with_stream(stream, None, "start", || unsafe { start(*handle, &raw const target) })
            .map(drop)
    }

    fn sample(&mut self, look: &mut Look<'_>) -> Result<(), Error> {
        let Instance { context, table, handle } = &self.instance;
        let Some(sample) = table.calls.sample else { return Ok(()) };
        let (points, stream, held) = look.parts();
        // SAFETY: the plugin's own call with its own instance.
        let outcome =
            context.with_stream(stream, Some(points), "sample", || unsafe { sample(*handle) });
        *held = context.take_held();
        outcome.map(drop)
    }

    fn wait(&mut self, until: Until<'_>, stream: &mut dyn Stream) -> Result<Waited, Error> {
        let Instance { context, table, handle } = &self.instance;
        let Some(wait) = table.calls.wait else { return Ok(Waited::PleaseSleep) };
        let timeout = nanos(until.deadline.saturating_duration_since(Instant::now()));
        let wake = until.wake.as_raw_fd();
        // SAFETY: the plugin's own call with its own instance; the descriptor stays open through it.
        let code = context
            .with_stream(stream, None, "wait", || unsafe { wait(*handle, timeout, wake) })?;
        Ok(if code == abi::PLEASE_SLEEP { Waited::PleaseSleep } else { Waited::Done })
    }

    fn stop(&mut self, stream: &mut dyn Stream) -> Result<(), Error> {
        let Instance { context, table, handle } = &self.instance;
        let Some(stop) = table.calls.stop else { return Ok(()) };
        // SAFETY: the plugin's own call with its own instance.
        context.with_stream(stream, None, "stop", || unsafe { stop(*handle) }).map(drop)
    }
}
