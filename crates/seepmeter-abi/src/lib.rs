//! The C face of a Seepmeter plugin.
//!
//! A plugin is a shared library with one entry symbol, [`seepmeter_plugin_v1`](Entry). The host calls
//! it once with a [`Host`] and gets a [`Plugin`] back: a table of calls. Of each `--sampler` or
//! `--sink` that names the plugin, an instance is made and goes through these calls in this order, all
//! from one and the same thread:
//!
//! ```text
//! create → configure (once a key=value) → ready → start → sample … sample      → stop → destroy
//!                                                  write … write … flush …
//! ```
//!
//! `flush` comes whenever no record waits, also before the first. `destroy` follows every `create` that
//! succeeded, whatever happens between; a `create` that fails has made nothing. `stop` of a sampler
//! follows every `start` that succeeded, for it must let go of the target; `stop` of a sink follows
//! its last record, unless a call of it has failed or the run was called off before its first record:
//! there is nothing to complete then. After a call has failed no other follows but these two.
//!
//! What holds everywhere:
//!
//! - Tables begin with their `struct_size`. Fields are only ever appended; whoever reads a table
//!   reads no further than its size and takes the rest for zero.
//! - What a call hands over is borrowed for the time of the call and freed by whoever made it. A
//!   plugin's own table, and whatever it points to, lives until exit: no library is ever unloaded.
//! - A call returns 0, or a negative errno, or, of a sampler, one of [`GONE`] and [`SKIP`]. Why it failed
//!   is said through [`InstanceHost::message`] at level [`LEVEL_ERROR`] before it returns. A sink whose
//!   reader has gone returns -EPIPE, and is closed without a complaint.
//! - Text is UTF-8 where it is said so, and bytes elsewhere, never NUL-terminated but for extension ids.
//! - No text and no array is larger than [`MAX_BYTES`].
//! - Structs that begin with a size grow behind their end, and so do those that come in arrays with the
//!   distance from one to the next. All others will never grow.
//! - All fields are explicit: there is no padding between them on 64-bit machines.
#![no_std]

use core::ffi::{c_char, c_void};

/// The major version of this face. It is part of the entry symbol's name, and a host never calls
/// into a plugin of another one.
pub const MAJOR: u32 = 1;

/// The minor version of this face, for display only: what there is, the tables' sizes say.
pub const MINOR: u32 = 1;

/// A plugin's `kind`: a sampler.
pub const KIND_SAMPLER: u32 = 1;
/// A plugin's `kind`: a sink.
pub const KIND_SINK: u32 = 2;

/// A call's result: the target has ended, which is nobody's fault.
pub const GONE: i32 = -0x1_0001;
/// A call's result: this one look is left out, the next is taken as usual.
pub const SKIP: i32 = -0x1_0002;

/// The result of `wait`: the host shall sleep.
pub const PLEASE_SLEEP: i32 = 1;

/// A level of `message`: why the call that now runs will fail.
pub const LEVEL_ERROR: u32 = 1;
/// A level of `message`: something the user should know at once.
pub const LEVEL_WARNING: u32 = 2;

/// A metric's `unit`: bytes.
pub const UNIT_BYTES: u32 = 1;
/// A metric's `unit`: things.
pub const UNIT_COUNT: u32 = 2;
/// A metric's `unit`: nanoseconds.
pub const UNIT_NANOSECONDS: u32 = 3;

/// No text and no array that goes over the line is larger than this.
pub const MAX_BYTES: u64 = 1 << 28;

/// No subject, no sampler: what an id is where there is none.
pub const NONE: u32 = u32::MAX;

/// A record's `kind`: the header.
pub const RECORD_HEADER: u32 = 1;
/// A record's `kind`: defines a metric.
pub const RECORD_METRIC: u32 = 2;
/// A record's `kind`: defines a subject.
pub const RECORD_SUBJECT: u32 = 3;
/// A record's `kind`: one look.
pub const RECORD_SAMPLE: u32 = 4;
/// A record's `kind`: something happened.
pub const RECORD_EVENT: u32 = 5;
/// A record's `kind`: the footer.
pub const RECORD_FOOTER: u32 = 6;

/// A footer's `end`: the target exited; `end_value` is its status.
pub const END_EXITED: u32 = 1;
/// A footer's `end`: the target was killed; `end_value` is the signal.
pub const END_KILLED: u32 = 2;
/// A footer's `end`: the target ended, and how is not known.
pub const END_GONE: u32 = 3;
/// A footer's `end`: the target was still running.
pub const END_LEFT: u32 = 4;
/// A footer's `end`: the target's exec failed; `end_value` is the errno.
pub const END_NOT_STARTED: u32 = 5;

