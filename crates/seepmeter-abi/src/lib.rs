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

/// A metric's `unit`: bytes.
pub const UNIT_BYTES: u32 = 1;
/// A metric's `unit`: things.
pub const UNIT_COUNT: u32 = 2;
/// A metric's `unit`: nanoseconds.
pub const UNIT_NANOSECONDS: u32 = 3;
/// A metric's `unit`: the value is the number of a stack.
pub const UNIT_STACK: u32 = 4;

/// A metric's `kind`: a level that rises and falls.
pub const METRIC_GAUGE: u32 = 1;
/// A metric's `kind`: a count of what has happened so far, which only grows.
pub const METRIC_COUNTER: u32 = 2;
/// A metric's `kind`: the largest value so far of something that rises and falls.
pub const METRIC_HIGH_WATER: u32 = 3;

/// No text and no array that is handed over is larger than this.
pub const MAX_BYTES: u64 = 1 << 28;

/// No subject, no sampler, no image: what a number is if there is none.
pub const NONE: u32 = u32::MAX;

/// A `record_kind`: the header.
pub const RECORD_HEADER: u32 = 1;
/// A `record_kind`: defines a metric.
pub const RECORD_METRIC: u32 = 2;
/// A `record_kind`: defines a subject.
pub const RECORD_SUBJECT: u32 = 3;
/// A `record_kind`: defines a file that holds code.
pub const RECORD_IMAGE: u32 = 4;
/// A `record_kind`: defines an address in an image.
pub const RECORD_FRAME: u32 = 5;
/// A `record_kind`: defines a stack.
pub const RECORD_STACK: u32 = 6;
/// A `record_kind`: one sample.
pub const RECORD_SAMPLE: u32 = 7;
/// A `record_kind`: something happened.
pub const RECORD_EVENT: u32 = 8;
/// A `record_kind`: the footer.
pub const RECORD_FOOTER: u32 = 9;

/// How a target was named: a command that seepmeter spawned.
pub const TARGET_COMMAND: u32 = 1;
/// How a target was named: a process that ran already.
pub const TARGET_PID: u32 = 2;
/// How a target was named: a control group.
pub const TARGET_CGROUP: u32 = 3;

/// A target's `end`: it exited; `value` is its status.
pub const END_EXITED: u32 = 1;
/// A target's `end`: it was killed; `value` is the signal.
pub const END_KILLED: u32 = 2;
/// A target's `end`: it ended, and how is not known.
pub const END_GONE: u32 = 3;
/// A target's `end`: it was still running.
pub const END_LEFT: u32 = 4;
/// A target's `end`: its exec failed; `value` is the errno.
pub const END_NOT_STARTED: u32 = 5;

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

/// What every record begins with.
#[repr(C)]
pub struct Record {
    /// Bytes in this record.
    pub struct_size: u32,
    /// One of the `RECORD_`s. Others may come; they are passed over.
    pub record_kind: u32,
}

/// A stream's first record.
#[repr(C)]
pub struct Header {
    /// Bytes in this record.
    pub struct_size: u32,
    /// Is RECORD_HEADER.
    pub record_kind: u32,
    /// The recording format's version.
    pub format: u32,
    /// Is 0.
    pub reserved: u32,
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
    /// Which boot of the machine it was, UTF-8; `data` is null if that is not known. Start times of
    /// processes are comparable within one boot only.
    pub boot_id: Bytes,
    /// What is watched from the start. A target that comes later is announced by an event `attached`.
    pub targets: *const TargetInfo,
    /// How many targets.
    pub target_count: u64,
    /// Bytes from one target to the next.
    pub target_size: u64,
    /// The samplers; a record's `sampler` is a place in this array.
    pub samplers: *const SamplerInfo,
    /// How many samplers.
    pub sampler_count: u64,
    /// Bytes from one sampler to the next.
    pub sampler_size: u64,
}

