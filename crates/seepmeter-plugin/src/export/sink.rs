//! A Rust sink behind the C face.

use std::ffi::c_void;

use seepmeter_abi as abi;

use super::{Instance, leak_table, table};
use crate::face::read_record;
use crate::{Error, Plugin, Sink};

/// The table of a sink. It lives until exit.
#[must_use]
pub fn sink_table<P: Plugin + Sink>(
    _host: *const abi::Host,
    version: &'static str,
) -> *const abi::Plugin {
    leak_table(|| abi::Plugin {
        kind: abi::KIND_SINK,
        create: Some(Instance::<P>::create),
        configure: Some(Instance::<P>::configure),
        ready: Some(Instance::<P>::ready),
        write: Some(write::<P>),
        flush: Some(flush::<P>),
        stop: Some(stop::<P>),
        destroy: Some(Instance::<P>::destroy),
        ..table::<P>(version)
    })
}

/// # Safety
/// `instance` comes from `create`, and `record` is a record of the face.
unsafe extern "C" fn write<P: Plugin + Sink>(
    instance: *mut c_void,
    record: *const abi::Record,
) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { Instance::<P>::of(instance) }.guard_plugin(|sink, _| {
        // SAFETY: the caller's promise.
        match unsafe { read_record(record) }.map_err(Error::failed)? {
            Some(record) => sink.write(&record).map(|()| 0),
            None => Ok(0),
        }
    })
}

/// # Safety
/// `instance` comes from `create`.
unsafe extern "C" fn flush<P: Plugin + Sink>(instance: *mut c_void) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { Instance::<P>::of(instance) }.guard_plugin(|sink, _| sink.flush().map(|()| 0))
}

/// # Safety
/// `instance` comes from `create`.
unsafe extern "C" fn stop<P: Plugin + Sink>(instance: *mut c_void) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { Instance::<P>::of(instance) }.guard_plugin(|sink, _| sink.stop().map(|()| 0))
}
