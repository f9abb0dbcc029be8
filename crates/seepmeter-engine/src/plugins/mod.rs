//! Plugins that are loaded: shared libraries behind the C face.
//!
//! A library is opened once and never closed: Rust's thread-local destructors make unloading unsound,
//! and what a plugin has handed out should live until exit. All that can be checked is checked before
//! anything but the entry is called.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use seepmeter_plugin::face::{abi, no_extension, read_grown, read_table, slice, text, to_c};
use seepmeter_plugin::{DEFAULT_PATIENCE, Info, OptionSpec, SamplerFactory, SinkFactory};

use crate::Notices;

mod elf;
mod find;
mod host;
mod instance;
mod sampler;
mod sink;

pub use find::{Search, Source};

/// A loaded library, checked.
#[derive(Clone)]
pub struct Loaded {
    /// Where it came from.
    pub path: PathBuf,
    /// What it says of itself.
    pub info: Info,
    /// What it makes.
    pub made: Made,
    /// How its table looks.
    pub facts: Facts,
}

/// What a plugin makes.
#[derive(Clone)]
pub enum Made {
    /// Samplers.
    Samplers(Arc<SamplerFactory>),
    /// Sinks.
    Sinks(Arc<SinkFactory>),
}

/// How a plugin's table looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The entry symbol that it has.
    pub symbol: String,
    /// The major version of the face.
    pub major: u32,
    /// The minor version that it was written for.
    pub minor: u32,
    /// Bytes in its table.
    pub table_size: u32,
    /// Bytes in the table that this host knows.
    pub host_table_size: u32,
    /// Every call of the face, and whether the plugin has it.
    pub calls: Vec<Call>,
}

/// One call of the face.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub name: &'static str,
    /// True where the plugin has it.
    pub present: bool,
    /// True where a plugin of this kind must have it.
    pub required: bool,
}

/// Why a library can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The dynamic linker refuses it.
    #[error("cannot load {}: {reason}", .path.display())]
    Open {
        /// The library.
        path: PathBuf,
        /// What dlerror(3) says.
        reason: String,
    },
    /// It has no entry symbol.
    #[error(
        "{} is no plugin of seepmeter: it has no symbol seepmeter_plugin_v{}; see \"Writing a plugin\" in the book", .path.display(), abi::MAJOR
    )]
    NoEntry {
        /// The library.
        path: PathBuf,
    },
    /// It is for another major version of the face.
    #[error(
        "{} is for version {major} of the plugin face, and this seepmeter has version {}; build the plugin for that, or use the seepmeter it was built for", .path.display(), abi::MAJOR
    )]
    OtherMajor {
        /// The library.
        path: PathBuf,
        /// The version it is for.
        major: u32,
    },
    /// Its table is not what it should be.
    #[error("the plugin {} can't be used: {what}", .path.display())]
    Table {
        /// The library.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// How long a library may take to be loaded and to answer at its entry.
const LOAD_LIMIT: Duration = Duration::from_secs(10);

/// Opens a library and checks it. Warnings of its instances go to `notices`.
///
/// # Errors
/// See [`LoadError`].
pub fn load(path: &Path, notices: &Notices) -> Result<Loaded, LoadError> {
    let refused = |reason: String| LoadError::Open { path: path.to_owned(), reason };
    elf::check(path).map_err(refused)?;
    // What a library does when it is loaded may last for ever; a thread can be left behind.
    let (sender, loaded) = crossbeam_channel::bounded(1);
    let (own_path, own_notices) = (path.to_owned(), notices.clone());
    std::thread::Builder::new()
        .name("load".to_owned())
        .spawn(move || drop(sender.send(open(&own_path, &own_notices))))
        .map_err(|error| refused(error.to_string()))?;
    loaded.recv_timeout(LOAD_LIMIT).unwrap_or_else(|_| {
        let limit = LOAD_LIMIT.as_secs();
        Err(refused(format!("it did not answer within {limit} seconds")))
    })
}

fn open(path: &Path, notices: &Notices) -> Result<Loaded, LoadError> {
    // With no `/` in it the dynamic linker would look for it elsewhere.
    let file = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let flags = RTLD_NOW | RTLD_LOCAL | libc::RTLD_NODELETE;
    // SAFETY: the library's own initialisers run, as the user asked for by naming it.
    let library = unsafe { Library::open(Some(&file), flags) }
        .map_err(|error| LoadError::Open { path: path.to_owned(), reason: deepest(&error) })?;
    // Closing it would be unsound, so the handle is forgotten whatever comes.
    let library = std::mem::ManuallyDrop::new(library);
    let (symbol, entry) = entry(&library, path)?;
    // SAFETY: the symbol's name says that it is this function; the host's table lives until exit.
    let table = unsafe { entry(host_table()) };
    check(path, symbol, table, notices)
        .map_err(|what| LoadError::Table { path: path.to_owned(), what })
}

/// libloading says `dlopen failed` and keeps what the linker said below it.
fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Finds the entry: the plain symbol, or the one with the plugin's name.
fn entry(library: &Library, path: &Path) -> Result<(String, abi::Entry), LoadError> {
    let named = named_symbol(path, abi::MAJOR);
    for symbol in [format!("seepmeter_plugin_v{}", abi::MAJOR), named] {
        if let Some(entry) = symbol_of(library, &symbol) {
            return Ok((symbol, entry));
        }
    }
    // Far enough ahead to name a plugin of the future.
    let others = (1..100).filter(|major| *major != abi::MAJOR);
    for major in others {
        let symbols = [format!("seepmeter_plugin_v{major}"), named_symbol(path, major)];
        if symbols.iter().any(|symbol| symbol_of(library, symbol).is_some()) {
            return Err(LoadError::OtherMajor { path: path.to_owned(), major });
        }
    }
    Err(LoadError::NoEntry { path: path.to_owned() })
}

fn symbol_of(library: &Library, symbol: &str) -> Option<abi::Entry> {
    let symbol = CString::new(symbol).ok()?;
    // SAFETY: the symbol's name says that it is this function; it is called only for our own major.
    unsafe { library.get::<abi::Entry>(symbol.to_bytes_with_nul()) }.ok().map(|entry| *entry)
}

/// The entry symbol that carries the plugin's name, taken from the file's name as SQLite does:
/// `seepmeter-smaps-sampler.so` and `libseepmeter_sampler_smaps.so` both have
/// `seepmeter_smaps_plugin_v1`.
fn named_symbol(path: &Path, major: u32) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().replace('-', "_");
    let words: Vec<&str> = stem
        .strip_prefix("lib")
        .unwrap_or(&stem)
        .split('_')
        .filter(|word| !matches!(*word, "seepmeter" | "sampler" | "sink"))
        .collect();
    format!("seepmeter_{}_plugin_v{major}", words.join("_"))
}

