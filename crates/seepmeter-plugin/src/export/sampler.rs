//! A Rust sampler behind the C face.

use std::ffi::{OsStr, c_void};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use seepmeter_abi as abi;
use seepmeter_record::{Event, MetricId, Points, SubjectId, Unit};

use super::{HostSide, Instance, leak_table, table};
use crate::face::{event_to_c, unit_to_c};
use crate::face::{from_c, read_table, to_c, with_subject};
use crate::{Error, Look, NewSubject, Plugin, Sampler, Stream, Target, Until, Waited};

/// The table of a sampler. It lives until exit.
#[must_use]
pub fn sampler_table<P: Plugin + Sampler>(
    _host: *const abi::Host,
    version: &'static str,
) -> *const abi::Plugin {
    leak_table(|| abi::Plugin {
        kind: abi::KIND_SAMPLER,
        create: Some(Instance::<P>::create),
        configure: Some(Instance::<P>::configure),
        ready: Some(Instance::<P>::ready),
        start: Some(start::<P>),
        sample: Some(sample::<P>),
        wait: Some(wait::<P>),
        stop: Some(stop::<P>),
        destroy: Some(Instance::<P>::destroy),
        ..table::<P>(version)
    })
}

/// # Safety
/// `instance` comes from `create`, and `target` is as large as it says.
unsafe extern "C" fn start<P: Plugin + Sampler>(
    instance: *mut c_void,
    target: *const abi::Target,
) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { Instance::<P>::of(instance) }.guard_plugin(|sampler, host| {
        // SAFETY: the caller's promise.
        let target = unsafe { target_from_c(&read_table(target, (*target).struct_size)) }?;
        sampler.start(&target, &mut Remote { host }).map(|()| 0)
    })
}

/// # Safety
/// Its paths can be read.
unsafe fn target_from_c(target: &abi::Target) -> Result<Target, Error> {
    // SAFETY: the caller's promise.
    let proc_root = unsafe { from_c(target.proc_root) }
        .ok_or_else(|| Error::failed("the host has named no /proc"))?;
    // SAFETY: the caller's promise.
    let executable = unsafe { from_c(target.executable) }.filter(|path| !path.is_empty());
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
unsafe extern "C" fn sample<P: Plugin + Sampler>(instance: *mut c_void) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { Instance::<P>::of(instance) }.guard_plugin(|sampler, host| {
        let mut points = Points::new();
        let mut stream = Remote { host };
        let mut look = Look::new(&mut points, &mut stream);
        sampler.sample(&mut look)?;
        if let (Some(held), Some(tell)) = (look.held_for(), host.table.held) {
            let nanos = u64::try_from(held.as_nanos()).unwrap_or(u64::MAX);
            // SAFETY: the host's own call with its own context.
            unsafe { tell(host.table.context, nanos) };
        }
        let Some(give) = host.table.points else { return Ok(0) };
        // SAFETY: the host's own call with its own context; a point is laid out as the face's is.
        Ok(unsafe { give(host.table.context, points.as_ptr().cast(), points.len() as u64) })
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
    unsafe { Instance::<P>::of(instance) }.guard_plugin(|sampler, host| {
        let deadline = Instant::now() + Duration::from_nanos(timeout);
        // SAFETY: the caller's promise.
        let wake = unsafe { BorrowedFd::borrow_raw(wake_fd) };
        match sampler.wait(Until { deadline, wake }, &mut Remote { host })? {
            Waited::Done => Ok(0),
            Waited::PleaseSleep => Ok(abi::PLEASE_SLEEP),
        }
    })
}

/// # Safety
/// `instance` comes from `create`.
unsafe extern "C" fn stop<P: Plugin + Sampler>(instance: *mut c_void) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { Instance::<P>::of(instance) }
        .guard_plugin(|sampler, host| sampler.stop(&mut Remote { host }).map(|()| 0))
}

/// The host's stream, seen from the plugin. What the host refuses it remembers, and it ends the
/// sampler after the call; so nothing is reported here.
struct Remote<'a> {
    host: &'a HostSide,
}

impl Stream for Remote<'_> {
    fn now(&self) -> u64 {
        let table = &self.host.table;
        // SAFETY: the host's own call with its own context.
        table.now.map_or(0, |now| unsafe { now(table.context) })
    }

    fn metric(&mut self, name: &str, unit: Unit, help: &str) -> MetricId {
        let table = &self.host.table;
        let mut id = abi::NONE;
        if let Some(metric) = table.metric {
            let (name, help) = (to_c(name.as_bytes()), to_c(help.as_bytes()));
            // SAFETY: as above; the texts live through the call, and `id` can be written.
            unsafe { metric(table.context, name, unit_to_c(unit), help, &raw mut id) };
        }
        MetricId(id)
    }

    fn subject(&mut self, subject: NewSubject) -> SubjectId {
        let table = &self.host.table;
        let mut id = abi::NONE;
        if let Some(define) = table.subject {
            // SAFETY: as above.
            with_subject(&subject, |c| unsafe { define(table.context, c, &raw mut id) });
        }
        SubjectId(id)
    }

    fn event(&mut self, event: Event) {
        let table = &self.host.table;
        if let Some(tell) = table.event {
            // SAFETY: as above; the event lives through the call.
            unsafe { tell(table.context, &event_to_c(&event)) };
        }
    }
}
