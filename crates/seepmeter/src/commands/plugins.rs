//! `seepmeter plugins`: list the samplers and sinks that there are.

use anyhow::Result;

use crate::flags::PluginsFlags;
use crate::outcome::Outcome;
use crate::output_files::OutputRoom;
use crate::{listing, messages, session};

/// `seepmeter plugins`.
///
/// # Errors
/// A plugin that there is not, or standard output that can't be written to.
pub fn plugins(flags: PluginsFlags) -> Result<Outcome> {
    let registry = session::registry(&flags.folders, &OutputRoom::new())?;
    let (pages, errors) = match &flags.name {
        Some(name) => (registry.describe(name)?, Vec::new()),
        None => registry.describe_all(),
    };
    let text = match (flags.json, &flags.name) {
        (true, _) => listing::json(&pages),
        (false, Some(_)) => pages.iter().map(listing::page).collect::<Vec<_>>().join("\n"),
        (false, None) => listing::lines(&pages),
    };
    let outcome = messages::print(text.as_bytes())?;
    for error in &errors {
        messages::notice(&error.to_string());
    }
    Ok(if errors.is_empty() { outcome } else { Outcome::OwnFailure })
}