/// What a plugin is told of the host.
fn host_table() -> *const abi::Host {
    struct Table(abi::Host);
    // SAFETY: nothing in it ever changes, and what it points to is static.
    unsafe impl Send for Table {}
    // SAFETY: as above.
    unsafe impl Sync for Table {}
    static HOST: OnceLock<Table> = OnceLock::new();
    let table = HOST.get_or_init(|| {
        Table(abi::Host {
            struct_size: u32::try_from(size_of::<abi::Host>()).unwrap_or(u32::MAX),
            minor: abi::MINOR,
            version: to_c(env!("CARGO_PKG_VERSION").as_bytes()),
            get_extension: Some(no_extension),
        })
    });
    ptr::from_ref(&table.0)
}

/// A plugin's table, read once and kept.
pub(crate) struct Table {
    pub(crate) calls: abi::Plugin,
}

// SAFETY: its pointers lead to what lives until exit and never changes: that is the face's promise.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

/// Checks a table before any of its calls is made.
fn check(
    path: &Path,
    symbol: String,
    theirs: *const abi::Plugin,
    notices: &Notices,
) -> Result<Loaded, String> {
    if theirs.is_null() {
        return Err(format!(
            "it refuses to work with seepmeter {}; ask its author for a newer one",
            env!("CARGO_PKG_VERSION")
        ));
    }
    let host_table_size = u32::try_from(size_of::<abi::Plugin>()).unwrap_or(u32::MAX);
    // SAFETY: a table begins with its size, and may be read as far as that.
    let calls: abi::Plugin = unsafe { read_grown(theirs) }
        .map_err(|error| format!("it has {error}; was it built against seepmeter-plugin.h?"))?;
    let table_size = calls.struct_size;
    let facts = Facts {
        symbol,
        major: abi::MAJOR,
        minor: calls.minor,
        table_size,
        host_table_size,
        calls: calls_of(&calls),
    };
    if let Some(missing) = facts.calls.iter().find(|call| call.required && !call.present) {
        return Err(format!("it has no `{}`, which it must have", missing.name));
    }
    // SAFETY: the face promises that what the table points to lives until exit.
    let info = unsafe { info(&calls) }?;
    let table = Arc::new(Table { calls });
    let made = match table.calls.kind {
        abi::KIND_SAMPLER => {
            Made::Samplers(Arc::new(sampler::Loaded::new(info.clone(), table, notices.clone())))
        }
        abi::KIND_SINK => {
            Made::Sinks(Arc::new(sink::Loaded::new(info.clone(), table, notices.clone())))
        }
        other => return Err(format!("it is of kind {other}, which is neither sampler nor sink")),
    };
    Ok(Loaded { path: path.to_owned(), info, made, facts })
}