/// One target of a run. It may grow: `Header.target_size` is its size.
#[repr(C)]
pub struct TargetInfo {
    /// Its subject, which is defined behind the header.
    pub subject: u32,
    /// How the user named it: one of the `TARGET_`s.
    pub origin: u32,
    /// The pid, if it was named by that.
    pub pid: i32,
    /// Is 0.
    pub reserved: u32,
    /// The path below the mount point of cgroups, if it was named by that.
    pub cgroup: Bytes,
    /// The words of the command, if it was named by that.
    pub command: *const Bytes,
    /// How many words.
    pub command_count: u64,
}

/// One sampler of a run. It may grow: `Header.sampler_size` is its size.
#[repr(C)]
pub struct SamplerInfo {
    /// Its name, UTF-8.
    pub name: Bytes,
    /// Nanoseconds from tick to tick; with the interval `auto`, whose ticks are denser at first, the longest.
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

/// Defines a metric: one quantity of one kind of subject, as one sampler measures it.
#[repr(C)]
pub struct Metric {
    /// Bytes in this record.
    pub struct_size: u32,
    /// Is RECORD_METRIC.
    pub record_kind: u32,
    /// Its number in this stream.
    pub id: u32,
    /// Which sampler measures it.
    pub sampler: u32,
    /// What its integers count: one of the `UNIT_`s.
    pub unit: u32,
    /// How its values relate to each other: one of the `METRIC_`s.
    pub kind: u32,
    /// Its name, UTF-8.
    pub name: Bytes,
    /// Of which kind of subject it is: see `Subject.kind`. UTF-8.
    pub subject_kind: Bytes,
    /// One line of help, UTF-8.
    pub help: Bytes,
}

/// Defines a thing that has metrics.
#[repr(C)]
pub struct Subject {
    /// Bytes in this record.
    pub struct_size: u32,
    /// Is RECORD_SUBJECT.
    pub record_kind: u32,
    /// Its number in this stream.
    pub id: u32,
    /// The subject it is a part of, or NONE.
    pub parent: u32,
    /// What it is: `process`, `thread`, `mapping`, `mapping-group`, `stack`, …, or a sampler's own word.
    /// UTF-8.
    pub kind: Bytes,
    /// Its name for people.
    pub name: Bytes,
    /// What else is known of it.
    pub attributes: *const Attribute,
    /// How many attributes.
    pub attribute_count: u64,
}

/// Something that is known of a subject. This struct will never grow.
#[repr(C)]
pub struct Attribute {
    /// Its key, UTF-8.
    pub key: Bytes,
    /// Its value, if it is text.
    pub text: Bytes,
    /// Its value, if it is a number.
    pub number: i64,
    /// 1 if the value is `number`, 0 if it is `text`.
    pub is_number: u64,
}

/// Defines a file that holds code.
#[repr(C)]
pub struct Image {
    /// Bytes in this record.
    pub struct_size: u32,
    /// Is RECORD_IMAGE.
    pub record_kind: u32,
    /// Its number in this stream.
    pub id: u32,
    /// Is 0.
    pub reserved: u32,
    /// Its path as the target has it, or what the kernel calls it (`[vdso]`).
    pub path: Bytes,
    /// Its build-id in hexadecimal digits, UTF-8; `data` is null if it has none.
    pub build_id: Bytes,
}

/// Defines an address in an image, and what is there.
#[repr(C)]
pub struct Frame {
    /// Bytes in this record.
    pub struct_size: u32,
    /// Is RECORD_FRAME.
    pub record_kind: u32,
    /// Its number in this stream.
    pub id: u32,
    /// Where it is, or NONE for code that is in no file.
    pub image: u32,
    /// The address in the image, as its symbols count addresses; of code that is in no file, the address
    /// in memory.
    pub address: u64,
    /// The function; `data` is null if its name is not known.
    pub function: Bytes,
    /// The source file; `data` is null if it is not known.
    pub file: Bytes,
    /// The line in that file, from 1; 0 if it is not known.
    pub line: u32,
    /// Is 0.
    pub reserved: u32,
    /// The calls that the compiler has inlined here, the innermost first. The function above is the
    /// outermost, which is the one that really was called.
    pub inlined: *const InlinedCall,
    /// How many inlined calls.
    pub inlined_count: u64,
}

/// A call that the compiler has inlined. This struct will never grow.
#[repr(C)]
pub struct InlinedCall {
    /// The function that was inlined.
    pub function: Bytes,
    /// The source file; `data` is null if it is not known.
    pub file: Bytes,
    /// The line in that file, from 1; 0 if it is not known.
    pub line: u32,
    /// Is 0.
    pub reserved: u32,
}

/// Defines a stack.
#[repr(C)]
pub struct Stack {
    /// Bytes in this record.
    pub struct_size: u32,
    /// Is RECORD_STACK.
    pub record_kind: u32,
    /// Its number in this stream.
    pub id: u32,
    /// Is 0.
    pub reserved: u32,
    /// The numbers of its frames, the innermost first.
    pub frames: *const u32,
    /// How many frames.
    pub frame_count: u64,
    /// Why it ends before the outermost frame; `data` is null if it does not.
    pub truncated: Bytes,
}

/// One observation by one sampler.
#[repr(C)]
pub struct Sample {
    /// Bytes in this record.
    pub struct_size: u32,
    /// Is RECORD_SAMPLE.
    pub record_kind: u32,
    /// When it began, in nanoseconds since the stream's start.
    pub t: u64,
    /// How long it took, in nanoseconds.
    pub duration: u64,
    /// Whose it is.
    pub sampler: u32,
    /// 1 if it covers only some of the sampler's subjects, else 0. Those without a point in it were not
    /// observed then.
    pub partial: u32,
    /// What was observed.
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
    pub struct_size: u32,
    /// Is RECORD_EVENT.
    pub record_kind: u32,
    /// When, in nanoseconds since the stream's start. Of a sampler's event it is not in the future.
    pub t: u64,
    /// What: `exited`, `dropped`, `marker`, …, or a sampler's own word. UTF-8. Which number and which text
    /// each has stands in the book, in the chapter on the recording format.
    pub kind: Bytes,
    /// To which subject, or NONE.
    pub subject: u32,
    /// To, or by, which sampler, or NONE.
    pub sampler: u32,
    /// The number of the event's kind, if it has one.
    pub number: i64,
    /// 1 if there is a number, else 0.
    pub has_number: u64,
    /// The text of the event's kind; `data` is null if there is none.
    pub text: Bytes,
}

/// A stream's last record.
#[repr(C)]
pub struct Footer {
    /// Bytes in this record.
    pub struct_size: u32,
    /// Is RECORD_FOOTER.
    pub record_kind: u32,
    /// When, in nanoseconds since the stream's start.
    pub t: u64,
    /// What became of each target.
    pub ends: *const TargetEnd,
    /// How many targets.
    pub end_count: u64,
    /// Samples taken, of all samplers.
    pub samples: u64,
    /// Samples that began more than half an interval after their tick.
    pub late: u64,
    /// Ticks that passed without a sample.
    pub missed: u64,
    /// The samples that sinks did not get, for those that missed any.
    pub dropped: *const Dropped,
    /// How many such sinks.
    pub dropped_count: u64,
    /// CPU time that seepmeter itself used, in nanoseconds.
    pub cpu: u64,
    /// Seepmeter's own largest resident set, in bytes.
    pub peak_rss: u64,
    /// 1 if `cpu` is known, else 0.
    pub has_cpu: u32,
    /// 1 if `peak_rss` is known, else 0.
    pub has_peak_rss: u32,
}

/// What became of one target. This struct will never grow.
#[repr(C)]
pub struct TargetEnd {
    /// Which target.
    pub subject: u32,
    /// One of the `END_`s.
    pub end: u32,
    /// The number that goes with it.
    pub value: i32,
    /// Is 0.
    pub reserved: u32,
}

/// The samples that one sink did not get. This struct will never grow.
#[repr(C)]
pub struct Dropped {
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
            struct_size: 4, kind: 4, minor: 4, pauses: 4, max_batch_delay: 8, name: 16, version: 16,
            about: 16, options: 8, option_count: 8, option_size: 8, get_extension: 8, create: 8,
            configure: 8, ready: 8, start: 8, add_target: 8, remove_target: 8, sample: 8, wait: 8,
            write: 8, flush: 8, conclude: 8, stop: 8, destroy: 8,
        } = 208
        OptionSpec { key: 16, kind: 16, help: 16, default_value: 16, required: 4, reserved: 4 } = 72
        InstanceHost {
            struct_size: 4, reserved: 4, context: 8, message: 8, get_extension: 8, now: 8, metric: 8,
            subject: 8, image: 8, frame: 8, stack: 8, points: 8, partial: 8, paused: 8, event: 8,
            keep_alive: 8,
        } = 120
        Target {
            struct_size: 4, pid: 4, start_time: 8, subject: 4, spawned: 4, proc_root: 16, executable: 16,
        } = 56
        Record { struct_size: 4, record_kind: 4 } = 8
        Header {
            struct_size: 4, record_kind: 4, format: 4, reserved: 4, page_size: 8, seepmeter: 16, start: 16,
            host: 16, kernel: 16, boot_id: 16, targets: 8, target_count: 8, target_size: 8, samplers: 8,
            sampler_count: 8, sampler_size: 8,
        } = 152
        TargetInfo {
            subject: 4, origin: 4, pid: 4, reserved: 4, cgroup: 16, command: 8, command_count: 8,
        } = 48
        SamplerInfo { name: 16, interval: 8, options: 8, option_count: 8 } = 40
        OptionPair { key: 16, value: 16 } = 32
        Metric {
            struct_size: 4, record_kind: 4, id: 4, sampler: 4, unit: 4, kind: 4, name: 16,
            subject_kind: 16, help: 16,
        } = 72
        Subject {
            struct_size: 4, record_kind: 4, id: 4, parent: 4, kind: 16, name: 16, attributes: 8,
            attribute_count: 8,
        } = 64
        Attribute { key: 16, text: 16, number: 8, is_number: 8 } = 48
        Image { struct_size: 4, record_kind: 4, id: 4, reserved: 4, path: 16, build_id: 16 } = 48
        Frame {
            struct_size: 4, record_kind: 4, id: 4, image: 4, address: 8, function: 16, file: 16, line: 4,
            reserved: 4, inlined: 8, inlined_count: 8,
        } = 80
        InlinedCall { function: 16, file: 16, line: 4, reserved: 4 } = 40
        Stack {
            struct_size: 4, record_kind: 4, id: 4, reserved: 4, frames: 8, frame_count: 8, truncated: 16,
        } = 48
        Sample {
            struct_size: 4, record_kind: 4, t: 8, duration: 8, sampler: 4, partial: 4, points: 8,
            point_count: 8,
        } = 48
        Point { subject: 4, metric: 4, value: 8 } = 16
        Event {
            struct_size: 4, record_kind: 4, t: 8, kind: 16, subject: 4, sampler: 4, number: 8,
            has_number: 8, text: 16,
        } = 72
        Footer {
            struct_size: 4, record_kind: 4, t: 8, ends: 8, end_count: 8, samples: 8, late: 8, missed: 8,
            dropped: 8, dropped_count: 8, cpu: 8, peak_rss: 8, has_cpu: 4, has_peak_rss: 4,
        } = 96
        TargetEnd { subject: 4, end: 4, value: 4, reserved: 4 } = 16
        Dropped { sink: 16, samples: 8 } = 24
    }
}
