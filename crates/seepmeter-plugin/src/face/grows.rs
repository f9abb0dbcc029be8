//! Tables and records that grow behind their end, and what is read of one from another version.

use super::{Refused, abi, read_table};

/// A table or a record that begins with its size. Fields are only ever appended, so one from a later
/// version is larger, and none is smaller than in version 1.0.
///
/// # Safety
/// The struct begins with its size as a `u32`, and all zeros are a valid value of it.
pub unsafe trait Grows {
    /// What it is with its article, for messages.
    const WHAT: &'static str;
    /// Its size in version 1.0. This number never changes.
    const FIRST_SIZE: u32;
}

macro_rules! grows {
    ($($type:ident: $what:literal, $size:literal;)+) => {$(
        // SAFETY: it is one of the face's, of which both is so.
        unsafe impl Grows for abi::$type {
            const WHAT: &'static str = $what;
            const FIRST_SIZE: u32 = $size;
        }
        const _: () = assert!(size_of::<abi::$type>() >= $size);
    )+};
}

grows! {
    Plugin: "a table", 184;
    Header: "a header", 128;
    Metric: "a metric", 48;
    Subject: "a subject", 64;
    Sample: "a sample", 48;
    Event: "an event", 72;
    Footer: "a footer", 80;
}

/// Reads what begins with its size; what it has not is zero.
///
/// # Errors
/// Where it is at null, or smaller than it has ever been.
///
/// # Safety
/// Where `at` is not null, its size can be read there, and as many bytes as it says.
pub unsafe fn read_grown<T: Grows>(at: *const T) -> Result<T, Refused> {
    if at.is_null() {
        return Err(Refused(format!("{} at null", T::WHAT)));
    }
    // SAFETY: not null; wherever it lies, it begins with its size.
    let size = unsafe { at.cast::<u32>().read_unaligned() };
    if size < T::FIRST_SIZE {
        let (what, first) = (T::WHAT, T::FIRST_SIZE);
        return Err(Refused(format!("{what} of {size} bytes, where one has at least {first}")));
    }
    // SAFETY: so many bytes can be read, and zeros are valid: the trait's promise.
    Ok(unsafe { read_table(at, size) })
}

/// The size and the kind that a record begins with.
///
/// # Safety
/// Where `record` is not null, both can be read there.
#[must_use]
pub unsafe fn read_first(record: *const abi::Record) -> Option<abi::Record> {
    // SAFETY: not null, and the rest is the caller's promise.
    (!record.is_null()).then(|| unsafe { record.read_unaligned() })
}
