//! A Rust sampler behind the plugin ABI.

use std::ffi::{OsStr, c_void};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use seepmeter_abi as abi;
use seepmeter_record::{
    Bytes, Event, FrameId, Image, ImageId, MetricId, MetricSpec, Points, Stack, StackId, SubjectId,
};

use super::instance::{HostCalls, Instance};
use super::{leak_table, table};
use crate::c_abi::{
    bytes_from_c, bytes_to_c, read_grown, with_event, with_image, with_metric, with_new_frame,
    with_new_subject, with_stack,
};
use crate::{
    Error, NewFrame, NewSubject, Plugin, RunningSampler, SampleBuilder, Sampler, Stream, Target,
    Until, Waited,
};

/// The table of a sampler. It lives until exit.
#[must_use]
pub fn sampler_table<P: Plugin + Sampler>(
    _host: *const abi::Host,
    version: &'static str,
) -> *const abi::Plugin {
    leak_table(|| abi::Plugin {
        kind: abi::KIND_SAMPLER,
        create: Some(SamplerInstance::<P>::create),
        configure: Some(SamplerInstance::<P>::configure),
        ready: Some(SamplerInstance::<P>::ready),
        start: Some(start::<P>),
        add_target: Some(add_target::<P>),
        remove_target: Some(remove_target::<P>),
        sample: Some(sample::<P>),
        wait: Some(wait::<P>),
        stop: Some(stop::<P>),
        destroy: Some(SamplerInstance::<P>::destroy),
        ..table::<P>(version)
    })
}

type SamplerInstance<P> = Instance<P, <P as Sampler>::Running>;

/// # Safety
/// `instance` comes from `create`.
unsafe extern "C" fn start<P: Plugin + Sampler>(instance: *mut c_void) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { SamplerInstance::<P>::of(instance) }
        .begin(|sampler, host| sampler.start(&mut HostStream { host }))
}

/// # Safety
/// `instance` comes from `create`, and `target` is as large as it says.
unsafe extern "C" fn add_target<P: Plugin + Sampler>(
    instance: *mut c_void,
    target: *const abi::Target,
) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { SamplerInstance::<P>::of(instance) }.running(|sampler, host| {
        // SAFETY: the caller's promise.
        let target = unsafe { target_from_c(&read_grown(target).map_err(Error::failed)?) }?;
        sampler.add_target(&target, &mut HostStream { host }).map(|()| 0)
    })
}

/// # Safety
/// Its paths can be read.
unsafe fn target_from_c(target: &abi::Target) -> Result<Target, Error> {
    // SAFETY: the caller's promise.
    let proc_root = unsafe { bytes_from_c(target.proc_root) }
        .ok_or_else(|| Error::failed("the host gave no path of /proc"))?;
    // SAFETY: the caller's promise.
    let executable = unsafe { bytes_from_c(target.executable) }.filter(|path| !path.is_empty());
    Ok(Target {
        pid: target.pid,
        start_time: target.start_time,
        subject: SubjectId(target.subject),
        spawned: target.spawned != 0,
        proc_root: OsStr::from_bytes(proc_root).into(),
        executable: executable.map(|path| OsStr::from_bytes(path).into()),
    })
}

/// # Safety
/// `instance` comes from `create`.
unsafe extern "C" fn remove_target<P: Plugin + Sampler>(
    instance: *mut c_void,
    subject: u32,
) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { SamplerInstance::<P>::of(instance) }.running(|sampler, host| {
        sampler.remove_target(SubjectId(subject), &mut HostStream { host }).map(|()| 0)
    })
}

/// # Safety
/// `instance` comes from `create`.
unsafe extern "C" fn sample<P: Plugin + Sampler>(instance: *mut c_void) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { SamplerInstance::<P>::of(instance) }.running(|sampler, host| {
        let mut points = Points::new();
        let mut stream = HostStream { host };
        let mut builder = SampleBuilder::new(&mut points, &mut stream);
        let outcome = sampler.sample(&mut builder);
        let facts = builder.facts();
        let abi::InstanceHost { context, paused, partial, points: give, .. } = host.table;
        // A sample that is left out may have paused the target all the same.
        if let (Some(time), Some(paused)) = (facts.paused, paused) {
            let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            // SAFETY: the host's own call with its own context.
            unsafe { paused(context, nanoseconds) };
        }
        outcome?;
        if let (true, Some(partial)) = (facts.partial, partial) {
            // SAFETY: as above.
            unsafe { partial(context) };
        }
        let Some(give) = give else { return Ok(0) };
        // SAFETY: as above; a point is laid out as the ABI's is.
        Ok(unsafe { give(context, points.as_ptr().cast(), points.len() as u64) })
    })
}

