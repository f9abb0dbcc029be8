//! `seepmeter mark`: send a mark.

use anyhow::Result;

use crate::flags::MarkFlags;
use crate::marks;
use crate::outcome::Outcome;

/// `seepmeter mark`.
///
/// # Errors
/// A mark that can't be sent.
pub fn mark(flags: &MarkFlags) -> Result<Outcome> {
    let line = marks::line(flags)?;
    if let Some(socket) = marks::socket(flags.optional)? {
        marks::send(&socket, &line, flags.optional)?;
    }
    Ok(Outcome::Success)
}
