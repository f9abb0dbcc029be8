//! Bytes, text and arrays.

use seepmeter_record::Bytes;

use super::{InvalidData, abi, invalid};

/// Bytes as C takes them, borrowed for as long as the caller keeps them.
#[must_use]
pub fn bytes_to_c(bytes: &[u8]) -> abi::Bytes {
    abi::Bytes { data: bytes.as_ptr(), length: bytes.len() as u64 }
}

/// Bytes that are not known.
#[must_use]
pub const fn no_bytes() -> abi::Bytes {
    abi::Bytes { data: std::ptr::null(), length: 0 }
}

/// Bytes that may not be known.
pub(super) fn known_bytes_to_c(bytes: Option<&[u8]>) -> abi::Bytes {
    bytes.map_or(no_bytes(), bytes_to_c)
}

/// The bytes that C has handed over; `None` if there are said to be some at null, or more than there
/// can be.
///
/// # Safety
/// If `data` is not null, `length` bytes at it can be read for as long as `'a` lasts.
#[must_use]
pub unsafe fn bytes_from_c<'a>(bytes: abi::Bytes) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    unsafe { slice_from_c(bytes.data, bytes.length) }
}

/// The array that C has handed over; `None` if there is said to be one at null or at an address that is
/// not aligned, or of more than [`abi::MAX_BYTES`].
///
/// # Safety
/// If `data` is not null, `length` items at it can be read for as long as `'a` lasts.
#[must_use]
pub unsafe fn slice_from_c<'a, T>(data: *const T, length: u64) -> Option<&'a [T]> {
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

/// # Safety
/// As [`slice_from_c`].
pub(super) unsafe fn array<'a, T>(
    data: *const T,
    count: u64,
    what: &str,
) -> Result<&'a [T], InvalidData> {
    // SAFETY: the caller's promise.
    unsafe { slice_from_c(data, count) }
        .map_or_else(|| invalid(format!("{count} {what} at an invalid address")), Ok)
}

/// Text that was handed over.
///
/// # Errors
/// If it is not UTF-8, or at an invalid address.
///
/// # Safety
/// As [`bytes_from_c`].
pub unsafe fn text_from_c<'a>(bytes: abi::Bytes) -> Result<&'a str, InvalidData> {
    // SAFETY: the caller's promise.
    let Some(bytes) = (unsafe { bytes_from_c(bytes) }) else {
        return invalid("text at an invalid address");
    };
    std::str::from_utf8(bytes)
        .or_else(|_| invalid(format!("text that is not UTF-8: \"{}\"", bytes.escape_ascii())))
}

/// # Safety
/// As [`bytes_from_c`].
pub(super) unsafe fn raw(bytes: abi::Bytes) -> Result<Bytes, InvalidData> {
    // SAFETY: the caller's promise.
    unsafe { bytes_from_c(bytes) }
        .map_or_else(|| invalid("bytes at an invalid address"), |bytes| Ok(bytes.into()))
}

/// True of bytes that are said not to be known.
fn are_unknown(bytes: abi::Bytes) -> bool {
    bytes.data.is_null() && bytes.length == 0
}

/// # Safety
/// As [`bytes_from_c`].
pub(super) unsafe fn known_raw(bytes: abi::Bytes) -> Result<Option<Bytes>, InvalidData> {
    // SAFETY: the caller's promise.
    if are_unknown(bytes) { Ok(None) } else { unsafe { raw(bytes) }.map(Some) }
}

/// # Safety
/// As [`bytes_from_c`].
pub(super) unsafe fn known_text<'a>(bytes: abi::Bytes) -> Result<Option<&'a str>, InvalidData> {
    // SAFETY: the caller's promise.
    if are_unknown(bytes) { Ok(None) } else { unsafe { text_from_c(bytes) }.map(Some) }
}
