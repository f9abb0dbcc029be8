//! The C face in Rust's terms: what both sides of the line need.
//!
//! The host (the engine) and the SDK (the export macros) turn the same values into C and back; it is
//! done here once.

use std::ffi::c_char;

pub use seepmeter_abi as abi;

use crate::{Error, ErrorKind};

mod grows;
mod records;

pub use grows::{Grows, read_first, read_grown};
pub use records::{
    Refused, event_from_c, read_record, subject_from_c, text, unit_from_c, with_record,
    with_subject,
};
pub(crate) use records::{event_to_c, unit_to_c};

/// Bytes as C takes them, borrowed for as long as the caller keeps them.
#[must_use]
pub fn to_c(bytes: &[u8]) -> abi::Bytes {
    abi::Bytes { data: bytes.as_ptr(), length: bytes.len() as u64 }
}

/// The bytes that C has handed over; `None` where there are said to be some at null, or more than
/// there can be.
///
/// # Safety
/// Where `data` is not null, `length` bytes at it can be read for as long as `'a` lasts.
#[must_use]
pub unsafe fn from_c<'a>(bytes: abi::Bytes) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    unsafe { slice(bytes.data, bytes.length) }
}

/// The array that C has handed over; `None` where there is said to be one at null or at an address
/// that is not aligned, or of more than [`abi::MAX_BYTES`].
///
/// # Safety
/// Where `data` is not null, `length` items at it can be read for as long as `'a` lasts.
#[must_use]
pub unsafe fn slice<'a, T>(data: *const T, length: u64) -> Option<&'a [T]> {
    let length = usize::try_from(length).ok()?;
    if length == 0 {
        return Some(&[]);
    }
    let fits = length.checked_mul(size_of::<T>())? as u64 <= abi::MAX_BYTES;
    if data.is_null() || !data.is_aligned() || !fits {
        return None;
    }
    // SAFETY: not null, aligned, not too large, and the rest is the caller's promise.
    Some(unsafe { std::slice::from_raw_parts(data, length) })
}

/// Reads a table, or a record, of which there may be less or more than this side knows: what is
/// missing is zero.
///
/// # Safety
/// `size` bytes at `table` can be read, and all zeros are a valid `T`.
#[must_use]
pub unsafe fn read_table<T>(table: *const T, size: u32) -> T {
    let mut own = std::mem::MaybeUninit::<T>::zeroed();
    let size = size_of::<T>().min(size as usize);
    // SAFETY: both can be read and written for `size` bytes; what stays zero is valid as the caller
    // promises.
    unsafe {
        std::ptr::copy_nonoverlapping(table.cast::<u8>(), own.as_mut_ptr().cast::<u8>(), size);
        own.assume_init()
    }
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

/// The result that the call of this name has returned; `said` is what it has told the host meanwhile.
///
/// # Errors
/// Where the code is not 0.
pub fn result_of(call: &str, code: i32, said: Option<String>) -> Result<(), Error> {
    let or = |otherwise: &str| said.clone().unwrap_or_else(|| otherwise.to_owned());
    match code {
        0 => Ok(()),
        abi::GONE => Err(Error::gone()),
        abi::SKIP => Err(Error::skip(or("it gave no reason"))),
        code if code == -EPIPE => Err(Error::closed(or("nobody reads its output"))),
        errno @ -4095..0 => Err(match &said {
            Some(said) => Error::failed(said),
            None => {
                let error = std::io::Error::from_raw_os_error(-errno);
                Error::io(format!("its `{call}` failed and gave no reason but an errno"), &error)
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
pub unsafe extern "C" fn no_extension(_id: *const c_char) -> *const std::ffi::c_void {
    std::ptr::null()
}
