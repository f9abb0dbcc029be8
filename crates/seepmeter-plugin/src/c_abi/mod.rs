//! The plugin ABI in Rust's terms: what both of its sides need.
//!
//! The host (the engine) and the plugin (the export macros) turn the same values into C and back; it is
//! done here once.

use std::ffi::{c_char, c_void};

pub use seepmeter_abi as abi;

use crate::{Error, ErrorKind};

mod bytes;
mod conclusion;
mod from_c;
mod grows;
mod numbers;
mod to_c;

#[cfg(test)]
mod tests;

pub use bytes::{bytes_from_c, bytes_to_c, no_bytes, slice_from_c, text_from_c};
pub use conclusion::{conclusion_from_c, conclusion_to_json};
pub use from_c::{
    HostRecord, event_from_c, frame_from_c, image_from_c, metric_from_c, read_record, stack_from_c,
    subject_from_c,
};
pub use grows::{Grows, read_array, read_grown, read_table, struct_size};
pub use to_c::{
    with_event, with_image, with_metric, with_new_frame, with_new_subject, with_record, with_stack,
};

/// What is wrong with something that the other side has handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidData(pub String);

fn invalid<T>(what: impl Into<String>) -> Result<T, InvalidData> {
    Err(InvalidData(what.into()))
}

/// The result of a call as C returns it.
#[must_use]
pub fn code_of(error: &Error) -> i32 {
    match error.kind() {
        ErrorKind::Gone => abi::GONE,
        ErrorKind::Skip => abi::SKIP,
        ErrorKind::Closed => -EPIPE,
        ErrorKind::Failed => -EIO,
    }
}

/// The result that the call of this name has returned; `message` is the error that it gave the host
/// meanwhile.
///
/// # Errors
/// If the code is not 0.
pub fn result_of(call: &str, code: i32, message: Option<String>) -> Result<(), Error> {
    let or = |otherwise: &str| message.clone().unwrap_or_else(|| otherwise.to_owned());
    match code {
        0 => Ok(()),
        abi::GONE => Err(Error::gone()),
        abi::SKIP => Err(Error::skip(or("it gave no reason"))),
        code if code == -EPIPE => Err(Error::closed(or("nobody reads its output"))),
        errno @ -4095..0 => Err(match &message {
            Some(message) => Error::failed(message),
            None => {
                let error = std::io::Error::from_raw_os_error(-errno);
                Error::io(format!("its `{call}` failed without a message"), &error)
            }
        }),
        other => Err(Error::failed(or(&format!(
            "its `{call}` returned {other}, which is neither 0 nor a negative errno"
        )))),
    }
}

/// errno(3) values, the same on every Linux that Rust runs on.
pub const EPERM: i32 = 1;
/// An input or output error.
pub const EIO: i32 = 5;
/// An argument that is not valid.
pub const EINVAL: i32 = 22;
/// Nobody reads what is written.
pub const EPIPE: i32 = 32;

/// No extension has been defined yet.
///
/// # Safety
/// None is needed; the type asks for it.
pub unsafe extern "C" fn no_extension(_id: *const c_char) -> *const c_void {
    std::ptr::null()
}
