//! What `export_sampler!` and `export_sink!` make of a Rust plugin: its table of the plugin ABI.
//!
//! A panic never leaves the plugin: it is caught in each call, reported to the host as an error, and
//! after it the instance is called no more.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use seepmeter_abi as abi;

use crate::c_abi::{bytes_to_c, no_bytes, no_extension, struct_size};
use crate::{Info, Plugin};

mod instance;
mod sampler;
mod sink;

pub use sampler::sampler_table;
pub use sink::sink_table;

/// Makes the entry symbol of a library that is one sampler: `export_sampler!(MySampler);`. With
/// `as NAME` the symbol carries the plugin's name, so that the library can also be linked beside
/// others: `export_sampler!(MySampler as my);`.
#[macro_export]
macro_rules! export_sampler {
    ($plugin:ty $(as $name:ident)?) => {
        $crate::export_table!(sampler_table $plugin $(as $name)?);
    };
}

/// Makes the entry symbol of a library that is one sink; as [`export_sampler!`].
#[macro_export]
macro_rules! export_sink {
    ($plugin:ty $(as $name:ident)?) => {
        $crate::export_table!(sink_table $plugin $(as $name)?);
    };
}

/// What [`export_sampler!`] and [`export_sink!`] have in common.
#[doc(hidden)]
#[macro_export]
macro_rules! export_table {
    ($table:ident $plugin:ty) => {
        $crate::export_table!(@symbol $table $plugin, "seepmeter_plugin_v1");
    };
    ($table:ident $plugin:ty as $name:ident) => {
        $crate::export_table!(
            @symbol $table $plugin, concat!("seepmeter_", stringify!($name), "_plugin_v1")
        );
    };
    (@symbol $table:ident $plugin:ty, $symbol:expr) => {
        const _: () = {
            #[cfg(panic = "abort")]
            compile_error!("a plugin's panic is caught, for which its profile must not say panic = \"abort\"");

            // SAFETY: the name is the ABI's, and nothing else of this library carries it.
            #[unsafe(export_name = $symbol)]
            unsafe extern "C" fn entry(
                host: *const $crate::c_abi::abi::Host,
            ) -> *const $crate::c_abi::abi::Plugin {
                $crate::private::$table::<$plugin>(host, env!("CARGO_PKG_VERSION"))
            }
        };
    };
}

/// What both kinds of tables have; the calls are filled in by each. It lives until exit.
fn table<P: Plugin>(version: &'static str) -> abi::Plugin {
    let Info { options, max_batch_delay, pauses, .. } = Info::of::<P>(version);
    let leaked = |text: String| bytes_to_c(text.leak().as_bytes());
    let options: Vec<abi::OptionSpec> = options
        .into_iter()
        .map(|option| abi::OptionSpec {
            key: leaked(option.key),
            kind: leaked(option.kind),
            help: leaked(option.help),
            default_value: option.default.map_or(no_bytes(), leaked),
            required: option.required.into(),
            reserved: 0,
        })
        .collect();
    let options = options.leak();
    abi::Plugin {
        struct_size: struct_size::<abi::Plugin>(),
        kind: 0,
        minor: abi::MINOR,
        pauses: pauses.into(),
        max_batch_delay: u64::try_from(max_batch_delay.as_nanos()).unwrap_or(u64::MAX),
        name: bytes_to_c(P::NAME.as_bytes()),
        version: bytes_to_c(version.as_bytes()),
        about: bytes_to_c(P::ABOUT.as_bytes()),
        options: options.as_ptr(),
        option_count: options.len() as u64,
        option_size: size_of::<abi::OptionSpec>() as u64,
        get_extension: Some(no_extension),
        create: None,
        configure: None,
        ready: None,
        start: None,
        add_target: None,
        remove_target: None,
        sample: None,
        wait: None,
        write: None,
        flush: None,
        conclude: None,
        stop: None,
        destroy: None,
    }
}

/// Makes the table, which lives until exit. If that panics the plugin refuses to work: null.
fn leak_table(make: impl FnOnce() -> abi::Plugin) -> *const abi::Plugin {
    match catch_unwind(AssertUnwindSafe(make)) {
        Ok(table) => Box::leak(Box::new(table)),
        Err(panic) => {
            forget(panic);
            std::ptr::null()
        }
    }
}

/// Lets go of a panic without dropping what it carries, which may panic again.
fn forget(panic: Box<dyn Any + Send>) {
    std::mem::forget(panic);
}

/// What a caught panic said.
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no words")
}