fn calls_of(table: &abi::Plugin) -> Vec<Call> {
    let sampler = table.kind == abi::KIND_SAMPLER;
    let sink = table.kind == abi::KIND_SINK;
    [
        ("get_extension", table.get_extension.is_some(), false),
        ("create", table.create.is_some(), true),
        ("configure", table.configure.is_some(), false),
        ("ready", table.ready.is_some(), false),
        ("start", table.start.is_some(), sampler),
        ("sample", table.sample.is_some(), sampler),
        ("wait", table.wait.is_some(), false),
        ("write", table.write.is_some(), sink),
        ("flush", table.flush.is_some(), false),
        ("stop", table.stop.is_some(), false),
        ("destroy", table.destroy.is_some(), true),
    ]
    .into_iter()
    .map(|(name, present, required)| Call { name, present, required })
    .collect()
}

/// A plugin's words as they are shown: without control characters, which could play with a terminal.
fn shown(words: &str) -> String {
    seepmeter_record::Bytes::from(words).to_string()
}

/// # Safety
/// What the table points to can be read.
unsafe fn info(table: &abi::Plugin) -> Result<Info, String> {
    // SAFETY: the caller's promise.
    unsafe {
        let own = |bytes, what: &str| {
            text(bytes).map(shown).map_err(|error| format!("its {what} is {error}"))
        };
        let name = own(table.name, "name")?;
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(fits) {
            return Err(format!(
                "its name is `{name}`, and a name has letters, digits, `-`, `_` and `.` and nothing else"
            ));
        }
        Ok(Info {
            name,
            about: own(table.about, "description")?,
            version: own(table.version, "version")?,
            options: options(table)?,
            disturbs: table.disturbs != 0,
            patience: match table.patience {
                0 => DEFAULT_PATIENCE,
                nanos => Duration::from_nanos(nanos),
            },
        })
    }
}

/// The size of an option in version 1.0 of the face. This number never changes.
const FIRST_OPTION_SIZE: usize = 72;

/// # Safety
/// What the table points to can be read.
unsafe fn options(table: &abi::Plugin) -> Result<Vec<OptionSpec>, String> {
    if table.option_count == 0 {
        return Ok(Vec::new());
    }
    let stride = usize::try_from(table.option_size).unwrap_or(0);
    let count = usize::try_from(table.option_count).unwrap_or(0);
    if stride < FIRST_OPTION_SIZE {
        return Err(format!(
            "its options are {stride} bytes apart, and one has at least {FIRST_OPTION_SIZE}"
        ));
    }
    let bytes = (stride as u64).saturating_mul(table.option_count);
    // SAFETY: the caller's promise; whether there can be so many is checked here.
    if unsafe { slice(table.options.cast::<u8>(), bytes) }.is_none() {
        return Err(format!("it names {count} options at an address where so many can't be"));
    }
    (0..count)
        .map(|place| {
            // SAFETY: as above; the options are `stride` bytes apart.
            unsafe {
                let at = table.options.byte_add(place * stride);
                let option: abi::OptionSpec =
                    read_table(at, u32::try_from(stride).unwrap_or(u32::MAX));
                let own = |bytes| text(bytes).map(shown);
                let spec = || {
                    Ok(OptionSpec {
                        key: own(option.key)?,
                        kind: own(option.kind)?,
                        default: match option.default_value.data.is_null() {
                            true => None,
                            false => Some(own(option.default_value)?),
                        },
                        required: option.required != 0,
                        help: own(option.help)?,
                    })
                };
                spec().map_err(|error: seepmeter_plugin::face::Refused| {
                    format!("its option {place} has {error}")
                })
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugins_own_symbol_follows_from_its_files_name() {
        for file in ["/x/seepmeter-smaps-sampler.so", "target/libseepmeter_sampler_smaps.so"] {
            assert_eq!(named_symbol(Path::new(file), 1), "seepmeter_smaps_plugin_v1", "{file}");
        }
        assert_eq!(named_symbol(Path::new("a-b.so"), 2), "seepmeter_a_b_plugin_v2");
    }
}
