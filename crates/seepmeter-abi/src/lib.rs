//! The plugin ABI of Seepmeter: what a plugin and its host see of each other.
//!
//! A plugin is a shared library with one entry symbol, [`seepmeter_plugin_v1`](Entry). The host calls
//! it once with a [`Host`] and gets a [`Plugin`] back: a table of calls. For each `--sampler` or
//! `--sink` that names the plugin, an instance is created and goes through these calls in this order, all
//! from one and the same thread:
//!
//! ```text
//! sampler: create → configure (once per option) → ready → start → add_target … sample … remove_target …
//!            → stop → destroy
//! sink:    create → configure (once per option) → ready → write … flush … → conclude → stop → destroy
//! ```
//!
//! `add_target` and `remove_target` come at any time between `start` and `stop`, never within another
//! call. `flush` comes whenever no record waits, also before the first. `conclude` comes once, behind
//! the footer, unless there is no verdict. `destroy` follows every `create` that succeeded, whatever
//! happens between; a `create` that fails has made nothing. `stop` of a sampler follows every `start`
//! that succeeded, since it must let go of its targets; `stop` of a sink follows its last record, unless
//! a call of it has failed or the run was aborted before its first record: there is nothing to complete
//! then. After a call has failed no other follows but these two.
//!
//! What holds everywhere:
//!
//! - Tables and records begin with their `struct_size`. Fields are only ever appended; whoever reads one
//!   reads no further than its size and takes the rest for zero.
//! - What a call hands over is borrowed for the time of the call and freed by whoever made it. A
//!   plugin's own table, and whatever it points to, lives until exit: no library is ever unloaded.
//! - A call returns 0, or a negative errno, or, of a sampler, one of [`GONE`] and [`SKIP`]. Why it failed
//!   is said through [`InstanceHost::message`] at level [`LEVEL_ERROR`] before it returns. A sink whose
//!   reader has gone returns -EPIPE, and is closed without a complaint.
//! - Text is UTF-8 if that is said, and bytes elsewhere, never NUL-terminated but for extension ids.
//! - No text and no array is larger than [`MAX_BYTES`].
//! - What is not known never looks like 0: a number has a flag beside it, the `data` of bytes is null, an id
//!   is [`NONE`], and only a line of source, which counts from 1, is 0.
//! - Structs that begin with a size grow behind their end, and so do those that come in arrays with the
//!   distance from one to the next. All others will never grow.
//! - All fields are explicit: there is no padding between them on 64-bit machines.
#![no_std]

use core::ffi::{c_char, c_void};

#[cfg(target_pointer_width = "64")]
mod layout;
mod records;

pub use records::*;

/// The major version of the plugin ABI. It is part of the entry symbol's name, and a host never calls
/// into a plugin of another one.
pub const MAJOR: u32 = 1;

/// The minor version of the plugin ABI, for display only: what there is, the tables' sizes say.
pub const MINOR: u32 = 0;

/// A plugin's `kind`: a sampler.
pub const KIND_SAMPLER: u32 = 1;
/// A plugin's `kind`: a sink.
pub const KIND_SINK: u32 = 2;

/// A call's result: the target has ended, which is nobody's fault.
pub const GONE: i32 = -0x1_0001;
/// A call's result: this one sample, or this one target, is left out.
pub const SKIP: i32 = -0x1_0002;

/// The result of `wait`: the host shall sleep.
pub const PLEASE_SLEEP: i32 = 1;

/// A level of `message`: why the call that now runs will fail.
pub const LEVEL_ERROR: u32 = 1;
/// A level of `message`: something the user should know at once.
pub const LEVEL_WARNING: u32 = 2;

/// Some bytes. `data` may be null if `length` is 0; if the bytes may be unknown, null says that they are.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    /// The first byte.
    pub data: *const u8,
    /// How many there are.
    pub length: u64,
}

/// The type of the entry symbol. It is `seepmeter_plugin_v1`, or `seepmeter_NAME_plugin_v1` with the
/// plugin's NAME for a library that must be linkable beside others. Returns null if the plugin can't
/// work with this host.
pub type Entry = unsafe extern "C" fn(host: *const Host) -> *const Plugin;

/// What the host says of itself before there is any instance.
#[repr(C)]
pub struct Host {
    /// Bytes in this table.
    pub struct_size: u32,
    /// The host's minor version.
    pub minor: u32,
    /// The host's version, UTF-8, for display only.
    pub version: Bytes,
    /// An extension by its id (`seepmeter.NAME/1`, NUL-terminated), or null. There is none yet.
    pub get_extension: Option<unsafe extern "C" fn(id: *const c_char) -> *const c_void>,
}