/// Some bytes. `data` may be null where `length` is 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    /// The first byte.
    pub data: *const u8,
    /// How many there are.
    pub length: u64,
}

/// The type of the entry symbol. It is `seepmeter_plugin_v1`, or `seepmeter_NAME_plugin_v1` with the
/// plugin's NAME where a library must be linkable beside others. Returns null where the plugin can't
/// work with this host.
pub type Entry = unsafe extern "C" fn(host: *const Host) -> *const Plugin;

/// What the host tells a plugin before there is any instance.
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
    /// Of a sampler: 1 where its looks hold the target up, so that the budget applies.
    pub disturbs: u32,
    /// Of a sink: how many nanoseconds a record may wait for others; 0 leaves it to the host.
    pub patience: u64,
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
    /// Sets one option. May be left out: then there are none.
    pub configure:
        Option<unsafe extern "C" fn(instance: *mut c_void, key: Bytes, value: Bytes) -> i32>,
    /// All options are set: makes sure that the instance can work, opens its output. May be left out.
    pub ready: Option<unsafe extern "C" fn(instance: *mut c_void) -> i32>,
    /// Of a sampler, required: the target stands; defines metrics and subjects. Of a sink: not called.
    pub start: Option<unsafe extern "C" fn(instance: *mut c_void, target: *const Target) -> i32>,
    /// Of a sampler, required: takes one look.
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
    /// The stream or the watching is over: completes the output, lets go of the target. May be left out;
    /// then a sink gets a last `flush` instead.
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
    /// where several may be given.
    pub kind: Bytes,
    /// What it does.
    pub help: Bytes,
    /// Its default; `data` is null where there is none.
    pub default_value: Bytes,
    /// 1 where it must be given, else 0.
    pub required: u32,
    /// Is 0.
    pub reserved: u32,
}

/// What one instance may ask of the host. Every call takes the table's own `context`, and comes from
/// the thread that the instance's calls come from; from another one it fails with -EPERM.
#[repr(C)]
pub struct InstanceHost {
    /// Bytes in this table.
    pub struct_size: u32,
    /// Is 0.
    pub reserved: u32,
    /// Whose table it is.
    pub context: *mut c_void,
    /// Says something to the user, at one of the `LEVEL_`s: why the call that now
    /// runs will fail, or what should be known. Text that is not UTF-8 is mended.
    pub message: Option<unsafe extern "C" fn(context: *mut c_void, level: u32, text: Bytes)>,
    /// An extension by its id, or null.
    pub get_extension:
        Option<unsafe extern "C" fn(context: *mut c_void, id: *const c_char) -> *const c_void>,
    /// Of a sampler: nanoseconds since the stream's start. 0 outside of `start`, `sample`, `wait` and
    /// `stop`.
    pub now: Option<unsafe extern "C" fn(context: *mut c_void) -> u64>,
    /// Of a sampler: defines a metric and stores its number. `name` and `help` are UTF-8, `unit` is one
    /// of the units. The same name and unit give the same number. In `start`, `sample`, `wait` and `stop`,
    /// as the calls below.
    pub metric: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            name: Bytes,
            unit: u32,
            help: Bytes,
            id: *mut u32,
        ) -> i32,
    >,
    /// Of a sampler: defines a subject and stores its number; `subject.id` is not read.
    pub subject: Option<
        unsafe extern "C" fn(context: *mut c_void, subject: *const Subject, id: *mut u32) -> i32,
    >,
    /// Of a sampler, within `sample`: these subjects have these values from now on.
    pub points:
        Option<unsafe extern "C" fn(context: *mut c_void, points: *const Point, count: u64) -> i32>,
    /// Of a sampler: something happened; `event.sampler` is not read.
    pub event: Option<unsafe extern "C" fn(context: *mut c_void, event: *const Event) -> i32>,
    /// Of a sampler, within `sample`: so many nanoseconds of this look have held the target up. Unless it
    /// is said, all of the look's time has. The budget is held against it.
    pub held: Option<unsafe extern "C" fn(context: *mut c_void, nanoseconds: u64) -> i32>,
}

/// Whom a sampler looks at.
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
    /// 1 where seepmeter spawned it, else 0.
    pub spawned: u32,
    /// Where procfs is mounted.
    pub proc_root: Bytes,
    /// The file that a spawned target will execute; empty where that is not known. Since 1.1.
    pub executable: Bytes,
}

