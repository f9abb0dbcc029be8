//! Tables, records and items of arrays that grow behind their end, and what is read of one from another
//! version.

use super::{InvalidData, abi, invalid, slice_from_c};

/// A struct to whose end fields are appended: one from a later version is larger, and none is smaller
/// than in version 1.0.
///
/// # Safety
/// All zeros are a valid value of it.
pub unsafe trait Grows {
    /// What it is with its article, for messages.
    const WHAT: &'static str;
    /// Its size in version 1.0. This number never changes.
    const FIRST_SIZE: u32;
}

macro_rules! grows {
    ($($type:ident: $what:literal, $size:literal;)+) => {$(
        // SAFETY: it consists of numbers, pointers and optional calls.
        unsafe impl Grows for abi::$type {
            const WHAT: &'static str = $what;
            const FIRST_SIZE: u32 = $size;
        }
        const _: () = assert!(size_of::<abi::$type>() >= $size);
    )+};
}

grows! {
    Plugin: "a table", 208;
    InstanceHost: "a host's table", 120;
    Target: "a target", 56;
    Header: "a header", 152;
    Metric: "a metric", 72;
    Subject: "a subject", 64;
    Image: "an image", 48;
    Frame: "a frame", 80;
    Stack: "a stack", 48;
    Sample: "a sample", 48;
    Event: "an event", 72;
    Footer: "a footer", 96;
    OptionSpec: "an option", 72;
    TargetInfo: "a target", 48;
    SamplerInfo: "a sampler", 40;
}

/// The size that a table or a record of this type says it has.
#[must_use]
pub const fn struct_size<T>() -> u32 {
    assert!(size_of::<T>() <= u32::MAX as usize);
    size_of::<T>() as u32
}

/// Reads what begins with its size; what it lacks is zero.
///
/// # Errors
/// If it is at null, or smaller than it has ever been.
///
/// # Safety
/// The type begins with its size as a `u32`. If `at` is not null, that can be read there, and as many
/// bytes as it says.
pub unsafe fn read_grown<T: Grows>(at: *const T) -> Result<T, InvalidData> {
    if at.is_null() {
        return invalid(format!("{} at null", T::WHAT));
    }
    // SAFETY: not null; wherever it lies, it begins with its size.
    let size = unsafe { at.cast::<u32>().read_unaligned() };
    if size < T::FIRST_SIZE {
        let (what, first) = (T::WHAT, T::FIRST_SIZE);
        return invalid(format!("{what} of {size} bytes, and one has at least {first}"));
    }
    // SAFETY: so many bytes can be read.
    Ok(unsafe { read_table(at, size) })
}

/// Reads an array whose items are `distance` bytes apart.
///
/// # Errors
/// If the distance is less than an item has ever had, or the array is where none can be.
///
/// # Safety
/// If `data` is not null, `count` items that are so far apart can be read there.
pub unsafe fn read_array<T: Grows>(
    data: *const T,
    count: u64,
    distance: u64,
) -> Result<Vec<T>, InvalidData> {
    let (what, first) = (T::WHAT, T::FIRST_SIZE);
    if count == 0 {
        return Ok(Vec::new());
    }
    let Some(item_size) = u32::try_from(distance).ok().filter(|size| *size >= first) else {
        return invalid(format!(
            "an array of items {distance} bytes apart, and {what} has at least {first}"
        ));
    };
    // SAFETY: the caller's promise; whether there can be so many bytes is checked here.
    let Some(bytes) = (unsafe { slice_from_c(data.cast::<u8>(), distance.saturating_mul(count)) })
    else {
        return invalid(format!("an array of {count} items at an invalid address"));
    };
    // SAFETY: each is as many bytes as it is from one to the next.
    Ok(bytes
        .chunks_exact(item_size as usize)
        .map(|item| unsafe { read_table(item.as_ptr().cast(), item_size) })
        .collect())
}

/// Reads a table of which there may be less or more than this side knows: what is missing is zero.
///
/// # Safety
/// `size` bytes at `table` can be read.
#[must_use]
pub unsafe fn read_table<T: Grows>(table: *const T, size: u32) -> T {
    let mut own = std::mem::MaybeUninit::<T>::zeroed();
    let size = size_of::<T>().min(size as usize);
    // SAFETY: both can be read and written for `size` bytes; what stays zero is valid by the trait's
    // promise.
    unsafe {
        std::ptr::copy_nonoverlapping(table.cast::<u8>(), own.as_mut_ptr().cast::<u8>(), size);
        own.assume_init()
    }
}