/// What a plugin is: its name, its options, its calls.
#[repr(C)]
pub struct Plugin {
    /// Bytes in this table.
    pub struct_size: u32,
    /// A sampler or a sink: one of the `KIND_`s.
    pub kind: u32,
    /// The minor version that the plugin was written for.
    pub minor: u32,
    /// Of a sampler: 1 if its samples pause or block the target, so that the budget applies.
    pub pauses: u32,
    /// Of a sink: how many nanoseconds a record may wait for others; 0 leaves it to the host.
    pub max_batch_delay: u64,
    /// The name that `--sampler` or `--sink` takes, UTF-8: letters, digits, `-`, `_` and `.`.
    pub name: Bytes,
    /// The plugin's own version, UTF-8, for display only.
    pub version: Bytes,
    /// One line that says what it does, UTF-8.
    pub about: Bytes,
    /// Its options, for help; what is checked is what `configure` says.
    pub options: *const OptionSpec,
    /// How many options there are.
    pub option_count: u64,
    /// Bytes from one option to the next.
    pub option_size: u64,
    /// An extension by its id (`seepmeter.NAME/1`, NUL-terminated), or null. May be left out.
    pub get_extension: Option<unsafe extern "C" fn(id: *const c_char) -> *const c_void>,
    /// Makes an instance and stores it in `instance`; null is one too. `host` lives until exit. Required.
    pub create:
        Option<unsafe extern "C" fn(host: *const InstanceHost, instance: *mut *mut c_void) -> i32>,
    /// Sets one option; both texts are UTF-8. May be left out: then there are none.
    pub configure:
        Option<unsafe extern "C" fn(instance: *mut c_void, key: Bytes, value: Bytes) -> i32>,
    /// All options are set: makes sure that the instance can work, opens its output. May be left out.
    pub ready: Option<unsafe extern "C" fn(instance: *mut c_void) -> i32>,
    /// Of a sampler, required: the stream begins; defines metrics.
    pub start: Option<unsafe extern "C" fn(instance: *mut c_void) -> i32>,
    /// Of a sampler, required: a target has come; defines its subjects. A spawned target is held before
    /// its exec and runs none of its own code until all samplers have it.
    pub add_target:
        Option<unsafe extern "C" fn(instance: *mut c_void, target: *const Target) -> i32>,
    /// Of a sampler, required: the target of this subject is watched no more; lets go of it. The host ends
    /// the subject, and with it all that is a part of it.
    pub remove_target: Option<unsafe extern "C" fn(instance: *mut c_void, subject: u32) -> i32>,
    /// Of a sampler, required: takes one sample of all targets.
    pub sample: Option<unsafe extern "C" fn(instance: *mut c_void) -> i32>,
    /// Of a sampler: waits in a way of its own for `timeout` nanoseconds, or until `wake_fd` can be
    /// read, which it must leave to the host. It may return earlier and is then asked again. May be left
    /// out, or return PLEASE_SLEEP: then the host sleeps.
    pub wait:
        Option<unsafe extern "C" fn(instance: *mut c_void, timeout: u64, wake_fd: i32) -> i32>,
    /// Of a sink, required: takes one record. A kind that is not known is to be passed over.
    pub write: Option<unsafe extern "C" fn(instance: *mut c_void, record: *const Record) -> i32>,
    /// Of a sink: hands on what is buffered, now that no record waits. May be left out.
    pub flush: Option<unsafe extern "C" fn(instance: *mut c_void) -> i32>,
    /// Of a sink: takes the verdict on the run, behind the footer. `json` is UTF-8, one JSON object: in
    /// `metrics`, for each metric that is judged, its `verdicts` as docs/verdict.schema.json describes
    /// them, one for each target and the sum of several as the last, or why there is `no_verdict`; in
    /// `gates`, what each gate found. Fields may be added. May be left out.
    pub conclude: Option<unsafe extern "C" fn(instance: *mut c_void, json: Bytes) -> i32>,
    /// The stream is over: completes the output, lets go of all targets. May be left out; then a sink
    /// gets a last `flush` instead.
    pub stop: Option<unsafe extern "C" fn(instance: *mut c_void) -> i32>,
    /// Frees the instance. Required.
    pub destroy: Option<unsafe extern "C" fn(instance: *mut c_void)>,
}

/// One option, for help. All of it UTF-8. It may grow: `Plugin.option_size` is its size.
#[repr(C)]
pub struct OptionSpec {
    /// Its key.
    pub key: Bytes,
    /// Its type: `duration`, `size`, `path`, `number`, `text`, `yes|no`, the choices as `a|b`, or as `a,b`
    /// if several may be given.
    pub kind: Bytes,
    /// What it does.
    pub help: Bytes,
    /// Its default; `data` is null if there is none.
    pub default_value: Bytes,
    /// 1 if it must be given, else 0.
    pub required: u32,
    /// Is 0.
    pub reserved: u32,
}