/// What every record begins with.
#[repr(C)]
pub struct Record {
    /// Bytes in this record.
    pub size: u32,
    /// One of the `RECORD_` kinds. Others may come; they are passed over.
    pub kind: u32,
}

/// A stream's first record.
#[repr(C)]
pub struct Header {
    /// Bytes in this record.
    pub size: u32,
    /// What kind of record it is.
    pub kind: u32,
    /// The recording format's version.
    pub format: u32,
    /// The pid that was asked for; 0 where a command was.
    pub pid: i32,
    /// Bytes in a page.
    pub page_size: u64,
    /// The version of the seepmeter that sampled, UTF-8.
    pub seepmeter: Bytes,
    /// Wall-clock time of the stream's time 0, RFC 3339, UTF-8.
    pub start: Bytes,
    /// The machine's name.
    pub host: Bytes,
    /// The kernel's release.
    pub kernel: Bytes,
    /// The words of the command that was asked for.
    pub command: *const Bytes,
    /// How many words.
    pub command_count: u64,
    /// The samplers; an event's or a sample's `sampler` is a place in this array.
    pub samplers: *const SamplerInfo,
    /// How many samplers.
    pub sampler_count: u64,
    /// Bytes from one sampler to the next.
    pub sampler_size: u64,
}

/// One sampler of a run. It may grow: `Header.sampler_size` is its size.
#[repr(C)]
pub struct SamplerInfo {
    /// Its name, UTF-8.
    pub name: Bytes,
    /// Nanoseconds from tick to tick.
    pub interval: u64,
    /// Its options.
    pub options: *const OptionPair,
    /// How many options.
    pub option_count: u64,
}

/// An option with its value. Both UTF-8. This struct will never grow.
#[repr(C)]
pub struct OptionPair {
    /// Its key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
}

/// Defines a metric.
#[repr(C)]
pub struct Metric {
    /// Bytes in this record.
    pub size: u32,
    /// What kind of record it is.
    pub kind: u32,
    /// Its number in this stream.
    pub id: u32,
    /// One of the `UNIT_`s.
    pub unit: u32,
    /// Its name, UTF-8.
    pub name: Bytes,
    /// One line of help, UTF-8.
    pub help: Bytes,
}

/// Defines a thing that has metrics.
#[repr(C)]
pub struct Subject {
    /// Bytes in this record.
    pub size: u32,
    /// What kind of record it is.
    pub kind: u32,
    /// Its number in this stream.
    pub id: u32,
    /// The subject it is a part of, or NONE.
    pub parent: u32,
    /// What it is: `process`, `thread`, `mapping`, `stack`, or a sampler's own word. UTF-8.
    pub what: Bytes,
    /// Its name for people.
    pub name: Bytes,
    /// What else is known of it.
    pub attrs: *const Attr,
    /// How many of these.
    pub attr_count: u64,
}

/// Something that is known of a subject. This struct will never grow.
#[repr(C)]
pub struct Attr {
    /// Its key, UTF-8.
    pub key: Bytes,
    /// Its value, where it is text.
    pub text: Bytes,
    /// Its value, where it is a number.
    pub number: i64,
    /// 1 where the value is `number`, 0 where it is `text`.
    pub is_number: u64,
}

/// One look of one sampler.
#[repr(C)]
pub struct Sample {
    /// Bytes in this record.
    pub size: u32,
    /// What kind of record it is.
    pub kind: u32,
    /// When the look began, in nanoseconds since the stream's start.
    pub t: u64,
    /// How long it took, in nanoseconds.
    pub took: u64,
    /// Whose look it was.
    pub sampler: u32,
    /// Is 0.
    pub reserved: u32,
    /// What was seen.
    pub points: *const Point,
    /// How many points.
    pub point_count: u64,
}

/// The value that one metric of one subject has from now on. This struct will never grow.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Point {
    /// Of what.
    pub subject: u32,
    /// Which metric.
    pub metric: u32,
    /// How much, in the metric's unit.
    pub value: i64,
}

/// Something that happened.
#[repr(C)]
pub struct Event {
    /// Bytes in this record.
    pub size: u32,
    /// What kind of record it is.
    pub kind: u32,
    /// When, in nanoseconds since the stream's start. A sampler can't tell of what has yet to come.
    pub t: u64,
    /// What: `exited`, `lost`, `marker`, …, or a sampler's own word. UTF-8.
    pub what: Bytes,
    /// To which subject, or NONE.
    pub subject: u32,
    /// By which sampler, or NONE; a sampler need not say so itself.
    pub sampler: u32,
    /// A number that goes with it.
    pub value: i64,
    /// 1 where there is such a number, else 0.
    pub has_value: u64,
    /// Words that go with it.
    pub text: Bytes,
}

