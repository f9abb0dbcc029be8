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
    let outcome = match (flags.json, &flags.name) {
        (true, _) => messages::print_json(&listing::json(&pages)),
        (false, Some(_)) => {
            let pages: Vec<String> = pages.iter().map(listing::page).collect();
            messages::print(&pages.join("\n"))
        }
        (false, None) => {
            let (lines, indent) = listing::lines(&pages);
            messages::print_lines(lines.into_iter().map(Into::into).collect(), indent)
        }
    }?;
    for error in &errors {
        messages::notice(&error.to_string());
    }
    Ok(if errors.is_empty() { outcome } else { Outcome::OwnFailure })
}
