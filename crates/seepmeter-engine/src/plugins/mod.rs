//! Plugins that are loaded: shared libraries behind the plugin ABI.
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
use seepmeter_plugin::c_abi::{abi, bytes_to_c, no_extension, struct_size};
use seepmeter_plugin::{Info, SamplerFactory, SinkFactory};
use serde::{Deserialize, Serialize};

use crate::Notices;

mod apart;
mod calls;
mod context;
mod elf;
mod folders;
mod host_calls;
mod instance;
mod known;
mod sampler;
mod sink;
mod table;
mod trust;

pub use apart::{LibraryDescription, describe_apart};
pub(crate) use calls::at_departure;
pub use calls::flush_plugins;
use calls::{CallName, LoadedName, in_call};
pub use folders::{FolderOrigin, PluginFolders};
use table::Table;
pub use table::{TableCall, TableLayout};

/// A loaded library, checked.
#[derive(Clone)]
pub struct PluginLibrary {
    /// Where it came from.
    pub path: PathBuf,
    /// What it says of itself.
    pub info: Info,
    /// What makes its instances.
    pub factory: PluginFactory,
    /// The layout of its table.
    pub layout: TableLayout,
}

/// Sampler or sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PluginKind {
    /// Observes processes.
    Sampler,
    /// Consumes records.
    Sink,
}

impl PluginKind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sampler => "sampler",
            Self::Sink => "sink",
        }
    }
}

/// What makes the instances of a plugin.
#[derive(Clone)]
pub enum PluginFactory {
    /// They are samplers.
    Sampler(Arc<SamplerFactory>),
    /// They are sinks.
    Sink(Arc<SinkFactory>),
}

impl PluginFactory {
    /// What they are.
    #[must_use]
    pub fn kind(&self) -> PluginKind {
        match self {
            Self::Sampler(_) => PluginKind::Sampler,
            Self::Sink(_) => PluginKind::Sink,
        }
    }
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
    /// It is for another major version of the plugin ABI.
    #[error(
        "{} is for version {major} of the plugin ABI, and this seepmeter has version {}; build the plugin for that, or use the seepmeter it was built for", .path.display(), abi::MAJOR
    )]
    OtherMajor {
        /// The library.
        path: PathBuf,
        /// The version it is for.
        major: u32,
    },
    /// It did not come through being loaded apart, in a process of its own, or says there why it can't be
    /// used.
    #[error("{0}")]
    Apart(String),
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

impl PluginLibrary {
    /// Opens a library and checks it. Warnings of its instances go to `notices`.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(path: &Path, notices: &Notices) -> Result<Self, LoadError> {
        let refused = |reason: String| LoadError::Open { path: path.to_owned(), reason };
        let file = trust::resolve(path).map_err(refused)?;
        // A constructor that never returns keeps the loader's lock, which a thread of this process needs
        // as soon as it has a destructor to register. So it is tried apart, where it harms nobody.
        apart::describe(path)?;
        // What a library does when it is loaded may last for ever; a thread can be left behind.
        let (sender, loaded) = crossbeam_channel::bounded(1);
        let (own_path, own_notices) = (path.to_owned(), notices.clone());
        calls::watch_over_plugins(notices).map_err(|error| refused(error.to_string()))?;
        let load = move || {
            let (path, departed) = (own_path.clone(), sender.clone());
            at_departure(move |why| {
                let reason = why.to_owned();
                let _ = departed.send(Err(LoadError::Open { path: path.clone(), reason }));
            });
            let _ = sender.send(open(&own_path, &file, &own_notices));
        };
        std::thread::Builder::new()
            .name("load".to_owned())
            .spawn(load)
            .map_err(|error| refused(error.to_string()))?;
        loaded.recv_timeout(LOAD_LIMIT).unwrap_or_else(|_| {
            let limit = LOAD_LIMIT.as_secs();
            Err(refused(format!("it did not answer within {limit} seconds")))
        })
    }
}

/// Opens the file that a path leads to; with a `/` in it, so that the dynamic linker looks nowhere else.
fn open(path: &Path, file: &Path, notices: &Notices) -> Result<PluginLibrary, LoadError> {
    let flags = RTLD_NOW | RTLD_LOCAL | libc::RTLD_NODELETE;
    let name = LoadedName::of_file(path);
    // SAFETY: the library's own initialisers run, as the user asked for by naming it.
    let library = in_call(name, CallName::Load, || unsafe { Library::open(Some(file), flags) })
        .map_err(|error| LoadError::Open { path: path.to_owned(), reason: deepest(&error) })?;
    // Closing it would be unsound, so the handle is forgotten whatever comes.
    let library = std::mem::ManuallyDrop::new(library);
    let (symbol, entry) = entry(&library, path)?;
    let invalid = |what: String| LoadError::Table { path: path.to_owned(), what };
    // SAFETY: the symbol's name says that it is this function; the host's table lives until exit.
    let table = in_call(name, CallName::Load, || unsafe { entry(host_table()) });
    // SAFETY: what comes back is a table, by the ABI's promise.
    let (table, info) = unsafe { Table::read(table, name) }.map_err(invalid)?;
    let (layout, table) = (table.layout(symbol), Arc::new(table));
    let (own_info, notices) = (info.clone(), notices.clone());
    let factory = match table.calls.kind {
        abi::KIND_SAMPLER => {
            let factory = sampler::LoadedSamplers::new(own_info, table, notices);
            PluginFactory::Sampler(Arc::new(factory))
        }
        _ => PluginFactory::Sink(Arc::new(sink::LoadedSinks::new(own_info, table, notices))),
    };
    Ok(PluginLibrary { path: path.to_owned(), info, factory, layout })
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

/// What the host says of itself.
fn host_table() -> *const abi::Host {
    struct HostTable(abi::Host);
    // SAFETY: nothing in it ever changes, and what it points to is static.
    unsafe impl Send for HostTable {}
    // SAFETY: as above.
    unsafe impl Sync for HostTable {}
    static HOST: OnceLock<HostTable> = OnceLock::new();
    let table = HOST.get_or_init(|| {
        HostTable(abi::Host {
            struct_size: struct_size::<abi::Host>(),
            minor: abi::MINOR,
            version: bytes_to_c(env!("CARGO_PKG_VERSION").as_bytes()),
            get_extension: Some(no_extension),
        })
    });
    ptr::from_ref(&table.0)
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
