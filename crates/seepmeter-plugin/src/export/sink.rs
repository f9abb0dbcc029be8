//! A Rust sink behind the plugin ABI.

use std::ffi::c_void;

use seepmeter_abi as abi;

use super::instance::Instance;
use super::{leak_table, table};
use crate::c_abi::{HostRecord, conclusion_from_c, read_record};
use crate::{Error, Plugin, Sink};

/// The table of a sink. It lives until exit.
#[must_use]
pub fn sink_table<P: Plugin + Sink>(
    _host: *const abi::Host,
    version: &'static str,
) -> *const abi::Plugin {
    leak_table(|| abi::Plugin {
        kind: abi::KIND_SINK,
        create: Some(SinkInstance::<P>::create),
        configure: Some(SinkInstance::<P>::configure),
        ready: Some(SinkInstance::<P>::ready),
        write: Some(write::<P>),
        flush: Some(flush::<P>),
        conclude: Some(conclude::<P>),
        stop: Some(stop::<P>),
        destroy: Some(SinkInstance::<P>::destroy),
        ..table::<P>(version)
    })
}

type SinkInstance<P> = Instance<P>;

/// # Safety
/// `instance` comes from `create`, and `record` is a record of the ABI.
unsafe extern "C" fn write<P: Plugin + Sink>(
    instance: *mut c_void,
    record: *const abi::Record,
) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { SinkInstance::<P>::of(instance) }.configured(|sink, host| {
        // SAFETY: the caller's promise.
        match unsafe { read_record(record) }.map_err(Error::failed)? {
            HostRecord::Known(record) => sink.write(&record),
            HostRecord::UnknownKind => Ok(()),
            HostRecord::UnknownMetric(what) => {
                let text = format!(
                    "the metric {what}, so it is left out: build the plugin for this version of seepmeter"
                );
                host.report(abi::LEVEL_WARNING, &text);
                Ok(())
            }
        }
    })
}

/// # Safety
/// `instance` comes from `create`.
unsafe extern "C" fn flush<P: Plugin + Sink>(instance: *mut c_void) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { SinkInstance::<P>::of(instance) }.configured(|sink, _| sink.flush())
}

/// # Safety
/// `instance` comes from `create`, and `json` can be read.
unsafe extern "C" fn conclude<P: Plugin + Sink>(instance: *mut c_void, json: abi::Bytes) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { SinkInstance::<P>::of(instance) }.configured(|sink, _| {
        // SAFETY: the caller's promise.
        sink.conclude(&unsafe { conclusion_from_c(json) }.map_err(Error::failed)?)
    })
}

/// # Safety
/// `instance` comes from `create`.
unsafe extern "C" fn stop<P: Plugin + Sink>(instance: *mut c_void) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { SinkInstance::<P>::of(instance) }.configured(|sink, _| sink.stop())
}
