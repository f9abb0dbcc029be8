//! The records of a stream.

use crate::Bytes;

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