/// A stream's last record.
#[repr(C)]
pub struct Footer {
    /// Bytes in this record.
    pub size: u32,
    /// What kind of record it is.
    pub kind: u32,
    /// When, in nanoseconds since the stream's start.
    pub t: u64,
    /// One of the `END_`s.
    pub end: u32,
    /// The number that goes with it.
    pub end_value: i32,
    /// Looks taken.
    pub samples: u64,
    /// Looks that began late.
    pub late: u64,
    /// Ticks that passed without a look.
    pub missed: u64,
    /// CPU time that seepmeter itself took, in nanoseconds.
    pub cpu: u64,
    /// Seepmeter's own largest resident set, in bytes.
    pub peak_rss: u64,
    /// What sinks did not get.
    pub lost: *const Lost,
    /// How many sinks lost any.
    pub lost_count: u64,
}

/// What one sink did not get. This struct will never grow.
#[repr(C)]
pub struct Lost {
    /// The sink, as the user named it. UTF-8.
    pub sink: Bytes,
    /// How many samples.
    pub samples: u64,
}

/// What keeps the promise of no padding: sizes and offsets, checked where this crate is compiled.
#[cfg(target_pointer_width = "64")]
mod layout {
    use super::*;

    /// Every field begins where the one before it ends, and nothing stands behind the last.
    macro_rules! no_padding {
        ($($type:ty { $($field:ident: $size:literal),+ $(,)? } = $total:literal)+) => {$(
            const _: () = {
                let mut end = 0;
                $(
                    assert!(core::mem::offset_of!($type, $field) == end);
                    end += $size;
                )+
                assert!(end == $total && size_of::<$type>() == $total);
            };
        )+};
    }

    no_padding! {
        Bytes { data: 8, length: 8 } = 16
        Host { struct_size: 4, minor: 4, version: 16, get_extension: 8 } = 32
        Plugin {
            struct_size: 4, kind: 4, minor: 4, disturbs: 4, patience: 8, name: 16, version: 16,
            about: 16, options: 8, option_count: 8, option_size: 8, get_extension: 8, create: 8,
            configure: 8, ready: 8, start: 8, sample: 8, wait: 8, write: 8, flush: 8, stop: 8,
            destroy: 8,
        } = 184
        OptionSpec { key: 16, kind: 16, help: 16, default_value: 16, required: 4, reserved: 4 } = 72
        InstanceHost {
            struct_size: 4, reserved: 4, context: 8, message: 8, get_extension: 8, now: 8, metric: 8,
            subject: 8, points: 8, event: 8, held: 8,
        } = 80
        Target {
            struct_size: 4, pid: 4, start_time: 8, subject: 4, spawned: 4, proc_root: 16, executable: 16,
        } = 56
        Record { size: 4, kind: 4 } = 8
        Header {
            size: 4, kind: 4, format: 4, pid: 4, page_size: 8, seepmeter: 16, start: 16, host: 16,
            kernel: 16, command: 8, command_count: 8, samplers: 8, sampler_count: 8, sampler_size: 8,
        } = 128
        SamplerInfo { name: 16, interval: 8, options: 8, option_count: 8 } = 40
        OptionPair { key: 16, value: 16 } = 32
        Metric { size: 4, kind: 4, id: 4, unit: 4, name: 16, help: 16 } = 48
        Subject {
            size: 4, kind: 4, id: 4, parent: 4, what: 16, name: 16, attrs: 8, attr_count: 8,
        } = 64
        Attr { key: 16, text: 16, number: 8, is_number: 8 } = 48
        Sample {
            size: 4, kind: 4, t: 8, took: 8, sampler: 4, reserved: 4, points: 8, point_count: 8,
        } = 48
        Point { subject: 4, metric: 4, value: 8 } = 16
        Event {
            size: 4, kind: 4, t: 8, what: 16, subject: 4, sampler: 4, value: 8, has_value: 8, text: 16,
        } = 72
        Footer {
            size: 4, kind: 4, t: 8, end: 4, end_value: 4, samples: 8, late: 8, missed: 8, cpu: 8,
            peak_rss: 8, lost: 8, lost_count: 8,
        } = 80
        Lost { sink: 16, samples: 8 } = 24
    }
}
