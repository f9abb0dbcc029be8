//! What `export_sampler!` and `export_sink!` make of a Rust plugin: its table for the C face.
//!
//! A panic never leaves the plugin: it is caught in each call, said to the host as an error, and after
//! it the instance is called no more.

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

use seepmeter_abi as abi;

use crate::face::{EINVAL, EIO, code_of, from_c, no_extension, to_c};
use crate::{Error, Info, Options, Plugin};

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

            // SAFETY: the name is the face's, and nothing else of this library carries it.
            #[unsafe(export_name = $symbol)]
            unsafe extern "C" fn entry(
                host: *const $crate::face::abi::Host,
            ) -> *const $crate::face::abi::Plugin {
                $crate::private::$table::<$plugin>(host, env!("CARGO_PKG_VERSION"))
            }
        };
    };
}

/// What both kinds of tables have; the calls are filled in by each. It lives until exit.
fn table<P: Plugin>(version: &'static str) -> abi::Plugin {
    let Info { options, patience, .. } = Info::of::<P>(version);
    let kept = |text: String| to_c(text.leak().as_bytes());
    let options: Vec<abi::OptionSpec> = options
        .into_iter()
        .map(|option| abi::OptionSpec {
            key: kept(option.key),
            kind: kept(option.kind),
            help: kept(option.help),
            default_value: option
                .default
                .map_or(abi::Bytes { data: std::ptr::null(), length: 0 }, kept),
            required: option.required.into(),
            reserved: 0,
        })
        .collect();
    let options = options.leak();
    abi::Plugin {
        struct_size: u32::try_from(size_of::<abi::Plugin>()).unwrap_or(u32::MAX),
        kind: 0,
        minor: abi::MINOR,
        disturbs: P::DISTURBS.into(),
        patience: u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX),
        name: to_c(P::NAME.as_bytes()),
        version: to_c(version.as_bytes()),
        about: to_c(P::ABOUT.as_bytes()),
        options: options.as_ptr(),
        option_count: options.len() as u64,
        option_size: size_of::<abi::OptionSpec>() as u64,
        get_extension: Some(no_extension),
        create: None,
        configure: None,
        ready: None,
        start: None,
        sample: None,
        wait: None,
        write: None,
        flush: None,
        stop: None,
        destroy: None,
    }
}

/// An instance on the plugin's side of the line.
struct Instance<P> {
    host: HostSide,
    options: Vec<(String, String)>,
    /// Made when all options are known.
    plugin: Option<P>,
    /// After a panic nothing is known of its state.
    panicked: bool,
}

/// The host's table, read once.
struct HostSide {
    table: abi::InstanceHost,
}

impl HostSide {
    /// # Safety
    /// `host` is the host's table, which lives until exit.
    unsafe fn read(host: *const abi::InstanceHost) -> Self {
        // SAFETY: a table begins with its size; the rest is the caller's promise.
        let table = unsafe { crate::face::read_table(host, (*host).struct_size) };
        Self { table }
    }

    fn message(&self, level: u32, text: &str) {
        if let Some(message) = self.table.message {
            // SAFETY: the host's own call with its own context; the text lives through it.
            unsafe { message(self.table.context, level, to_c(text.as_bytes())) };
        }
    }
}

impl<P: Plugin> Instance<P> {
    /// # Safety
    /// `host` is the host's table, and `instance` can be written.
    unsafe extern "C" fn create(host: *const abi::InstanceHost, instance: *mut *mut c_void) -> i32 {
        // SAFETY: the caller's promise.
        let host = unsafe { HostSide::read(host) };
        let new = Box::new(Self { host, options: Vec::new(), plugin: None, panicked: false });
        // SAFETY: the caller's promise.
        unsafe { instance.write(Box::into_raw(new).cast()) };
        0
    }

    /// # Safety
    /// `instance` comes from `create`, and the bytes can be read.
    unsafe extern "C" fn configure(
        instance: *mut c_void,
        key: abi::Bytes,
        value: abi::Bytes,
    ) -> i32 {
        // SAFETY: the caller's promise.
        let (own, key, value) = unsafe { (Self::of(instance), from_c(key), from_c(value)) };
        own.guard(|own| {
            let text = |bytes: Option<&[u8]>| {
                bytes
                    .and_then(|bytes| std::str::from_utf8(bytes).ok())
                    .map(str::to_owned)
                    .ok_or_else(|| Error::failed("an option that is not UTF-8"))
            };
            own.options.push((text(key)?, text(value)?));
            Ok(0)
        })
    }

    /// # Safety
    /// `instance` comes from `create`.
    unsafe extern "C" fn ready(instance: *mut c_void) -> i32 {
        // SAFETY: the caller's promise.
        unsafe { Self::of(instance) }.guard(|own| {
            let options = P::Options::from_pairs(&own.options).map_err(Error::failed)?;
            own.plugin = Some(P::new(options)?);
            Ok(0)
        })
    }

    /// # Safety
    /// `instance` comes from `create`, and is not used again.
    unsafe extern "C" fn destroy(instance: *mut c_void) {
        // SAFETY: `create` has boxed it, and the caller gives it back.
        let own = unsafe { Box::from_raw(instance.cast::<Self>()) };
        // There is nobody to tell of a panic here but the user, who sees its message.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(own))) {
            forget(panic);
        }
    }

    /// # Safety
    /// `instance` comes from `create`, and nobody else uses it for as long as `'a` lasts.
    unsafe fn of<'a>(instance: *mut c_void) -> &'a mut Self {
        // SAFETY: `create` has boxed it; the rest is the caller's promise.
        unsafe { &mut *instance.cast() }
    }

    /// Runs a call of the plugin's: its error is said and becomes a code, and so does a panic.
    fn guard(&mut self, call: impl FnOnce(&mut Self) -> Result<i32, Error>) -> i32 {
        if self.panicked {
            self.host.message(abi::LEVEL_ERROR, "it has panicked before");
            return -EIO;
        }
        match catch_unwind(AssertUnwindSafe(|| call(self))) {
            Ok(Ok(code)) => code,
            Ok(Err(error)) => {
                self.host.message(abi::LEVEL_ERROR, &error.to_string());
                code_of(&error)
            }
            Err(panic) => {
                self.panicked = true;
                let what = format!("panicked: {}", panic_text(panic.as_ref()));
                self.host.message(abi::LEVEL_ERROR, &what);
                forget(panic);
                -EIO
            }
        }
    }

    /// Runs a call on the plugin itself.
    fn guard_plugin(&mut self, call: impl FnOnce(&mut P, &HostSide) -> Result<i32, Error>) -> i32 {
        self.guard(|own| match &mut own.plugin {
            Some(plugin) => call(plugin, &own.host),
            None => Ok(-EINVAL),
        })
    }
}

/// Lets go of a panic without dropping what it carries, which may panic again.
fn forget(panic: Box<dyn Any + Send>) {
    std::mem::forget(panic);
}

/// Makes the table, which lives until exit. Where that panics the plugin refuses to work: null.
fn leak_table(make: impl FnOnce() -> abi::Plugin) -> *const abi::Plugin {
    match catch_unwind(AssertUnwindSafe(make)) {
        Ok(table) => Box::leak(Box::new(table)),
        Err(panic) => {
            forget(panic);
            std::ptr::null()
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no words")
}
