//! The verdict on a run, which is handed over as JSON.

use seepmeter_verdict::Conclusion;

use super::{InvalidData, abi, text_from_c};

/// What is concluded from a run, as JSON.
///
/// # Errors
/// A value that JSON has no form for.
pub fn conclusion_to_json(conclusion: &Conclusion) -> Result<String, InvalidData> {
    let why = |error| InvalidData(format!("the verdict can't be written as JSON: {error}"));
    serde_json::to_string(conclusion).map_err(why)
}

/// The verdict on a run that the host has handed over.
///
/// # Errors
/// Text that is not UTF-8, or no verdict.
///
/// # Safety
/// If `json.data` is not null, `json.length` bytes can be read there.
pub unsafe fn conclusion_from_c(json: abi::Bytes) -> Result<Conclusion, InvalidData> {
    // SAFETY: the caller's promise.
    let json = unsafe { text_from_c(json) }?;
    let why = |error| InvalidData(format!("the verdict of the host can't be read: {error}"));
    serde_json::from_str(json).map_err(why)
}