/// # Safety
/// `instance` comes from `create`, and `wake_fd` stays open for the time of the call.
unsafe extern "C" fn wait<P: Plugin + Sampler>(
    instance: *mut c_void,
    timeout: u64,
    wake_fd: i32,
) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { SamplerInstance::<P>::of(instance) }.running(|sampler, host| {
        let deadline = Instant::now() + Duration::from_nanos(timeout);
        // SAFETY: the caller's promise.
        let wake = unsafe { BorrowedFd::borrow_raw(wake_fd) };
        match sampler.wait(Until { deadline, wake }, &mut HostStream { host })? {
            Waited::Done => Ok(0),
            Waited::PleaseSleep => Ok(abi::PLEASE_SLEEP),
        }
    })
}

/// # Safety
/// `instance` comes from `create`.
unsafe extern "C" fn stop<P: Plugin + Sampler>(instance: *mut c_void) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { SamplerInstance::<P>::of(instance) }
        .running(|sampler, host| sampler.stop(&mut HostStream { host }).map(|()| 0))
}

/// The host's stream, from the plugin's side. What the host refuses it remembers, and it ends the
/// sampler after the call; so nothing is reported here.
struct HostStream<'a> {
    host: &'a HostCalls,
}

/// A call of the host's that defines a record of type `T`.
type Define<T> = Option<unsafe extern "C" fn(*mut c_void, *const T, *mut u32) -> i32>;

impl HostStream<'_> {
    fn define<T>(&self, define: Define<T>, record: &T) -> u32 {
        let mut id = abi::NONE;
        if let Some(define) = define {
            // SAFETY: the host's own call with its own context; the record lives through it, and `id` can
            // be written.
            unsafe { define(self.host.table.context, record, &raw mut id) };
        }
        id
    }
}

impl Stream for HostStream<'_> {
    fn now(&self) -> u64 {
        let table = &self.host.table;
        // SAFETY: the host's own call with its own context.
        table.now.map_or(0, |now| unsafe { now(table.context) })
    }

    fn metric(&mut self, metric: &MetricSpec<'_>) -> MetricId {
        MetricId(with_metric(metric, |c| self.define(self.host.table.metric, c)))
    }

    fn subject(&mut self, subject: NewSubject) -> SubjectId {
        SubjectId(with_new_subject(&subject, |c| self.define(self.host.table.subject, c)))
    }

    fn image(&mut self, path: Bytes, build_id: Option<Box<str>>) -> ImageId {
        let image = Image { id: ImageId(abi::NONE), path, build_id };
        ImageId(with_image(&image, |c| self.define(self.host.table.image, c)))
    }

    fn frame(&mut self, frame: NewFrame) -> FrameId {
        FrameId(with_new_frame(&frame, |c| self.define(self.host.table.frame, c)))
    }

    fn stack(&mut self, frames: Vec<FrameId>, truncated: Option<Bytes>) -> StackId {
        let stack = Stack { id: StackId(abi::NONE), frames, truncated };
        StackId(with_stack(&stack, |c| self.define(self.host.table.stack, c)))
    }

    fn event(&mut self, event: Event) {
        let table = &self.host.table;
        if let Some(emit) = table.event {
            // SAFETY: the host's own call with its own context; the event lives through it.
            with_event(&event, |c| unsafe { emit(table.context, c) });
        }
    }

    fn keep_alive(&mut self, reason: &str) {
        let table = &self.host.table;
        if let Some(keep_alive) = table.keep_alive {
            // SAFETY: the host's own call with its own context; the text lives through it.
            unsafe { keep_alive(table.context, bytes_to_c(reason.as_bytes())) };
        }
    }
}
