//! A plugin's table: read once, and checked before any of its calls is made.

use std::time::Duration;

use seepmeter_plugin::c_abi::{InvalidData, abi, read_array, read_grown, struct_size, text_from_c};
use seepmeter_plugin::{DEFAULT_MAX_BATCH_DELAY, Info, OptionSpec};
use serde::{Deserialize, Serialize};

use super::LoadedName;

/// A plugin's table, as far as it is known here.
pub(super) struct Table {
    pub(super) calls: abi::Plugin,
    /// Whose it is.
    pub(super) name: LoadedName,
}

// SAFETY: its pointers lead to what lives until exit and never changes: that is the ABI's promise.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

/// The layout of a plugin's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableLayout {
    /// The entry symbol that the library has.
    pub symbol: String,
    /// The major version of the plugin ABI.
    pub major: u32,
    /// The minor version that it was written for.
    pub minor: u32,
    /// Bytes in its table.
    pub table_size: u32,
    /// Bytes in the table that this host knows.
    pub host_table_size: u32,
    /// Every call of the plugin ABI, and whether the plugin has it.
    pub calls: Vec<TableCall>,
}

/// One call of the plugin ABI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableCall {
    /// Its name.
    pub name: String,
    /// True if the plugin has it.
    pub present: bool,
    /// True if a plugin of this kind must have it.
    pub required: bool,
}

impl Table {
    /// Reads a table and what the plugin says of itself.
    ///
    /// # Safety
    /// If `theirs` is not null, it is a table of the ABI, and lives until exit with all that it points to.
    pub(super) unsafe fn read(
        theirs: *const abi::Plugin,
        name: LoadedName,
    ) -> Result<(Self, Info), String> {
        if theirs.is_null() {
            return Err(format!(
                "it refuses to work with seepmeter {}; ask its author for a newer one",
                env!("CARGO_PKG_VERSION")
            ));
        }
        // SAFETY: the caller's promise.
        let calls: abi::Plugin = unsafe { read_grown(theirs) }
            .map_err(|error| format!("it has {error}; was it built against seepmeter-plugin.h?"))?;
        if !matches!(calls.kind, abi::KIND_SAMPLER | abi::KIND_SINK) {
            let kind = calls.kind;
            return Err(format!("it is of kind {kind}, which is neither sampler nor sink"));
        }
        let missing = calls_of(&calls).into_iter().find(|call| call.required && !call.present);
        if let Some(missing) = missing {
            return Err(format!("it lacks the call `{}`, which is required", missing.name));
        }
        // SAFETY: the caller's promise.
        let info = unsafe { info(&calls) }?;
        Ok((Self { calls, name }, info))
    }

    /// Its layout; `symbol` is the entry that it came from.
    pub(super) fn layout(&self, symbol: String) -> TableLayout {
        TableLayout {
            symbol,
            major: abi::MAJOR,
            minor: self.calls.minor,
            table_size: self.calls.struct_size,
            host_table_size: struct_size::<abi::Plugin>(),
            calls: calls_of(&self.calls),
        }
    }
}

fn calls_of(table: &abi::Plugin) -> Vec<TableCall> {
    let sampler = table.kind == abi::KIND_SAMPLER;
    let sink = table.kind == abi::KIND_SINK;
    [
        ("get_extension", table.get_extension.is_some(), false),
        ("create", table.create.is_some(), true),
        ("configure", table.configure.is_some(), false),
        ("ready", table.ready.is_some(), false),
        ("start", table.start.is_some(), sampler),
        ("add_target", table.add_target.is_some(), sampler),
        ("remove_target", table.remove_target.is_some(), sampler),
        ("sample", table.sample.is_some(), sampler),
        ("wait", table.wait.is_some(), false),
        ("write", table.write.is_some(), sink),
        ("flush", table.flush.is_some(), false),
        ("conclude", table.conclude.is_some(), false),
        ("stop", table.stop.is_some(), false),
        ("destroy", table.destroy.is_some(), true),
    ]
    .into_iter()
    .map(|(name, present, required)| TableCall { name: name.to_owned(), present, required })
    .collect()
}

/// A plugin's text as it is shown: without control characters, which could play with a terminal.
///
/// # Safety
/// If `bytes.data` is not null, so many bytes can be read there.
unsafe fn printable(bytes: abi::Bytes) -> Result<String, InvalidData> {
    // SAFETY: the caller's promise.
    unsafe { text_from_c(bytes) }.map(|text| seepmeter_record::Bytes::from(text).to_string())
}

/// # Safety
/// What the table points to can be read.
unsafe fn info(table: &abi::Plugin) -> Result<Info, String> {
    let own = |bytes, what: &str| {
        // SAFETY: the caller's promise.
        unsafe { printable(bytes) }.map_err(|error| format!("its {what} is {error}"))
    };
    let name = own(table.name, "name")?;
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(fits) {
        return Err(format!(
            "its name is `{name}`; only letters, digits, `-`, `_` and `.` are allowed"
        ));
    }
    // SAFETY: the caller's promise.
    let options = unsafe { read_array(table.options, table.option_count, table.option_size) }
        .map_err(|error| format!("its options are {error}"))?;
    let options = options.iter().enumerate().map(|(place, option)| {
        // SAFETY: the caller's promise.
        unsafe { option_spec(option) }.map_err(|error| format!("its option {place} has {error}"))
    });
    Ok(Info {
        name,
        about: own(table.about, "description")?,
        version: own(table.version, "version")?,
        options: options.collect::<Result<_, _>>()?,
        pauses: table.pauses != 0,
        max_batch_delay: match table.max_batch_delay {
            0 => DEFAULT_MAX_BATCH_DELAY,
            nanoseconds => Duration::from_nanos(nanoseconds),
        },
    })
}

/// # Safety
/// What the option points to can be read.
unsafe fn option_spec(option: &abi::OptionSpec) -> Result<OptionSpec, InvalidData> {
    // SAFETY: the caller's promise.
    unsafe {
        Ok(OptionSpec {
            key: printable(option.key)?,
            kind: printable(option.kind)?,
            default: match option.default_value.data.is_null() {
                true => None,
                false => Some(printable(option.default_value)?),
            },
            required: option.required != 0,
            help: printable(option.help)?,
        })
    }
}