/// What one instance may ask of the host. Every call takes the table's own `context`, and comes from
/// the thread that the instance's calls come from; from another one it fails with -EPERM.
///
/// A record that the host refuses fails with -EINVAL, and the call that handed it over fails whatever it
/// returns.
#[repr(C)]
pub struct InstanceHost {
    /// Bytes in this table.
    pub struct_size: u32,
    /// Is 0.
    pub reserved: u32,
    /// Whose table it is.
    pub context: *mut c_void,
    /// Says something to the user, at one of the `LEVEL_`s: why the call that now runs will fail, or
    /// what should be known. What is not UTF-8 in the text is replaced.
    pub message: Option<unsafe extern "C" fn(context: *mut c_void, level: u32, text: Bytes)>,
    /// An extension by its id, or null.
    pub get_extension:
        Option<unsafe extern "C" fn(context: *mut c_void, id: *const c_char) -> *const c_void>,
    /// Of a sampler: nanoseconds since the stream's start. From here on, all calls are for `start`,
    /// `add_target`, `remove_target`, `sample`, `wait` and `stop`; outside of these the time is 0.
    pub now: Option<unsafe extern "C" fn(context: *mut c_void) -> u64>,
    /// Of a sampler: defines a metric and stores its number. `metric.id` and `metric.sampler` are not
    /// read. The same name, unit, kind and kind of subject give the same number.
    pub metric: Option<
        unsafe extern "C" fn(context: *mut c_void, metric: *const Metric, id: *mut u32) -> i32,
    >,
    /// Of a sampler: defines a subject and stores its number; `subject.id` is not read.
    pub subject: Option<
        unsafe extern "C" fn(context: *mut c_void, subject: *const Subject, id: *mut u32) -> i32,
    >,
    /// Of a sampler: defines a file that holds code and stores its number; `image.id` is not read.
    pub image: Option<
        unsafe extern "C" fn(context: *mut c_void, image: *const Image, id: *mut u32) -> i32,
    >,
    /// Of a sampler: defines an address in an image and stores its number; `frame.id` is not read.
    pub frame: Option<
        unsafe extern "C" fn(context: *mut c_void, frame: *const Frame, id: *mut u32) -> i32,
    >,
    /// Of a sampler: defines a stack and stores its number; `stack.id` is not read.
    pub stack: Option<
        unsafe extern "C" fn(context: *mut c_void, stack: *const Stack, id: *mut u32) -> i32,
    >,
    /// Of a sampler, within `sample`: these subjects have these values from now on.
    pub points:
        Option<unsafe extern "C" fn(context: *mut c_void, points: *const Point, count: u64) -> i32>,
    /// Of a sampler, within `sample`: the sample covers only some of the sampler's subjects: those that
    /// it has points of, whether they have changed or not. The others were not observed.
    pub partial: Option<unsafe extern "C" fn(context: *mut c_void) -> i32>,
    /// Of a sampler, within `sample`: the target was paused or blocked for so many nanoseconds for this
    /// sample. Unless it is said, that is all of the sample's time. The budget is charged with it.
    pub paused: Option<unsafe extern "C" fn(context: *mut c_void, nanoseconds: u64) -> i32>,
    /// Of a sampler: something happened; `event.sampler` is not read. An event that ends a subject ends
    /// all that is a part of it, and from the next call on the sampler must not name them any more; but
    /// one that ends a subject which has ended already is passed over.
    pub event: Option<unsafe extern "C" fn(context: *mut c_void, event: *const Event) -> i32>,
    /// Of a sampler: keeps it alive after the run until its `stop` returns, since the targets need it.
    /// `reason` is for the user, UTF-8.
    pub keep_alive: Option<unsafe extern "C" fn(context: *mut c_void, reason: Bytes) -> i32>,
}

/// A process to observe.
#[repr(C)]
pub struct Target {
    /// Bytes in this struct.
    pub struct_size: u32,
    /// Its process id.
    pub pid: i32,
    /// When it started, in clock ticks since boot: field 22 of /proc/PID/stat.
    pub start_time: u64,
    /// Its subject.
    pub subject: u32,
    /// 1 if seepmeter spawned it, else 0.
    pub spawned: u32,
    /// Where procfs is mounted.
    pub proc_root: Bytes,
    /// The file that a spawned target will execute; `data` is null if that is not known.
    pub executable: Bytes,
}
